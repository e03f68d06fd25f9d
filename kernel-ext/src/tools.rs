// SPDX-License-Identifier: GPL-2.0-only
//! Runs the compiler and its kin, and says which Debian package is missing.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

/// What a build runs, and the Debian package that has it.
const TOOLS: [(&str, &str); 4] = [
    ("gcc", "gcc"),
    ("cpp", "cpp"),
    ("objcopy", "binutils"),
    ("python3", "python3"),
];

/// One command line.
pub(crate) struct Tool {
    name: String,
    command: Command,
}

impl Tool {
    /// `name`, to be run in `folder` and with nothing of the caller's
    /// environment that changes what it makes.
    pub fn new(name: &str, folder: &Path) -> Tool {
        let mut command = Command::new(name);
        command.current_dir(folder).env("LC_ALL", "C");
        for variable in [
            "CPATH",
            "C_INCLUDE_PATH",
            "GCC_EXEC_PREFIX",
            "COMPILER_PATH",
        ] {
            command.env_remove(variable);
        }
        Tool {
            name: name.to_string(),
            command,
        }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Tool {
        self.command.arg(arg);
        self
    }

    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Tool {
        self.command.args(args);
        self
    }

    /// Arguments in one string, separated by blanks.
    pub fn words(self, words: &str) -> Tool {
        self.args(words.split_whitespace())
    }

    /// Runs it; it must succeed.
    pub fn run(mut self) -> Result<Output> {
        let output = match self.command.output() {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                match TOOLS.iter().find(|(tool, _)| *tool == self.name) {
                    Some((tool, package)) => {
                        bail!("{tool} is missing: install Debian package {package}")
                    }
                    None => bail!("{} is missing", self.name),
                }
            }
            Err(error) => return Err(error).with_context(|| format!("cannot run {}", self.name)),
        };
        if !output.status.success() {
            bail!(
                "{} failed ({}):\n{}\ncommand: {:?}",
                self.name,
                output.status,
                String::from_utf8_lossy(&output.stderr).trim_end(),
                self.command
            );
        }
        Ok(output)
    }

    /// Runs it and returns what it printed.
    pub fn text(self) -> Result<String> {
        let name = self.name.clone();
        String::from_utf8(self.run()?.stdout).with_context(|| format!("{name} printed no text"))
    }
}

/// Names every missing tool and its package at once; else the tools' versions.
pub(crate) fn versions() -> Result<String> {
    let mut versions = String::new();
    let mut missing = Vec::new();
    for (tool, package) in TOOLS {
        match Command::new(tool)
            .arg("--version")
            .env("LC_ALL", "C")
            .output()
        {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                versions += text.lines().next().unwrap_or("");
                versions.push('\n');
            }
            Err(_) => missing.push(format!("{tool} (Debian package {package})")),
        }
    }
    if !missing.is_empty() {
        bail!("cannot build a kernel without {}", missing.join(", "));
    }
    Ok(versions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_failing_tools_are_errors() {
        let here = Path::new(".");
        let error = Tool::new("no-such-tool", here).run().unwrap_err();
        assert_eq!(error.to_string(), "no-such-tool is missing");
        let error = Tool::new("gcc", here).arg("no-such-file.c").run();
        assert!(error.unwrap_err().to_string().contains("no-such-file.c"));
    }
}
