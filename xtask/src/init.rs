// SPDX-License-Identifier: BSD-2-Clause
//! `cargo xtask run --init LIST`: the programs that a list names, built, and the list as init reads it in the guest.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::paths::Paths;
use crate::program::{self, Chosen};
use crate::system::Setup;

/// The port that runs the list.
pub const INIT: &str = "init";
/// Where it finds it.
const LIST: &str = "/etc/init";

/// Builds what the lines of `list` name, and adds it and the list to `setup`.
pub fn read(paths: &Paths, list: &Path, setup: &mut Setup) -> Result<()> {
    let text =
        fs::read_to_string(list).with_context(|| format!("cannot read {}", list.display()))?;
    let mut out = String::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let (first, rest) = match line.find([' ', '\t']) {
            Some(end) => line.split_at(end),
            None => (line, ""),
        };
        // What the guest has anyway.
        let named = !first.is_empty() && !first.starts_with('#') && !first.starts_with('/');
        if !named {
            out += &format!("{line}\n");
            continue;
        }
        let place = || format!("{}, line {}", list.display(), number + 1);
        let chosen = program::choose(paths, first).with_context(place)?;
        if let Chosen::Port(port) = &chosen {
            setup.files.extend(port.files());
        }
        let ready = chosen.make(paths).with_context(place)?;
        out += &format!("/bin/{}{rest}\n", ready.name);
        if setup.programs.iter().all(|other| other.name != ready.name) {
            setup.programs.push(ready);
        }
    }
    setup.texts.push((out.into_bytes(), LIST.to_owned()));
    Ok(())
}
