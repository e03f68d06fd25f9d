// SPDX-License-Identifier: BSD-2-Clause
//! Ports: folders of ports/ with a manifest, `port.toml`. ports/README.md documents the format.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::digest::files_below;
use crate::forward::Forward;
use crate::paths::Paths;
use crate::process::output;
use crate::source::Source;
use crate::toolchain::{self, Where};
use crate::tree::{Tree, jobs};

/// A port.
#[derive(Debug)]
pub struct Port {
    dir: PathBuf,
    name: String,
    text: String,
    /// What `port.toml` says.
    pub manifest: Manifest,
}

/// A `port.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    name: String,
    #[serde(rename = "summary")]
    _summary: String,
    #[serde(rename = "license")]
    _license: String,
    /// `works`, or what is there and what is not.
    status: String,
    /// Debian's source package; without one the port is ours, and every C file of its folder is compiled.
    source: Option<Source>,
    build: Option<Build>,
    #[serde(default)]
    run: Run,
    /// Tests of its own that fail on Linux too, and why.
    #[serde(default)]
    pub known: BTreeMap<String, String>,
}

/// How a source of others becomes a program. In all values `@CC@` is the compiler, `@JOBS@` how many of it may run at a time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    /// Contents of files that the build expects from whoever configures it, by path in the source.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// Environment of both commands.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Runs once.
    #[serde(default)]
    configure: Vec<String>,
    /// Runs again when the program must be linked again.
    make: Vec<String>,
    /// What it makes, by path in the source.
    program: String,
    /// What it makes, too: a list of further names of the program, a guest path a line.
    links: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Run {
    /// Arguments, unless the user gives some.
    args: Vec<String>,
    /// Forwards, unless the user gives some.
    forward: Vec<String>,
    /// Files or folders of the port to guest paths.
    files: BTreeMap<String, String>,
}

impl Port {
    /// The port of that name; `None` if ports/ has none.
    pub fn find(paths: &Paths, name: &str) -> Result<Option<Port>> {
        let dir = paths.root.join("ports").join(name);
        let file = dir.join("port.toml");
        if !file.is_file() {
            return Ok(None);
        }
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let manifest: Manifest =
            toml::from_str(&text).with_context(|| format!("in {}", file.display()))?;
        if manifest.name != name {
            bail!("{} calls itself {:?}", file.display(), manifest.name);
        }
        Ok(Some(Port {
            dir,
            name: name.to_owned(),
            text,
            manifest,
        }))
    }

    /// The names of all ports.
    pub fn names(paths: &Paths) -> Vec<String> {
        let entries = fs::read_dir(paths.root.join("ports"))
            .into_iter()
            .flatten()
            .flatten();
        let mut names: Vec<String> = entries
            .filter(|entry| entry.path().join("port.toml").is_file())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Arguments when the user gives none.
    pub fn args(&self) -> Vec<String> {
        self.manifest.run.args.clone()
    }

    /// Forwards when the user gives none.
    pub fn forwards(&self) -> Result<Vec<Forward>> {
        let texts = self.manifest.run.forward.iter();
        texts
            .map(|text| {
                text.parse()
                    .with_context(|| format!("port.toml of {}: forward {text:?}", self.name))
            })
            .collect()
    }

    /// The port's own files for the guest: host path, guest path.
    pub fn files(&self) -> Vec<(PathBuf, String)> {
        let files = self.manifest.run.files.iter();
        files
            .map(|(from, to)| (self.dir.join(from), to.clone()))
            .collect()
    }

    /// Its source from Debian, ready to be compiled for that place.
    pub fn unpack(&self, paths: &Paths, place: Where) -> Result<Tree> {
        let source = self.manifest.source.as_ref();
        let source = source.with_context(|| format!("{} is no port of others", self.name))?;
        Tree::prepare(paths, &self.name, place, source, &self.text)
    }

    /// Makes the program for seL4; where it is, and its other names in the guest.
    pub fn compile(&self, paths: &Paths) -> Result<(PathBuf, Vec<String>)> {
        let program = paths.target.join("ports").join(&self.name);
        fs::create_dir_all(paths.target.join("ports"))?;
        let mut links = Vec::new();
        match (&self.manifest.source, &self.manifest.build) {
            (None, None) => self.compile_ours(paths, &program)?,
            (Some(_), Some(build)) => {
                let tree = self.build(paths, build)?;
                // What it says to a debugger stays in the source's folder.
                let mut strip = Command::new("strip");
                strip.arg("--strip-debug").arg("-o").arg(&program);
                strip.arg(tree.dir.join(&build.program));
                output("strip", &mut strip)?;
                if let Some(list) = &build.links {
                    let list = tree.dir.join(list);
                    let text = fs::read_to_string(&list)
                        .with_context(|| format!("cannot read {}", list.display()))?;
                    links = text.lines().map(str::to_owned).collect();
                }
            }
            _ => bail!(
                "the port {} cannot be run: {}",
                self.name,
                self.manifest.status
            ),
        }
        Ok((program, links))
    }

    /// Compiles Debian's source.
    fn build(&self, paths: &Paths, build: &Build) -> Result<Tree> {
        let tree = self.unpack(paths, Where::Guest)?;
        let fill = |text: &String| {
            text.replace("@CC@", &tree.cc.display().to_string())
                .replace("@JOBS@", &jobs().to_string())
        };
        let command = |words: &[String]| -> Result<Command> {
            let (program, arguments) = words
                .split_first()
                .with_context(|| format!("port.toml of {}: an empty command", self.name))?;
            let mut command = Command::new(fill(program));
            command.args(arguments.iter().map(fill)).env("LC_ALL", "C");
            command.envs(build.env.iter().map(|(name, value)| (name, fill(value))));
            Ok(command)
        };
        for (name, text) in &build.files {
            let file = tree.dir.join(name);
            if !fs::read_to_string(&file).is_ok_and(|have| have == *text) {
                fs::write(&file, text)
                    .with_context(|| format!("cannot write {}", file.display()))?;
            }
        }
        if !build.configure.is_empty() {
            tree.configure(&mut command(&build.configure)?)?;
        }
        let made: Vec<&str> = std::iter::once(&build.program)
            .chain(&build.links)
            .map(String::as_str)
            .collect();
        tree.link(&made, &mut command(&build.make)?)?;
        Ok(tree)
    }

    /// Compiles all C files of the port's folder.
    fn compile_ours(&self, paths: &Paths, program: &Path) -> Result<()> {
        let cc = toolchain::ensure(paths)?.cc;
        let sources: Vec<PathBuf> = files_below(&self.dir)?
            .into_iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
            .collect();
        if sources.is_empty() {
            bail!("the port {} has no C files", self.name);
        }
        let mut command = Command::new(&cc);
        command
            .args(["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-o"])
            .arg(program)
            .args(&sources);
        if !command
            .status()
            .with_context(|| format!("cannot start {}", cc.display()))?
            .success()
        {
            bail!("the port {} does not compile", self.name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manifest_is_understood() {
        let paths = Paths::find().unwrap();
        let names = Port::names(&paths);
        assert!(names.len() > 1, "{names:?}");
        for name in names {
            let port = Port::find(&paths, &name).unwrap().unwrap();
            port.forwards().unwrap();
            for (file, _) in port.files() {
                assert!(file.exists(), "{name} has no {}", file.display());
            }
        }
    }

    #[test]
    fn what_the_format_does_not_have_is_an_error() {
        let text = "name = 'x'\nsummary = ''\nlicense = ''\nstatus = ''\n";
        assert!(toml::from_str::<Manifest>(text).is_ok());
        assert!(toml::from_str::<Manifest>(&format!("{text}[run]\narg = []\n")).is_err());
        assert!(toml::from_str::<Manifest>(&format!("{text}[build]\nmake = []\n")).is_err());
    }
}
