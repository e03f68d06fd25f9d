// SPDX-License-Identifier: BSD-2-Clause
//! A timerfd in a channel: what [`TimerFd`] consists of lies in the header, and each holder works on a copy under the channel's lock. Each of them keeps the deadline
//! in its own [`Timers`](crate::timers::Timers); whoever is first to find that it has passed counts the expiration and tells the others.
//!
//! A change that is no news to readers (another deadline) is told to watchers without an edge: they look, find the deadline, and sleep on.
#![forbid(unsafe_code)]

use crate::channel::Header;
use crate::events::Events;
use crate::source::{Edges, Readiness, SourceId, Sources};
use crate::sync::Ordering;
use crate::timerfd::TimerFd;

/// Its only side.
const SIDE: usize = 0;

/// A timerfd as one of its holders sees it.
#[derive(Clone, Copy, Debug)]
pub struct ChannelTimer<'a>(&'a Header);

/// What a timer publishes.
#[derive(Debug, Default)]
struct News(Events);

impl Sources for News {
    fn open(&mut self, _: Events) -> SourceId {
        SourceId::NONE
    }

    fn publish(&mut self, _: SourceId, _: Events, news: Events) {
        self.0 |= news;
    }

    fn missed(&self, _: SourceId, _: Events) -> bool {
        false
    }

    fn close(&mut self, _: SourceId) {}
}

/// What is done with a timer, at a time.
pub trait Work {
    /// What it comes to.
    type Result;

    /// Does it.
    fn work(&self, timer: &mut TimerFd, sources: &mut impl Sources) -> Self::Result;
}

impl<'a> ChannelTimer<'a> {
    /// The timerfd of a channel.
    pub fn new(header: &'a Header) -> Self {
        ChannelTimer(header)
    }

    fn load(&self) -> [u64; 4] {
        core::array::from_fn(|i| self.0.timer[i].load(Ordering::Relaxed))
    }

    /// Puts a timer's state there.
    pub fn store(&self, timer: &TimerFd) {
        for (to, word) in self.0.timer.iter().zip(timer.state()) {
            to.store(word, Ordering::Relaxed);
        }
    }

    /// Does something with it, for process `own`, by a copy of the state in `timer`. `None`: another process is at work; give way and try again.
    pub fn with<W: Work>(
        &self,
        own: u32,
        timer: &mut TimerFd,
        work: &W,
        signal: impl FnMut(usize),
    ) -> Option<W::Result> {
        let lock = self.0.try_lock(own)?;
        let before = self.load();
        timer.set_state(before);
        let mut news = News::default();
        let result = work.work(timer, &mut news);
        self.store(timer);
        drop(lock);
        if !news.0.is_empty() {
            self.0.publish(SIDE, news.0, signal);
        } else if timer.state() != before {
            self.0.tell(SIDE, Events::IN, signal);
        }
        Some(result)
    }

    /// When it expires next; `None`: it does not, or rests.
    pub fn deadline(&self) -> Option<u64> {
        let [next, interval, resting, _] = self.load();
        (next != 0 && (resting == 0 || interval == 0)).then_some(next)
    }

    /// Level and edges.
    pub fn readiness(&self) -> Readiness {
        let counters = &self.0.sides[SIDE];
        let edges = Edges {
            input: counters.input.load(Ordering::Acquire),
            output: counters.output.load(Ordering::Acquire),
        };
        let [.., count] = self.load();
        let mut events = Events::empty();
        events.set(Events::IN, count > 0);
        Readiness { events, edges }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::recorder::Recorder;
    use crate::timerfd::Again;

    struct Set(u64, u64, u64);

    impl Work for Set {
        type Result = ();

        fn work(&self, timer: &mut TimerFd, sources: &mut impl Sources) {
            timer.set(sources, self.0, self.1, self.2);
        }
    }

    struct Expire(u64);

    impl Work for Expire {
        type Result = ();

        fn work(&self, timer: &mut TimerFd, sources: &mut impl Sources) {
            timer.expire(sources, self.0);
        }
    }

    struct Read(u64);

    impl Work for Read {
        type Result = Result<u64, Again>;

        fn work(&self, timer: &mut TimerFd, sources: &mut impl Sources) -> Self::Result {
            timer.read(sources, self.0)
        }
    }

    #[test]
    fn one_counts_an_expiration_and_the_other_reads_it() {
        let mut all = Recorder::default();
        let header = Header::default();
        let shared = ChannelTimer::new(&header);
        let (mut a, mut b) = (TimerFd::new(&mut all), TimerFd::new(&mut all));
        header.sides[SIDE].subscriptions.put(2, 2, Events::IN);
        let mut told = 0;
        shared.with(1, &mut a, &Set(0, 100, 10), |_| told += 1);
        assert_eq!((told, shared.readiness().edges.input), (1, 0));
        assert_eq!(shared.deadline(), Some(100));
        shared.with(1, &mut a, &Expire(105), |_| ());
        shared.with(2, &mut b, &Expire(106), |_| ());
        let now = shared.readiness();
        assert_eq!((now.events, now.edges.input), (Events::IN, 1));
        assert_eq!(shared.deadline(), None, "it rests");
        assert_eq!(shared.with(2, &mut b, &Read(125), |_| ()), Some(Ok(3)));
        assert_eq!(shared.with(1, &mut a, &Read(126), |_| ()), Some(Err(Again)));
        assert_eq!(shared.deadline(), Some(130));
    }

    #[test]
    fn one_process_is_at_work_at_a_time() {
        let mut all = Recorder::default();
        let header = Header::default();
        let mut timer = TimerFd::new(&mut all);
        let lock = header.try_lock(7);
        let shared = ChannelTimer::new(&header);
        assert_eq!(shared.with(1, &mut timer, &Read(1), |_| ()), None);
        drop(lock);
        assert_eq!(
            shared.with(1, &mut timer, &Read(1), |_| ()),
            Some(Err(Again))
        );
    }

    #[test]
    fn nonsense_is_some_timer_and_no_panic() {
        let mut all = Recorder::default();
        let header = Header::default();
        let mut timer = TimerFd::new(&mut all);
        for word in [0, 1, u64::MAX] {
            for (i, to) in header.timer.iter().enumerate() {
                to.store(if i == 1 { 0 } else { word }, Ordering::Relaxed);
            }
            let shared = ChannelTimer::new(&header);
            let _ = shared.deadline();
            assert!(
                shared
                    .with(1, &mut timer, &Read(u64::MAX), |_| ())
                    .is_some()
            );
        }
    }
}
