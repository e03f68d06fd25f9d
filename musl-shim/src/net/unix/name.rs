// SPDX-License-Identifier: BSD-2-Clause
//! Names of AF_UNIX sockets (unix(7), Address format): a path, an abstract name that begins with a zero byte, or none.

use alloc::vec::Vec;

use crate::abi::AF_UNIX;
use crate::errno::Errno;
use crate::net::address::write_truncated;
use crate::user;

/// Bytes before the name.
const FAMILY: usize = 2;
/// Of the largest sockaddr_un.
const MOST: usize = 110;

/// A name as the program gave it; empty: none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name(pub Vec<u8>);

impl Name {
    /// Reads an argument. EINVAL: it is none of AF_UNIX's. Without a single byte it is empty: bind(2) chooses a name then.
    pub fn read(address: usize, len: usize) -> Result<Name, Errno> {
        let len = len as u32 as usize;
        if !(FAMILY..=MOST).contains(&len) {
            return Err(Errno::EINVAL);
        }
        let bytes = user::bytes(address, len)?;
        let (family, name) = bytes.split_at(FAMILY);
        if family != (AF_UNIX as u16).to_ne_bytes() {
            return Err(Errno::EINVAL);
        }
        let end = match name.first() {
            Some(0) | None => name.len(),
            Some(_) => name.iter().position(|&b| b == 0).unwrap_or(name.len()),
        };
        Ok(Name(name[..end].to_vec()))
    }

    /// Whether it is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is a path.
    pub fn is_path(&self) -> bool {
        !matches!(self.0.first(), Some(0) | None)
    }

    /// As a sockaddr_un.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = (AF_UNIX as u16).to_ne_bytes().to_vec();
        bytes.extend_from_slice(&self.0);
        if self.is_path() {
            bytes.push(0);
        }
        bytes
    }

    /// Writes as much of it as there is room for, then the true length.
    pub fn write(&self, address: usize, len_at: usize) -> Result<(), Errno> {
        write_truncated(&self.bytes(), address, len_at)
    }
}
