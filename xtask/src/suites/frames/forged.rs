// SPDX-License-Identifier: BSD-2-Clause
//! A TCP client by hand: it sends what it is told and knows only where both sides stand.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::peer::{GUEST, Peer};
use super::segment::{End, Segment, flag};

/// How long the guest may take to answer a segment, retransmissions included.
pub const ANSWER: Duration = Duration::from_secs(10);

/// A forged client's side of a connection.
#[derive(Clone, Debug)]
pub struct Forged {
    /// Where it comes from.
    pub host: End,
    /// Sequence number of what it sends next.
    pub next: u32,
    /// Sequence number that it expects next.
    pub expected: u32,
    /// The window that it offers.
    pub window: u16,
    /// The end of the window that it has offered: the guest must not send more.
    edge: u32,
    /// What it got, in order.
    pub received: Vec<u8>,
    /// The guest has ended its side.
    pub ended: bool,
}

impl Forged {
    /// A new host that has sent nothing yet.
    pub fn new(peer: &mut Peer) -> Self {
        let host = peer.stranger();
        Self {
            host,
            next: u32::from(host.address).wrapping_mul(0x9e37_79b1),
            expected: 0,
            window: 65535,
            edge: 0,
            received: Vec::new(),
            ended: false,
        }
    }

    /// The segment that it would send now.
    pub fn segment(&self, flags: u8, payload: &[u8]) -> Segment {
        Segment {
            from: self.host,
            to: GUEST,
            flags,
            sequence: self.next,
            acknowledged: if flags & flag::ACK == 0 {
                0
            } else {
                self.expected
            },
            window: self.window,
            options: Vec::new(),
            payload: payload.to_vec(),
        }
    }

    /// Sends it.
    pub fn send(&mut self, peer: &mut Peer, flags: u8, payload: &[u8]) {
        let segment = self.segment(flags, payload);
        self.next = segment.next();
        if flags & flag::ACK != 0 {
            // A window that shrinks does not take back what was offered.
            let edge = self.expected.wrapping_add(u32::from(self.window));
            if edge.wrapping_sub(self.edge) as i32 > 0 {
                self.edge = edge;
            }
        }
        peer.forge(&segment);
    }

    /// Sends SYN, with the usual segment size.
    pub fn send_syn(&mut self, peer: &mut Peer) {
        let mut syn = self.segment(flag::SYN, &[]);
        syn.options = vec![2, 4, 5, 0xb4];
        self.next = syn.next();
        peer.forge(&syn);
    }

    /// Waits for SYN-ACK.
    pub fn expect_syn_ack(&mut self, peer: &mut Peer) -> Result<()> {
        let (host, next) = (self.host, self.next);
        let answer = self.expect(peer, "no SYN-ACK came", |_| true)?;
        ensure!(
            answer.flags == flag::SYN | flag::ACK && answer.acknowledged == next,
            "no SYN-ACK for {host:?}, but {answer:?}"
        );
        self.expected = answer.next();
        self.edge = self.expected;
        Ok(())
    }

    /// A connection whose handshake is done.
    pub fn open(peer: &mut Peer, window: u16) -> Result<Self> {
        let mut forged = Self::new(peer);
        forged.send_syn(peer);
        forged.expect_syn_ack(peer)?;
        forged.window = window;
        forged.send(peer, flag::ACK, &[]);
        Ok(forged)
    }

    /// Waits for a segment that `wanted` likes; others are thrown away.
    pub fn expect(
        &mut self,
        peer: &mut Peer,
        what: &str,
        wanted: impl Fn(&Segment) -> bool,
    ) -> Result<Segment> {
        let host = self.host;
        peer.until(ANSWER, what, |peer| {
            while let Some(segment) = peer.take_segment(host) {
                if wanted(&segment) {
                    return Ok(Some(segment));
                }
            }
            Ok(None)
        })
    }

    /// Sends a segment for the connection and waits for the RST that says that there is none.
    pub fn expect_gone(&mut self, peer: &mut Peer, flags: u8, payload: &[u8]) -> Result<()> {
        // What is under way may lie before it.
        let segment = self.segment(flags | flag::ACK, payload);
        peer.forge(&segment);
        let reset = self.expect(peer, "no RST told that the connection is gone", |segment| {
            segment.has(flag::RST)
        })?;
        ensure!(
            reset.sequence == segment.acknowledged,
            "the RST has another sequence number: {reset:?}"
        );
        Ok(())
    }

    /// Takes in a segment and keeps its data if it is the next. Returns whether it needs an answer.
    pub fn take_in(&mut self, segment: &Segment) -> Result<bool> {
        ensure!(
            !segment.has(flag::RST),
            "a reset after {} bytes",
            self.received.len()
        );
        let size = segment.payload.len();
        if segment.sequence != self.expected {
            // Sent twice, or sent again from further back.
            let ahead = segment.sequence.wrapping_sub(self.expected) as i32;
            ensure!(ahead < 0, "{ahead} bytes are left out");
            return Ok(size > 0);
        }
        let room = self.edge.wrapping_sub(self.expected) as usize;
        if size > room {
            // Less than that is no way to find out whether the window is still closed.
            ensure!(
                room == 0 && size == 1,
                "{size} bytes for a window of {room}"
            );
            return Ok(true);
        }
        self.expected = segment.next();
        self.received.extend_from_slice(&segment.payload);
        self.ended |= segment.has(flag::FIN);
        Ok(size > 0 || self.ended)
    }

    /// Takes in and acknowledges what comes until `done`.
    pub fn receive_until(
        &mut self,
        peer: &mut Peer,
        what: &str,
        done: impl Fn(&Self, &Segment) -> bool,
    ) -> Result<()> {
        peer.until(ANSWER, what, |peer| {
            while let Some(segment) = peer.take_segment(self.host) {
                let answer = self.take_in(&segment)?;
                if done(self, &segment) {
                    return Ok(Some(()));
                }
                if answer {
                    self.send(peer, flag::ACK, &[]);
                }
            }
            Ok(None)
        })
    }

    /// Reads to the end, ends this side too, and compares the body.
    pub fn finish(&mut self, peer: &mut Peer, contents: &[u8]) -> Result<()> {
        self.receive_until(peer, "the answer does not end", |forged, _| forged.ended)?;
        self.send(peer, flag::FIN | flag::ACK, &[]);
        let (head, body) = super::fetch::split_head(&self.received)?;
        if !head.starts_with("HTTP/1.1 200 ") {
            bail!("not a good answer: {head:?}");
        }
        ensure!(
            body == contents,
            "{} bytes that are not the {} of the file",
            body.len(),
            contents.len()
        );
        Ok(())
    }
}
