// SPDX-License-Identifier: BSD-2-Clause
//! Content hashes: the keys of every cache, and the check of everything fetched.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};

/// Collects everything that a result depends on.
#[derive(Default)]
pub struct Digest(Sha256);

impl Digest {
    /// Adds one input under a name; both are delimited, so no two lists of inputs collide.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> &mut Self {
        for part in [name.as_bytes(), bytes] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// Adds a file's content.
    pub fn add_file(&mut self, name: &str, path: &Path) -> Result<&mut Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(self.add(name, &bytes))
    }

    /// Adds every file below `dir`, by relative name and content.
    pub fn add_tree(&mut self, name: &str, dir: &Path) -> Result<&mut Self> {
        for path in files_below(dir)? {
            let relative = path.strip_prefix(dir).unwrap_or(&path);
            self.add_file(&format!("{name}/{}", relative.display()), &path)?;
        }
        Ok(self)
    }

    /// The key, 64 hexadecimal digits.
    pub fn key(&self) -> String {
        hex(&self.0.clone().finalize())
    }
}

/// SHA-256 of a file, in hexadecimal.
pub fn sha256_file(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hex(&Sha256::digest(bytes)))
}

/// All regular files below `dir`, sorted, so that hashes and archives do not depend on the disk.
pub fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_path_buf()];
    while let Some(dir) = todo.pop() {
        let entries =
            fs::read_dir(&dir).with_context(|| format!("cannot read folder {}", dir.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                todo.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_delimited() {
        let key = |parts: &[(&str, &str)]| {
            let mut digest = Digest::default();
            for (name, text) in parts {
                digest.add(name, text.as_bytes());
            }
            digest.key()
        };
        assert_ne!(key(&[("a", "bc")]), key(&[("ab", "c")]));
        assert_ne!(
            key(&[("a", "b"), ("c", "d")]),
            key(&[("c", "d"), ("a", "b")])
        );
        assert_eq!(key(&[("a", "b")]), key(&[("a", "b")]));
    }

    #[test]
    fn sha256_is_the_published_one() {
        // FIPS 180-2's example.
        assert_eq!(
            hex(&Sha256::digest(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
