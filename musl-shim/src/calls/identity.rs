// SPDX-License-Identifier: BSD-2-Clause
//! User and group: every process has the same, and no privilege to become anybody else.

use crate::dispatch::{Args, Call};
use crate::errno::Errno;
use crate::process::UID;
use crate::user;

/// The calls of this area.
pub const CALLS: &[Call] = &[
    Call::new("getuid", 102, uid),
    Call::new("getgid", 104, uid),
    Call::new("setuid", 105, setid),
    Call::new("setgid", 106, setid),
    Call::new("geteuid", 107, uid),
    Call::new("getegid", 108, uid),
    Call::new("setreuid", 113, setreid),
    Call::new("setregid", 114, setreid),
    Call::new("getgroups", 115, getgroups),
    Call::new("setgroups", 116, setgroups),
    Call::new("setresuid", 117, setresid),
    Call::new("getresuid", 118, getresid),
    Call::new("setresgid", 119, setresid),
    Call::new("getresgid", 120, getresid),
    Call::new("setfsuid", 122, uid),
    Call::new("setfsgid", 123, uid),
];

/// Stands for "as it is".
const KEEP: u32 = u32::MAX;

fn uid(_: &Args) -> Result<usize, Errno> {
    Ok(UID)
}

fn getresid(args: &Args) -> Result<usize, Errno> {
    for &at in &args[..3] {
        user::write(at, UID as u32)?;
    }
    Ok(0)
}

/// Only the own group.
fn getgroups(args: &Args) -> Result<usize, Errno> {
    match args[0] as i32 {
        ..0 => return Err(Errno::EINVAL),
        0 => {}
        1.. => user::write(args[1], UID as u32)?,
    }
    Ok(1)
}

fn setid(args: &Args) -> Result<usize, Errno> {
    match args[0] as u32 {
        KEEP => Err(Errno::EINVAL),
        id => become_(&[id]),
    }
}

fn setreid(args: &Args) -> Result<usize, Errno> {
    become_(&[args[0] as u32, args[1] as u32])
}

fn setresid(args: &Args) -> Result<usize, Errno> {
    become_(&[args[0] as u32, args[1] as u32, args[2] as u32])
}

/// EPERM unless each is what it was.
fn become_(ids: &[u32]) -> Result<usize, Errno> {
    match ids.iter().all(|&id| id == KEEP || id as usize == UID) {
        true => Ok(0),
        false => Err(Errno::EPERM),
    }
}

/// That takes a privilege, whatever the groups are.
fn setgroups(_: &Args) -> Result<usize, Errno> {
    Err(Errno::EPERM)
}
