// SPDX-License-Identifier: BSD-2-Clause
//! Where things are: the checkout, and what the driver makes under its target folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folders that every command works in.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The checkout.
    pub root: PathBuf,
    /// Cargo's target folder, which also holds everything the driver builds.
    pub target: PathBuf,
}

impl Paths {
    /// Finds the checkout from this crate's place in it, and the target folder from this program's.
    pub fn find() -> Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map(PathBuf::from)
            .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        let root = manifest
            .parent()
            .context("the folder of xtask has no parent")?
            .to_path_buf();
        let exe = std::env::current_exe().context("where is this program?")?;
        // Cargo marks its target folder, wherever a configuration may have put it.
        let target = exe
            .ancestors()
            .find(|dir| dir.join("CACHEDIR.TAG").is_file())
            .map_or_else(|| root.join("target"), Path::to_path_buf);
        Ok(Self { root, target })
    }

    /// Programs for people: the cc wrapper and its companions.
    pub fn bin(&self) -> PathBuf {
        self.target.join("bin")
    }

    /// The C library, its headers and the shim, as the cc wrapper sees them.
    pub fn sysroot(&self) -> PathBuf {
        self.target.join("sysroot")
    }

    /// Things kept by the hash of what they were made from.
    pub fn cache(&self) -> PathBuf {
        self.target.join("cache")
    }

    /// What the tools that the driver runs had to say.
    pub fn log(&self) -> PathBuf {
        self.target.join("log")
    }

    /// Work in progress and throw-away copies.
    pub fn scratch(&self) -> PathBuf {
        self.target.join("scratch")
    }

    /// Cargo's target folder for crates that run in the guest.
    pub fn guest(&self) -> PathBuf {
        self.target.join("guest")
    }

    /// The same for a set of features: one of its own, so that neither undoes the other.
    pub fn guest_for(&self, features: &[&str]) -> PathBuf {
        match features {
            [] => self.guest(),
            some => {
                let name = some.join("-").replace('/', "-");
                self.target.join(format!("guest-{name}"))
            }
        }
    }
}
