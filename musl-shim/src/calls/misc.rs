// SPDX-License-Identifier: BSD-2-Clause
//! What fits nowhere else: the system's name and size, random bytes, threads that cannot be made yet.

use crate::errno::Errno;

use crate::abi::{Sysinfo, Utsname};
use crate::clock::{self, SECOND};
use crate::dispatch::{Args, Call};
use crate::{memory, platform, random, user};

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("uname", 63, uname),
    Call::new("sysinfo", 99, sysinfo),
    Call::new("getrandom", 318, getrandom),
];

fn field(text: &str) -> [u8; 65] {
    let mut field = [0; 65];
    field[..text.len()].copy_from_slice(text.as_bytes());
    field
}

/// `Linux`, since that is the interface that programs find; the kernel is told apart in `version`.
fn uname(args: &Args) -> Result<usize, Errno> {
    let name = Utsname {
        sysname: field("Linux"),
        nodename: field("sel4"),
        release: field("6.1.0-posix-poll"),
        version: field(platform::process::version()),
        machine: field("x86_64"),
        domainname: field("(none)"),
    };
    user::write(args[0], name)?;
    Ok(0)
}

/// <https://man7.org/linux/man-pages/man2/sysinfo.2.html>
fn sysinfo(args: &Args) -> Result<usize, Errno> {
    // Where nobody can say, free memory is what this process has not mapped.
    let [free, processes] = platform::children::usage().unwrap_or_else(|_| {
        let used = memory::with(|memory| memory.committed()) as u64;
        [platform::memory::total().saturating_sub(used), 1]
    });
    let answer = Sysinfo {
        uptime: (clock::monotonic() / SECOND) as i64,
        loads: [0; 3],
        totalram: platform::memory::total(),
        freeram: free,
        sharedram: 0,
        bufferram: 0,
        totalswap: 0,
        freeswap: 0,
        procs: processes as u32,
        pad: 0,
        totalhigh: 0,
        freehigh: 0,
        mem_unit: 1,
        tail: 0,
    };
    user::write(args[0], answer)?;
    Ok(0)
}

fn getrandom(args: &Args) -> Result<usize, Errno> {
    let buffer = user::bytes_mut(args[0], args[1].min(user::MAX_TRANSFER))?;
    random::fill(buffer);
    Ok(buffer.len())
}
