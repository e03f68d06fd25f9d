// SPDX-License-Identifier: BSD-2-Clause
//! Clients that fetch files over smoltcp, any number at once, and compare every byte.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::State;

use super::peer::Peer;

/// What the demo serves: URL path, contents.
pub type Files = [(String, Vec<u8>)];

/// How long a fetch may take on a wire without faults. It covers some retransmissions, for the backlog may be full.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// One connection on which a file is asked for once or several times.
pub struct Fetch<'a> {
    path: &'a str,
    contents: &'a [u8],
    times: usize,
    request: Vec<u8>,
    half_close: bool,
    handle: Option<SocketHandle>,
    sent: usize,
    answer: Vec<u8>,
    over: bool,
}

impl<'a> Fetch<'a> {
    /// Asks once; the server closes behind it.
    pub fn new((path, contents): &'a (String, Vec<u8>)) -> Self {
        Self::repeated((path, contents), 1, 0)
    }

    /// Asks several times without waiting for answers, each time with as many bytes more as `padding` says.
    pub fn repeated((path, contents): (&'a str, &'a [u8]), times: usize, padding: usize) -> Self {
        let mut request = String::new();
        for time in 1..=times {
            let connection = if time == times { "close" } else { "keep-alive" };
            let padding = "x".repeat(padding);
            request.push_str(&format!(
                "GET {path} HTTP/1.1\r\nHost: guest\r\nConnection: {connection}\r\nX: {padding}\r\n\r\n"
            ));
        }
        Self {
            path,
            contents,
            times,
            request: request.into_bytes(),
            half_close: false,
            handle: None,
            sent: 0,
            answer: Vec::new(),
            over: false,
        }
    }

    /// The client's FIN follows the request at once.
    pub fn half_closing(mut self) -> Self {
        self.half_close = true;
        self
    }

    /// Does what can be done now. Returns whether all is done.
    fn turn(&mut self, peer: &mut Peer) -> Result<bool> {
        let Some(handle) = self.handle else {
            return Ok(true);
        };
        let lossy = peer.is_lossy();
        let socket = peer.socket(handle);
        if self.sent < self.request.len() && socket.can_send() {
            self.sent += socket.send_slice(&self.request[self.sent..])?;
            if self.sent == self.request.len() && self.half_close {
                socket.close();
            }
        }
        while socket.can_recv() {
            let answer = &mut self.answer;
            socket.recv(|bytes| {
                answer.extend_from_slice(bytes);
                (bytes.len(), ())
            })?;
        }
        match socket.state() {
            State::CloseWait => {
                self.over = true;
                socket.close();
            }
            State::TimeWait => self.over = true,
            // All has come. smoltcp may never send a lost FIN again; the server then waits a minute for it, but we need not.
            State::LastAck if lossy => {}
            State::Closed if self.over => {}
            State::Closed => bail!("{}: reset after {} bytes", self.path, self.answer.len()),
            _ => return Ok(false),
        }
        if !matches!(socket.state(), State::Closed | State::TimeWait) && !lossy {
            return Ok(false);
        }
        peer.remove(handle);
        self.handle = None;
        self.judge()?;
        Ok(true)
    }

    fn judge(&self) -> Result<()> {
        let mut rest = self.answer.as_slice();
        for time in 1..=self.times {
            rest = self
                .judge_one(rest)
                .with_context(|| format!("{}, answer {time} of {}", self.path, self.times))?;
        }
        ensure!(
            rest.is_empty(),
            "{}: {} bytes behind the last answer",
            self.path,
            rest.len()
        );
        Ok(())
    }

    /// Compares the first answer in `bytes`; returns what is behind it.
    fn judge_one<'b>(&self, bytes: &'b [u8]) -> Result<&'b [u8]> {
        let (head, body) = split_head(bytes)?;
        let announced = format!("Content-Length: {}\r\n", self.contents.len());
        ensure!(
            head.starts_with("HTTP/1.1 200 ") && head.contains(&announced),
            "not the head of {} bytes: {head:?}",
            self.contents.len()
        );
        ensure!(
            body.len() >= self.contents.len(),
            "{} bytes of {}",
            body.len(),
            self.contents.len()
        );
        let (body, rest) = body.split_at(self.contents.len());
        let wrong = body.iter().zip(self.contents).position(|(a, b)| a != b);
        if let Some(at) = wrong {
            bail!("byte {at} of {} is wrong", self.contents.len());
        }
        Ok(rest)
    }
}

/// The head of an answer with the empty line behind it, and the rest.
pub fn split_head(bytes: &[u8]) -> Result<(&str, &[u8])> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.with_context(|| format!("no head in {} bytes", bytes.len()))? + 4;
    let head = std::str::from_utf8(&bytes[..end]).context("the head is not text")?;
    Ok((head, &bytes[end..]))
}

/// Opens all connections, then lets them go on until all are done. The SYNs leave back to back.
pub fn all(peer: &mut Peer, mut fetches: Vec<Fetch<'_>>, limit: Duration) -> Result<()> {
    for fetch in &mut fetches {
        fetch.handle = Some(peer.connect()?);
    }
    let count = fetches.len();
    let mut left = count;
    let result = peer.until(limit, "not all was served", |peer| {
        left = 0;
        for (number, fetch) in fetches.iter_mut().enumerate() {
            let done = fetch
                .turn(peer)
                .with_context(|| format!("connection {} of {count}", number + 1))?;
            left += usize::from(!done);
        }
        Ok((left == 0).then_some(()))
    });
    let mut stuck = String::new();
    for fetch in &fetches {
        let Some(handle) = fetch.handle else { continue };
        let (state, got) = (peer.socket(handle).state(), fetch.answer.len());
        stuck.push_str(&format!("; {} in {state} after {got} bytes", fetch.path));
        // A connection that failed must not go on in the next test.
        peer.remove(handle);
    }
    result.with_context(|| format!("{left} of {count} connections are left{stuck}"))
}
