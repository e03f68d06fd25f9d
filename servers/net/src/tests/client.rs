// SPDX-License-Identifier: BSD-2-Clause
//! A program's side of the channel, as the shim in the program does it.

use std::sync::atomic::Ordering;
use std::vec::Vec;

use super::Rig;
use crate::Errno;
use vfs_hooks::Events;
use vfs_hooks::net::{Channel, SocketSlot};
use vfs_hooks::wire::net;

#[derive(Clone, Copy)]
pub struct Program {
    pub number: usize,
    pub channel: Channel,
}

impl Program {
    pub fn new(number: usize, channel: Channel) -> Program {
        Program { number, channel }
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
        let slot = self.call(rig, net::LISTEN, [port.into(), backlog, 0]);
        slot.unwrap() as u32
    }

    pub fn connect(&self, rig: &mut Rig, address: u32, port: u16) -> Result<u64, Errno> {
        self.call(rig, net::CONNECT, [address.into(), port.into(), 0])
    }

    pub fn header(&self, slot: u32) -> &'static SocketSlot {
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
        let _ = self.channel.control().mark(slot);
    }

    pub fn write(&self, slot: u32, bytes: &[u8]) -> usize {
        // SAFETY: as in `header`.
        let written = unsafe { self.channel.tx(slot) }.write(bytes).unwrap();
        self.mark(slot);
        written
    }

    pub fn read(&self, slot: u32, most: usize) -> Vec<u8> {
        let mut bytes = std::vec![0; most];
        // SAFETY: as in `header`.
        let n = unsafe { self.channel.rx(slot) }.read(&mut bytes).unwrap();
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
