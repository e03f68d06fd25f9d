// SPDX-License-Identifier: BSD-2-Clause
//! Between smoltcp and the network card: hands smoltcp exactly the frame that the server chose, and watches what it sends.

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::EthernetAddress;

use crate::frame::{BARE_SEGMENT, Ends, Sent, write_ack};
use crate::tuple::Tuple;

/// Bytes of the largest frame, without its checksum.
pub const MAX_FRAME: usize = 1514;

/// A network card.
pub trait Card {
    /// A received frame.
    type Buffer: AsRef<[u8]>;

    /// Its hardware address.
    fn mac(&self) -> [u8; 6];

    /// Takes the next frame that was received.
    fn receive(&mut self) -> Option<Self::Buffer>;

    /// Gives a frame's memory back to the card.
    fn recycle(&mut self, buffer: Self::Buffer);

    /// Whether [`Card::transmit`] may be called.
    fn can_transmit(&mut self) -> bool;

    /// Sends a frame of `len` bytes (at most [`MAX_FRAME`]) that `fill` writes. Only after [`Card::can_transmit`] said yes.
    fn transmit<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R;
}

/// What was sent since [`Link::watch`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Watched {
    /// The last TCP segment.
    pub sent: Option<Sent>,
    /// smoltcp wanted to send more than went out: it does not know the neighbour's hardware address yet.
    pub stalled: bool,
    /// The card had no room.
    pub full: bool,
    tokens: u32,
    frames: u32,
}

/// A card as smoltcp sees it.
#[derive(Debug)]
pub struct Link<C: Card> {
    card: C,
    frame: Option<C::Buffer>,
    watched: Watched,
}

impl<C: Card> Link<C> {
    /// A link over `card`.
    pub fn new(card: C) -> Link<C> {
        Link {
            card,
            frame: None,
            watched: Watched::default(),
        }
    }

    /// The card.
    pub fn card(&mut self) -> &mut C {
        &mut self.card
    }

    /// Takes the next frame from the card; `None` also while the card has no room for an answer.
    pub fn receive(&mut self) -> Option<C::Buffer> {
        if self.card.can_transmit() {
            self.card.receive()
        } else {
            self.watched.full = true;
            None
        }
    }

    /// Lays down the frame that smoltcp gets next.
    pub fn offer(&mut self, frame: C::Buffer) {
        self.drop_frame();
        self.frame = Some(frame);
    }

    /// Takes back the offered frame's memory, whether smoltcp looked at it or not.
    pub fn drop_frame(&mut self) {
        if let Some(frame) = self.frame.take() {
            self.card.recycle(frame);
        }
    }

    /// Gives back a frame that was not offered.
    pub fn recycle(&mut self, frame: C::Buffer) {
        self.card.recycle(frame);
    }

    /// Starts watching what is sent.
    pub fn watch(&mut self) {
        self.watched = Watched::default();
    }

    /// What was sent since.
    pub fn watched(&self) -> Watched {
        Watched {
            stalled: self.watched.tokens > self.watched.frames,
            ..self.watched
        }
    }

    /// Sends a bare ACK that repeats `sent`. Dropped if the card has no room: the peer will ask again.
    pub fn repeat_ack(&mut self, own: u32, peer_mac: EthernetAddress, tuple: &Tuple, sent: &Sent) {
        if self.card.can_transmit() {
            let ends = Ends {
                own: (EthernetAddress(self.card.mac()), own),
                peer_mac,
            };
            self.card
                .transmit(BARE_SEGMENT, |frame| write_ack(frame, &ends, tuple, sent));
        }
    }
}

/// Reception of the offered frame.
#[derive(Debug)]
pub struct Received<'a> {
    frame: &'a [u8],
}

/// Right to send one frame.
#[derive(Debug)]
pub struct Slot<'a, C: Card> {
    card: &'a mut C,
    watched: &'a mut Watched,
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.frame)
    }
}

impl<C: Card> TxToken for Slot<'_, C> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let watched = self.watched;
        self.card.transmit(len, |frame| {
            let result = f(frame);
            if let Some(sent) = Sent::of(frame) {
                watched.sent = Some(sent);
                watched.frames += 1;
            }
            result
        })
    }
}

impl<C: Card> Device for Link<C> {
    type RxToken<'a>
        = Received<'a>
    where
        C: 'a;
    type TxToken<'a>
        = Slot<'a, C>
    where
        C: 'a;

    fn receive(&mut self, _now: Instant) -> Option<(Received<'_>, Slot<'_, C>)> {
        let frame = self.frame.as_ref()?.as_ref();
        Some((
            Received { frame },
            Slot {
                card: &mut self.card,
                watched: &mut self.watched,
            },
        ))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Slot<'_, C>> {
        if !self.card.can_transmit() {
            self.watched.full = true;
            return None;
        }
        self.watched.tokens += 1;
        Some(Slot {
            card: &mut self.card,
            watched: &mut self.watched,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = MAX_FRAME;
        capabilities
    }
}
