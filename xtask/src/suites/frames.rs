// SPDX-License-Identifier: BSD-2-Clause
//! The demo server behind a cable that we hold the other end of: bursts, lost and damaged frames, and peers that obey no rule.
//!
//! What QEMU's user network cannot carry: it has a backlog of one connection and repairs what it passes on.

use std::time::Duration;

use anyhow::Result;

mod broken;
mod burst;
mod chance;
mod fetch;
mod forged;
mod lossy;
mod peer;
mod segment;
mod tcp;
mod wire;

pub use fetch::Files;
pub use peer::Peer;
pub use wire::Wire;

/// A named check.
type Check = (&'static str, fn(&mut Peer, &Files) -> Result<()>);

/// All checks; the last one sees whether the server is still there.
const CHECKS: &[Check] = &[
    ("300 connections whose SYNs leave together", burst::together),
    (
        "requests sent together, larger than the window",
        burst::pipelined,
    ),
    (
        "clients that end their side with the request",
        burst::half_closing,
    ),
    ("frames that are lost, doubled and overtaken", lossy::lost),
    ("frames with a wrong bit, and cut ones", lossy::damaged),
    ("3,000 SYNs that nobody follows up", tcp::syn_flood),
    (
        "a reset in the handshake frees its place",
        tcp::reset_in_handshake,
    ),
    (
        "a reset in the middle ends that connection",
        tcp::reset_in_the_middle,
    ),
    ("a reset outside the window does nothing", tcp::blind_reset),
    ("a port that nobody listens on", tcp::closed_port),
    ("a segment of no connection", tcp::no_connection),
    ("a window that is closed, then opens", tcp::closed_window),
    ("a window of a few bytes", tcp::small_window),
    (
        "a request in pieces, in any order, with overlaps",
        tcp::pieces,
    ),
    ("a ping is answered", broken::ping),
    ("wrong lengths and checksums", broken::fields),
    ("frames of random bytes", broken::random),
    (
        "segments of random content on open connections",
        broken::random_segments,
    ),
    (
        "the server is still there, every file byte for byte",
        every_file,
    ),
];

/// Runs all checks against the demo behind `peer`, which serves exactly `files`.
pub fn check(peer: &mut Peer, files: &Files) -> Vec<(&'static str, Result<()>)> {
    let run = |&(name, check): &Check| {
        let result = check(peer, files);
        peer.clear();
        (name, result)
    };
    CHECKS.iter().map(run).collect()
}

fn every_file(peer: &mut Peer, files: &Files) -> Result<()> {
    fetch::all(
        peer,
        files.iter().map(fetch::Fetch::new).collect(),
        fetch::PATIENCE,
    )
}

/// The largest file: several windows, or at least several segments.
fn largest(files: &Files) -> &(String, Vec<u8>) {
    files
        .iter()
        .max_by_key(|(_, contents)| contents.len())
        .expect("the demo serves something")
}

/// A request for a file, after which the server closes.
fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: guest\r\nConnection: close\r\n\r\n").into_bytes()
}

/// How long to watch for what must not come.
const SILENCE: Duration = Duration::from_millis(300);
