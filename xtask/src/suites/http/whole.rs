// SPDX-License-Identifier: BSD-2-Clause
//! Whole conversations: all is sent, and all is read that comes until the other side ends.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

/// How long an answer may take: only a hang meets it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that waits for everything as long as [`PATIENCE`].
fn connect(at: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&at, PATIENCE).context("cannot connect")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends all of it while reading whatever comes, to the end of the other side.
pub fn exchange(at: SocketAddr, sent: &[u8], shut: bool) -> Result<Vec<u8>> {
    let mut stream = connect(at)?;
    let mut out = stream.try_clone()?;
    thread::scope(|scope| {
        let sender = scope.spawn(move || -> Result<()> {
            out.write_all(sent).context("cannot send")?;
            if shut {
                out.shutdown(Shutdown::Write)?;
            }
            Ok(())
        });
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).context("cannot read")?;
        sender
            .join()
            .map_err(|_| anyhow!("the sender panicked"))??;
        Ok(answer)
    })
}

/// One request of a server that closes behind its answer: that one's head without what depends on the time, and its body.
pub fn ask(at: SocketAddr, request: &[u8]) -> Result<(String, Vec<u8>)> {
    let answer = exchange(at, request, false)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.with_context(|| format!("no head: {:?}", String::from_utf8_lossy(&answer)))?;
    let head = String::from_utf8(answer[..end].to_vec())?;
    let varies = ["Date:", "Last-Modified:", "ETag:"];
    let lines = head
        .lines()
        .filter(|line| !varies.iter().any(|name| line.starts_with(name)));
    let head: Vec<&str> = lines.collect();
    Ok((head.join("\n"), answer[end + 4..].to_vec()))
}

/// Bytes that tell where they are.
pub fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (at * 31 + at / 251 + seed) as u8)
        .collect()
}

/// So many clients, all at the same time; the first error.
pub fn at_a_time(clients: usize, client: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    let client = &client;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|number| scope.spawn(move || client(number)))
            .collect();
        for (number, client) in clients.into_iter().enumerate() {
            let ended = client.join().map_err(|_| anyhow!("a client panicked"))?;
            ended.with_context(|| format!("client {number}"))?;
        }
        Ok(())
    })
}
