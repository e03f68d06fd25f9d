// SPDX-License-Identifier: BSD-2-Clause
//! `cargo xtask figures`: measure both kernels, and print the tables of docs/figures.md.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use kernel_ext::Kernel;

use crate::forward::{Forward, Protocol};
use crate::paths::Paths;
use crate::process::say;
use crate::program::{self, DEMO};
use crate::qemu::{Event, Guest};
use crate::suites::{costs, guest::boot};
use crate::system::{self, Setup};

/// What Linux needs, from the project's baseline (Debian's 6.1, mitigations off, same QEMU, same flags).
const LINUX: &str = include_str!("../../../bench/linux.tsv");
/// A measurement that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(300);
/// Requests in one HTTP measurement.
const REQUESTS: u64 = 400;
/// Guest port of the demo.
const HTTP: u16 = 8080;

/// Measure both kernels and print the tables of docs/figures.md.
#[derive(clap::Args)]
#[command(
    after_help = "All figures are guest instructions under -icount, with -cpu Nehalem.\n\nExample:\n  cargo xtask figures > tables.md"
)]
pub struct Args {
    /// Leave out what needs a network: its figures vary from run to run
    #[arg(long)]
    no_http: bool,
}

/// name → figure, one for each kernel.
type Rows = Vec<(String, BTreeMap<&'static str, f64>)>;

/// Measures and prints.
pub fn run(paths: &Paths, args: &Args) -> Result<ExitCode> {
    let kernels = [(Kernel::Queue, "queue"), (Kernel::Stock, "stock")];
    let operations = ["queue", "stock", "fast"];
    let mut objects = Rows::new();
    let mut waits = Rows::new();
    let mut cores = Rows::new();
    let mut loops = Rows::new();
    let mut requests = Rows::new();
    for (kernel, name) in kernels {
        say(&format!("measuring the {kernel} kernel"));
        for (row, figure) in costs::measure(paths, kernel, 1)? {
            put(&mut objects, row, name, figure as f64);
        }
        for (row, figure) in costs::waits(paths, kernel)? {
            put(&mut waits, row, name, figure as f64);
        }
        say(&format!("measuring the {kernel} kernel on two cores"));
        for (row, figure) in costs::measure(paths, kernel, 2)? {
            put(&mut cores, row, name, figure as f64);
        }
        say(&format!("measuring the event core on the {kernel} kernel"));
        for (row, figure) in event_loop(paths, kernel)? {
            put(&mut loops, row, name, figure);
        }
        if !args.no_http {
            say(&format!("measuring HTTP on the {kernel} kernel"));
            for (row, figure) in http(paths, kernel)? {
                put(&mut requests, row, name, figure);
            }
        }
    }
    say("measuring the kernel with the optional fast path");
    for (rows, count) in [(&mut objects, 1), (&mut cores, 2)] {
        for (row, figure) in costs::measure(paths, Kernel::Fast, count)? {
            put(rows, row, "fast", figure as f64);
        }
    }
    for line in LINUX.lines().filter(|l| !l.starts_with('#')) {
        let mut fields = line.split('\t');
        if let (Some(row), Some(n), Some(figure)) = (fields.next(), fields.next(), fields.next()) {
            let row = format!("{row}, N = {n}");
            if loops.iter().any(|(r, _)| *r == row) {
                put(&mut loops, row, "linux", figure.parse()?);
            }
        }
    }
    print("The kernel: one operation", &objects, &operations);
    print("The kernel for two cores", &cores, &operations);
    print(
        "The longest wait of an interrupt, by how many are revoked",
        &waits,
        &["queue", "stock"],
    );
    print(
        "The event core: one operation of a C program",
        &loops,
        &["queue", "stock", "linux"],
    );
    if !requests.is_empty() {
        print(
            "HTTP: one request, everything that ran in the guest",
            &requests,
            &["queue", "stock"],
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn put(rows: &mut Rows, row: String, column: &'static str, figure: f64) {
    match rows.iter_mut().find(|(name, _)| *name == row) {
        Some((_, figures)) => {
            figures.insert(column, figure);
        }
        None => rows.push((row, BTreeMap::from([(column, figure)]))),
    }
}

fn print(title: &str, rows: &Rows, columns: &[&str]) {
    println!("### {title}\n");
    println!(
        "| | {} |\n|---|{}",
        columns.join(" | "),
        "---:|".repeat(columns.len())
    );
    for (name, figures) in rows {
        let cells = columns.iter().map(|column| match figures.get(column) {
            Some(figure) if *figure < 50.0 => format!("{figure:.2}"),
            Some(figure) => format!("{figure:.0}"),
            None => "–".to_owned(),
        });
        println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    println!();
}

/// bench/evloop.c: name, N, median.
fn event_loop(paths: &Paths, kernel: Kernel) -> Result<Vec<(String, f64)>> {
    let source = paths.root.join("bench/evloop.c");
    let program = program::choose(paths, &source.to_string_lossy())?.make(paths)?;
    let setup = Setup {
        network: false,
        icount: true,
        ..Setup::new(kernel)
    };
    let machine = system::prepare(paths, &setup, &program)?;
    let outcome = boot(paths, &machine, LIMIT)?;
    let text = String::from_utf8_lossy(&outcome.console).into_owned();
    let mut rows = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["fail", what] => bail!("bench/evloop.c: {what}"),
            [name, n, figure, ..] => rows.push((format!("{name}, N = {n}"), figure.parse()?)),
            _ => {}
        }
    }
    ensure!(!rows.is_empty(), "bench/evloop.c printed nothing");
    Ok(rows)
}

/// The demo, asked from outside, one request after the other: what one costs, and what the program's counters say of it. The
/// meter counts all that is not idling; what an idle machine does in the same time (timer ticks) is taken off.
fn http(paths: &Paths, kernel: Kernel) -> Result<Vec<(String, f64)>> {
    let chosen = program::choose(paths, DEMO)?;
    let program::Chosen::Port(port) = &chosen else {
        bail!("{DEMO} is no port")
    };
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let host = SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr()?.port());
    drop(listener);
    let setup = Setup {
        args: port.args(),
        files: port.files(),
        forwards: vec![Forward {
            protocol: Protocol::Tcp,
            host,
            guest: HTTP,
        }],
        icount: true,
        meter: true,
        ..Setup::new(kernel)
    };
    let machine = system::prepare(paths, &setup, &chosen.make(paths)?)?;
    let mut guest = Guest::boot(paths, &machine, std::io::sink())?;
    wait(&mut guest, |event| {
        matches!(event, Event::Listening(HTTP)).then_some(())
    })?;
    one_by_one(host, 20)?;
    let (start, idle) = (Instant::now(), counters(&mut guest)?["busy"]);
    std::thread::sleep(Duration::from_secs(2));
    let idle_rate = (counters(&mut guest)?["busy"] - idle) / start.elapsed().as_secs_f64();
    type Client = fn(SocketAddrV4, u64) -> Result<()>;
    let ways: [(&str, Client); 2] = [
        ("a connection for each request", one_by_one),
        ("one connection for all", keep_alive),
    ];
    let mut rows = Vec::new();
    for (way, client) in ways {
        let (start, before) = (Instant::now(), counters(&mut guest)?);
        client(host, REQUESTS)?;
        let after = counters(&mut guest)?;
        let idle = idle_rate * start.elapsed().as_secs_f64();
        for (name, label) in COUNTERS {
            let mut spent = after[name] - before[name];
            if name == "busy" {
                spent -= idle;
            }
            rows.push((format!("{way}: {label}"), spent / REQUESTS as f64));
        }
    }
    Ok(rows)
}

/// Counters of the root server's that a request moves.
const COUNTERS: [(&str, &str); 9] = [
    ("busy", "instructions"),
    ("calls", "calls into the shim"),
    ("waits", "times that the program blocked"),
    ("server_calls", "calls to a server"),
    ("doorbells", "doorbells rung"),
    ("collects", "collections"),
    ("entries", "entries collected"),
    ("handoffs", "cookies handed over"),
    ("badge_wakes", "wake-ups by badge"),
];

/// Asks the root server.
fn counters(guest: &mut Guest) -> Result<BTreeMap<String, f64>> {
    guest.command("stats")?;
    let stats = wait(guest, |event| match event {
        Event::Stats(stats) => Some(stats),
        _ => None,
    })?;
    let numbers = stats
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.parse().ok()?)));
    let numbers: BTreeMap<String, f64> = numbers.collect();
    for (name, _) in COUNTERS {
        ensure!(numbers.contains_key(name), "no {name}= in @stats");
    }
    Ok(numbers)
}

fn wait<T>(guest: &mut Guest, wanted: impl Fn(Event) -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match guest.next(Some(deadline))? {
            Event::Late => bail!("the guest does not answer"),
            Event::Stopped(code) => bail!("QEMU stopped ({code:?}): {}", guest.complaints()),
            event => {
                if let Some(found) = wanted(event) {
                    return Ok(found);
                }
            }
        }
    }
}

fn one_by_one(host: SocketAddrV4, requests: u64) -> Result<()> {
    for _ in 0..requests {
        let mut stream = connect(host)?;
        stream.write_all(b"GET /style.css HTTP/1.0\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        ensure!(answer.starts_with(b"HTTP/1.1 200"), "a bad answer");
    }
    Ok(())
}

fn keep_alive(host: SocketAddrV4, requests: u64) -> Result<()> {
    let mut stream = connect(host)?;
    let request = b"GET /style.css HTTP/1.1\r\nHost: guest\r\n\r\n";
    let mut length = 0;
    for _ in 0..requests {
        stream.write_all(request)?;
        let mut answer = Vec::new();
        let mut buffer = [0; 16384];
        while length == 0 || answer.len() < length {
            let n = stream.read(&mut buffer)?;
            ensure!(n > 0, "the server closed a kept connection");
            answer.extend_from_slice(&buffer[..n]);
            if length == 0 {
                length = whole(&answer).unwrap_or(0);
            }
        }
        ensure!(answer.starts_with(b"HTTP/1.1 200"), "a bad answer");
    }
    Ok(())
}

/// Length of the whole answer, once its head is there. All answers are equally long.
fn whole(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&answer[..head]).ok()?;
    let body = text
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))?;
    Some(head + body.trim().parse::<usize>().ok()?)
}

fn connect(host: SocketAddrV4) -> Result<TcpStream> {
    let stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
