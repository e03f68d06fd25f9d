// SPDX-License-Identifier: BSD-2-Clause
//! Ctrl-\ in `cargo xtask run`: the guest's processes in a table, and the guest goes on.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command};

use anyhow::{Context, Result, ensure};

/// `command` runs a program that writes a line and then waits for ever.
pub fn on_quit(mut command: Command, program: &str) -> Result<()> {
    let mut child = Ended(command.spawn().context("cannot start the driver")?);
    let mut stdout = child.0.stdout.take().context("no stdout")?;
    stdout
        .read_exact(&mut [0; 1])
        .context("the program did not come up")?;
    let mut log = BufReader::new(child.0.stderr.take().context("no stderr")?).lines();
    for round in 0..2 {
        // SAFETY: the child was not waited for, so the number is still its.
        unsafe { libc::kill(child.0.id() as i32, libc::SIGQUIT) };
        table(&mut log, program).with_context(|| format!("at key {round}"))?;
    }
    ensure!(child.0.try_wait()?.is_none(), "the driver has ended");
    Ok(())
}

/// Reads on to the end of a table that says what it should.
fn table(log: &mut impl Iterator<Item = std::io::Result<String>>, program: &str) -> Result<()> {
    let mut next = || log.next().context("no table").and_then(|line| Ok(line?));
    while !next()?.contains("PID  PPID") {}
    let line = next()?;
    let words: Vec<&str> = line.split_whitespace().collect();
    // [guest] pid parent group state threads KiB channels files watches program
    let expected = [(1, "1"), (2, "0"), (3, "1"), (5, "1"), (10, program)];
    for (at, word) in expected {
        ensure!(
            words.get(at) == Some(&word),
            "no {word:?} at {at} of {line:?}"
        );
    }
    // It waits, but for moments.
    ensure!(["R", "S"].contains(&words[4]), "state {}", words[4]);
    let kib: u64 = words[6].parse()?;
    ensure!((16..100_000).contains(&kib), "{kib} KiB");
    while !next()?.contains("vfs-server") {}
    Ok(())
}

/// Does not outlive the check.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
