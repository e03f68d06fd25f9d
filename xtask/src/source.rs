// SPDX-License-Identifier: BSD-2-Clause
//! Debian source packages, pinned by version and SHA-256 in a manifest of ours.
//!
//! apt finds the machine's own mirrors and proxies, so it does the fetching, with a
//! private configuration under the cache: nothing of the machine's is changed and no
//! root is needed. What counts is our checksum of every file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::digest::sha256_file;
use crate::paths::Paths;
use crate::process::{run_logged, say};

/// A manifest's `[source]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The source package's name in Debian.
    pub package: String,
    /// Its Debian version.
    pub version: String,
    /// File name to SHA-256, for every file of it.
    pub sha256: BTreeMap<String, String>,
}

impl Source {
    /// Unpacks a pristine copy into `into`, which must not exist; fetches first if the cache has none.
    pub fn unpack(&self, paths: &Paths, into: &Path) -> Result<()> {
        let files = self.fetch(paths)?;
        let dsc = self
            .sha256
            .keys()
            .find(|name| name.ends_with(".dsc"))
            .with_context(|| format!("the manifest of {} lists no .dsc file", self.package))?;
        run_logged(
            &format!("unpacking {} {}", self.package, self.version),
            Command::new("dpkg-source")
                .args(["--no-check", "-x"])
                .arg(files.join(dsc))
                .arg(into),
            &paths.log().join(format!("source-{}.log", self.package)),
        )
    }

    /// The folder that holds the package's files, each checked.
    fn fetch(&self, paths: &Paths) -> Result<PathBuf> {
        let keep = paths
            .cache()
            .join("sources")
            .join(format!("{}-{}", self.package, self.version));
        if self.check(&keep).is_ok() {
            return Ok(keep);
        }
        say(&format!(
            "fetching the source of {} {}",
            self.package, self.version
        ));
        fs::create_dir_all(&keep).with_context(|| format!("cannot make {}", keep.display()))?;
        let apt = PrivateApt::new(paths, "deb-src")?;
        let log = paths.log().join(format!("source-{}.log", self.package));
        let wanted = format!("{}={}", self.package, self.version);
        let mut get = apt.command();
        get.args(["source", "--download-only", &wanted])
            .current_dir(&keep);
        // The list may be there from an earlier fetch; renew it only if that does not do.
        if run_logged("apt-get source", &mut get, &log).is_err() {
            // One list of several may fail to come: what counts is whether the package does.
            let _ = run_logged("apt-get update", apt.command().arg("update"), &log);
            run_logged("apt-get source", &mut get, &log).with_context(|| self.gone(&keep))?;
        }
        self.check(&keep).with_context(|| self.gone(&keep))?;
        Ok(keep)
    }

    /// Every file is there and is the one that the manifest means.
    fn check(&self, dir: &Path) -> Result<()> {
        for (name, want) in &self.sha256 {
            if name.contains('/') {
                bail!("the manifest names {name:?}, which is not a plain file name");
            }
            let have = sha256_file(&dir.join(name))?;
            if have != *want {
                bail!("{name} has SHA-256 {have}, the manifest wants {want}");
            }
        }
        Ok(())
    }

    fn gone(&self, keep: &Path) -> String {
        format!(
            "cannot get {} {} from Debian; if this version is gone from the mirror, put its files into {} or pin another in the manifest",
            self.package,
            self.version,
            keep.display()
        )
    }
}

/// apt with its lists, cache and source entries in a folder of our own.
pub(crate) struct PrivateApt {
    dir: PathBuf,
}

impl PrivateApt {
    /// `kind` is `deb` or `deb-src`: what the lists are of.
    pub(crate) fn new(paths: &Paths, kind: &str) -> Result<Self> {
        let dir = match kind {
            "deb-src" => paths.cache().join("apt"),
            kind => paths.cache().join(format!("apt-{kind}")),
        };
        let parts = dir.join("sources.list.d");
        // Made anew each time: the machine's own list may have changed.
        let _ = fs::remove_dir_all(&parts);
        for folder in [
            &parts,
            &dir.join("lists/partial"),
            &dir.join("cache/archives/partial"),
        ] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let main = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
        fs::write(dir.join("sources.list"), one_line_sources(&main, kind))?;
        for entry in fs::read_dir("/etc/apt/sources.list.d")
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = entry.path();
            let text = fs::read_to_string(&path).unwrap_or_default();
            let text = match path.extension().and_then(|extension| extension.to_str()) {
                Some("sources") => deb822_sources(&text, kind),
                Some("list") => one_line_sources(&text, kind),
                _ => continue,
            };
            fs::write(parts.join(entry.file_name()), text)?;
        }
        Ok(Self { dir })
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("apt-get");
        let dir = self.dir.display();
        for option in [
            format!("Dir::Etc::sourcelist={dir}/sources.list"),
            format!("Dir::Etc::sourceparts={dir}/sources.list.d"),
            format!("Dir::State::lists={dir}/lists"),
            format!("Dir::Cache={dir}/cache"),
            "APT::Update::Post-Invoke-Success::=".to_owned(),
            // As root, apt would fetch as a user who may not enter our folder.
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command.args(["-q", "-y"]).env("LC_ALL", "C");
        command
    }
}

/// `deb URI ...` lines turned into `KIND URI ...` lines.
fn one_line_sources(text: &str, kind: &str) -> String {
    text.lines()
        .filter_map(|line| line.trim_start().strip_prefix("deb "))
        .map(|rest| format!("{kind} {rest}\n"))
        .collect()
}

/// A deb822 file with every stanza's type turned into `kind`.
fn deb822_sources(text: &str, kind: &str) -> String {
    text.lines()
        .map(|line| match line.split_once(':') {
            Some((field, _)) if field.eq_ignore_ascii_case("types") => {
                format!("Types: {kind}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_list_become_source_lists() {
        assert_eq!(
            one_line_sources(
                "# deb none\ndeb [a=b] mirror x main\ndeb-src mirror x main\n",
                "deb-src"
            ),
            "deb-src [a=b] mirror x main\n"
        );
        assert_eq!(
            deb822_sources(
                "Types: deb\nURIs: mirror\n\ntypes: deb deb-src\n",
                "deb-src"
            ),
            "Types: deb-src\nURIs: mirror\n\nTypes: deb-src\n"
        );
    }

    #[test]
    fn a_wrong_file_is_refused() {
        let dir = std::env::temp_dir().join(format!("xtask-source-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("x.dsc"), "not it").unwrap();
        let source = Source {
            package: "x".into(),
            version: "1".into(),
            sha256: BTreeMap::from([("x.dsc".into(), "0".repeat(64))]),
        };
        let error = source.check(&dir).unwrap_err().to_string();
        fs::remove_dir_all(&dir).unwrap();
        assert!(error.contains("x.dsc has SHA-256"), "{error}");
    }
}
