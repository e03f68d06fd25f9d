// SPDX-License-Identifier: BSD-2-Clause
//! Beginning and end of processes: init, SPAWN, EXEC, FORK, EXIT, KILL, faults, WAIT.
//!
//! WAIT never waits. A saved reply capability would keep the parent inside its call, where no signal and no timeout reaches it; instead
//! it is told of each child's end by a counter in its information page and by a kick of its notification, and asks again. A
//! parent that sleeps in waitpid costs two requests for each child, and one that sleeps in epoll_wait none until it asks.

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;

use root_server::errno;
use root_server::family::{Ending, Pid, Usage};
use sel4_bindings::{CPtr, CapData, CapRights, EndpointBadge, Error};
use vfs_hooks::process::{badge, slot};
use vfs_hooks::spawn::{self, Block, MAX_BLOCK};
use vfs_hooks::sync::Ordering;
use vfs_hooks::wire::root::OWNER_PROCESS;

use crate::image::Image;
use crate::log;
use crate::memory::{Memory, can_remember};
use crate::process::Process;
use crate::programs::{Refused, checked};
use crate::signals::{SIGCONT, SIGSTOP, Sent};
use crate::system::{SERVER_FAILED, System};

/// Highest signal (signal(7)).
const LAST_SIGNAL: u64 = 64;
const SIGKILL: u64 = 9;

/// A wait status (wait(2)): of a process that exited, or that a signal ended.
pub fn exited(status: u64) -> u32 {
    (status as u32 & 0xff) << 8
}

/// See [`exited`].
pub fn killed(signal: u64) -> u32 {
    signal as u32 & 0x7f
}

/// What a shell makes of it: 128 + the signal.
fn exit_status(status: u32) -> u8 {
    match status & 0x7f {
        0 => (status >> 8) as u8,
        signal => 128 + signal as u8,
    }
}

impl System {
    /// Starts the first program.
    pub fn start_init(&mut self, block: &Block) -> Result<(), Refused> {
        let (process, used) = self.load(badge::INIT, badge::INIT, block)?;
        self.publish(&process);
        process.start(used)?;
        self.adopt(process);
        Ok(())
    }

    fn start(&mut self, parent: usize, number: usize, block: &Block) -> Result<(), u64> {
        let (mut process, used) = self.load(parent, number, block).map_err(Refused::errno)?;
        let passed = self.pass_channels(parent, &mut process, &block.channels);
        self.publish(&process);
        let started = passed.and_then(|()| process.start(used).map_err(|_| errno::ENOMEM));
        match started {
            Ok(()) => self.adopt(process),
            Err(_) => self.dismantle(process),
        }
        started
    }

    /// Loads a program that `caller` wants to run as process `number`.
    fn load(
        &mut self,
        caller: usize,
        number: usize,
        block: &Block,
    ) -> Result<(Process, usize), Refused> {
        let image = match block.file {
            None => self.programs.image(block.path)?,
            Some(file) => self.written_program(caller, file)?,
        };
        let loaded = self.load_image(number, block, &image);
        // If it worked, the process has it as well.
        Image::release(image, &mut self.memory)?;
        loaded
    }

    /// The program that a file holds which the caller holds: a copy, whatever becomes of the file.
    fn written_program(&mut self, caller: usize, file: u32) -> Result<Rc<Image>, Refused> {
        let memory = &mut self.memory;
        let first = self.files.contents(memory, caller, file);
        let contents = match first {
            Err(Refused::Kernel(_)) => {
                memory.relieve()?;
                self.files.contents(memory, caller, file)?
            }
            first => first?,
        };
        match checked(contents.bytes()) {
            Ok(elf) => Ok(Rc::new(Image::with(elf, Some(contents)))),
            Err(refused) => {
                contents.end(memory)?;
                Err(refused)
            }
        }
    }

    /// Loads a program; tries again with what unused frames are made of if there is no memory of the right size.
    fn load_image(
        &mut self,
        number: usize,
        block: &Block,
        image: &Rc<Image>,
    ) -> Result<(Process, usize), Refused> {
        let (memory, clock, endpoint) = (&mut self.memory, &self.clock, self.endpoint);
        let programs = &self.programs;
        let load = |memory: &mut Memory| {
            programs.load(memory, clock, endpoint, number, block, image.clone())
        };
        let loaded = match load(memory) {
            Err(Refused::Kernel(_)) => {
                memory.relieve()?;
                load(memory)
            }
            loaded => loaded,
        };
        let (process, used) = loaded?;
        match self.introduce(&process) {
            Ok(()) => Ok((process, used)),
            Err(error) => {
                self.dismantle(process);
                Err(error.into())
            }
        }
    }

    /// Gives a process its way to the VFS server.
    fn introduce(&self, process: &Process) -> crate::objects::Result<()> {
        if self.vfs_endpoint == CPtr::NULL {
            return Ok(());
        }
        let name = EndpointBadge::new(process.number as u64).ok_or(Error::RangeError)?;
        let call = CapRights::new(true, false, true);
        let name = CapData::endpoint(name);
        process.give(&self.memory, slot::VFS, self.vfs_endpoint, call, name)
    }

    /// Takes a process in, that runs already.
    fn adopt(&mut self, mut process: Process) {
        if process.started == 0 {
            process.started = self.clock.now();
        }
        self.processes.insert(process.number, process);
    }

    /// Writes what the information page says about its place among the others. Before it runs: the root server may be preempted as soon as it can.
    fn publish(&self, process: &Process) {
        self.publish_ids(process);
        let watching = &process.info().watching;
        watching.store(self.owners.watching.into(), Ordering::Release);
    }

    /// Writes a process's ids anew, if it is there.
    fn publish_ids_of(&self, number: usize) {
        if let Some(process) = self.processes.get(&number) {
            self.publish_ids(process);
        }
    }

    /// Writes the information page's ids.
    fn publish_ids(&self, process: &Process) {
        let Ok(ids) = self.family.ids(process.number as Pid) else {
            return;
        };
        let info = process.info();
        for (to, id) in [&info.parent, &info.group, &info.session]
            .into_iter()
            .zip(ids)
        {
            to.store(id, Ordering::Release);
        }
        self.console.publish(process);
    }

    /// Copies a SPAWN or EXEC block out of the caller's memory.
    fn block(&mut self, number: usize, address: u64, len: u64) -> Result<Vec<u8>, u64> {
        if len > MAX_BLOCK as u64 {
            return Err(errno::E2BIG);
        }
        // The block, its parts, and the stack that is made of them.
        if !guest_rt::heap::has_room(6 * len as usize) {
            return Err(errno::ENOMEM);
        }
        let process = self.processes.get(&number).ok_or(errno::ESRCH)?;
        let mut bytes = vec![0; len as usize];
        let whole = process
            .space
            .read(&mut self.memory, address as usize, &mut bytes);
        if whole { Ok(bytes) } else { Err(errno::EFAULT) }
    }

    /// SPAWN. The child's number.
    pub fn spawn(&mut self, number: usize, address: u64, len: u64) -> Result<u64, u64> {
        let bytes = self.block(number, address, len)?;
        let block = Block::parse(&bytes).map_err(|_| errno::EINVAL)?;
        let child = self.family.birth(number as Pid)?;
        let settled = self.settle(child, &block);
        let born = settled.and_then(|()| self.start(number, child as usize, &block));
        match born {
            Ok(()) => {
                self.family.executed(child);
                Ok(child.into())
            }
            Err(errno) => {
                self.family.unborn(child);
                Err(errno)
            }
        }
    }

    /// Puts a child into the group and session that it is to have.
    fn settle(&mut self, child: Pid, block: &Block) -> Result<(), u64> {
        if block.flags & spawn::NEW_SESSION != 0 {
            self.family.new_session(child)?;
        }
        if block.flags & spawn::SET_GROUP != 0 {
            self.family.set_group(child, 0, block.group)?;
        }
        Ok(())
    }

    /// EXEC. Nothing if it worked: then the caller's thread is no more.
    pub fn exec(&mut self, number: usize, address: u64, len: u64) -> Result<(), u64> {
        let bytes = self.block(number, address, len)?;
        let block = Block::parse(&bytes).map_err(|_| errno::EINVAL)?;
        if block.flags != 0 {
            return Err(errno::EINVAL);
        }
        if !self.holds_all(number, &block.channels) {
            return Err(errno::EBADF);
        }
        let (mut process, used) = self.load(number, number, &block).map_err(Refused::errno)?;
        let mut passed = Ok(());
        if let Some(mut old) = self.processes.remove(&number) {
            // The signals and children of the process are still its.
            let (was, is) = (old.info(), process.info());
            is.signals
                .store(was.signals.load(Ordering::Relaxed), Ordering::Relaxed);
            is.ended
                .store(was.ended.load(Ordering::Relaxed), Ordering::Relaxed);
            process.signals = core::mem::take(&mut old.signals);
            process.started = old.started;
            let held = core::mem::take(&mut old.channels);
            let files = core::mem::take(&mut old.files);
            self.dismantle(old);
            let kept = self.keep_files(&mut process, files, &block.channels);
            passed = self.keep_channels(&mut process, held, &block.channels);
            passed = passed.and(kept);
        }
        self.family.executed(number as Pid);
        self.publish(&process);
        let started = passed.and_then(|()| process.start(used));
        self.adopt(process);
        if started.is_err() {
            // The old program is no more: there is nobody to tell.
            self.program_ended(number, killed(SIGKILL));
        }
        Ok(())
    }

    /// FORK by that thread. The child's number.
    pub fn fork(&mut self, number: usize, thread: usize) -> Result<u64, u64> {
        let child = self.family.birth(number as Pid)?;
        match self.copy(number, thread, child as usize) {
            Ok(()) => Ok(child.into()),
            Err(errno) => {
                self.family.unborn(child);
                Err(errno)
            }
        }
    }

    fn copy(&mut self, number: usize, thread: usize, child: usize) -> Result<(), u64> {
        let parent = self.processes.get(&number).ok_or(errno::ESRCH)?;
        let tcb = parent.threads.get(thread).ok_or(errno::ESRCH)?.tcb;
        let (own, all) = (parent.space.own_pages(), parent.space.all_pages());
        if !self.may_have(number, own + 64) {
            return Err(errno::ENOMEM);
        }
        let memory = &mut self.memory;
        if !memory.has_room(own + 64) || !can_remember(all + 64) {
            return Err(errno::ENOMEM);
        }
        let copied = match parent.copy(memory, child, self.endpoint) {
            Err(_) => {
                memory.relieve().map_err(|_| errno::ENOMEM)?;
                parent.copy(memory, child, self.endpoint)
            }
            copied => copied,
        };
        let mut process = copied.map_err(|_| errno::ENOMEM)?;
        let mut channels = self.channels_of(number);
        channels.extend(self.files_of(number));
        let introduced = self.introduce(&process).map_err(|_| errno::ENOMEM);
        let passed = introduced.and_then(|()| self.pass_channels(number, &mut process, &channels));
        self.publish(&process);
        let resumed = passed.and_then(|()| process.resume_as_child(tcb).map_err(|_| errno::ENOMEM));
        match resumed {
            Ok(()) => self.adopt(process),
            Err(_) => self.dismantle(process),
        }
        resumed
    }

    /// Gives back everything that a process had.
    fn dismantle(&mut self, mut process: Process) {
        if let Some(client) = process.client {
            self.client_ended(client);
        }
        let (number, path) = (process.number, process.path.clone());
        self.futexes_ended(&process);
        let channels = core::mem::take(&mut process.channels);
        let files = core::mem::take(&mut process.files);
        if let Err(error) = process.end(&mut self.memory) {
            // Never seen: all that is deleted is the root server's own.
            log!("process {number} ({path}): not all came back: the kernel says {error:?}");
        }
        self.channels_ended(number, channels);
        self.ports.end_leases(number);
        self.files_ended(number, files);
    }

    /// Process `number` has ended, in whatever state its thread is.
    pub fn program_ended(&mut self, number: usize, status: u32) {
        if number == badge::INIT {
            // What the machine runs for.
            self.shut_down(exit_status(status));
        }
        let Some(process) = self.processes.remove(&number) else {
            return;
        };
        if number >= badge::NET_SERVER {
            let path = &process.path;
            log!("{path} is a server: the system ends");
            self.shut_down(SERVER_FAILED);
        }
        let used = Usage {
            time: self.clock.now().saturating_sub(process.started),
            peak: process.space.peak() as u64,
        };
        self.family.spent(number as Pid, used, process.name());
        self.dismantle(process);
        self.owner_ended(OWNER_PROCESS, number);
        let ending = self.family.end(number as Pid, status);
        self.tell_end(number as Pid);
        self.session_ended(number);
        self.tell(&ending, Sent::of_child(number as Pid, status));
    }

    fn tell(&mut self, ending: &Ending, news: Sent) {
        for pid in &ending.orphans {
            self.publish_ids_of(*pid as usize);
        }
        for pid in &ending.tell {
            if let Some(parent) = self.processes.get_mut(&(*pid as usize)) {
                parent.info().ended.fetch_add(1, Ordering::Release);
                parent.send_signal(news);
            }
        }
    }

    /// KILL.
    pub fn kill(&mut self, number: usize, whom: i64, word: u64, value: u64) -> Result<(), u64> {
        let (sent, code) = (word & 0xffff_ffff, (word >> 32) as i32);
        if sent > LAST_SIGNAL {
            return Err(errno::EINVAL);
        }
        let mut targets = self.family.targets(number as Pid, whom)?;
        // The caller last: it may be the end of it.
        targets.sort_by_key(|pid| *pid as usize == number);
        for pid in targets {
            let target = pid as usize;
            match sent {
                0 => {}
                // As on Linux, init gets no signal that it does not handle, least of all this.
                SIGKILL if target == badge::INIT && number != badge::INIT => {}
                SIGKILL => self.program_ended(target, killed(SIGKILL)),
                _ if sent as u32 == SIGSTOP => self.stop(target, SIGSTOP),
                _ => {
                    if sent as u32 == SIGCONT {
                        self.go_on(target);
                    }
                    let sent = Sent {
                        signal: sent as u32,
                        code,
                        pid: number as Pid,
                        value,
                    };
                    if let Some(process) = self.processes.get_mut(&target)
                        && !process.send_signal(sent)
                        && code < 0
                    {
                        return Err(errno::EAGAIN);
                    }
                }
            }
        }
        Ok(())
    }

    /// SET_GROUP.
    pub fn set_group(&mut self, number: usize, pid: u64, group: u64) -> Result<(), u64> {
        let (pid, group) = match (Pid::try_from(pid), Pid::try_from(group)) {
            (Ok(pid), Ok(group)) if group <= i32::MAX as Pid => (pid, group),
            _ => return Err(errno::EINVAL),
        };
        self.family.set_group(number as Pid, pid, group)?;
        self.publish_ids_of(if pid == 0 { number } else { pid as usize });
        Ok(())
    }

    /// NEW_SESSION.
    pub fn new_session(&mut self, number: usize) -> Result<u64, u64> {
        let session = self.family.new_session(number as Pid)?;
        self.publish_ids_of(number);
        Ok(session.into())
    }
}
