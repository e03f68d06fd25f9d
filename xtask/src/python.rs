// SPDX-License-Identifier: BSD-2-Clause
//! Tools that come as Python packages: one environment per list of requirements, each locked by hash.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::deb;
use crate::digest::Digest;
use crate::paths::Paths;
use crate::process::{Lock, run_logged, say};

/// The environment in which a file's requirements are installed; made when it is missing.
pub fn environment(paths: &Paths, requirements: &Path) -> Result<PathBuf> {
    let key = Digest::default()
        .add_file("requirements", requirements)?
        .key();
    let dir = paths.cache().join("python").join(&key[..16]);
    let done = dir.join("complete");
    if done.is_file() {
        return Ok(dir);
    }
    let _lock = Lock::take(&dir.with_extension("lock"), "Python packages")?;
    if done.is_file() {
        return Ok(dir);
    }
    deb::install(paths, deb::PYTHON)?;
    say(&format!(
        "installing the Python packages of {}",
        requirements.display()
    ));
    let log = paths.log().join("python.log");
    run_logged(
        "python3 -m venv",
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&dir),
        &log,
    )?;
    run_logged(
        "pip install",
        Command::new(dir.join("bin/python"))
            .args(["-m", "pip", "install", "--disable-pip-version-check"])
            .args(["--require-hashes", "--no-deps", "-r"])
            .arg(requirements),
        &log,
    )?;
    fs::write(&done, "").with_context(|| format!("cannot write {}", done.display()))?;
    Ok(dir)
}
