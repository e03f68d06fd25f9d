// SPDX-License-Identifier: BSD-2-Clause
//! Files that clients put into the file system in memory (mod_webdav), and scripts (mod_cgi).

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::suites::Report;
use crate::suites::http::whole::{PATIENCE, ask, at_a_time, pattern};

/// Bytes of a large body.
const LARGE: usize = 3 << 20;
/// Clients at a time.
const CLIENTS: usize = 8;

/// Runs all checks.
pub fn check(at: SocketAddr, report: &mut Report) {
    report.add(
        "a large file is put, read, replaced and deleted",
        one_file(at),
    );
    report.add("directories are made, files moved", directories(at));
    report.add(
        "large files are put by several clients at a time",
        at_a_time(CLIENTS, |client| {
            put_and_get(at, &format!("/files/several-{client}"), 1 << 20, client)
        }),
    );
    report.add("a file that does not come whole is not there", cut(at));
    report.add("a script is told what was asked", facts(at));
    report.add(
        "large bodies go through scripts and come back, several at a time",
        at_a_time(CLIENTS, |client| {
            through_a_script(at, LARGE / 4 + client, client)
        }),
    );
    report.add("nothing temporary is left", nothing_left(at));
}

/// Makes a request that is the connection's last; its status, head and body.
fn request(
    at: SocketAddr,
    line: &str,
    fields: &str,
    body: &[u8],
) -> Result<(u16, String, Vec<u8>)> {
    let mut all = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}");
    if !body.is_empty() {
        all += &format!("Content-Length: {}\r\n", body.len());
    }
    let mut all = (all + "\r\n").into_bytes();
    all.extend_from_slice(body);
    let (head, body) = ask(at, &all).with_context(|| line.to_owned())?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.with_context(|| format!("{line}: {head:?}"))?;
    Ok((status, head, body))
}

fn expect(at: SocketAddr, line: &str, fields: &str, body: &[u8], status: u16) -> Result<Vec<u8>> {
    let (got, head, answer) = request(at, line, fields, body)?;
    ensure!(got == status, "{line}: {head:?} instead of {status}");
    Ok(answer)
}

fn expect_file(at: SocketAddr, path: &str, contents: &[u8]) -> Result<()> {
    let got = expect(at, &format!("GET {path}"), "", b"", 200)?;
    ensure!(got == contents, "{path}: {} bytes, or others", got.len());
    Ok(())
}

fn put_and_get(at: SocketAddr, path: &str, len: usize, seed: usize) -> Result<()> {
    let contents = pattern(len, seed);
    expect(at, &format!("PUT {path}"), "", &contents, 201)?;
    expect_file(at, path, &contents)?;
    expect(at, &format!("DELETE {path}"), "", b"", 204).map(drop)
}

fn one_file(at: SocketAddr) -> Result<()> {
    let (first, second) = (pattern(LARGE, 1), pattern(LARGE / 2, 2));
    expect(at, "GET /files/one", "", b"", 404)?;
    expect(at, "PUT /files/one", "", &first, 201)?;
    expect_file(at, "/files/one", &first)?;
    let part = expect(
        at,
        "GET /files/one",
        "Range: bytes=1000000-1000099\r\n",
        b"",
        206,
    )?;
    ensure!(part == first[1_000_000..1_000_100], "another part");
    expect(at, "PUT /files/one", "", &second, 204)?;
    expect_file(at, "/files/one", &second)?;
    expect(at, "PUT /files/none/one", "", &second, 409)?;
    expect(at, "PUT /index.html", "", &second, 501)?;
    expect(at, "DELETE /files/one", "", b"", 204)?;
    expect(at, "GET /files/one", "", b"", 404)?;
    expect(at, "DELETE /files/one", "", b"", 404).map(drop)
}

fn directories(at: SocketAddr) -> Result<()> {
    expect(at, "MKCOL /files/new/", "", b"", 201)?;
    expect(at, "MKCOL /files/new/", "", b"", 405)?;
    expect(at, "PUT /files/new/a", "", b"contents", 201)?;
    let to = |name: &str| format!("Destination: http://x/files/new/{name}\r\n");
    expect(at, "MOVE /files/new/a", &to("b"), b"", 201)?;
    expect(at, "GET /files/new/a", "", b"", 404)?;
    expect(at, "COPY /files/new/b", &to("c"), b"", 201)?;
    expect_file(at, "/files/new/b", b"contents")?;
    expect_file(at, "/files/new/c", b"contents")?;
    expect(at, "DELETE /files/new/", "", b"", 204)?;
    expect(at, "GET /files/new/b", "", b"", 404).map(drop)
}

/// The client hangs up in the middle of the body.
fn cut(at: SocketAddr) -> Result<()> {
    let mut client = TcpStream::connect(at)?;
    let head = format!("PUT /files/cut HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGE}\r\n\r\n");
    client.write_all(head.as_bytes())?;
    client.write_all(&pattern(LARGE / 2, 5))?;
    drop(client);
    expect(at, "GET /files/cut", "", b"", 404).map(drop)
}

fn facts(at: SocketAddr) -> Result<()> {
    let line = "GET /cgi-bin/facts.sh/path/info?a=b&c";
    let text = expect(at, line, "X-Word: of mine\r\n", b"", 200)?;
    let text = String::from_utf8_lossy(&text);
    let want = "GET /cgi-bin/facts.sh /path/info a=b&c of mine cgi-bin\n";
    ensure!(text == want, "{text:?}");
    expect(at, "GET /cgi-bin/none.sh", "", b"", 404).map(drop)
}

fn through_a_script(at: SocketAddr, len: usize, seed: usize) -> Result<()> {
    let body = pattern(len, seed);
    let type_of = "Content-Type: x/y\r\n";
    let (status, head, got) = request(at, "POST /cgi-bin/back.sh", type_of, &body)?;
    ensure!(status == 201 && head.contains("x/y"), "{head:?}");
    ensure!(got == body, "{} of {len} bytes, or others", got.len());
    Ok(())
}

/// Names in the directory of uploads: a body is kept there until it is whole.
fn nothing_left(at: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let list = expect(at, "GET /files/", "", b"", 200)?;
        let list = String::from_utf8_lossy(&list).into_owned();
        let names = list.matches("<a href=").count();
        // The directory above, and nothing else.
        if names == 1 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{list}");
    }
}
