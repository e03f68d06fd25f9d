// SPDX-License-Identifier: BSD-2-Clause
//! The root server as the VFS server sees it: what it laid out, and what can be asked of it.

use guest_rt::root::info;
use sel4_bindings::{CPtr, MessageInfo, call as sel4_call, rdtsc};
use vfs_hooks::file::{Header, address};
use vfs_hooks::process::slot;
use vfs_hooks::wire;
use vfs_hooks::wire::root::{OWNER_OPEN, OWNER_PROCESS};
use vfs_server::{Errno, Files, Owner};

/// CLOCK_REALTIME, nanoseconds.
pub fn now() -> u64 {
    let info = info();
    let ticks = rdtsc().wrapping_sub(info.tsc_base);
    let since = ((u128::from(ticks) * u128::from(info.tsc_scale)) >> 32) as u64;
    info.realtime_base.wrapping_add(since)
}

/// Asks for something; its result.
fn ask(label: u64, words: [u64; 3]) -> Result<u64, Errno> {
    let [a, b, c] = words;
    let reply = sel4_call(
        CPtr(slot::ROOT),
        MessageInfo::new(label, 0, 3),
        [a, b, c, 0],
    );
    match reply.mrs[0] {
        0 => Ok(reply.mrs[1]),
        errno => Err(Errno(errno as u32)),
    }
}

/// Shared files are the root server's.
#[derive(Debug)]
pub struct Root;

impl Files for Root {
    fn create(&mut self, (offset, len): (u64, u64), process: usize) -> Result<u32, Errno> {
        let words = [offset, len, process as u64];
        ask(wire::root::FILE_CREATE, words).map(|number| number as u32)
    }

    fn grant(&mut self, file: u32, process: usize) -> Result<(), Errno> {
        ask(wire::root::FILE_GRANT, [file.into(), process as u64, 0]).map(drop)
    }

    fn end(&mut self, file: u32) -> bool {
        ask(wire::root::FILE_END, [file.into(), 0, 0]).is_ok()
    }

    fn watch_owner(&mut self, process: usize, owner: Owner) -> Result<(), Errno> {
        let words = match owner {
            Owner::Process(_) => [process as u64, OWNER_PROCESS, 0],
            Owner::Open(channel) => [process as u64, OWNER_OPEN, channel.into()],
        };
        ask(wire::root::OWNER_WATCH, words).map(drop)
    }

    fn ended_owner(&mut self) -> Option<Owner> {
        let word = ask(wire::root::OWNER_ENDED, [0; 3]).ok()?;
        let number = word as u32;
        match word >> 32 {
            OWNER_PROCESS => Some(Owner::Process(number as usize)),
            OWNER_OPEN => Some(Owner::Open(number)),
            _ => None,
        }
    }

    fn tell(&mut self, channel: u32, value: u64, news: bool) {
        // Refused only if the channel has ended.
        let _ = ask(
            wire::root::CHANNEL_TELL,
            [channel.into(), value, news.into()],
        );
    }

    fn watching(&mut self, on: bool) {
        // Nothing in it can be refused.
        let _ = ask(wire::root::WATCHING, [on.into(), 0, 0]);
    }

    fn kick(&mut self, process: usize, thread: u16) {
        // Refused only if the process has ended.
        let _ = ask(wire::root::KICK, [process as u64, thread.into(), 0]);
    }

    fn open_fifo(&mut self, inode: u64, process: usize, how: u64) -> Result<u64, Errno> {
        ask(wire::root::FIFO_OPEN, [inode, process as u64, how])
    }

    fn has_room(&self) -> bool {
        guest_rt::heap::has_room(0)
    }

    fn header(&self, file: u32) -> &Header {
        // SAFETY: FILE_CREATE mapped it there, and it stays until FILE_END, after which the server has no such number; it consists of atomics.
        unsafe { &*(address(file as usize) as *const Header) }
    }
}
