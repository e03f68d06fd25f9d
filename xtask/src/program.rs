// SPDX-License-Identifier: BSD-2-Clause
//! What `run`'s PROGRAM means: a program of ours, a C file, or the name of a port.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::digest::files_below;
use crate::elf::Program;
use crate::paths::Paths;
use crate::port::Port;
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
    Port(Box<Port>),
}

/// A program that is ready to be packed.
pub struct Ready {
    /// Its name in the guest, /bin/NAME.
    pub name: String,
    /// The ELF file.
    pub bytes: Vec<u8>,
    /// What it takes in memory.
    pub memory: u64,
    /// Other names of it: guest paths.
    pub links: Vec<String>,
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
    match Port::find(paths, name)? {
        Some(port) => Ok(Chosen::Port(Box::new(port))),
        None => bail!(
            "there is neither a file nor a port called {name} (ports: {})",
            Port::names(paths).join(", ")
        ),
    }
}

impl Chosen {
    /// Compiles what has to be, and checks that the result is a program of ours.
    pub fn make(&self, paths: &Paths) -> Result<Ready> {
        let (path, links) = match self {
            Self::Elf(path) => (path.clone(), Vec::new()),
            Self::Source(path) => (toolchain::compile(paths, path)?, Vec::new()),
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
            links,
        })
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
