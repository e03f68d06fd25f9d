// SPDX-License-Identifier: BSD-2-Clause
//! A web server of static files, driven from outside: real clients, polite and not, over TCP.
//!
//! Knows nothing of the server but its address and its files, so it judges the same program
//! on Linux and on seL4. Every answer is compared byte for byte. Load is bounded in number and
//! time, and goes only to the address that is given.

use std::net::SocketAddr;

mod abuse;
mod answer;
mod client;
mod load;
pub mod whole;

use client::{Client, Target};

/// What a check found: nothing, or what was wrong.
type Verdict = Result<(), String>;

/// A named check, and whom it can be asked of.
type Check = (&'static str, Of, fn(&Target) -> Verdict);

/// What a check demands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// What every server of files does.
    Any,
    /// What ours does where servers differ.
    Ours,
}
use Of::{Any, Ours};

/// All checks; the last ones see whether the server is still there.
const CHECKS: &[Check] = &[
    ("every file, byte for byte", Any, every_file),
    ("HEAD gives the size and no body", Any, head),
    ("statuses for what cannot be served", Ours, statuses),
    (
        "a close that is asked for comes after the answer",
        Any,
        closes,
    ),
    (
        "requests sent together are answered in order",
        Any,
        load::pipelined,
    ),
    (
        "2,000 requests, kept alive and not",
        Any,
        load::two_thousand,
    ),
    ("200 connections open at once", Any, load::open_at_once),
    (
        "a client that reads slowly gets everything",
        Any,
        load::slow_reader,
    ),
    (
        "a client that ends its side still gets its answer",
        Any,
        abuse::half_close,
    ),
    (
        "a client that stops in the middle of a request",
        Any,
        abuse::stops,
    ),
    (
        "a client that sends a byte at a time",
        Any,
        abuse::byte_at_a_time,
    ),
    ("clients that send garbage", Ours, abuse::garbage),
    ("clients that hang up in the middle", Any, abuse::hangs_up),
    (
        "the server is still there, every file byte for byte",
        Any,
        every_file,
    ),
];

/// Runs all checks against the server at `address`, which serves exactly `files`: URL path,
/// contents. Returns each check's name and verdict.
pub fn check(address: SocketAddr, files: &[(String, Vec<u8>)]) -> Vec<(String, Verdict)> {
    run(address, files, &[Any, Ours])
}

/// The checks that any server of files passes.
pub fn check_any(address: SocketAddr, files: &[(String, Vec<u8>)]) -> Vec<(String, Verdict)> {
    run(address, files, &[Any])
}

fn run(address: SocketAddr, files: &[(String, Vec<u8>)], of: &[Of]) -> Vec<(String, Verdict)> {
    let target = Target::new(address, files);
    let wanted = CHECKS.iter().filter(|(_, whose, _)| of.contains(whose));
    wanted
        .map(|(name, _, check)| ((*name).to_owned(), check(&target)))
        .collect()
}

/// Each file on a connection of its own, then all of them on one.
fn every_file(target: &Target) -> Verdict {
    for (path, contents) in target.files() {
        let mut client = target.connect()?;
        client.get_old(path)?;
        client.expect_file(path, contents)?;
        client.expect_end()?;
    }
    let mut client = target.connect()?;
    for (path, contents) in target.files() {
        client.get(path)?;
        client.expect_file(path, contents)?;
    }
    Ok(())
}

/// HEAD, then GET on the same connection: a body too many would show there.
fn head(target: &Target) -> Verdict {
    let mut client = target.connect()?;
    for (path, contents) in target.files() {
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())?;
        let answer = client.answer_to_head()?;
        answer.expect_status(path, 200)?;
        answer.expect_length(path, contents.len())?;
        client.get(path)?;
        client.expect_file(path, contents)?;
    }
    client.send(b"HEAD /no/such/file HTTP/1.1\r\nHost: x\r\n\r\n")?;
    client.answer_to_head()?.expect_status("HEAD", 404)?;
    client.get("/no/such/file")?;
    client.answer()?.expect_status("GET after HEAD", 404)
}

/// What a server of files must refuse, and with which status.
fn statuses(target: &Target) -> Verdict {
    let long_path = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(7000));
    let long_field = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "a".repeat(9000)
    );
    let length = 300_000;
    let body = "x".repeat(length);
    let long_body = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
    let cases: &[(&str, u16)] = &[
        ("GET /no/such/file HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        ("GET /../port.toml HTTP/1.1\r\nHost: x\r\n\r\n", 403),
        ("GET /%2e%2e/port.toml HTTP/1.1\r\nHost: x\r\n\r\n", 403),
        (
            "GET /x/..%2f..%2fetc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
            403,
        ),
        ("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        ("GET / HTTP/9.1\r\nHost: x\r\n\r\n", 505),
        ("GET /\r\n\r\n", 400),
        ("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
            405,
        ),
        (&long_body, 405),
        (&long_path, 414),
        (&long_field, 431),
    ];
    for (request, status) in cases {
        let mut client = target.connect()?;
        client.send_unless_closed(request.as_bytes());
        let shown: String = request.chars().take(50).collect();
        client.answer()?.expect_status(&shown, *status)?;
        // However much the server left unread, the end is an end and no reset: clients may lose
        // an answer that a reset follows.
        client
            .end()
            .and_then(|()| client.expect_end())
            .map_err(|error| format!("{shown}: after the answer: {error}"))?;
        alive(target)?;
    }
    Ok(())
}

/// `Connection: close` and HTTP/1.0 end a connection, `Connection: keep-alive` keeps it.
fn closes(target: &Target) -> Verdict {
    let (path, contents) = target.file(0);
    for fields in ["HTTP/1.1\r\nConnection: close", "HTTP/1.0\r\nX: y"] {
        let mut client = target.connect()?;
        client.send(format!("GET {path} {fields}\r\nHost: x\r\n\r\n").as_bytes())?;
        client.expect_file(path, contents)?;
        client.expect_end()?;
    }
    let mut client = target.connect()?;
    for _ in 0..2 {
        let fields = "HTTP/1.0\r\nConnection: keep-alive";
        client.send(format!("GET {path} {fields}\r\n\r\n").as_bytes())?;
        client.expect_file(path, contents)?;
    }
    Ok(())
}

/// One request on a new connection: whatever another client does, this one is served.
fn alive(target: &Target) -> Verdict {
    let (path, contents) = target.file(0);
    let served = || -> Verdict {
        let mut client: Client = target.connect()?;
        client.get_old(path)?;
        client.expect_file(path, contents)
    };
    served().map_err(|error| format!("another client is not served: {error}"))
}
