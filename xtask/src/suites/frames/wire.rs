// SPDX-License-Identifier: BSD-2-Clause
//! The cable between us and the guest's network card: one datagram is one Ethernet frame.
//!
//! Both ends are a socket pair, so no frame is lost unless [`Faults`] say so: a full socket holds up
//! QEMU, which holds up the guest's card.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::chance::Chance;

/// How long a frame is held back for others to overtake it.
const DELAY: Duration = Duration::from_millis(5);
/// Ethernet's header.
const ETHERNET: usize = 14;

/// What happens to frames, in both directions alike: one in so many; 0: never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Lost.
    pub lose: u32,
    /// Arrives twice.
    pub double: u32,
    /// Overtaken by others.
    pub delay: u32,
    /// One bit of an IPv4 packet is the other way round.
    pub flip: u32,
    /// Ends early.
    pub cut: u32,
}

/// One direction.
struct Path {
    faults: Faults,
    chance: Chance,
    frames: VecDeque<Vec<u8>>,
    held: VecDeque<(Instant, Vec<u8>)>,
}

impl Path {
    fn new(seed: u64) -> Self {
        Self {
            faults: Faults::default(),
            chance: Chance::new(seed),
            frames: VecDeque::new(),
            held: VecDeque::new(),
        }
    }

    fn put(&mut self, mut frame: Vec<u8>, now: Instant) {
        let faults = self.faults;
        if self.chance.one_in(faults.lose) {
            return;
        }
        if self.chance.one_in(faults.flip) && frame.get(12..14) == Some(&[8, 0][..]) {
            let bits = (frame.len() - ETHERNET) * 8;
            let bit = ETHERNET * 8 + self.chance.below(bits);
            frame[bit / 8] ^= 1 << (bit % 8);
        }
        if self.chance.one_in(faults.cut) && !frame.is_empty() {
            // An empty datagram would mean the end to QEMU.
            frame.truncate(1 + self.chance.below(frame.len()));
        }
        if self.chance.one_in(faults.delay) {
            self.held.push_back((now + DELAY, frame));
            return;
        }
        if self.chance.one_in(faults.double) {
            self.frames.push_back(frame.clone());
        }
        self.frames.push_back(frame);
    }

    /// Lets frames go that were held back long enough.
    fn release(&mut self, now: Instant) {
        while let Some((due, _)) = self.held.front()
            && *due <= now
        {
            self.frames
                .extend(self.held.pop_front().map(|(_, frame)| frame));
        }
    }

    fn due(&self) -> Option<Instant> {
        self.held.front().map(|(due, _)| *due)
    }
}

/// Our end of the cable.
pub struct Wire {
    socket: UnixDatagram,
    there: Path,
    here: Path,
}

impl Wire {
    /// A cable, and its other end for QEMU.
    pub fn pair() -> Result<(Self, OwnedFd)> {
        let (socket, other) = UnixDatagram::pair().context("cannot make a socket pair")?;
        socket.set_nonblocking(true)?;
        let wire = Self {
            socket,
            there: Path::new(1),
            here: Path::new(2),
        };
        Ok((wire, other.into()))
    }

    /// From now on frames meet these faults, decided by `seed`.
    pub fn set_faults(&mut self, faults: Faults, seed: u64) {
        for (path, seed) in [(&mut self.there, seed), (&mut self.here, !seed)] {
            path.faults = faults;
            path.chance = Chance::new(seed);
        }
    }

    /// Sends a frame to the guest, as soon as there is room.
    pub fn send(&mut self, frame: Vec<u8>) {
        self.there.put(frame, Instant::now());
    }

    /// The next frame from the guest that [`Wire::exchange`] brought.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        self.here.frames.pop_front()
    }

    /// Moves frames in both directions as far as they go now. Returns whether any moved.
    pub fn exchange(&mut self) -> Result<bool> {
        let now = Instant::now();
        let mut busy = false;
        self.there.release(now);
        while let Some(frame) = self.there.frames.front() {
            match self.socket.send(frame) {
                Ok(_) => busy = true,
                Err(error) if is_later(&error) => break,
                // More than a datagram of this system holds.
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {}
                Err(error) => bail!("the machine takes no frames any more: {error}"),
            }
            self.there.frames.pop_front();
        }
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(0) => bail!("the machine sends no frames any more"),
                Ok(size) => self.here.put(buffer[..size].to_vec(), now),
                Err(error) if is_later(&error) => break,
                Err(error) => bail!("the machine sends no frames any more: {error}"),
            }
            busy = true;
        }
        self.here.release(now);
        Ok(busy || !self.here.frames.is_empty())
    }

    /// Waits until frames can move, at most until `until`.
    pub fn wait(&self, until: Instant) -> Result<()> {
        let dues = [self.there.due(), self.here.due()];
        let until = dues.into_iter().flatten().fold(until, Instant::min);
        let time = until.saturating_duration_since(Instant::now());
        // Rounded up: a wait that ends too early would spin.
        let milliseconds = time.as_micros().div_ceil(1000).min(60_000);
        let mut events = libc::POLLIN;
        if !self.there.frames.is_empty() {
            events |= libc::POLLOUT;
        }
        let mut descriptor = libc::pollfd {
            fd: self.socket.as_raw_fd(),
            events,
            revents: 0,
        };
        // SAFETY: one valid pollfd, alive during the call.
        let result = unsafe { libc::poll(&mut descriptor, 1, milliseconds as i32) };
        let error = Error::last_os_error();
        if result < 0 && error.kind() != ErrorKind::Interrupted {
            return Err(error).context("cannot wait for frames");
        }
        Ok(())
    }
}

fn is_later(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
        || error.raw_os_error() == Some(libc::ENOBUFS)
}
