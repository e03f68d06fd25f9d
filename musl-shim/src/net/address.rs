// SPDX-License-Identifier: BSD-2-Clause
//! Socket addresses: IPv4 only.

use crate::errno::Errno;

use crate::abi::{AF_INET, SockaddrIn};
use crate::platform::net::address;
use crate::user;

/// An address and a port, as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// Most significant byte first in the number.
    pub ip: u32,
    /// Port.
    pub port: u16,
}

/// Of a sockaddr_in.
const SIZE: usize = size_of::<SockaddrIn>();
/// Of the largest sockaddr that Linux takes.
const MOST: usize = 128;
/// 127.0.0.1.
pub const LOOPBACK: u32 = 0x7f00_0001;

impl Address {
    /// Reads the argument of bind and connect. The family comes apart: AF_UNSPEC means something to connect.
    pub fn read(address: usize, len: usize) -> Result<(u32, Address), Errno> {
        let len = len as u32 as usize;
        if !(2..=MOST).contains(&len) {
            return Err(Errno::EINVAL);
        }
        let family = u32::from(u16::from_ne_bytes(user::read(address)?));
        if family != AF_INET {
            return Ok((family, Address::default()));
        }
        if len < SIZE {
            return Err(Errno::EINVAL);
        }
        let address: SockaddrIn = user::read(address)?;
        Ok((
            family,
            Address {
                ip: u32::from_be_bytes(address.sin_addr),
                port: u16::from_be_bytes(address.sin_port),
            },
        ))
    }

    /// Writes as much as there is room for, then the true length, as accept(2) and its relatives do.
    pub fn write(&self, address: usize, len_at: usize) -> Result<(), Errno> {
        let bytes = self.bytes();
        write_truncated(&bytes, address, len_at)
    }

    /// As a sockaddr_in.
    pub fn bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..2].copy_from_slice(&(AF_INET as u16).to_ne_bytes());
        bytes[2..4].copy_from_slice(&self.port.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.ip.to_be_bytes());
        bytes
    }

    /// As requests have it: address | port << 32.
    pub fn word(&self) -> u64 {
        u64::from(self.ip) | u64::from(self.port) << 32
    }

    /// Of such a word.
    pub fn from_word(word: u64) -> Address {
        Address {
            ip: word as u32,
            port: (word >> 32) as u16,
        }
    }

    /// Whether a connection to it stays in this machine.
    pub fn is_local(&self) -> bool {
        is_loopback(self.ip) || self.ip == 0 || self.ip == address()
    }
}

/// Whether the address is in 127.0.0.0/8.
pub fn is_loopback(ip: u32) -> bool {
    ip >> 24 == 127
}

/// Writes a socket address, cut off at the room that the caller gave, and its full length.
pub fn write_truncated(bytes: &[u8], address: usize, len_at: usize) -> Result<(), Errno> {
    let room = user::read::<i32>(len_at)?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let n = room.min(bytes.len());
    user::bytes_mut(address, n)?.copy_from_slice(&bytes[..n]);
    user::write(len_at, bytes.len() as u32)
}
