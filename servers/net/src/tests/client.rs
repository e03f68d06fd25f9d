// SPDX-License-Identifier: BSD-2-Clause
//! A program's side of the channel, as the shim in the program does it.

use std::ptr::NonNull;
use std::sync::atomic::Ordering;
use std::vec::Vec;

use super::{HUNG, Rig};
use crate::Errno;
use vfs_hooks::Events;
use vfs_hooks::net::{Apart, Channel, SocketSlot};
use vfs_hooks::ring::Ring;
use vfs_hooks::wire::net;

/// From here on a number names a channel of its own, and not a slot.
const APART: u32 = 1 << 20;

#[derive(Clone, Copy)]
pub struct Program {
    pub number: usize,
    pub channel: Channel,
    apart: NonNull<u8>,
}

impl Program {
    pub fn new(number: usize, channel: Channel, apart: NonNull<u8>) -> Program {
        Program {
            number,
            channel,
            apart,
        }
    }

    /// The socket in a channel.
    pub fn apart(&self, channel: usize) -> Apart {
        super::apart(self.apart, channel)
    }

    pub fn call(&self, rig: &mut Rig, label: u64, words: [u64; 3]) -> Result<u64, Errno> {
        let words = [words[0], words[1], words[2], 0];
        rig.server.request(rig.now, self.number, label, words)
    }

    pub fn bind(&self, rig: &mut Rig, port: u16, reuse: bool) -> Result<u64, Errno> {
        self.call(rig, net::BIND, [0, port.into(), reuse.into()])
    }

    pub fn listen(&self, rig: &mut Rig, port: u16, backlog: u64) -> u32 {
        self.bind(rig, port, true).unwrap();
        self.listen_at(rig, port, backlog)
    }

    /// Listens at a port that is bound.
    pub fn listen_at(&self, rig: &mut Rig, port: u16, backlog: u64) -> u32 {
        let channel = self.new_channel(rig);
        let listened = self.call(rig, net::LISTEN, [port.into(), backlog, channel as u64]);
        assert_eq!(listened, Ok(0));
        APART + channel as u32
    }

    /// A channel of which it holds side 0.
    pub fn new_channel(&self, rig: &mut Rig) -> usize {
        let holders = &mut rig.server.platform().holders;
        holders.push(1 << self.number);
        holders.len() - 1
    }

    /// Moves a connection into a channel.
    pub fn share(&self, rig: &mut Rig, slot: u32) -> u32 {
        let channel = self.new_channel(rig);
        let words = [slot.into(), channel as u64, 0];
        assert_eq!(self.call(rig, net::SHARE_STREAM, words), Ok(0));
        APART + channel as u32
    }

    /// The channel that a number names.
    pub fn channel_of(&self, number: u32) -> usize {
        (number - APART) as usize
    }

    pub fn connect(&self, rig: &mut Rig, address: u32, port: u16) -> Result<u64, Errno> {
        self.call(rig, net::CONNECT, [address.into(), port.into(), 0])
    }

    pub fn header(&self, slot: u32) -> &'static SocketSlot {
        if slot >= APART {
            return self.apart(self.channel_of(slot)).header();
        }
        // SAFETY: the whole channel is mapped in tests.
        unsafe { self.channel.slot(slot) }
    }

    pub fn accept(&self, listener: u32) -> Option<u32> {
        self.header(listener).pop_accept().unwrap()
    }

    pub fn level(&self, slot: u32) -> Events {
        self.header(slot).level()
    }

    pub fn mark(&self, slot: u32) {
        let control = self.channel.control();
        let _ = match slot >= APART {
            true => control.mark_channel(self.channel_of(slot)),
            false => control.mark(slot),
        };
    }

    fn rings(&self, slot: u32) -> [Ring<'static>; 2] {
        if slot >= APART {
            let apart = self.apart(self.channel_of(slot));
            return [apart.rx(), apart.tx()];
        }
        // SAFETY: as in `header`.
        unsafe { [self.channel.rx(slot), self.channel.tx(slot)] }
    }

    pub fn write(&self, slot: u32, bytes: &[u8]) -> usize {
        let written = self.rings(slot)[1].write(bytes).unwrap();
        self.mark(slot);
        written
    }

    pub fn read(&self, slot: u32, most: usize) -> Vec<u8> {
        let mut bytes = std::vec![0; most];
        let n = self.rings(slot)[0].read(&mut bytes).unwrap();
        bytes.truncate(n);
        if self.header(slot).rx_wanted.swap(0, Ordering::AcqRel) != 0 {
            self.mark(slot);
        }
        bytes
    }

    pub fn shut(&self, slot: u32) {
        self.header(slot).shut_write.store(1, Ordering::Release);
        self.mark(slot);
    }

    pub fn close(&self, slot: u32) {
        if slot >= APART {
            // As the root server, when nobody holds it any longer.
            HUNG.with_borrow_mut(|hung| hung.push_back(self.channel_of(slot)));
            return;
        }
        self.header(slot).closed.store(1, Ordering::Release);
        self.mark(slot);
    }

    pub fn abort(&self, slot: u32) {
        self.header(slot).abort.store(1, Ordering::Release);
        self.close(slot);
    }

    pub fn error(&self, slot: u32) -> u32 {
        self.header(slot).error.swap(0, Ordering::AcqRel)
    }
}
