// SPDX-License-Identifier: BSD-2-Clause
//! The backlog of QEMU's forwards.
//!
//! QEMU listens with a backlog of 1: when many clients come at once, Linux drops handshakes and each tries again after one second, then two, then four, whatever the
//! guest does. listen(2) on a listening socket sets its backlog anew, and QEMU is our child, so we may take a copy of its descriptor.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// How many clients may wait for QEMU: what programs commonly ask for, and Linux allows.
const BACKLOG: libc::c_int = 1024;

/// Raises the backlog of all sockets that process `pid` listens on; how many there were.
pub fn raise(pid: u32) -> io::Result<usize> {
    // SAFETY: takes numbers only; the result is a new descriptor or -1.
    let process = owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let mut raised = 0;
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))?.flatten() {
        let is_socket = fs::read_link(entry.path())
            .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok());
        let (true, Some(number)) = (is_socket, number) else {
            continue;
        };
        // SAFETY: as above.
        let copy = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) };
        let socket = owned(copy)?;
        if is_listening(&socket) {
            // SAFETY: a descriptor that we own; no memory is touched.
            if unsafe { libc::listen(socket.as_raw_fd(), BACKLOG) } != 0 {
                return Err(io::Error::last_os_error());
            }
            raised += 1;
        }
    }
    Ok(raised)
}

/// The result of a call that returns a new descriptor.
fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(result) {
        // SAFETY: the kernel has just made it for us, and nobody else knows its number.
        Ok(number @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn is_listening(socket: &OwnedFd) -> bool {
    let mut value: libc::c_int = 0;
    let mut size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes an int and its size, which are ours.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ACCEPTCONN,
            (&raw mut value).cast(),
            &raw mut size,
        )
    };
    result == 0 && value != 0
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_raised_backlog_takes_many_at_once() {
        // SAFETY: a fresh socket, bound to an address that lies on the stack, for std to own.
        let listener = unsafe {
            let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
            assert!(socket >= 0);
            let mut address: libc::sockaddr_in = std::mem::zeroed();
            address.sin_family = libc::AF_INET as libc::sa_family_t;
            address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
            let size = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            assert_eq!(libc::bind(socket, (&raw const address).cast(), size), 0);
            assert_eq!(libc::listen(socket, 1), 0);
            TcpListener::from_raw_fd(socket)
        };
        let address = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(300));
        let few: Vec<_> = (0..10).map_while(|_| connect().ok()).collect();
        assert!(few.len() < 10, "this Linux has no limit to be raised");
        // A socket that does not listen stays as it is.
        let _other = UnixStream::pair().unwrap();
        assert!(raise(std::process::id()).unwrap() >= 1);
        let many: Vec<_> = (0..100).map_while(|_| connect().ok()).collect();
        assert_eq!(many.len(), 100);
    }
}
