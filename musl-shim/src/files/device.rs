// SPDX-License-Identifier: BSD-2-Clause
//! /dev/null, zero, full, random, urandom: always ready, not for epoll.

use crate::errno::Errno;
use crate::inherit::Heir;

use super::{File, Mappable, character_stat};
use crate::abi::Stat;
use crate::random;

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// Takes all, gives nothing.
    Null,
    /// Takes all, gives zeroes.
    Zero,
    /// Takes nothing (ENOSPC), gives zeroes.
    Full,
    /// Takes all, gives random bytes.
    Random,
    /// The same by another name.
    Urandom,
}

impl Device {
    /// By the number that names them to a program that inherits one.
    pub const ALL: [Device; 5] = [
        Device::Null,
        Device::Zero,
        Device::Full,
        Device::Random,
        Device::Urandom,
    ];

    /// The device with this number: major << 8 | minor, as Linux has them.
    pub fn of_number(number: u64) -> Option<Device> {
        Some(match (number >> 8, number & 0xff) {
            (1, 3) => Device::Null,
            (1, 5) => Device::Zero,
            (1, 7) => Device::Full,
            (1, 8) => Device::Random,
            (1, 9) => Device::Urandom,
            _ => return None,
        })
    }
}

impl File for Device {
    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        Ok(Some(Heir::Device(*self as u32)))
    }

    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Device::Null => return Ok(0),
            Device::Zero | Device::Full => buffer.fill(0),
            Device::Random | Device::Urandom => random::fill(buffer),
        }
        Ok(buffer.len())
    }

    fn read_at(&self, buffer: &mut [u8], _: u64) -> Result<usize, Errno> {
        self.read(buffer)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match self {
            Device::Full if !bytes.is_empty() => Err(Errno::ENOSPC),
            _ => Ok(bytes.len()),
        }
    }

    fn write_at(&self, bytes: &[u8], _: u64) -> Result<usize, Errno> {
        self.write(bytes)
    }

    fn seek(&self, _: i64, _: usize) -> Result<u64, Errno> {
        Ok(0)
    }

    fn stat(&self) -> Stat {
        // The minor numbers of Linux's memory devices.
        let minor = match self {
            Device::Null => 3,
            Device::Zero => 5,
            Device::Full => 7,
            Device::Random => 8,
            Device::Urandom => 9,
        };
        character_stat(1, minor)
    }

    fn mappable(&self) -> Result<Mappable, Errno> {
        match self {
            Device::Zero => Ok(Mappable::Zero),
            _ => Err(Errno::ENODEV),
        }
    }
}
