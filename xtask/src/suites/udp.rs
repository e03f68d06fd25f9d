// SPDX-License-Identifier: BSD-2-Clause
//! UDP with the outside: a server in the guest that the host reaches by a forward, and names that a program in the guest looks up at a server of ours, on a cable whose other end we hold.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kernel_ext::Kernel;

use super::{HUNG, Report};
use crate::elf::Program;
use crate::forward::{Forward, Protocol};
use crate::paths::Paths;
use crate::process::run_logged;
use crate::program::Ready;
use crate::qemu::{Event, Guest};
use crate::system::{self, Setup};
use crate::toolchain;

mod names;

/// The server's port.
const PORT: u16 = 7007;
/// What goes in one frame.
const LARGEST: usize = 1472;
/// When a datagram is sent again: networks may lose it.
const AGAIN: Duration = Duration::from_millis(500);
/// How often to look whether the client has given up.
const LOOK: Duration = Duration::from_millis(200);

/// Woken by the notification queue.
pub fn on_queue(paths: &Paths, report: &mut Report) -> Result<()> {
    run(paths, Kernel::Queue, report)
}

/// Woken by badge bits.
pub fn on_stock(paths: &Paths, report: &mut Report) -> Result<()> {
    run(paths, Kernel::Stock, report)
}

fn run(paths: &Paths, kernel: Kernel, report: &mut Report) -> Result<()> {
    let suite = Suite {
        paths,
        kernel,
        program: compile(paths)?,
    };
    report.add(
        "datagrams of 0 to 1472 bytes come back by a forward",
        suite.echo(),
    );
    report.add("names are looked up at a server outside", suite.names());
    Ok(())
}

fn compile(paths: &Paths) -> Result<Vec<u8>> {
    let cc = toolchain::ensure(paths)?.cc;
    let program = paths.scratch().join("udp");
    fs::create_dir_all(paths.scratch())?;
    let mut command = Command::new(cc);
    command
        .args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .arg(paths.root.join("tests/udp/udp.c"));
    run_logged(
        "compiling tests/udp",
        &mut command,
        &paths.log().join("udp.log"),
    )?;
    Ok(fs::read(&program)?)
}

/// What the console said.
#[derive(Clone, Default)]
struct Console(Arc<Mutex<Vec<u8>>>);

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(|poison| poison.into_inner());
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Suite<'a> {
    paths: &'a Paths,
    kernel: Kernel,
    program: Vec<u8>,
}

impl Suite<'_> {
    /// Runs the program while `outside` does its part; what the program printed, if both were well.
    fn guest(
        &self,
        setup: Setup,
        wire: Option<OwnedFd>,
        outside: impl FnOnce(&AtomicBool) -> Result<()> + Send + 'static,
    ) -> Result<String> {
        let memory = Program::parse_ours(&self.program)
            .context("tests/udp")?
            .memory();
        let program = Ready {
            name: "udp".into(),
            bytes: self.program.clone(),
            memory,
            links: Vec::new(),
        };
        let machine = system::prepare(self.paths, &setup, &program)?;
        let console = Console::default();
        let mut guest = Guest::boot_wired(self.paths, &machine, wire, console.clone())?;
        // Set when the machine has stopped: a cable does not tell.
        let over = Arc::new(AtomicBool::new(false));
        let stopped = over.clone();
        let outside = std::thread::spawn(move || outside(&stopped));
        let (end, mut log) = (Instant::now() + HUNG, Vec::new());
        let status = loop {
            match guest.next(Some(Instant::now() + LOOK))? {
                Event::Exit(status) => break status,
                Event::Log(line) => log.push(line),
                Event::Stopped(code) => bail!("the machine stopped ({code:?}): {}", log.join("; ")),
                Event::Late if Instant::now() > end => bail!("it hangs: {}", log.join("; ")),
                Event::Late if outside.is_finished() => {
                    if let Ok(result) = outside.join() {
                        result?;
                    }
                    bail!("the program goes on when all is done: {}", log.join("; "));
                }
                _ => {}
            }
        };
        guest.stop();
        over.store(true, Ordering::Relaxed);
        let Ok(result) = outside.join() else {
            bail!("our side panicked");
        };
        ensure!(status == 0, "status {status}: {}", log.join("; "));
        result?;
        let all = console
            .0
            .lock()
            .unwrap_or_else(|poison| poison.into_inner());
        Ok(String::from_utf8_lossy(&all).into_owned())
    }

    fn echo(&self) -> Result<()> {
        let holder = UdpSocket::bind("127.0.0.1:0")?;
        let SocketAddr::V4(host) = holder.local_addr()? else {
            bail!("no IPv4 address");
        };
        drop(holder);
        let forward = Forward {
            protocol: Protocol::Udp,
            host,
            guest: PORT,
        };
        let setup = Setup {
            args: vec!["echo".into(), PORT.to_string()],
            forwards: vec![forward],
            ..Setup::new(self.kernel)
        };
        self.guest(setup, None, move |over| client(host.into(), over))
            .map(drop)
    }

    fn names(&self) -> Result<()> {
        let (ours, theirs) = UnixDatagram::pair().context("cannot make a socket pair")?;
        let resolver = format!("nameserver {}\n", names::SERVER);
        let args = [
            "names",
            "guest.test",
            "many.test",
            "nobody.test",
            "guest.test",
        ];
        let setup = Setup {
            args: args.map(str::to_owned).to_vec(),
            texts: vec![(resolver.into_bytes(), "/etc/resolv.conf".into())],
            ..Setup::new(self.kernel)
        };
        let printed = self.guest(setup, Some(theirs.into()), move |over| {
            names::serve(&ours, over)
        })?;
        let expected = "guest.test: 192.0.2.7\nmany.test: 192.0.2.1 192.0.2.2 192.0.2.3\nnobody.test: nobody\nguest.test: 192.0.2.7\n";
        // Of several addresses the resolver chooses the order.
        let sorted = |text: &str| -> Vec<Vec<String>> {
            let words = |line: &str| {
                let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
                words[1..].sort();
                words
            };
            text.lines().map(words).collect()
        };
        ensure!(sorted(&printed) == sorted(expected), "it found {printed:?}");
        Ok(())
    }
}

/// Sends datagrams of all sizes, each until it comes back, and then the end.
fn client(server: SocketAddr, over: &AtomicBool) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(AGAIN))?;
    let some = (0..64)
        .chain((64..LARGEST).step_by(37))
        .chain([LARGEST - 1, LARGEST]);
    for size in some {
        let sent: Vec<u8> = (0..size).map(|i| (i * 7 + size) as u8).collect();
        turn(&socket, &sent, over).with_context(|| format!("{size} bytes"))?;
    }
    // The answer to this may be lost with the machine.
    while !over.load(Ordering::Relaxed) {
        let _ = socket.send(b"end");
        let _ = socket.recv(&mut [0; 8]);
    }
    Ok(())
}

fn turn(socket: &UdpSocket, sent: &[u8], over: &AtomicBool) -> Result<()> {
    let end = Instant::now() + HUNG;
    let mut buffer = [0; 2048];
    while Instant::now() < end && !over.load(Ordering::Relaxed) {
        // Refused while nobody is there yet.
        let _ = socket.send(sent);
        loop {
            match socket.recv(&mut buffer) {
                Ok(n) if buffer[..n] == *sent => return Ok(()),
                // The answer to one that was sent twice.
                Ok(n) if n < sent.len() || n == 3 => {}
                Ok(n) => bail!("{n} other bytes came back"),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    std::thread::sleep(AGAIN);
                    break;
                }
                Err(_) => break,
            }
        }
    }
    bail!("no answer")
}
