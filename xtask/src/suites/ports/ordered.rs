// SPDX-License-Identifier: BSD-2-Clause
//! A way through QEMU's forward that keeps the order of what comes on different connections.
//!
//! QEMU looks at its forwarded connections in turns, the newest first: when several have data by the time that it looks, the guest gets that in another order than it was sent. On
//! Linux's loopback, and on a wire, the order stays, and tests with several clients in one program rely on it. So this proxy passes on one piece at a time: it takes its
//! connections in the order in which epoll reports them, which is that of arrival, and before it goes to another it waits until QEMU has taken the last piece.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::unread::Diagnosis;

/// Most bytes of one piece.
const PIECE: usize = 64 << 10;
/// How long QEMU may leave a piece: it does so while the guest takes no more on that connection, and others may have to go first.
const PATIENCE: Duration = Duration::from_secs(2);
/// The listener's key.
const LISTENER: u64 = 0;

/// One direction's end.
struct End {
    socket: TcpStream,
    /// Key of the other end.
    other: u64,
    /// Read from the other end and not yet written.
    pending: Vec<u8>,
    /// The other end will send no more.
    last: bool,
    /// This end will send no more.
    ended: bool,
    /// It takes no more: it was reset. What it had sent before is passed on.
    reset: bool,
    /// QEMU is behind this one.
    inner: bool,
}

struct Proxy {
    epoll: OwnedFd,
    diagnosis: Diagnosis,
    listener: TcpListener,
    target: SocketAddr,
    ends: BTreeMap<u64, End>,
    next: u64,
    /// The end with QEMU behind it that was written to last.
    latest: u64,
}

/// Leads to `target`, a forward of QEMU's; the address of the proxy, which lives as long as this program.
pub fn lead_to(target: SocketAddr) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    // SAFETY: takes a number; the result is a new descriptor, which nobody else knows, or -1.
    let epoll = unsafe {
        match libc::epoll_create1(libc::EPOLL_CLOEXEC) {
            -1 => return Err(io::Error::last_os_error().into()),
            fd => OwnedFd::from_raw_fd(fd),
        }
    };
    let mut proxy = Proxy {
        epoll,
        diagnosis: Diagnosis::new().context("cannot ask Linux about sockets")?,
        listener,
        target,
        ends: BTreeMap::new(),
        next: LISTENER + 1,
        latest: LISTENER,
    };
    proxy.control(
        libc::EPOLL_CTL_ADD,
        proxy.listener.as_raw_fd(),
        libc::EPOLLIN,
        LISTENER,
    )?;
    std::thread::spawn(move || {
        while let Ok(keys) = proxy.wait() {
            for key in keys {
                proxy.turn(key);
            }
        }
    });
    Ok(address)
}

impl Proxy {
    fn control(&self, operation: i32, fd: i32, events: i32, key: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: events as u32,
            u64: key,
        };
        // SAFETY: descriptors that we own, and an event that lives as long as the call.
        match unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &raw mut event) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// What has come, in the order in which it came.
    fn wait(&self) -> io::Result<Vec<u64>> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
        loop {
            // SAFETY: the kernel writes at most as many events as there are.
            let count = unsafe {
                libc::epoll_wait(
                    self.epoll.as_raw_fd(),
                    events.as_mut_ptr(),
                    events.len() as i32,
                    -1,
                )
            };
            match usize::try_from(count) {
                Ok(count) => return Ok(events[..count].iter().map(|event| event.u64).collect()),
                Err(_) if io::Error::last_os_error().kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(io::Error::last_os_error()),
            }
        }
    }

    fn turn(&mut self, key: u64) {
        if key == LISTENER {
            // A client that is gone already, or a guest that is.
            let _ = self.accept();
        } else if self.relay(key).is_err() {
            self.drop_pair(key);
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        let (client, _) = self.listener.accept()?;
        let server = TcpStream::connect(self.target)?;
        let keys = [self.next, self.next + 1];
        self.next += 2;
        for (socket, key, other) in [(client, keys[0], keys[1]), (server, keys[1], keys[0])] {
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            self.control(libc::EPOLL_CTL_ADD, socket.as_raw_fd(), libc::EPOLLIN, key)?;
            let end = End {
                socket,
                other,
                pending: Vec::new(),
                last: false,
                ended: false,
                reset: false,
                inner: key == keys[1],
            };
            self.ends.insert(key, end);
        }
        Ok(())
    }

    /// Writes what waits for this end, and reads what it has if the other takes it.
    fn relay(&mut self, key: u64) -> io::Result<()> {
        self.write(key)?;
        let Some(end) = self.ends.get(&key) else {
            return Ok(());
        };
        let other = end.other;
        let free = self.ends.get(&other).is_some_and(|o| o.pending.is_empty());
        if free && !end.ended {
            let mut piece = vec![0; PIECE];
            match (&end.socket).read(&mut piece) {
                Ok(0) => self.end(key, false),
                Ok(count) => {
                    piece.truncate(count);
                    if let Some(other) = self.ends.get_mut(&other) {
                        other.pending = piece;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.end(key, true),
            }
            self.write(other)?;
        }
        self.watch(key)?;
        self.watch(other)?;
        let pair = [key, other].map(|key| self.ends.get(&key));
        let flushed = pair.iter().flatten().all(|end| end.pending.is_empty());
        let over = pair.iter().flatten().all(|end| end.ended)
            || pair.iter().flatten().any(|end| end.ended && end.reset);
        if flushed && over {
            self.drop_pair(key);
        }
        Ok(())
    }

    /// Nothing more comes from there.
    fn end(&mut self, key: u64, reset: bool) {
        let Some(end) = self.ends.get_mut(&key) else {
            return;
        };
        end.ended = true;
        end.reset |= reset;
        let other = end.other;
        if let Some(other) = self.ends.get_mut(&other) {
            other.last = true;
        }
    }

    fn write(&mut self, key: u64) -> io::Result<()> {
        let Some(end) = self.ends.get(&key) else {
            return Ok(());
        };
        if end.inner && !end.pending.is_empty() && self.latest != key {
            if let Some(before) = self.ends.get(&self.latest) {
                // One that has ended leaves nothing.
                let _ = until_taken(&mut self.diagnosis, &before.socket);
            }
            self.latest = key;
        }
        let Some(end) = self.ends.get_mut(&key) else {
            return Ok(());
        };
        while !end.pending.is_empty() {
            match end.socket.write(&end.pending) {
                Ok(count) => drop(end.pending.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => {
                    end.reset = true;
                    end.pending.clear();
                    return Ok(());
                }
            }
        }
        if end.last {
            let _ = end.socket.shutdown(Shutdown::Write);
        }
        Ok(())
    }

    /// Asks for what can go on now: input that the other end has room for, room for what waits.
    fn watch(&self, key: u64) -> io::Result<()> {
        let Some(end) = self.ends.get(&key) else {
            return Ok(());
        };
        let mut events = 0;
        let other = self.ends.get(&end.other);
        if !end.ended && other.is_some_and(|other| other.pending.is_empty()) {
            events |= libc::EPOLLIN;
        }
        if !end.pending.is_empty() {
            events |= libc::EPOLLOUT;
        }
        self.control(libc::EPOLL_CTL_MOD, end.socket.as_raw_fd(), events, key)
    }

    fn drop_pair(&mut self, key: u64) {
        if let Some(end) = self.ends.remove(&key) {
            self.ends.remove(&end.other);
        }
    }
}

/// Waits until whoever is at the other end of a connection within this machine has read all.
fn until_taken(diagnosis: &mut Diagnosis, socket: &TcpStream) -> io::Result<()> {
    let (SocketAddr::V4(peer), SocketAddr::V4(own)) = (socket.peer_addr()?, socket.local_addr()?)
    else {
        return Err(ErrorKind::Unsupported.into());
    };
    let give_up = Instant::now() + PATIENCE;
    while diagnosis.unread(peer, own)?.is_some_and(|count| count > 0) && Instant::now() < give_up {
        std::thread::sleep(Duration::from_micros(50));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_before_a_reset_is_passed_on() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = lead_to(server.local_addr().unwrap()).unwrap();
        let serving = std::thread::spawn(move || {
            let (mut socket, _) = server.accept().unwrap();
            socket.read_exact(&mut [0]).unwrap();
            // Closing with something unread resets.
            socket.write_all(b"enough").unwrap();
        });
        let mut client = TcpStream::connect(address).unwrap();
        while client.write_all(&[7; 5000]).is_ok() {}
        serving.join().unwrap();
        let mut got = [0; 6];
        client.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"enough");
    }

    #[test]
    fn all_bytes_come_through_and_both_ends_end() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = lead_to(server.local_addr().unwrap()).unwrap();
        let sent: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
        let want = sent.clone();
        let serving = std::thread::spawn(move || {
            let (mut socket, _) = server.accept().unwrap();
            let mut got = Vec::new();
            socket.read_to_end(&mut got).unwrap();
            socket.write_all(&got).unwrap();
        });
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(&sent).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut got = Vec::new();
        client.read_to_end(&mut got).unwrap();
        serving.join().unwrap();
        assert!(got == want);
    }
}
