// SPDX-License-Identifier: GPL-2.0-only
//! Builds a kernel and prints its folder: `build-kernel queue|stock|fast
//! release|debug CACHE_FOLDER`.

use std::path::Path;

use anyhow::{Context, Result};
use kernel_ext::Build;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = || {
        args.next()
            .context("usage: build-kernel KERNEL BUILD FOLDER")
    };
    let (kernel, build, folder) = (next()?.parse()?, next()?.parse::<Build>()?, next()?);
    let built = kernel_ext::build(kernel, build, Path::new(&folder), &mut |line| {
        eprintln!("{line}");
    })?;
    println!("{}", built.dir.display());
    Ok(())
}
