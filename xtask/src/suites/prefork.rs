// SPDX-License-Identifier: BSD-2-Clause
//! tests/prefork: a server of several processes that share a listener, and clients outside the machine whose connections go from one process to another.
//! Linux, which is the oracle, then both kernels.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kernel_ext::Kernel;

use super::service::{Service, forward_to};
use super::{HUNG, Report, posix};
use crate::paths::Paths;
use crate::program::Chosen;
use crate::system::Setup;
use crate::toolchain;

/// Where the guest listens.
const GUEST_PORT: u16 = 8080;
/// Workers of the server.
const WORKERS: usize = 3;
/// How long an answer may take: only a hang meets it.
const ANSWER: Duration = Duration::from_secs(60);

/// All three systems.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    report.add("Linux", on_linux(paths));
    for kernel in [Kernel::Queue, Kernel::Stock] {
        let (forward, address) = forward_to(GUEST_PORT)?;
        let cc = toolchain::ensure(paths)?.cc;
        let program = posix::compile_folder(paths, &cc, "tests/prefork", "prefork")?;
        let setup = Setup {
            args: vec![GUEST_PORT.to_string()],
            forwards: vec![forward],
            ..Setup::new(kernel)
        };
        let ready = Chosen::Elf(program).make(paths)?;
        let service = Service::boot(paths, &setup, &ready, None, GUEST_PORT)?;
        for (name, check) in CHECKS {
            report.add(&format!("{name}, {kernel} kernel"), check(address));
        }
        report.add(
            &format!("the program ends with its last worker, {kernel} kernel"),
            service.exit(HUNG),
        );
    }
    Ok(())
}

fn on_linux(paths: &Paths) -> Result<()> {
    let (_, address) = forward_to(GUEST_PORT)?;
    let program = posix::compile_folder(paths, Path::new("gcc"), "tests/prefork", "prefork-linux")?;
    let mut server = Command::new(program)
        .arg(address.port().to_string())
        .stdin(Stdio::null())
        .spawn()?;
    let all = || -> Result<()> {
        let deadline = Instant::now() + ANSWER;
        while TcpStream::connect(address).is_err() {
            ensure!(Instant::now() < deadline, "it does not listen");
            std::thread::yield_now();
        }
        for (name, check) in CHECKS {
            check(address).with_context(|| (*name).to_owned())?;
        }
        Ok(())
    };
    let result = all();
    if result.is_err() {
        end(&mut server);
    }
    let status = server.wait()?;
    result?;
    ensure!(status.success(), "the program ended with {status}");
    Ok(())
}

fn end(server: &mut Child) {
    // It may have ended by itself.
    let _ = server.kill();
}

type Check = (&'static str, fn(SocketAddr) -> Result<()>);

/// The last one ends the server.
const CHECKS: &[Check] = &[
    ("each of many connections is answered", all_answered),
    (
        "workers that are busy leave connections to the others",
        shared,
    ),
    (
        "a connection goes on in a child, in a new program, in another process",
        handed_on,
    ),
    (
        "a million bytes both ways through a process that inherited the connection",
        much,
    ),
    (
        "connections from within the machine come to the same listener",
        loopback,
    ),
    (
        "a killed worker ends its connection, the last one the server",
        killed,
    ),
];

/// A client.
struct Client(TcpStream);

impl Client {
    fn new(address: SocketAddr) -> Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        Ok(Client(stream))
    }

    fn say(&mut self, text: &str) -> Result<()> {
        Ok(self.0.write_all(text.as_bytes())?)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let mut byte = [0];
        while byte != *b"\n" {
            self.0.read_exact(&mut byte).context("no answer")?;
            line.push(byte[0].into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// Asks, and returns the number of who answers; it must be called `who`.
    fn ask(&mut self, command: &str, who: &str) -> Result<usize> {
        self.say(&format!("{command}\n"))?;
        let line = self.line().with_context(|| command.to_owned())?;
        let number = line.strip_prefix(who).map(str::trim);
        let number = number.with_context(|| format!("{command} was answered by {line:?}"))?;
        Ok(number.parse()?)
    }

    /// What is said comes back, until the end of both sides.
    fn echo(mut self) -> Result<()> {
        for i in 0..3 {
            let text = format!("line {i}");
            self.say(&format!("{text}\n"))?;
            let line = self.line()?;
            ensure!(line == text, "{text:?} came back as {line:?}");
        }
        self.0.shutdown(Shutdown::Write)?;
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).context("no end")?;
        ensure!(rest.is_empty(), "{} bytes too many", rest.len());
        Ok(())
    }
}

fn all_answered(address: SocketAddr) -> Result<()> {
    for _ in 0..5 {
        let clients: Result<Vec<Client>> = (0..30).map(|_| Client::new(address)).collect();
        for client in &mut clients? {
            let worker = client.ask("who", "worker")?;
            ensure!(worker < WORKERS, "there is no worker {worker}");
        }
    }
    Ok(())
}

fn shared(address: SocketAddr) -> Result<()> {
    let mut seen = BTreeSet::new();
    let mut held = Vec::new();
    for _ in 1..WORKERS {
        let mut client = Client::new(address)?;
        seen.insert(client.ask("hold", "worker")?);
        held.push(client);
    }
    for _ in 0..10 {
        seen.insert(Client::new(address)?.ask("who", "worker")?);
    }
    ensure!(seen.len() == WORKERS, "only {seen:?} took part");
    held.into_iter().try_for_each(Client::echo)
}

fn handed_on(address: SocketAddr) -> Result<()> {
    for (command, who) in [("fork", "child"), ("exec", "inetd"), ("pass", "taker")] {
        for _ in 0..3 {
            let mut client = Client::new(address)?;
            client.ask(command, who)?;
            client.echo().context(command)?;
        }
    }
    // Several at a time.
    let clients: Result<Vec<Client>> = (0..8).map(|_| Client::new(address)).collect();
    let mut clients = clients?;
    for client in &mut clients {
        client.ask("fork", "child")?;
    }
    clients.into_iter().try_for_each(Client::echo)
}

fn much(address: SocketAddr) -> Result<()> {
    for (command, who) in [("fork", "child"), ("exec", "inetd")] {
        let mut client = Client::new(address)?;
        client.ask(command, who)?;
        let sent: Vec<u8> = (0..1u32 << 20).map(|i| (i * 7 + i / 251) as u8).collect();
        let mut writer = client.0.try_clone()?;
        let bytes = sent.clone();
        let writing = std::thread::spawn(move || -> std::io::Result<()> {
            writer.write_all(&bytes)?;
            writer.shutdown(Shutdown::Write)
        });
        let mut got = Vec::new();
        client.0.read_to_end(&mut got)?;
        let written = writing.join();
        ensure!(matches!(written, Ok(Ok(()))), "{written:?}");
        ensure!(got == sent, "{} bytes came back, or others", got.len());
    }
    Ok(())
}

fn loopback(address: SocketAddr) -> Result<()> {
    for _ in 0..5 {
        let mut client = Client::new(address)?;
        let worker = client.ask("loop", "loop")?;
        ensure!(worker < WORKERS, "there is no worker {worker}");
        client.echo()?;
    }
    Ok(())
}

fn killed(address: SocketAddr) -> Result<()> {
    for left in (0..WORKERS).rev() {
        let mut client = Client::new(address)?;
        client.say("die\n")?;
        let ended = client.0.read(&mut [0; 8]);
        ensure!(matches!(ended, Ok(0)), "no end of file: {ended:?}");
        if left > 0 {
            Client::new(address)?.ask("who", "worker")?;
        }
    }
    // Refused; or QEMU has accepted it already, and closes it.
    if let Ok(mut client) = Client::new(address) {
        let _ = client.say("who\n");
        let answer = client.line();
        ensure!(answer.is_err(), "{answer:?} of nobody");
    }
    Ok(())
}
