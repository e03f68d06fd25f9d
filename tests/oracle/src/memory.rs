// SPDX-License-Identifier: BSD-2-Clause
//! The memory that calls read and write: filled anew for each call, compared after it.

use crate::op::{Pointer, Time};

/// Bytes for all arguments of one call.
const SIZE: usize = 512 << 10;
/// What memory holds that nobody has written to.
const UNTOUCHED: u8 = 0xa5;
/// Bytes behind each argument that nobody may write to.
const FENCE: usize = 16;

/// See the module.
#[derive(Debug)]
pub struct Memory {
    bytes: Box<[u128]>,
    used: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Memory {
            bytes: vec![0; SIZE / 16].into(),
            used: 0,
        }
    }
}

impl Memory {
    /// Forgets what the last call had.
    pub fn clear(&mut self) {
        self.used = 0;
    }

    /// Room for a result of `len` bytes; its address.
    pub fn room(&mut self, len: usize) -> usize {
        let start = self.used;
        let end = start + len + FENCE;
        self.used = end.next_multiple_of(16);
        assert!(self.used <= SIZE, "a call with {len} bytes");
        let used = self.used;
        self.all()[start..used].fill(UNTOUCHED);
        self.bytes.as_ptr() as usize + start
    }

    /// An argument; its address.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let address = self.room(bytes.len());
        let start = address - self.bytes.as_ptr() as usize;
        self.all()[start..start + bytes.len()].copy_from_slice(bytes);
        address
    }

    /// As `put`, unless the pointer is to be a bad one.
    pub fn put_at(&mut self, pointer: Pointer, bytes: &[u8]) -> usize {
        let address = self.put(bytes);
        at(pointer, address)
    }

    /// As `room`, unless the pointer is to be a bad one.
    pub fn room_at(&mut self, pointer: Pointer, len: usize) -> usize {
        let address = self.room(len);
        at(pointer, address)
    }

    /// The `N` bytes at an address of ours.
    pub fn at<const N: usize>(&mut self, address: usize) -> &mut [u8; N] {
        let start = address - self.bytes.as_ptr() as usize;
        let range = &mut self.all()[start..start + N];
        range.try_into().expect("N bytes")
    }

    /// What the call left behind.
    pub fn used(&mut self) -> &[u8] {
        let used = self.used;
        &self.all()[..used]
    }

    fn all(&mut self) -> &mut [u8] {
        let start = self.bytes.as_mut_ptr().cast::<u8>();
        // SAFETY: the same bytes, by the only reference to them; calls write to them only while they run.
        unsafe { std::slice::from_raw_parts_mut(start, SIZE) }
    }
}

/// `address`, unless the pointer is to be a bad one.
pub fn at(pointer: Pointer, address: usize) -> usize {
    match pointer {
        Pointer::Good => address,
        Pointer::Null => 0,
        Pointer::Kernel => 0xffff_8000_0000_0000,
    }
}

/// A struct pollfd that nobody has answered yet.
pub fn pollfd(fd: usize, events: u16) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&(fd as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&events.to_ne_bytes());
    // Something that must be written over.
    bytes[6..].fill(0x5a);
    bytes
}

/// A timespec or timeval.
pub fn time(time: Option<Time>) -> [u8; 16] {
    let mut bytes = [0; 16];
    if let Some(time) = time {
        bytes[..8].copy_from_slice(&time.seconds.to_ne_bytes());
        bytes[8..].copy_from_slice(&time.fraction.to_ne_bytes());
    }
    bytes
}
