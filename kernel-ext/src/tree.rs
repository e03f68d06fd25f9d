// SPDX-License-Identifier: GPL-2.0-only
//! The source of one kernel: the locked files, and for the queue kernel the
//! change on top of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::compile;
use crate::kernel::Kernel;
use crate::mutants::Mutant;
use crate::patch;
use crate::source;

/// The new files: where each goes in the kernel's source, and its text.
pub(crate) const NEW_FILES: [(&str, &str); 3] = [
    (
        "include/object/nqring.h",
        include_str!("../queue/include/object/nqring.h"),
    ),
    (
        "include/object/notificationqueue.h",
        include_str!("../queue/include/object/notificationqueue.h"),
    ),
    (
        "src/object/notificationqueue.c",
        include_str!("../queue/src/object/notificationqueue.c"),
    ),
];

/// The changes to existing files.
pub(crate) const HOOKS: &str = include_str!("../queue/hooks.patch");

/// The same of the optional fast path.
pub(crate) const FAST_FILES: [(&str, &str); 2] = [
    (
        "include/fastpath/signal.h",
        include_str!("../fast/include/fastpath/signal.h"),
    ),
    (
        "src/fastpath/signal.c",
        include_str!("../fast/src/fastpath/signal.c"),
    ),
];
pub(crate) const FAST_HOOKS: &str = include_str!("../fast/hooks.patch");

/// The source of one kernel.
pub(crate) struct Tree {
    root: PathBuf,
    /// New and patched files, by path relative to the root.
    changed: BTreeMap<String, String>,
}

impl Tree {
    /// The source of `kernel`, from the locked package.
    pub fn new(kernel: Kernel) -> Result<Tree> {
        let mut tree = Tree {
            root: source()?,
            changed: BTreeMap::new(),
        };
        if kernel.has_queues() {
            tree.add(&NEW_FILES, HOOKS).context("queue/hooks.patch")?;
        }
        if kernel == Kernel::Fast {
            tree.add(&FAST_FILES, FAST_HOOKS)
                .context("fast/hooks.patch")?;
        }
        Ok(tree)
    }

    /// Adds files and changes others, none of which has been changed before.
    fn add(&mut self, files: &[(&str, &str)], hooks: &str) -> Result<()> {
        for (path, text) in files {
            ensure!(
                !self.root.join(path).exists(),
                "{path} exists in the kernel"
            );
            self.changed.insert(path.to_string(), text.to_string());
        }
        for file in patch::parse(hooks)? {
            let new = file.apply(&read(&self.root, file.path)?)?;
            let before = self.changed.insert(file.path.to_string(), new);
            ensure!(before.is_none(), "{} is patched twice", file.path);
        }
        Ok(())
    }

    /// Changes one place.
    pub fn mutate(&mut self, mutant: &Mutant) -> Result<()> {
        let text = self.read(mutant.path)?;
        let places = text.matches(mutant.from).count();
        ensure!(places == 1, "{}: found {places} times", mutant.name);
        let text = text.replace(mutant.from, mutant.to);
        self.changed.insert(mutant.path.to_string(), text);
        Ok(())
    }

    /// New and patched files with their texts.
    pub fn changed(&self) -> &BTreeMap<String, String> {
        &self.changed
    }

    /// The text of a file.
    pub fn read(&self, path: &str) -> Result<String> {
        match self.changed.get(path) {
            Some(text) => Ok(text.clone()),
            None => read(&self.root, path),
        }
    }

    /// Every file under `folders`, sorted.
    pub fn files(&self, folders: &[&str]) -> Result<BTreeSet<String>> {
        let mut found = Vec::new();
        for folder in folders {
            source::list(&self.root.join(folder), &mut found)?;
        }
        let mut files = BTreeSet::new();
        for path in found {
            let path = path.strip_prefix(&self.root)?;
            let path = path.to_str().context("a file name is not UTF-8")?;
            files.insert(path.to_string());
        }
        let inside = |path: &&String| folders.iter().any(|f| Path::new(path).starts_with(f));
        files.extend(self.changed.keys().filter(inside).cloned());
        Ok(files)
    }
}

/// Writes the whole source of `kernel` into a new folder: to look at, or to edit
/// and make `queue/hooks.patch` of.
pub fn export(kernel: Kernel, folder: &Path) -> Result<()> {
    ensure!(!folder.exists(), "{} exists", folder.display());
    let tree = Tree::new(kernel)?;
    let mut found = Vec::new();
    source::list(&tree.root, &mut found)?;
    for path in found {
        let target = folder.join(path.strip_prefix(&tree.root)?);
        let parent = target.parent().context("a file has no folder")?;
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
        fs::copy(&path, &target).with_context(|| format!("cannot write {}", target.display()))?;
    }
    for (path, text) in &tree.changed {
        compile::write(&folder.join(path), text)?;
    }
    Ok(())
}

fn read(root: &Path, path: &str) -> Result<String> {
    let path = root.join(path);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_is_unchanged() {
        assert!(Tree::new(Kernel::Stock).unwrap().changed.is_empty());
    }

    #[test]
    fn hooks_apply() {
        let tree = Tree::new(Kernel::Queue).unwrap();
        let changed = tree.read("src/object/notification.c").unwrap();
        assert!(changed.contains("notificationqueue.h"));
        let files = tree.files(&["include"]).unwrap();
        assert!(files.contains("include/object/nqring.h"));
        assert!(files.contains("include/object/tcb.h"));
    }
}
