// SPDX-License-Identifier: BSD-2-Clause
//! Clients that no server likes.

use std::thread::sleep;
use std::time::Duration;

use super::client::{Client, Target};
use super::{Verdict, alive};

/// Most that a server may say to garbage.
const ANSWER_MAX: usize = 64 << 10;

/// The request is there, the end of the client's side too: the answer must come whole.
pub fn half_close(target: &Target) -> Verdict {
    for (path, contents) in target.files() {
        let mut client = target.connect()?;
        client.get(path)?;
        client.end()?;
        client.expect_file(path, contents)?;
        client.expect_end()?;
    }
    // Nothing at all, and a part of a request: no answer is due.
    for part in ["", "GET / HT"] {
        let mut client = target.connect()?;
        client.send(part.as_bytes())?;
        client.end()?;
        client.expect_end()?;
    }
    Ok(())
}

/// Requests that stop at every place. The others are served; who goes on is served as well.
pub fn stops(target: &Target) -> Verdict {
    let (path, contents) = target.file(1);
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut stopped: Vec<(usize, Client)> = Vec::new();
    for size in (0..request.len()).step_by(3) {
        let mut client = target.connect()?;
        client.send(&request.as_bytes()[..size])?;
        stopped.push((size, client));
    }
    for _ in 0..10 {
        alive(target)?;
    }
    for (number, (size, mut client)) in stopped.into_iter().enumerate() {
        // Every third never comes back.
        if number % 3 != 2 {
            client.send(&request.as_bytes()[size..])?;
            client
                .expect_file(path, contents)
                .map_err(|error| format!("stopped after {size} bytes, then went on: {error}"))?;
        }
    }
    alive(target)
}

/// Three bytes a second apart, the others a tenth; others are served between them.
pub fn byte_at_a_time(target: &Target) -> Verdict {
    let (path, contents) = target.file(2);
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut client = target.connect()?;
    for (number, byte) in request.bytes().enumerate() {
        client.send(&[byte])?;
        alive(target)?;
        // What "slowly" means.
        sleep(Duration::from_millis(if number < 3 { 1000 } else { 100 }));
    }
    client.expect_file(path, contents)?;
    client.get(path)?;
    client.expect_file(path, contents)
}

/// Whatever comes, the server says that it is wrong, or hangs up, and serves the next client.
pub fn garbage(target: &Target) -> Verdict {
    let long = "x".repeat(20_000);
    let many = format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(5000));
    let fixed: &[&[u8]] = &[
        b"\r\n\r\n\r\n\r\nhello\r\n\r\n",
        b"\0\0\0\0\0\0\0\0",
        b"\xff\xfe\xfd\r\n\r\n",
        // The start of a TLS handshake.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1 and more\r\nHost: x\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"G\0T / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET %2f HTTP/1.1\r\nHost: x\r\n\r\n",
        b": : :\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
    ];
    for bytes in fixed {
        refused(target, bytes)?;
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..40 {
        let size = 1 + random.next() as usize % 2000;
        // The line end lets a server judge what it has.
        let mut bytes: Vec<u8> = (0..size).map(|_| random.next() as u8).collect();
        bytes.extend_from_slice(b"\r\n\r\n");
        refused(target, &bytes)?;
    }
    Ok(())
}

/// Sends what is no request: the answer, if there is one, must be a refusal.
fn refused(target: &Target, bytes: &[u8]) -> Verdict {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
    let mut client = target.connect()?;
    client.send_unless_closed(bytes);
    // Already closed is as good.
    let _ = client.end();
    let answer = client
        .rest(ANSWER_MAX)
        .map_err(|error| format!("after {shown:?}: {error}"))?;
    if !answer.is_empty() && !answer.starts_with(b"HTTP/1.1 4") {
        let start = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
        return Err(format!("after {shown:?} the server says {start:?}"));
    }
    alive(target).map_err(|error| format!("after {shown:?}: {error}"))
}

/// Resets and closes at every stage of a request and its answer.
pub fn hangs_up(target: &Target) -> Verdict {
    let (path, contents) = target.largest();
    for round in 0..10 {
        // Before, in and behind the request.
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        for size in [0, 5, request.len()] {
            let mut client = target.connect()?;
            client.send(&request.as_bytes()[..size])?;
        }
        // As the answer comes.
        let mut client = target.connect()?;
        client.get(path)?;
        client.reset()?;
        // In the middle of the answer, with more requests behind.
        let mut client = target.connect()?;
        for _ in 0..(64 << 10) / contents.len().max(1) + 1 + round {
            client.get(path)?;
        }
        client.read_some(contents.len() / 2)?;
        client.reset()?;
        alive(target)?;
    }
    Ok(())
}

/// The same sequence every time: xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }
}
