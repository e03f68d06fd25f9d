// SPDX-License-Identifier: BSD-2-Clause
//! busybox's servers (tests/busybox/serve.sh) and clients of another machine, many at a time: each connection gets a process of its own.
//!
//! Knows nothing of where the servers run but their addresses, so Linux can be asked the same: see the test at the end.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::suites::Report;
use crate::suites::http::whole::{PATIENCE, ask, at_a_time, exchange, pattern};

/// When a datagram is sent again: networks may lose it.
const AGAIN: Duration = Duration::from_millis(500);
/// Clients in all, or at a time.
const CLIENTS: usize = 200;
/// Clients of httpd at a time: it listens with a backlog of 9. A handshake beyond that is dropped, as on Linux, and QEMU has not repeated it within 20 s.
const WAITING: usize = 10;

/// Ports of serve.sh: httpd in the foreground, which listens last.
pub const WEB: u16 = 2080;
/// httpd that went into the background by itself.
const DAEMON: u16 = 2081;
/// httpd that inetd starts for each connection.
const STARTED: u16 = 2012;
/// What comes goes back: by tcpsvd, which lets others wait while it has 30 processes; by inetd, which does not, and at most 55 processes can have sockets (CAVEATS). How many
/// clients come at a time.
const BACK: [(&str, u16, usize); 2] = [("tcpsvd", 2007, CLIENTS), ("inetd", 2008, 40)];
/// A number's square, by nc.
const SQUARE: u16 = 2009;
/// Datagrams go back: by udpsvd, by inetd.
const DATAGRAMS: [(&str, u16); 2] = [("udpsvd", 2010), ("inetd", 2011)];

/// All of TCP, and all of UDP.
pub fn ports() -> (Vec<u16>, Vec<u16>) {
    let streams = [WEB, DAEMON, STARTED, SQUARE].into_iter();
    let streams = streams.chain(BACK.map(|(_, port, _)| port)).collect();
    (streams, DATAGRAMS.map(|(_, port)| port).to_vec())
}

/// Where clients find a port of serve.sh.
pub type Find<'a> = &'a (dyn Fn(u16) -> SocketAddr + Sync);

/// Runs all checks; `files` are what is served: URL path, contents.
pub fn check(find: Find, files: &[(String, Vec<u8>)], report: &mut Report) {
    for (name, port) in [
        ("in the foreground", WEB),
        ("in the background", DAEMON),
        ("by inetd", STARTED),
    ] {
        let at = find(port);
        report.add(
            &format!("httpd {name}: every file, byte for byte"),
            every_file(at, files),
        );
        report.add(&format!("httpd {name}: answers of Linux"), answers(at));
    }
    report.add(
        "httpd: a megabyte goes through a script and comes back",
        through_a_script(find(WEB)),
    );
    report.add(
        "httpd: files and scripts for 200 clients, ten at a time",
        at_a_time(WAITING, |client| {
            let mut turns = (client..CLIENTS).step_by(WAITING);
            turns.try_for_each(|client| one_of_many(find([WEB, DAEMON][client % 2]), files, client))
        }),
    );
    for (name, port, clients) in BACK {
        report.add(
            &format!("{name}: what {clients} clients at a time send comes back"),
            at_a_time(clients, |client| echo(find(port), client)),
        );
    }
    report.add(
        "nc: a process for each client",
        (1..20).try_for_each(|number| square(find(SQUARE), number)),
    );
    for (name, port) in DATAGRAMS {
        report.add(
            &format!("{name}: datagrams come back"),
            datagrams(find(port)),
        );
    }
    report.add(
        "httpd: still there, every file byte for byte",
        every_file(find(WEB), files),
    );
}

fn every_file(at: SocketAddr, files: &[(String, Vec<u8>)]) -> Result<()> {
    files.iter().try_for_each(|file| get(at, file))
}

fn get(at: SocketAddr, (path, contents): &(String, Vec<u8>)) -> Result<()> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let (head, body) = ask(at, request.as_bytes())?;
    ensure!(head.starts_with("HTTP/1.1 200 OK"), "{path}: {head:?}");
    let length = format!("Content-Length: {}", contents.len());
    ensure!(
        head.lines().any(|line| line == length),
        "{path}: no {length} in {head:?}"
    );
    ensure!(body == *contents, "{path}: the body differs");
    Ok(())
}

/// Requests, and what the same httpd says to them on Linux.
const ANSWERS: &[(&str, &str)] = &[
    (
        "GET /no/such HTTP/1.1\r\nHost: x\r\n\r\n",
        "HTTP/1.1 404 Not Found\nConnection: close\nContent-type: text/html\n\n<HTML><HEAD><TITLE>404 Not Found</TITLE></HEAD>\n<BODY><H1>404 Not Found</H1>\nThe requested URL was not found\n</BODY></HTML>\n",
    ),
    (
        "GET /empty HTTP/1.1\r\nHost: x\r\n\r\n",
        "HTTP/1.1 302 Found\nConnection: close\nContent-type: text/html\nLocation: /empty/\n\n",
    ),
    (
        "GET /empty/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "HTTP/1.1 404 Not Found\nConnection: close\nContent-type: text/html\n\n<HTML><HEAD><TITLE>404 Not Found</TITLE></HEAD>\n<BODY><H1>404 Not Found</H1>\nThe requested URL was not found\n</BODY></HTML>\n",
    ),
    (
        "GET /cgi-bin/ HTTP/1.1\r\n\r\n",
        "HTTP/1.1 403 Forbidden\nConnection: close\nContent-type: text/html\n\n<HTML><HEAD><TITLE>403 Forbidden</TITLE></HEAD>\n<BODY><H1>403 Forbidden</H1>\n\n</BODY></HTML>\n",
    ),
    (
        "GET /../etc/passwd HTTP/1.1\r\n\r\n",
        "HTTP/1.1 400 Bad Request\nConnection: close\nContent-type: text/html\n\n<HTML><HEAD><TITLE>400 Bad Request</TITLE></HEAD>\n<BODY><H1>400 Bad Request</H1>\nUnsupported method\n</BODY></HTML>\n",
    ),
    (
        "GET /%2e%2e/etc/passwd HTTP/1.1\r\n\r\n",
        "HTTP/1.1 400 Bad Request\nConnection: close\nContent-type: text/html\n\n<HTML><HEAD><TITLE>400 Bad Request</TITLE></HEAD>\n<BODY><H1>400 Bad Request</H1>\nUnsupported method\n</BODY></HTML>\n",
    ),
    (
        "nonsense\r\n\r\n",
        "HTTP/1.1 400 Bad Request\nConnection: close\nContent-type: text/html\n\n<HTML><HEAD><TITLE>400 Bad Request</TITLE></HEAD>\n<BODY><H1>400 Bad Request</H1>\nUnsupported method\n</BODY></HTML>\n",
    ),
    (
        "DELETE /index.html HTTP/1.1\r\n\r\n",
        "HTTP/1.1 501 Not Implemented\nConnection: close\nContent-type: text/html\n\n<HTML><HEAD><TITLE>501 Not Implemented</TITLE></HEAD>\n<BODY><H1>501 Not Implemented</H1>\nThe requested method is not recognized\n</BODY></HTML>\n",
    ),
    (
        "GET /style.css HTTP/1.1\r\nRange: bytes=5-14\r\n\r\n",
        "HTTP/1.1 206 Partial Content\nConnection: close\nContent-type: text/html\nContent-Range: bytes 5-14/2257\nAccept-Ranges: bytes\nContent-Length: 10\n\nDX-License",
    ),
    (
        "GET /cgi-bin/facts HTTP/1.1\r\nX-Word: of mine\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-type: text/plain\nContent-Length: 37\n\nGET /cgi-bin/facts   of mine cgi-bin\n",
    ),
    (
        "GET /cgi-bin/facts/path/info?a=b&c HTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-type: text/plain\nContent-Length: 45\n\nGET /cgi-bin/facts /path/info a=b&c  cgi-bin\n",
    ),
    (
        "GET /cgi-bin/none HTTP/1.1\r\n\r\n",
        "HTTP/1.1 404 Not Found\nConnection: close\nContent-type: text/html\n\n<HTML><HEAD><TITLE>404 Not Found</TITLE></HEAD>\n<BODY><H1>404 Not Found</H1>\nThe requested URL was not found\n</BODY></HTML>\n",
    ),
    (
        "POST /cgi-bin/sum HTTP/1.1\r\nContent-Length: 11\r\n\r\nsome words\n",
        "HTTP/1.1 200 OK\nContent-type: text/plain\nContent-Length: 32\n\n45964b9bd050e6da6c993358866ecac3",
    ),
    (
        "POST /cgi-bin/back HTTP/1.1\r\nContent-Type: a/b\r\nContent-Length: 4\r\n\r\nback",
        "HTTP/1.1 200 OK\nContent-type: a/b\nContent-Length: 4\n\nback",
    ),
];

fn answers(at: SocketAddr) -> Result<()> {
    for (request, want) in ANSWERS {
        let (head, body) = ask(at, request.as_bytes())?;
        let got = format!("{head}\n\n{}", String::from_utf8_lossy(&body));
        ensure!(got == *want, "{request:?}: {got:?}");
    }
    Ok(())
}

fn through_a_script(at: SocketAddr) -> Result<()> {
    let body = pattern(1 << 20, 7);
    post_back(at, &body)
}

fn post_back(at: SocketAddr, body: &[u8]) -> Result<()> {
    let mut request = format!(
        "POST /cgi-bin/back HTTP/1.1\r\nContent-Type: x/y\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    let (head, got) = ask(at, &request)?;
    ensure!(head.starts_with("HTTP/1.1 200 OK"), "{head:?}");
    ensure!(
        got == body,
        "{} of {} bytes came back, or others",
        got.len(),
        body.len()
    );
    Ok(())
}

fn one_of_many(at: SocketAddr, files: &[(String, Vec<u8>)], client: usize) -> Result<()> {
    match client % 3 {
        0 => post_back(at, &pattern(3000, client)),
        _ => get(at, &files[client % files.len()]),
    }
}

fn echo(at: SocketAddr, client: usize) -> Result<()> {
    let sent = pattern(20_000 + client, client);
    let got = exchange(at, &sent, true)?;
    ensure!(got == sent, "{} of {} bytes", got.len(), sent.len());
    Ok(())
}

fn square(at: SocketAddr, number: u32) -> Result<()> {
    let got = exchange(at, format!("{number}\n").as_bytes(), true)?;
    let got = String::from_utf8_lossy(&got);
    ensure!(got == format!("{}\n", number * number), "{number}: {got:?}");
    Ok(())
}

/// Each client's comes back to it, although several send at the same time.
fn datagrams(at: SocketAddr) -> Result<()> {
    let sockets: Vec<UdpSocket> = (0..5)
        .map(|_| UdpSocket::bind("127.0.0.1:0"))
        .collect::<std::io::Result<_>>()?;
    for round in 0..5 {
        for socket in &sockets {
            socket.set_read_timeout(Some(AGAIN))?;
            socket.send_to(&pattern(10 + 200 * round, round), at)?;
        }
        for (number, socket) in sockets.iter().enumerate() {
            back(socket, at, &pattern(10 + 200 * round, round))
                .with_context(|| format!("client {number}, round {round}"))?;
        }
    }
    Ok(())
}

fn back(socket: &UdpSocket, at: SocketAddr, sent: &[u8]) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut bytes = [0; 2000];
    loop {
        match socket.recv_from(&mut bytes) {
            // One that was sent twice comes back twice: late, too.
            Ok((len, _)) if bytes[..len] == *sent => return Ok(()),
            Ok(_) => {}
            Err(_) => {
                ensure!(Instant::now() < deadline, "nothing comes back");
                socket.send_to(sent, at)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With `sh tests/busybox/serve.sh FILES` running on this Linux.
    #[test]
    #[ignore = "wants busybox's servers on this Linux: tests/busybox/README.md"]
    fn linux_answers_so() {
        let folder = std::env::var("BUSYBOX_FILES").expect("BUSYBOX_FILES: the folder served");
        let files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (format!("/{name}"), std::fs::read(path).unwrap())
            })
            .collect();
        let mut report = Report::default();
        check(
            &|port| SocketAddr::from(([127, 0, 0, 1], port)),
            &files,
            &mut report,
        );
        assert!(report.failed.is_empty(), "{:#?}", report.failed);
    }
}
