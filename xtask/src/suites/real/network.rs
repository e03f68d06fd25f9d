// SPDX-License-Identifier: BSD-2-Clause
//! A network of its own for a test program, a time limit, and an identity that is not root's.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::Result;

/// Debian's `nobody`.
pub const NOBODY: u32 = 65534;

/// Has the command start in a network with nothing but a loopback interface, in a process group of its own; as `nobody` if that is wanted and we are root.
pub fn isolate(command: &mut Command, nobody: bool) {
    command.process_group(0);
    // SAFETY: between fork and exec only system calls are made, with values of the closure's own.
    unsafe {
        command.pre_exec(move || {
            let root = libc::geteuid() == 0;
            let flags = if root {
                libc::CLONE_NEWNET
            } else {
                libc::CLONE_NEWUSER | libc::CLONE_NEWNET
            };
            check(libc::unshare(flags))?;
            raise_loopback()?;
            if root && nobody {
                check(libc::setgroups(0, std::ptr::null()))?;
                check(libc::setresgid(NOBODY, NOBODY, NOBODY))?;
                check(libc::setresuid(NOBODY, NOBODY, NOBODY))?;
            }
            Ok(())
        });
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// `ip link set lo up`.
fn raise_loopback() -> io::Result<()> {
    // SAFETY: a struct of integers and arrays, all zero; the kernel reads it.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        check(socket)?;
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
            *to = *from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        let result = check(libc::ioctl(
            socket,
            libc::SIOCSIFFLAGS as _,
            &raw const request,
        ));
        libc::close(socket);
        result
    }
}

/// Waits; `None` and an end for the whole process group if it takes longer.
pub fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            // SAFETY: the group was made for this child, which has not been reaped.
            unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
