// SPDX-License-Identifier: BSD-2-Clause
//! Running other programs: quietly, with their words in a log file that a failure quotes.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Tells the user what takes a while. The guest has stdout to itself.
pub fn say(text: &str) {
    eprintln!("xtask: {text}");
}

/// Runs a tool with its output in `log`; an error names `what` and quotes the end of the log.
pub fn run_logged(what: &str, command: &mut Command, log: &Path) -> Result<()> {
    if let Some(dir) = log.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("cannot write {}", log.display()))?;
    let start = fs::metadata(log).map_or(0, |meta| meta.len() as usize);
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .collect();
    writeln!(file, "$ {}", words.join(OsStr::new(" ")).display())?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .with_context(|| format!("{what}: cannot start {:?}", command.get_program()))?;
    if status.success() {
        return Ok(());
    }
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(text.get(start..).unwrap_or_default()).into_owned();
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.chars().take(200).collect())
        .collect();
    let tail = lines[lines.len().saturating_sub(15)..].join("\n  ");
    bail!(
        "{what} failed ({status}); the end of {}:\n  {tail}",
        log.display()
    );
}

/// A tool's standard output as text.
pub fn output(what: &str, command: &mut Command) -> Result<String> {
    let out = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{what}: cannot start {:?}", command.get_program()))?;
    if !out.status.success() {
        let words = String::from_utf8_lossy(&out.stderr);
        bail!("{what} failed ({}): {}", out.status, words.trim());
    }
    String::from_utf8(out.stdout).with_context(|| format!("{what}: output is not text"))
}

/// Writes a file only if that changes it, so that nothing built from it is built again.
pub fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    // By rename, so that a program that reads it meanwhile sees the old or the new one.
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = path.with_file_name(name);
    fs::write(&fresh, bytes).with_context(|| format!("cannot write {}", fresh.display()))?;
    fs::rename(&fresh, path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

/// A lock that other copies of the driver respect, for as long as it is held.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock file `path`, saying so if somebody else has it.
    pub fn take(path: &Path, why: &str) -> Result<Self> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        if file.try_lock().is_err() {
            say(&format!("another xtask is busy with {why}; waiting for it"));
            file.lock()
                .with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Ok(Self { _file: file })
    }
}
