// SPDX-License-Identifier: BSD-2-Clause
//! The server on the host: a card of two queues, clients whose channels are ordinary memory, a smoltcp peer on the other side of the wire.

mod client;
mod connect;
mod data;
mod hostile;
mod listen;
mod peer;
mod segment;
mod share;
mod udp;

use smoltcp::time::{Duration, Instant};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::vec::Vec;

use vfs_hooks::channel::DATA;
use vfs_hooks::net::{Apart, CHUNK_SIZE, Channel, SLOT_SIZE, SLOTS_OFFSET};

use crate::{Card, Config, Errno, Platform, Server};
use client::Program;
use peer::Peer;

pub const OWN: u32 = 0x0a00_020f;
pub const GATEWAY: u32 = 0x0a00_0202;
pub const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const CHUNKS: usize = 8;

/// A card: frames to and from the server.
#[derive(Default)]
pub struct Queues {
    pub to_server: VecDeque<Vec<u8>>,
    pub from_server: VecDeque<Vec<u8>>,
    /// Nothing can be sent.
    pub full: bool,
}

impl Card for Queues {
    type Buffer = Vec<u8>;

    fn mac(&self) -> [u8; 6] {
        MAC
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        self.to_server.pop_front()
    }

    fn recycle(&mut self, _buffer: Vec<u8>) {}

    fn can_transmit(&mut self) -> bool {
        !self.full
    }

    fn transmit<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut frame = std::vec![0; len];
        let result = fill(&mut frame);
        self.from_server.push_back(frame);
        result
    }
}

/// Memory of a channel.
pub struct Memory(NonNull<u8>);

const LAYOUT: Layout = match Layout::from_size_align(SLOTS_OFFSET + CHUNKS * CHUNK_SIZE, 4096) {
    Ok(layout) => layout,
    Err(_) => panic!(),
};

impl Memory {
    fn new() -> Memory {
        // SAFETY: the layout's size is not zero.
        Memory(NonNull::new(unsafe { alloc_zeroed(LAYOUT) }).unwrap())
    }

    pub fn channel(&self) -> Channel {
        // SAFETY: the rig drops the server, and all that uses the channel, before this memory.
        unsafe { Channel::new(self.0) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.0.as_ptr(), LAYOUT) }
    }
}

std::thread_local! {
    /// Channels that nobody holds any longer, as the root server tells of them.
    pub static HUNG: RefCell<VecDeque<usize>> = const { RefCell::new(VecDeque::new()) };
}

/// Bytes of a channel that sockets lie in.
const APART_SIZE: usize = DATA + SLOT_SIZE;

/// The socket in a channel, of those that lie one behind the other at `base`.
pub fn apart(base: NonNull<u8>, channel: usize) -> Apart {
    assert!((channel + 1) * APART_SIZE <= LAYOUT.size());
    // SAFETY: inside the memory of `System::apart`, which lives as long as the rig.
    unsafe { Apart::new(base.add(channel * APART_SIZE)) }
}

/// The system around the server.
pub struct System {
    pub memory: Vec<Memory>,
    pub signals: Vec<(usize, u32)>,
    pub listening: Vec<u16>,
    /// Chunks that may be mapped.
    pub chunks: usize,
    /// Clients that there are.
    pub open: u64,
    /// Clients that the server is done with.
    pub gone: Vec<usize>,
    /// Channels.
    pub apart: Memory,
    /// Clients that hold each channel, as bits.
    pub holders: Vec<u64>,
    /// Channels that the server has joined, and left.
    pub joined: Vec<usize>,
    /// See `joined`.
    pub left: Vec<usize>,
    /// Channels have no memory.
    pub exhausted: bool,
    /// UDP sockets.
    pub udp: udp::Channels,
}

impl Platform for System {
    fn clients(&mut self) -> u64 {
        self.open
    }

    fn gone(&mut self, client: usize) {
        self.open &= !(1 << client);
        self.gone.push(client);
    }

    fn channel(&mut self, client: usize) -> Channel {
        self.memory[client].channel()
    }

    fn map_sockets(&mut self, _client: usize, chunk: usize) -> bool {
        chunk < self.chunks
    }

    fn signal(&mut self, client: usize, watch: u32) {
        self.signals.push((client, watch));
    }

    fn join(&mut self, client: usize, channel: usize, _pages: usize) -> Result<Apart, Errno> {
        if self.exhausted {
            return Err(Errno::NOBUFS);
        }
        if !self.holds(client, channel) {
            return Err(Errno::INVAL);
        }
        self.joined.push(channel);
        Ok(apart(self.apart.0, channel))
    }

    fn holds(&mut self, client: usize, channel: usize) -> bool {
        let holders = self.holders.get(channel);
        holders.is_some_and(|holders| holders & 1 << client != 0)
    }

    fn leave(&mut self, channel: usize) {
        self.left.push(channel);
    }

    fn hung(&mut self) -> Option<usize> {
        HUNG.with_borrow_mut(VecDeque::pop_front)
    }

    fn signal_channel(&mut self, channel: usize, watch: usize) {
        self.signals.push((1000 + channel, watch as u32));
    }

    fn listening(&mut self, port: u16) {
        self.listening.push(port);
    }
}

/// Server, programs, peer.
pub struct Rig {
    // Dropped first: it uses the memory that `platform` owns.
    pub server: Server<Queues, System>,
    pub peer: Peer,
    pub now: Instant,
}

impl Rig {
    pub fn new() -> Rig {
        Rig::with(64)
    }

    pub fn with(connections: usize) -> Rig {
        let now = Instant::from_millis(1000);
        let config = Config {
            address: OWN,
            prefix: 24,
            gateway: GATEWAY,
            seed: [7, 8, 9],
            connections,
        };
        let system = System {
            memory: (0..2).map(|_| Memory::new()).collect(),
            signals: Vec::new(),
            listening: Vec::new(),
            chunks: CHUNKS,
            open: 0,
            gone: Vec::new(),
            apart: Memory::new(),
            holders: Vec::new(),
            joined: Vec::new(),
            left: Vec::new(),
            exhausted: false,
            udp: udp::Channels::default(),
        };
        let mut rig = Rig {
            server: Server::new(Queues::default(), system, config, now),
            peer: Peer::new(now),
            now,
        };
        rig.peer.learn(now);
        rig.run();
        rig
    }

    /// A program with its own channel.
    pub fn program(&mut self, client: usize) -> Program {
        let platform = self.server.platform();
        Program::new(client, platform.memory[client].channel(), platform.apart.0)
    }

    /// Lets server and peer run until both have nothing to do at this instant.
    pub fn run(&mut self) {
        for _ in 0..10_000 {
            let mut busy = self.server.turn(self.now);
            busy |= !self.server.may_sleep(self.now);
            self.peer.poll(self.now);
            busy |= self.carry();
            if !busy {
                return;
            }
        }
        panic!("server and peer do not come to rest");
    }

    /// Carries frames both ways.
    fn carry(&mut self) -> bool {
        let card = self.server.card();
        let mut busy = false;
        while let Some(frame) = card.from_server.pop_front() {
            self.peer.deliver(frame);
            busy = true;
        }
        while let Some(frame) = self.peer.take() {
            card.to_server.push_back(frame);
            busy = true;
        }
        busy
    }

    /// Lets time pass in steps of the server's own deadlines, at most `step` each.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let mine = self.server.deadline();
            let theirs = self.peer.deadline(self.now);
            let soonest = [mine, theirs].into_iter().flatten().min().unwrap_or(end);
            self.now = soonest.clamp(self.now + Duration::from_millis(1), end);
            self.run();
        }
    }

    /// Signals since the last time.
    pub fn signals(&mut self) -> Vec<(usize, u32)> {
        std::mem::take(&mut self.server.platform().signals)
    }

    /// Gives the server one frame without the peer knowing, and takes what it answers.
    pub fn exchange(&mut self, frame: Vec<u8>) -> Vec<Vec<u8>> {
        self.server.card().to_server.push_back(frame);
        while self.server.turn(self.now) {}
        self.server.card().from_server.drain(..).collect()
    }
}
