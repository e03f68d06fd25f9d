// SPDX-License-Identifier: GPL-2.0-only
//! Finds the kernel's source, which Cargo's registry carries, and verifies it.
//!
//! Cargo checks the archive when it downloads it, but trusts what it unpacked
//! once. A kernel built from edited files would not be the stock kernel, so the
//! unpacked files are hashed here on every use.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The package that carries the source, and its version.
const PACKAGE: &str = "sel4-sys";
const VERSION: &str = "0.0.28";

/// What [`digest`] of the source must be.
pub(crate) const DIGEST: &str = "c6228bdb4deb00fef001096de93dbad2f7f05b24c71a96a7e10ceb46606bde69";

/// Folder `seL4` of the locked source: the kernel and libsel4, read-only.
pub fn source() -> Result<PathBuf> {
    let package = package_folder()?;
    let found = digest(&package)?;
    if found != DIGEST {
        bail!(
            "the kernel source in {} is not the published one (digest {found}, \
             expected {DIGEST}): delete that folder and run `cargo fetch --locked`",
            package.display()
        );
    }
    Ok(package.join("seL4"))
}

/// Asks Cargo, which downloads and unpacks the package if need be.
fn package_folder() -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let output = Command::new(&cargo)
        .args(["metadata", "--locked", "--format-version", "1"])
        .arg("--manifest-path")
        .arg(&manifest)
        .output()
        .with_context(|| format!("cannot run {}", cargo.display()))?;
    if !output.status.success() {
        bail!(
            "`cargo metadata --locked` cannot find the kernel source: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("`cargo metadata` did not print JSON")?;
    let packages = metadata["packages"].as_array();
    packages
        .into_iter()
        .flatten()
        .find(|p| p["name"] == PACKAGE && p["version"] == VERSION)
        .and_then(|p| Path::new(p["manifest_path"].as_str()?).parent())
        .map(Path::to_path_buf)
        .ok_or_else(|| {
            anyhow!(
                "package {PACKAGE} {VERSION} is not in Cargo.lock: \
                 restore Cargo.lock and kernel-ext/Cargo.toml from the repository"
            )
        })
}

/// Hash of the path and content of every file that a build may read.
fn digest(package: &Path) -> Result<String> {
    let mut paths = Vec::new();
    for top in ["seL4", "tools"] {
        list(&package.join(top), &mut paths)?;
    }
    paths.sort();
    let mut hash = Sha256::new();
    for path in paths {
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.strip_prefix(package)?.as_os_str().as_encoded_bytes();
        for part in [name, &text] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    Ok(format!("{:x}", hash.finalize()))
}

/// Adds every file under `folder`.
pub(crate) fn list(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read folder {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), paths)?;
        } else {
            paths.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_source_is_5_0_0() {
        let version = fs::read_to_string(source().unwrap().join("VERSION")).unwrap();
        assert_eq!(version.trim(), "5.0.0");
    }
}
