// SPDX-License-Identifier: BSD-2-Clause
//! A client's channel as the net server keeps it: what each of its slots is, and which are free.
//!
//! The shared memory is the client's to scribble on. What a slot is, and whose, stands here; the headers are only
//! looked at for what the client has to say.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use vfs_hooks::net::{CHUNK_SLOTS, Channel, Control, SLOTS, SocketSlot};
use vfs_hooks::ring::Ring;

use crate::connection::ConnectionKey;

/// What a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nobody's.
    Free,
    /// Kept for a connection whose handshake is not done; the client does not know of it.
    Reserved,
    /// A connection's.
    Stream(ConnectionKey),
}

/// A slot's shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Shared {
    /// The header.
    pub header: &'static SocketSlot,
    /// From us to the client.
    pub rx: Ring<'static>,
    /// From the client to us.
    pub tx: Ring<'static>,
}

impl Shared {
    /// Closes the socket as the end of its process does: gracefully, unless something was left unread.
    pub fn close_for_client(&self) {
        if !self.rx.is_empty() {
            self.header.abort.store(1, Ordering::Relaxed);
        }
        self.header.closed.store(1, Ordering::Release);
    }
}

/// A client process.
#[derive(Debug)]
pub struct Client {
    channel: Channel,
    owners: Vec<Owner>,
    free: Vec<u32>,
    /// Its end has been seen; what remains is being closed.
    pub ended: bool,
}

impl Client {
    /// A client without sockets.
    ///
    /// # Safety
    /// The channel's control page must be mapped, and every chunk for which `map` of [`Client::reserve`] says `true` from then
    /// on, for as long as the client lives here and something refers to its slots.
    pub const unsafe fn new(channel: Channel) -> Client {
        Client {
            channel,
            owners: Vec::new(),
            free: Vec::new(),
            ended: false,
        }
    }

    /// The control page.
    pub fn control(&self) -> &'static Control {
        self.channel.control()
    }

    /// What slot `index` is. Any number is a fair question.
    pub fn owner(&self, index: u32) -> Owner {
        let owner = self.owners.get(index as usize);
        owner.copied().unwrap_or(Owner::Free)
    }

    /// Whether no slot is anybody's.
    pub fn is_empty(&self) -> bool {
        self.free.len() == self.owners.len()
    }

    /// All slots that are somebody's.
    pub fn owned(&self) -> impl Iterator<Item = (u32, Owner)> {
        let owners = self.owners.iter().copied().zip(0u32..);
        owners
            .filter(|(owner, _)| *owner != Owner::Free)
            .map(|(owner, index)| (index, owner))
    }

    /// Takes a free slot; `map` maps a chunk when there is none. `None`: the channel is full, or there is no memory.
    pub fn reserve(&mut self, map: impl FnOnce(usize) -> bool) -> Option<u32> {
        if self.free.is_empty() {
            let mapped = self.owners.len();
            if mapped >= SLOTS || !map(mapped / CHUNK_SLOTS) {
                return None;
            }
            self.owners.resize(mapped + CHUNK_SLOTS, Owner::Free);
            let chunk = mapped as u32..(mapped + CHUNK_SLOTS) as u32;
            self.free.extend(chunk.rev());
        }
        let index = self.free.pop()?;
        self.owners[index as usize] = Owner::Reserved;
        Some(index)
    }

    /// Says whose a reserved slot is. Panics if it was not reserved.
    pub fn assign(&mut self, index: u32, owner: Owner) {
        let current = &mut self.owners[index as usize];
        assert!(*current == Owner::Reserved && owner != Owner::Free);
        *current = owner;
    }

    /// Frees a slot.
    pub fn release(&mut self, index: u32) {
        if let Some(owner) = self.owners.get_mut(index as usize)
            && *owner != Owner::Free
        {
            *owner = Owner::Free;
            self.free.push(index);
        }
    }

    /// The memory of slot `index`. Panics above those that [`Client::reserve`] has given.
    pub fn shared(&self, index: u32) -> Shared {
        assert!((index as usize) < self.owners.len());
        // SAFETY: `owners` grows only after the chunk was mapped, which stays so by `new`'s contract.
        unsafe {
            Shared {
                header: self.channel.slot(index),
                rx: self.channel.rx(index),
                tx: self.channel.tx(index),
            }
        }
    }
}
