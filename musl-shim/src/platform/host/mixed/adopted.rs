// SPDX-License-Identifier: BSD-2-Clause
//! Pipes and eventfds that can leave the process: then the real one beneath takes what ours holds, and serves from now on. The source stays, and who
//! watches it.

use alloc::format;
use alloc::rc::Weak;
use core::cell::{Cell, RefCell};

use vfs_hooks::Events;
use vfs_hooks::source::{SourceId, Sources};

use super::super::raw::{self, nr};
use super::source::Behind;
use super::{Kept, Real};
use crate::abi::{O_NONBLOCK, O_WRONLY, Stat};
use crate::errno::Errno;
use crate::files::{File, OpenFile};
use crate::poller::core;

/// A file of ours, until it is Linux's.
pub struct Adopted<F> {
    source: SourceId,
    number: Cell<i32>,
    /// The other end of a pipe.
    partner: RefCell<Weak<OpenFile>>,
    /// Ours; `None` only while it is dropped.
    own: Option<F>,
    /// Linux's, once it is.
    behind: RefCell<Option<Behind>>,
    /// After `behind`, which goes by it.
    kept: Cell<Option<Kept>>,
}

/// Makes a file of ours one that can leave the process.
pub fn adopt<F: File + 'static>(own: F) -> Adopted<F> {
    Adopted {
        source: own.source(),
        number: Cell::new(-1),
        partner: RefCell::new(Weak::new()),
        own: Some(own),
        behind: RefCell::new(None),
        kept: Cell::new(None),
    }
}

impl<F: File> Adopted<F> {
    /// Asks our file, or the real one by `call`, which must not block: for a call that began when it was ours.
    fn transfer(
        &self,
        ours: impl FnOnce(&F) -> Result<usize, Errno>,
        call: usize,
        wanted: Events,
        [address, len]: [usize; 2],
    ) -> Result<usize, Errno> {
        if let Some(own) = self.ours() {
            return ours(own);
        }
        if !core()
            .level(self.source)
            .intersects(wanted | Events::ALWAYS)
        {
            return Err(Errno::EAGAIN);
        }
        // SAFETY: the range is a slice of the caller's, to read or write as the call does.
        unsafe { raw::call(call, [self.number.get() as usize, address, len]) }
    }

    /// What our file says of itself, as long as it is asked.
    fn ask<R>(&self, ask: impl FnOnce(&F) -> R) -> Option<R> {
        self.ours().map(ask)
    }

    /// Our file, unless it is Linux's.
    fn ours(&self) -> Option<&F> {
        match &*self.behind.borrow() {
            None => self.own.as_ref(),
            Some(_) => None,
        }
    }

    /// Our ends of a pipe that is Linux's tell each other of ends that are none: the level is Linux's alone.
    fn silence(&self) {
        let other = self.partner.borrow().upgrade();
        for source in [Some(self.source), other.map(|other| other.source())] {
            let source = source.unwrap_or(SourceId::NONE);
            core().publish(source, Events::empty(), Events::empty());
        }
    }

    /// An fd that leads into the real pipe, whose write end the program may have closed.
    fn pipe_input(&self) -> Option<usize> {
        const AT_FDCWD: usize = -100isize as usize;
        let path = format!("/proc/self/fd/{}\0", self.number.get());
        let flags = (O_WRONLY | O_NONBLOCK) as usize;
        // SAFETY: the kernel reads the path.
        unsafe { raw::call(nr::OPENAT, [AT_FDCWD, path.as_ptr() as usize, flags]) }.ok()
    }

    /// Moves what our file holds into the real one, which is empty and holds as much: nothing blocks.
    fn pour(&self, own: &F) {
        let is_pipe = own.pipe_size().is_some();
        let mut chunk = [0; 4096];
        let mut opened = None;
        while let Ok(n @ 1..) = own.drain(&mut chunk) {
            if is_pipe && opened.is_none() {
                opened = self.pipe_input();
            }
            let to = opened.unwrap_or(self.number.get() as usize);
            // SAFETY: the kernel reads the bytes.
            unsafe { raw::syscall(nr::WRITE, &[to, chunk.as_ptr() as usize, n, 0, 0, 0]) };
        }
        if let Some(opened) = opened {
            // SAFETY: opened above, for this.
            unsafe { raw::syscall(nr::CLOSE, &[opened, 0, 0, 0, 0, 0]) };
        }
    }
}

impl<F: File> File for Adopted<F> {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let range = [buffer.as_mut_ptr() as usize, buffer.len()];
        self.transfer(|own| own.read(buffer), nr::READ, Events::IN, range)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let range = [bytes.as_ptr() as usize, bytes.len()];
        self.transfer(|own| own.write(bytes), nr::WRITE, Events::OUT, range)
    }

    fn write_packets(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let range = [bytes.as_ptr() as usize, bytes.len()];
        self.transfer(
            |own| own.write_packets(bytes),
            nr::WRITE,
            Events::OUT,
            range,
        )
    }

    fn has_packets(&self) -> bool {
        self.ask(F::has_packets).unwrap_or(false)
    }

    fn stat(&self) -> Stat {
        self.ask(F::stat).unwrap_or(crate::files::empty_stat())
    }

    fn bytes_to_read(&self) -> Option<usize> {
        self.ask(F::bytes_to_read).flatten()
    }

    fn writes_records(&self) -> bool {
        self.ask(F::writes_records).unwrap_or(false)
    }

    fn gathers(&self) -> bool {
        self.ask(F::gathers).unwrap_or(true)
    }

    fn pipe_size(&self) -> Option<usize> {
        self.ask(F::pipe_size).flatten()
    }

    fn source(&self) -> SourceId {
        self.source
    }

    fn real(&self) -> Option<&dyn Real> {
        Some(self)
    }
}

impl<F: File> Real for Adopted<F> {
    fn number(&self) -> i32 {
        self.number.get()
    }

    fn take_number(&self, number: i32) {
        self.number.set(number);
        if let Some(behind) = &*self.behind.borrow() {
            behind.set_number(number);
        }
    }

    fn keep(&self, kept: Kept) {
        self.take_number(kept.number());
        self.kept.set(Some(kept));
    }

    fn watch_again(&self) {
        if let Some(behind) = &*self.behind.borrow() {
            behind.watch();
        }
    }

    fn become_hosts(&self) -> bool {
        let Some(own) = self.ours() else {
            return true;
        };
        self.pour(own);
        let Some(behind) = Behind::new(self.source, self.number.get()) else {
            return false;
        };
        *self.behind.borrow_mut() = Some(behind);
        self.silence();
        true
    }

    fn partner(&self) -> Option<&RefCell<Weak<OpenFile>>> {
        Some(&self.partner)
    }
}

impl<F> Drop for Adopted<F> {
    fn drop(&mut self) {
        // Its end is told to the other end of a pipe, which is to know better if it is Linux's.
        drop(self.own.take());
        if self.behind.get_mut().is_some()
            && let Some(other) = self.partner.get_mut().upgrade()
        {
            core().publish(other.source(), Events::empty(), Events::empty());
        }
    }
}
