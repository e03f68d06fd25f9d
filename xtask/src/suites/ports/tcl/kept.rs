// SPDX-License-Identifier: BSD-2-Clause
//! What files of a run have said so far, for the next run to go on from.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::words::Words;
use crate::digest::Digest;
use crate::process::write_if_changed;
use crate::qemu::Machine;

/// Results of one system, in a folder: each file's words in a log of its own, and a list of those that are done. A log counts only if the list has its file.
pub struct Kept {
    folder: PathBuf,
    /// What was booted.
    key: String,
    /// Files, and how many seconds they took.
    done: BTreeMap<String, u64>,
}

impl Kept {
    /// What is kept in the folder of this machine; nothing, if it is of another.
    pub fn open(folder: &Path, machine: &Machine) -> Result<Kept> {
        let mut digest = Digest::default();
        digest.add_file("kernel", &machine.kernel)?;
        digest.add("image", &machine.image);
        Kept::with_key(folder, digest.key())
    }

    fn with_key(folder: &Path, key: String) -> Result<Kept> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let text = fs::read_to_string(folder.join("done")).unwrap_or_default();
        let mut lines = text.lines();
        let mut done = BTreeMap::new();
        if lines.next() == Some(&key) {
            done.extend(lines.filter_map(|line| {
                let (file, seconds) = line.split_once(' ')?;
                Some((file.to_owned(), seconds.parse().ok()?))
            }));
        }
        let folder = folder.to_path_buf();
        Ok(Kept { folder, key, done })
    }

    /// Where a file's words are.
    pub fn log(folder: &Path, file: &str) -> PathBuf {
        folder.join(format!("{}.log", file.replace('/', "_")))
    }

    /// What a file has said, if it is done.
    pub fn words(&self, file: &str) -> Option<Words> {
        let &seconds = self.done.get(file)?;
        let text = fs::read(Self::log(&self.folder, file)).ok()?;
        let words = Words::parse(&String::from_utf8_lossy(&text));
        Some(Words { seconds, ..words })
    }

    /// A file is done.
    pub fn keep(&mut self, file: &str, seconds: u64) -> Result<()> {
        self.done.insert(file.to_owned(), seconds);
        self.write()
    }

    /// These are to be done again.
    pub fn forget(&mut self, files: &[&str]) -> Result<()> {
        self.done.retain(|file, _| !files.contains(&file.as_str()));
        self.write()
    }

    fn write(&self) -> Result<()> {
        let mut text = format!("{}\n", self.key);
        for (file, seconds) in &self.done {
            text.push_str(&format!("{file} {seconds}\n"));
        }
        write_if_changed(&self.folder.join("done"), text.as_bytes())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_system_said_does_not_count() {
        let folder = std::env::temp_dir().join(format!("kept-{}", std::process::id()));
        let mut kept = Kept::with_key(&folder, "one".into()).unwrap();
        fs::write(Kept::log(&folder, "unit/dump"), "[ok]: A (1 ms)\n").unwrap();
        assert!(kept.words("unit/dump").is_none());
        kept.keep("unit/dump", 7).unwrap();
        let again = Kept::with_key(&folder, "one".into()).unwrap();
        let words = again.words("unit/dump").unwrap();
        assert_eq!((words.passed, words.seconds), (1, 7));
        let other = Kept::with_key(&folder, "two".into()).unwrap();
        assert!(other.words("unit/dump").is_none());
        kept.forget(&["unit/dump"]).unwrap();
        let again = Kept::with_key(&folder, "one".into()).unwrap();
        assert!(again.words("unit/dump").is_none());
        fs::remove_dir_all(&folder).unwrap();
    }
}
