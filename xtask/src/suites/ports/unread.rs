// SPDX-License-Identifier: BSD-2-Clause
//! How much waits unread in a socket of this machine, whoever has it: sock_diag(7).
//!
//! /proc/net/tcp says it too, but reading that walks through all of Linux's table of connections: 15 ms on a machine with a large one, with no connection in it.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddrV4;
use std::os::fd::{FromRawFd as _, OwnedFd};

// linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const REQUEST: u16 = 1;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct inet_diag_req_v2`.
const QUESTION: usize = 56;
/// Where `idiag_rqueue` is, behind the header and what comes before it in `struct inet_diag_msg`.
const UNREAD: usize = HEADER + 56;

/// A socket to ask Linux by.
pub struct Diagnosis(File);

impl Diagnosis {
    pub fn new() -> io::Result<Diagnosis> {
        // SAFETY: takes numbers; the result is a new descriptor, which nobody else knows, or -1.
        let socket = unsafe {
            match libc::socket(
                libc::AF_NETLINK,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC,
                libc::NETLINK_SOCK_DIAG,
            ) {
                -1 => return Err(io::Error::last_os_error()),
                fd => OwnedFd::from_raw_fd(fd),
            }
        };
        Ok(Diagnosis(File::from(socket)))
    }

    /// Bytes that wait in the TCP socket at `own` whose peer is at `peer`; `None` if there is none.
    pub fn unread(&mut self, own: SocketAddrV4, peer: SocketAddrV4) -> io::Result<Option<u32>> {
        let mut question = Vec::with_capacity(HEADER + QUESTION);
        question.extend(((HEADER + QUESTION) as u32).to_ne_bytes());
        question.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        question.extend(REQUEST.to_ne_bytes());
        question.extend([0; 8]);
        question.extend([libc::AF_INET as u8, libc::IPPROTO_TCP as u8, 0, 0]);
        // Whatever its state.
        question.extend(u32::MAX.to_ne_bytes());
        question.extend(own.port().to_be_bytes());
        question.extend(peer.port().to_be_bytes());
        for address in [own, peer] {
            question.extend(address.ip().octets());
            question.extend([0; 12]);
        }
        // On any interface, of any cookie.
        question.extend([0; 4]);
        question.extend([0xff; 8]);
        self.0.write_all(&question)?;
        let mut answer = [0; 1024];
        let count = self.0.read(&mut answer)?;
        let answer = &answer[..count];
        // What is no answer of that kind is an error.
        let kind = answer.get(4..6) == Some(&SOCK_DIAG_BY_FAMILY.to_ne_bytes()[..]);
        let bytes = answer
            .get(UNREAD..)
            .and_then(|rest| rest.first_chunk::<4>());
        Ok(bytes
            .filter(|_| kind)
            .map(|&bytes| u32::from_ne_bytes(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

    use super::*;

    fn v4(address: io::Result<SocketAddr>) -> SocketAddrV4 {
        match address {
            Ok(SocketAddr::V4(address)) => address,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_unread_is_counted() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let (own, peer) = (v4(server.local_addr()), v4(server.peer_addr()));
        let mut diagnosis = Diagnosis::new().unwrap();
        assert_eq!(diagnosis.unread(own, peer).unwrap(), Some(0));
        client.write_all(&[7; 1234]).unwrap();
        assert_eq!(diagnosis.unread(own, peer).unwrap(), Some(1234));
        server.read_exact(&mut [0; 1000]).unwrap();
        assert_eq!(diagnosis.unread(own, peer).unwrap(), Some(234));
        assert_eq!(diagnosis.unread(peer, own).unwrap(), Some(0));
        let nobody = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
        assert_eq!(diagnosis.unread(nobody, peer).unwrap(), None);
    }
}
