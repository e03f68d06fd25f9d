// SPDX-License-Identifier: BSD-2-Clause
//! TCP by hand: clients that do what no TCP does (RFC 9293 says what the answer is).

use anyhow::{Context as _, Result, ensure};

use super::fetch::{self, Fetch, Files, PATIENCE};
use super::forged::Forged;
use super::peer::{GUEST, Peer};
use super::segment::{Segment, flag};
use super::{SILENCE, largest, request};

/// Handshakes that are begun and left.
const FLOOD: usize = 3000;

/// The half-open ones fill the backlog. Once their hosts refuse the SYN-ACKs, everybody is served again.
pub fn syn_flood(peer: &mut Peer, files: &Files) -> Result<()> {
    let mut hosts = Vec::with_capacity(FLOOD);
    for _ in 0..FLOOD {
        let mut forged = Forged::new(peer);
        forged.send_syn(peer);
        hosts.push(forged);
    }
    // As hosts do that never asked: each SYN-ACK is answered by a reset.
    let mut answered = 0;
    peer.until(super::forged::ANSWER, "no SYN-ACK came", |peer| {
        while let Some(segment) = peer.take_any_segment() {
            if segment.has(flag::SYN | flag::ACK) {
                answered += 1;
                refuse(peer, &segment);
            }
        }
        Ok((answered > 0).then_some(()))
    })?;
    let mut quiet = false;
    while !quiet {
        quiet = quietly(peer, refuse)?;
    }
    fetch::all(peer, files.iter().map(Fetch::new).collect(), PATIENCE).context("after the flood")
}

/// Resets the connection that a segment of the guest belongs to.
fn refuse(peer: &mut Peer, segment: &Segment) {
    if segment.has(flag::RST) {
        return;
    }
    peer.forge(&Segment {
        from: segment.to,
        to: segment.from,
        flags: flag::RST,
        sequence: segment.acknowledged,
        acknowledged: 0,
        window: 0,
        options: Vec::new(),
        payload: Vec::new(),
    });
}

/// Lets time pass; gives each segment for a forged host to `each`. Returns whether there was none.
fn quietly(peer: &mut Peer, mut each: impl FnMut(&mut Peer, &Segment)) -> Result<bool> {
    let mut none = true;
    peer.at_most(SILENCE, |peer| {
        while let Some(segment) = peer.take_any_segment() {
            none = false;
            each(peer, &segment);
        }
        Ok(None::<()>)
    })?;
    Ok(none)
}

/// SYN, SYN-ACK, RST: more often than the backlog is long, one after the other.
pub fn reset_in_handshake(peer: &mut Peer, files: &Files) -> Result<()> {
    for number in 0..600 {
        let mut forged = Forged::new(peer);
        forged.send_syn(peer);
        forged
            .expect_syn_ack(peer)
            .with_context(|| format!("handshake {}", number + 1))?;
        forged.send(peer, flag::RST, &[]);
    }
    fetch::all(peer, vec![Fetch::new(&files[0])], PATIENCE)
}

/// The connection is gone; a neighbour is not.
pub fn reset_in_the_middle(peer: &mut Peer, files: &Files) -> Result<()> {
    let (path, contents) = largest(files);
    let mut neighbour = Forged::open(peer, 65535)?;
    let mut forged = Forged::open(peer, 4000)?;
    forged.send(peer, flag::ACK | flag::PSH, &request(path));
    forged.receive_until(peer, "no data came", |forged, _| {
        !forged.received.is_empty()
    })?;
    forged.send(peer, flag::RST, &[]);
    forged.expect_gone(peer, 0, b"x")?;
    neighbour.send(peer, flag::ACK | flag::PSH, &request(path));
    neighbour.finish(peer, contents)
}

/// A reset has to name a sequence number in the window (RFC 9293, 3.10.7.4).
pub fn blind_reset(peer: &mut Peer, files: &Files) -> Result<()> {
    let (path, contents) = &files[0];
    let mut forged = Forged::open(peer, 65535)?;
    for off in [1 << 20, 1 << 30, u32::MAX - 5000] {
        let mut reset = forged.segment(flag::RST, &[]);
        reset.sequence = reset.sequence.wrapping_add(off);
        peer.forge(&reset);
    }
    forged.send(peer, flag::ACK | flag::PSH, &request(path));
    forged.finish(peer, contents)
}

/// A SYN to another port is answered by a reset that acknowledges it.
pub fn closed_port(peer: &mut Peer, _: &Files) -> Result<()> {
    let mut forged = Forged::new(peer);
    let mut syn = forged.segment(flag::SYN, &[]);
    syn.to.port = GUEST.port + 1;
    peer.forge(&syn);
    let answer = forged.expect(peer, "no RST came", |_| true)?;
    ensure!(
        answer.has(flag::RST | flag::ACK) && answer.acknowledged == syn.next(),
        "not the reset of a closed port: {answer:?}"
    );
    Ok(())
}

/// Data, FIN, ACK out of nowhere: a reset each. A reset out of nowhere: nothing.
pub fn no_connection(peer: &mut Peer, _: &Files) -> Result<()> {
    for (flags, payload) in [(0, &b"x"[..]), (flag::FIN, b""), (0, b"")] {
        let mut forged = Forged::new(peer);
        forged.expect_gone(peer, flags, payload)?;
    }
    let forged = Forged::new(peer);
    let reset = forged.segment(flag::RST, &[]);
    peer.forge(&reset);
    let mut answers = 0;
    quietly(peer, |_, segment| {
        answers += usize::from(segment.to == forged.host);
    })?;
    ensure!(answers == 0, "{answers} answers to a reset");
    Ok(())
}

/// No byte more than the window; all of them once it opens.
pub fn closed_window(peer: &mut Peer, files: &Files) -> Result<()> {
    let (path, contents) = largest(files);
    let mut forged = Forged::open(peer, 1000)?;
    forged.send(peer, flag::ACK | flag::PSH, &request(path));
    // 1,000 bytes, and then nothing but probes.
    forged.window = 0;
    forged.receive_until(peer, "the window is not filled", |forged, _| {
        forged.received.len() >= 1000
    })?;
    forged.send(peer, flag::ACK, &[]);
    let mut beyond = 0;
    quietly(peer, |_, segment| {
        beyond = beyond.max(segment.payload.len());
    })?;
    ensure!(beyond <= 1, "{beyond} bytes into a closed window");
    forged.window = 65535;
    forged.send(peer, flag::ACK, &[]);
    forged.finish(peer, contents)
}

/// The file comes through a window of a hundred bytes as well; the shortest file, since each hundred takes a round.
pub fn small_window(peer: &mut Peer, files: &Files) -> Result<()> {
    let shortest = files.iter().min_by_key(|(_, contents)| contents.len());
    let (path, contents) = shortest.context("no files")?;
    let mut forged = Forged::open(peer, 100)?;
    forged.send(peer, flag::ACK | flag::PSH, &request(path));
    forged.finish(peer, contents)
}

/// A request byte by byte from the end, then in overlapping pieces.
pub fn pieces(peer: &mut Peer, files: &Files) -> Result<()> {
    let (path, contents) = largest(files);
    let mut forged = Forged::open(peer, 65535)?;
    let whole = request(path);
    let first = forged.segment(flag::ACK, &whole);
    let piece = |from: usize, to: usize| {
        let mut segment = first.clone();
        segment.sequence = first.sequence.wrapping_add(from as u32);
        segment.payload = whole[from..to].to_vec();
        segment
    };
    for at in (8..whole.len()).rev() {
        peer.forge(&piece(at, at + 1));
    }
    for at in (0..whole.len() - 20).step_by(7) {
        peer.forge(&piece(at, at + 20));
    }
    // Whatever the guest kept of these: the whole follows, as a retransmission would.
    peer.forge(&first);
    forged.next = first.next();
    forged.finish(peer, contents)
}
