// SPDX-License-Identifier: BSD-2-Clause
//! What `run`'s PROGRAM means: a program of ours, a C file, or the name of a port.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::digest::files_below;
use crate::elf::Program;
use crate::forward::Forward;
use crate::paths::Paths;
use crate::toolchain;

/// The port that runs when no program is named.
pub const DEMO: &str = "httpd";

/// What is to be run.
#[derive(Debug)]
pub enum Chosen {
    /// An ELF file.
    Elf(PathBuf),
    /// A C file.
    Source(PathBuf),
    /// A folder of ports/.
    Port(Port),
}

/// A port: a folder of ports/ with a manifest.
#[derive(Debug)]
pub struct Port {
    dir: PathBuf,
    name: String,
    manifest: Manifest,
}

/// What `run` needs of a `port.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Manifest {
    run: Run,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Run {
    /// Arguments, unless the user gives some.
    args: Vec<String>,
    /// Forwards, unless the user gives some.
    forward: Vec<String>,
    /// Files or folders of the port to guest paths.
    files: std::collections::BTreeMap<String, String>,
}

/// A program that is ready to be packed.
pub struct Ready {
    /// Its name in the guest, /bin/NAME.
    pub name: String,
    /// The ELF file.
    pub bytes: Vec<u8>,
    /// What it takes in memory.
    pub memory: u64,
}

/// Finds out what `name` means; an error says what it could have been.
pub fn choose(paths: &Paths, name: &str) -> Result<Chosen> {
    let path = Path::new(name);
    if path.is_file() {
        return Ok(match path.extension() {
            Some(extension) if extension == "c" => Chosen::Source(path.to_path_buf()),
            _ => Chosen::Elf(path.to_path_buf()),
        });
    }
    if path.is_dir() && (name.contains('/') || !paths.root.join("ports").join(name).is_dir()) {
        bail!("{name} is a folder: a program, a .c file or the name of a port is wanted");
    }
    if name.contains('/') || name.contains('.') {
        bail!("there is no file {name}");
    }
    let dir = paths.root.join("ports").join(name);
    let manifest = dir.join("port.toml");
    if !manifest.is_file() {
        bail!(
            "there is neither a file nor a port called {name} (ports: {})",
            ports(paths).join(", ")
        );
    }
    let text = fs::read_to_string(&manifest)
        .with_context(|| format!("cannot read {}", manifest.display()))?;
    let manifest = toml::from_str(&text).with_context(|| format!("in {}", manifest.display()))?;
    Ok(Chosen::Port(Port {
        dir,
        name: name.to_owned(),
        manifest,
    }))
}

/// The names of all ports.
fn ports(paths: &Paths) -> Vec<String> {
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

impl Chosen {
    /// Compiles what has to be, and checks that the result is a program of ours.
    pub fn make(&self, paths: &Paths) -> Result<Ready> {
        let path = match self {
            Self::Elf(path) => path.clone(),
            Self::Source(path) => toolchain::compile(paths, path)?,
            Self::Port(port) => port.compile(paths)?,
        };
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        // The path and the reason make one sentence: "x is dynamically linked".
        let program = match Program::parse_ours(&bytes) {
            Ok(program) => program,
            Err(error) => bail!("{} {error}", path.display()),
        };
        let name = path
            .file_name()
            .context("a program has a name")?
            .to_string_lossy()
            .into_owned();
        Ok(Ready {
            name,
            memory: program.memory(),
            bytes,
        })
    }
}

impl Port {
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

    /// Compiles all C files of the port's folder.
    fn compile(&self, paths: &Paths) -> Result<PathBuf> {
        let cc = toolchain::ensure(paths)?.cc;
        let program = paths.target.join("ports").join(&self.name);
        fs::create_dir_all(paths.target.join("ports"))?;
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
            .arg(&program)
            .args(&sources);
        if !command
            .status()
            .with_context(|| format!("cannot start {}", cc.display()))?
            .success()
        {
            bail!("the port {} does not compile", self.name);
        }
        Ok(program)
    }
}

/// A `--file HOST=GUEST`, as files: a folder stands for everything in it.
pub fn expand(host: &Path, guest: &str) -> Result<Vec<(PathBuf, String)>> {
    if host.is_file() {
        return Ok(vec![(host.to_path_buf(), guest.to_owned())]);
    }
    if !host.is_dir() {
        bail!("there is no file {}", host.display());
    }
    let mut files = Vec::new();
    for file in files_below(host)? {
        let relative = file
            .strip_prefix(host)
            .context("a file outside its folder")?;
        let Some(relative) = relative.to_str() else {
            bail!("{} has a name that is not UTF-8", file.display());
        };
        files.push((
            file.clone(),
            format!("{}/{relative}", guest.trim_end_matches('/')),
        ));
    }
    Ok(files)
}
