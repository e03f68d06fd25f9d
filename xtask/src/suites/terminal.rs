// SPDX-License-Identifier: BSD-2-Clause
//! tests/terminal: a program with jobs at a terminal at which somebody types, on Linux, which says what is right, and on both kernels. The driver is run as a user runs it.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::Report;
use crate::paths::Paths;

/// What the program says, and the keys that are pressed then.
const SCRIPT: &[(&str, &[u8])] = &[
    ("line?", b"abd\x7fc\r"),
    ("two lines?", b"x\ryz\r"),
    ("end?", b"\x04"),
    ("part?", b"pq\x04"),
    ("key?", b"\x03"),
    ("key?", b"\x03"),
    ("key?", b"\x1a"),
    ("own key?", b"\x03"),
    ("letter?", b"G\r"),
    ("raw?", b"\x03\x04\r\x1a"),
];
/// Only a hang takes so long.
const PATIENCE: Duration = Duration::from_secs(240);

/// The suite.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    crate::deb::install(paths, crate::deb::CC)?;
    let source = paths.root.join("tests/terminal/jobs.c");
    std::fs::create_dir_all(paths.scratch())?;
    let native = paths.scratch().join("terminal-linux");
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-o"]);
    let made = gcc.arg(&native).arg(&source).status()?;
    ensure!(made.success(), "gcc: {made}");
    let linux = said(&mut Command::new(&native))?;
    ensure!(linux.contains("all is so"), "on Linux: {linux}");
    for kernel in ["queue", "stock"] {
        let mut run = driver(kernel, &source)?;
        let name = format!("keys, lines and jobs as on Linux, {kernel} kernel");
        report.add(&name, said(&mut run).and_then(|ours| same(&linux, &ours)));
    }
    report.add("Ctrl-A and x ends the machine", ends(&source));
    Ok(())
}

fn driver(kernel: &str, source: &Path) -> Result<Command> {
    let mut run = Command::new(std::env::current_exe()?);
    run.args(["run", "--no-net", "--timeout", "200", "--kernel", kernel]);
    run.arg(source);
    Ok(run)
}

/// From what was typed second on; the first line is echoed twice, by the host's terminal as well, since the program has not read yet.
fn same(linux: &str, ours: &str) -> Result<()> {
    let rest = |text: &str| {
        let from = text.find("two lines?").context("no line was read")?;
        Ok::<_, anyhow::Error>(text[from..].replace('\r', ""))
    };
    let (linux, ours) = (rest(linux)?, rest(ours)?);
    ensure!(linux == ours, "on Linux: {linux}\nhere: {ours}");
    Ok(())
}

/// What a program says at a terminal, to the end of the script and its own.
fn said(command: &mut Command) -> Result<String> {
    let mut at = Terminal::start(command)?;
    for (question, keys) in SCRIPT {
        at.wait_for(question)?;
        at.keys.write_all(keys)?;
    }
    at.wait_for("all is so")?;
    let status = at.child.wait()?;
    ensure!(status.success(), "{status}: {}", at.text);
    Ok(at.text.clone())
}

fn ends(source: &Path) -> Result<()> {
    use std::os::unix::process::ExitStatusExt as _;
    let mut at = Terminal::start(&mut driver("queue", source)?)?;
    at.wait_for("line?")?;
    at.keys.write_all(b"abc\r")?;
    at.wait_for("Ctrl-A and then x")?;
    at.keys.write_all(b"\x01x")?;
    let status = at.child.wait()?;
    ensure!(status.signal() == Some(libc::SIGINT), "{status}");
    Ok(())
}

/// A program, and the other side of its terminal.
struct Terminal {
    child: Child,
    keys: File,
    screen: Receiver<Vec<u8>>,
    text: String,
    /// Up to where the text was waited for.
    seen: usize,
    end: Instant,
}

impl Terminal {
    fn start(command: &mut Command) -> Result<Terminal> {
        let (ours, theirs) = pair()?;
        for set in [Command::stdin, Command::stdout, Command::stderr] {
            set(command, Stdio::from(theirs.try_clone()?));
        }
        // SAFETY: both calls are async-signal-safe; descriptor 0 is the terminal by then.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(io::Error::last_os_error());
                }
                Ok(())
            })
        };
        let child = command.spawn().context("cannot start it")?;
        // Its end is that of all who have the terminal.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::null());
        drop(theirs);
        let keys = File::from(ours);
        let mut reader = keys.try_clone()?;
        let (send, screen) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if send.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Terminal {
            child,
            keys,
            screen,
            text: String::new(),
            seen: 0,
            end: Instant::now() + PATIENCE,
        })
    }

    /// Reads until a line ends with this.
    fn wait_for(&mut self, what: &str) -> Result<()> {
        loop {
            let rest = &self.text[self.seen..];
            if let Some(at) = rest.find(what)
                && let Some(end) = rest[at..].find('\n')
            {
                self.seen += at + end;
                return Ok(());
            }
            let left = self.end.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.text += &String::from_utf8_lossy(&bytes),
                Err(_) => bail!("no {what:?} in {:?}", self.text),
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both sides of a new terminal.
fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let (mut ours, mut theirs) = (0, 0);
    let null = std::ptr::null_mut();
    // SAFETY: both pointers are to variables of this function; the other arguments may be null.
    let made = unsafe {
        libc::openpty(
            &raw mut ours,
            &raw mut theirs,
            null,
            null.cast(),
            null.cast(),
        )
    };
    ensure!(made == 0, "no terminal: {}", io::Error::last_os_error());
    // SAFETY: they were made just now, for us alone.
    let pair = unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) };
    for fd in [&pair.0, &pair.1] {
        // SAFETY: sets a flag of a descriptor of ours: nobody else is to have it.
        unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(pair)
}
