// SPDX-License-Identifier: BSD-2-Clause
//! The machine: QEMU with two serial lines, and what the guest says on the second.
//!
//! COM1 is the program's console, bytes only. COM2 carries the system's log and its
//! control lines, which start with `@`. Both are socket pairs, so QEMU has nothing of
//! ours: not stdin, not stdout, no terminal. It dies with us, however we die.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::backlog;
use crate::forward::Forward;
use crate::paths::Paths;
use crate::process::say;

/// How long a guest has for reading what the time will be.
const HEAD_START: Duration = Duration::from_millis(2);

/// What to boot, on what.
pub struct Machine {
    /// The kernel, as a 32-bit ELF for QEMU's multiboot loader.
    pub kernel: PathBuf,
    /// The root task's ELF.
    pub image: Vec<u8>,
    /// Memory in MiB.
    pub memory: u32,
    /// Processor cores.
    pub cores: u32,
    /// Count guest instructions instead of running as fast as it goes.
    pub icount: bool,
    /// A plugin of QEMU's translator to load, with its arguments.
    pub plugin: Option<String>,
    /// Give it a network card.
    pub network: bool,
    /// Ports of the host that lead to the guest.
    pub forwards: Vec<Forward>,
}

/// What happened in the guest.
#[derive(Debug)]
pub enum Event {
    /// The system logged a line.
    Log(String),
    /// The net server has a listener on this port.
    Listening(u16),
    /// A program uses the console as a terminal.
    Terminal,
    /// Counters, by name.
    Stats(BTreeMap<String, String>),
    /// The program ended with this status.
    Exit(u8),
    /// Nobody takes the console's output any more.
    ConsoleClosed,
    /// QEMU ended, with this exit code unless a signal ended it.
    Stopped(Option<i32>),
    /// The time given to [`Guest::next`] is over.
    Late,
}

/// A running guest; dropping it ends QEMU.
pub struct Guest {
    qemu: Child,
    control: UnixStream,
    console: UnixStream,
    events: Receiver<Event>,
    console_out: Option<JoinHandle<()>>,
    errors: Option<JoinHandle<String>>,
    /// QEMU's forwards still have the backlog that QEMU gave them.
    raise_backlog: bool,
}

impl Guest {
    /// Boots; the console's bytes go to `console_out` as they come.
    ///
    /// To be called by the thread that lives longest: QEMU is told to die with it.
    pub fn boot(
        paths: &Paths,
        machine: &Machine,
        console_out: impl Write + Send + 'static,
    ) -> Result<Self> {
        Self::boot_wired(paths, machine, None, console_out)
    }

    /// The same with a cable instead of QEMU's user network and its forwards: a socket that
    /// carries a frame in each datagram.
    pub fn boot_wired(
        paths: &Paths,
        machine: &Machine,
        wire: Option<OwnedFd>,
        console_out: impl Write + Send + 'static,
    ) -> Result<Self> {
        let image = unnamed_file(paths, &machine.image)?;
        let (console, console_qemu) = UnixStream::pair().context("cannot make a socket pair")?;
        let (control, control_qemu) = UnixStream::pair().context("cannot make a socket pair")?;
        let mut inherited = vec![
            image.as_raw_fd(),
            console_qemu.as_raw_fd(),
            control_qemu.as_raw_fd(),
        ];
        inherited.extend(wire.as_ref().map(|wire| wire.as_raw_fd()));
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args([
            "-nodefaults",
            "-no-user-config",
            "-machine",
            "pc",
            "-accel",
            "tcg",
            "-cpu",
            "Nehalem",
        ])
        .args([
            "-m",
            &machine.memory.to_string(),
            "-smp",
            &machine.cores.to_string(),
            "-display",
            "none",
            "-no-reboot",
        ])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=1"])
        .args([
            "-chardev",
            &format!("socket,id=console,fd={}", inherited[1]),
        ])
        .args(["-serial", "chardev:console"])
        .args([
            "-chardev",
            &format!("socket,id=control,fd={}", inherited[2]),
        ])
        .args(["-serial", "chardev:control"])
        .arg("-kernel")
        .arg(&machine.kernel)
        .args(["-initrd", &format!("/proc/self/fd/{}", inherited[0])]);
        if machine.network {
            let mut network = "user,id=net,ipv6=off".to_owned();
            for forward in &machine.forwards {
                let (address, port) = (forward.host.ip(), forward.host.port());
                let (protocol, guest) = (forward.protocol, forward.guest);
                network.push_str(&format!(",hostfwd={protocol}:{address}:{port}-:{guest}"));
            }
            if let Some(wire) = &wire {
                let number = wire.as_raw_fd();
                network = format!("dgram,id=net,local.type=fd,local.str={number}");
            }
            // Without its boot ROM, or the BIOS would try to boot from the network first.
            qemu.args([
                "-netdev",
                &network,
                "-device",
                "virtio-net-pci,netdev=net,romfile=",
            ]);
        }
        if let Some(plugin) = &machine.plugin {
            qemu.args(["-plugin", plugin]);
        }
        if machine.icount && machine.forwards.is_empty() {
            // The same run every time: nothing of the host's time or entropy gets in.
            qemu.args(["-icount", "shift=0,sleep=off", "-seed", "1"])
                .args(["-rtc", "base=2026-01-01,clock=vm"]);
        } else if machine.icount {
            // Real clients need real time: with idle time skipped, TCP's timers would fire.
            qemu.args(["-icount", "shift=0,sleep=on"]);
        }
        qemu.stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let parent = std::process::id();
        // SAFETY: between fork and exec the closure makes only async-signal-safe calls, on
        // descriptors that the parent holds open until after the spawn.
        unsafe {
            qemu.pre_exec(move || {
                crate::quit::ignore();
                die_with(parent).and_then(|()| inherit(&inherited))
            })
        };
        let mut child = qemu.spawn().context("cannot start qemu-system-x86_64")?;
        // QEMU's ends must be QEMU's alone, or its death would not end our reading.
        drop((image, console_qemu, control_qemu, wire));

        let (send, events) = mpsc::channel();
        let errors = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut text = String::new();
                let _ = stderr.read_to_string(&mut text);
                text
            })
        });
        let mut guest = Self {
            qemu: child,
            control,
            console,
            events,
            console_out: None,
            errors,
            raise_backlog: machine.network && !machine.forwards.is_empty(),
        };
        let (input, output) = (guest.console.try_clone()?, console_out);
        let closed = send.clone();
        guest.console_out = Some(std::thread::spawn(move || {
            copy_console(input, output, &closed)
        }));
        let (control, answers) = (guest.control.try_clone()?, guest.control.try_clone()?);
        std::thread::spawn(move || read_control(control, answers, &send));
        Ok(guest)
    }

    /// The next thing that happens, or [`Event::Late`] after `deadline`.
    pub fn next(&mut self, deadline: Option<Instant>) -> Result<Event> {
        let received = match deadline {
            Some(deadline) => self
                .events
                .recv_timeout(deadline.saturating_duration_since(Instant::now())),
            None => self
                .events
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(Event::Stopped(_)) | Err(RecvTimeoutError::Disconnected) => {
                let status = self.qemu.wait().context("waiting for QEMU")?;
                self.finish_console();
                Ok(Event::Stopped(status.code()))
            }
            Ok(event) => {
                // The guest speaks: QEMU listens by now, and nothing in the guest does.
                if std::mem::take(&mut self.raise_backlog)
                    && let Err(error) = backlog::raise(self.qemu.id())
                {
                    say(&format!(
                        "QEMU's forwards keep their backlog of 1, so bursts of clients wait ({error})"
                    ));
                }
                Ok(event)
            }
            Err(RecvTimeoutError::Timeout) => Ok(Event::Late),
        }
    }

    /// Sends a command line to the root server.
    pub fn command(&mut self, line: &str) -> Result<()> {
        writeln!(self.control, "{line}").context("the guest does not take commands any more")
    }

    /// A handle for commands, which are lines.
    pub fn control(&self) -> Result<UnixStream> {
        self.control
            .try_clone()
            .context("cannot share the control line")
    }

    /// A handle for typing on the console.
    pub fn console(&self) -> Result<UnixStream> {
        self.console.try_clone().context("cannot share the console")
    }

    /// What QEMU itself complained about, after it has stopped.
    pub fn complaints(&mut self) -> String {
        let text = self.errors.take().and_then(|thread| thread.join().ok());
        text.unwrap_or_default().trim().to_owned()
    }

    /// Ends QEMU; every byte that the console sent before is written out when this returns.
    pub fn stop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        self.finish_console();
    }

    fn finish_console(&mut self) {
        if let Some(thread) = self.console_out.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A file that only its descriptor names: nothing is left behind, whatever ends us.
fn unnamed_file(paths: &Paths, bytes: &[u8]) -> Result<File> {
    let dir = paths.scratch();
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let path = dir.join(format!("image-{}", std::process::id()));
    fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    fs::remove_file(&path).with_context(|| format!("cannot unlink {}", path.display()))?;
    Ok(file)
}

/// In the child: be killed when `parent` ends.
fn die_with(parent: u32) -> io::Result<()> {
    // SAFETY: prctl with these arguments only sets a flag of this process.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // It may have ended before the flag was set.
    if std::os::unix::process::parent_id() != parent {
        return Err(io::ErrorKind::Other.into());
    }
    Ok(())
}

/// In the child: keep these descriptors across exec.
fn inherit(descriptors: &[RawFd]) -> io::Result<()> {
    for &descriptor in descriptors {
        // SAFETY: clearing close-on-exec of a descriptor that the parent opened for us.
        if unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn copy_console(mut from: UnixStream, mut to: impl Write, events: &Sender<Event>) {
    let mut buffer = [0; 16384];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        if to
            .write_all(&buffer[..count])
            .and_then(|()| to.flush())
            .is_err()
        {
            let _ = events.send(Event::ConsoleClosed);
            let _ = from.shutdown(Shutdown::Read);
            return;
        }
    }
}

/// Turns the control line into events, and says what the time is when it is asked.
fn read_control(from: UnixStream, mut answers: UnixStream, events: &Sender<Event>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while matches!(from.read_until(b'\n', &mut line), Ok(count) if count > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        if text == "@time" {
            // A guest that has ended needs no answer.
            let _ = tell_time(&mut answers, wait_until);
            continue;
        }
        if events.send(parse(text)).is_err() {
            return;
        }
    }
    let _ = events.send(Event::Stopped(None));
}

/// Says what the time will be at the end of the line, and how long that is from now, in nanoseconds. A guest takes a while to read digits, so the line's end comes alone.
fn tell_time(to: &mut impl Write, wait_until: impl FnOnce(Duration)) -> io::Result<()> {
    let when = since_1970() + HEAD_START;
    write!(to, "time {} {}", when.as_nanos(), HEAD_START.as_nanos())?;
    to.flush()?;
    wait_until(when);
    to.write_all(b"\n")
}

fn since_1970() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

fn wait_until(when: Duration) {
    while let left @ 1.. = when.saturating_sub(since_1970()).as_nanos() {
        // Sleeping may take a little longer than asked for.
        if left > 500_000 {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

/// A line of COM2. One that starts like a control line but is none counts as log.
fn parse(text: String) -> Event {
    let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
    let event = match word {
        "@exit" => rest.parse().ok().map(Event::Exit),
        "@listening" => rest.parse().ok().map(Event::Listening),
        "@terminal" => Some(Event::Terminal),
        "@stats" => {
            let pairs = rest
                .split_whitespace()
                .filter_map(|pair| pair.split_once('='));
            Some(Event::Stats(
                pairs
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
            ))
        }
        _ => None,
    };
    event.unwrap_or(Event::Log(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_ends_when_it_is_the_time_that_it_says() {
        let (mut ours, mut guest) = UnixStream::pair().unwrap();
        guest.set_nonblocking(true).unwrap();
        let mut said = [0; 100];
        let mut count = 0;
        tell_time(&mut ours, |when| {
            assert!(when > since_1970() - HEAD_START);
            count = guest.read(&mut said).unwrap();
            let line = format!("time {} {}", when.as_nanos(), HEAD_START.as_nanos());
            assert_eq!(&said[..count], line.as_bytes());
            wait_until(when);
            assert!(since_1970() >= when);
        })
        .unwrap();
        assert!(count > 0);
        count = guest.read(&mut said).unwrap();
        assert_eq!(&said[..count], b"\n");
    }

    #[test]
    fn control_lines_are_told_from_log_lines() {
        assert!(matches!(parse("@exit 42".into()), Event::Exit(42)));
        assert!(matches!(
            parse("@listening 8080".into()),
            Event::Listening(8080)
        ));
        assert!(matches!(parse("@exit".into()), Event::Log(_)));
        assert!(matches!(parse("@exit 256".into()), Event::Log(_)));
        assert!(matches!(parse("exit 1".into()), Event::Log(_)));
        let Event::Stats(stats) = parse("@stats kernel=queue waits=3".into()) else {
            panic!()
        };
        assert_eq!(
            (stats["kernel"].as_str(), stats["waits"].as_str()),
            ("queue", "3")
        );
    }
}
