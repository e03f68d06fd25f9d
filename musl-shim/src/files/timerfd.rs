// SPDX-License-Identifier: BSD-2-Clause
//! A timerfd as a file. The event core's time is CLOCK_MONOTONIC; nobody can set CLOCK_REALTIME here, so the two differ by a constant. Its state is the process's own at
//! first, in a channel once another process has it.

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::cell::RefCell;

use vfs_hooks::Events;
use vfs_hooks::channel_timer::{ChannelTimer, Work};
use vfs_hooks::source::{Readiness, Remote, SourceId, Sources};
use vfs_hooks::subscription::Subscriptions;
use vfs_hooks::timerfd::{Again, Setting, TimerFd};

use super::channel::{Held, patiently};
use super::{File, OpenFile};
use crate::clock::{monotonic, realtime};
use crate::errno::Errno;
use crate::inherit::Heir;
use crate::platform::channels;
use crate::poller::core;
use crate::timers;

/// A timer, in this process or in a channel.
pub struct Timer {
    /// Of one in a channel a copy, which counts while it is worked on.
    timer: RefCell<TimerFd>,
    /// The channel, held for this file.
    shared: RefCell<Option<Held>>,
    id: u64,
}

/// What timerfd_create(2) makes.
pub struct TimerFile {
    timer: Rc<Timer>,
    /// Of CLOCK_REALTIME.
    real: bool,
}

struct Set {
    now: u64,
    first: u64,
    interval: u64,
}

struct Get(u64);
struct Read(u64);
struct Expire(u64);

impl Work for Set {
    type Result = Setting;

    fn work(&self, timer: &mut TimerFd, sources: &mut impl Sources) -> Setting {
        timer.set(sources, self.now, self.first, self.interval)
    }
}

impl Work for Get {
    type Result = Setting;

    fn work(&self, timer: &mut TimerFd, sources: &mut impl Sources) -> Setting {
        timer.get(sources, self.0)
    }
}

impl Work for Read {
    type Result = Result<u64, Again>;

    fn work(&self, timer: &mut TimerFd, sources: &mut impl Sources) -> Result<u64, Again> {
        timer.read(sources, self.0)
    }
}

impl Work for Expire {
    type Result = ();

    fn work(&self, timer: &mut TimerFd, sources: &mut impl Sources) {
        timer.expire(sources, self.0);
    }
}

/// One in a channel as the event core sees it.
struct Watched {
    channel: usize,
    id: u64,
}

impl Remote for Watched {
    fn readiness(&self) -> Readiness {
        let timer = ChannelTimer::new(channels::header(self.channel));
        // Another process may have set it; who looks is about to sleep until then.
        timers::update(self.id, timer.deadline());
        timer.readiness()
    }

    fn subscriptions(&self) -> Option<&Subscriptions> {
        Some(&channels::header(self.channel).sides[0].subscriptions)
    }

    fn claim(&self, slot: u32) -> Option<Option<(usize, u32)>> {
        // The word in the cell is its own number: that is where its capability is.
        let cell = channels::watch(self.channel, 0, slot).ok();
        Some(cell.map(|cell| (cell, cell as u32)))
    }

    fn release(&self, cell: usize) {
        channels::unwatch(self.channel, 0, cell);
    }
}

impl Timer {
    fn new(id: u64, shared: Option<Held>) -> Timer {
        let timer = TimerFd::new(&mut *core());
        Timer {
            timer: RefCell::new(timer),
            shared: RefCell::new(shared),
            id,
        }
    }

    /// Does something with it, and notes its deadline. EIO: another process never gets out of it.
    fn with<W: Work>(&self, work: W) -> Result<W::Result, Errno> {
        let mut timer = self.timer.borrow_mut();
        let result = match &*self.shared.borrow() {
            None => work.work(&mut timer, &mut *core()),
            Some(held) => {
                let shared = ChannelTimer::new(channels::header(held.channel));
                let signal = |watch| channels::signal(held.channel, watch);
                patiently(|| shared.with(channels::own(), &mut timer, &work, signal))?
            }
        };
        timers::update(self.id, timer.deadline());
        Ok(result)
    }

    /// Counts the expiration if its deadline has passed.
    pub fn expire(&self, now: u64) {
        // One that another process keeps from being counted is looked at again when it is watched.
        let _ = self.with(Expire(now));
    }

    /// Moves it into a channel, with who watches it; its number.
    fn share(&self) -> Result<u32, Errno> {
        let mut shared = self.shared.borrow_mut();
        if let Some(held) = &*shared {
            return Ok(held.channel as u32);
        }
        let channel = channels::create(1)?;
        ChannelTimer::new(channels::header(channel)).store(&self.timer.borrow());
        *shared = Some(Held::new(channel, 0));
        self.watch(channel);
        Ok(channel as u32)
    }

    /// Has those who watch it look into the channel from now on.
    fn watch(&self, channel: usize) {
        let source = self.timer.borrow().source();
        // What holds is looked up from now on.
        core().publish(source, Events::empty(), Events::empty());
        let watched = Watched {
            channel,
            id: self.id,
        };
        // Those for whom there is no cell are told nothing more of other processes.
        let _ = core().set_remote(source, Some(Box::new(watched)));
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        timers::remove(self.id);
    }
}

impl TimerFile {
    /// A disarmed one.
    pub fn new(real: bool) -> TimerFile {
        let timer = timers::add(|id| Timer::new(id, None));
        TimerFile { timer, real }
    }

    /// One that another process has passed on.
    pub fn inherited(channel: u32, real: bool, flags: u32) -> Rc<OpenFile> {
        let channel = channel as usize;
        let held = Held::new(channel, 0);
        let timer = timers::add(|id| Timer::new(id, Some(held)));
        timer.watch(channel);
        OpenFile::new(TimerFile { timer, real }, flags)
    }

    /// timerfd_settime(2). `first`: 0 disarms, else nanoseconds from now, or the clock's time.
    pub fn set(&self, first: u64, interval: u64, absolute: bool) -> Result<Setting, Errno> {
        let now = monotonic();
        let first = match (first, absolute) {
            (0, _) => 0,
            (first, false) => now.saturating_add(first),
            // In the past is now, but not 0, which means never.
            (first, true) if self.real => {
                now.saturating_add(first.saturating_sub(realtime())).max(1)
            }
            (first, true) => first,
        };
        self.timer.with(Set {
            now,
            first,
            interval,
        })
    }

    /// timerfd_gettime(2).
    pub fn get(&self) -> Result<Setting, Errno> {
        self.timer.with(Get(monotonic()))
    }
}

impl File for TimerFile {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let Some(room) = buffer.first_chunk_mut() else {
            return Err(Errno::EINVAL);
        };
        let count = self.timer.with(Read(monotonic()))?;
        *room = count.map_err(|_| Errno::EAGAIN)?.to_ne_bytes();
        Ok(room.len())
    }

    fn timer(&self) -> Option<&TimerFile> {
        Some(self)
    }

    fn reads_records(&self) -> bool {
        true
    }

    fn can_write(&self) -> bool {
        false
    }

    fn source(&self) -> SourceId {
        self.timer.timer.borrow().source()
    }

    fn flags_side(&self) -> Option<(usize, usize)> {
        let shared = self.timer.shared.borrow();
        shared.as_ref().map(|held| (held.channel, 0))
    }

    fn share(&self) -> Result<(), Errno> {
        self.timer.share().map(drop)
    }

    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        Ok(Some(Heir::Timer(self.timer.share()?, self.real)))
    }
}
