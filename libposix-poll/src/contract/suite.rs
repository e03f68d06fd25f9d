// SPDX-License-Identifier: BSD-2-Clause
//! Waiting, waking and room, in every setting.

use super::{Probe, SETTINGS, Setting, World, take};
use crate::backend::Woken;
use crate::deadline::Deadline;
use crate::frontend::epoll::{EDGE, ONE_SHOT};
use crate::frontend::poll::{PollFd, PollSet, Polled, scan};
use std::rc::Rc;
use std::vec::Vec;
use vfs_hooks::Events;

const IN: u32 = Events::IN.bits();

fn everywhere(check: impl Fn(&World)) {
    for setting in SETTINGS {
        std::println!("{setting:?}");
        check(&World::new(setting));
    }
}

#[test]
fn level_is_reported_until_it_falls() {
    everywhere(|world| {
        let (epoll, probe) = (world.epoll(), world.probe());
        probe.add(&epoll, 3, IN).unwrap();
        assert_eq!(take(&epoll, 8), []);
        probe.source.raise(Events::IN);
        for _ in 0..3 {
            assert_eq!(take(&epoll, 8), [(3, Events::IN)]);
        }
        probe.source.lower(Events::IN);
        assert_eq!(take(&epoll, 8), []);
    });
}

#[test]
fn what_holds_when_added_is_reported() {
    everywhere(|world| {
        for mode in [0, EDGE, ONE_SHOT] {
            let (epoll, probe) = (world.epoll(), world.probe());
            probe.source.raise(Events::IN);
            probe.add(&epoll, 3, IN | mode).unwrap();
            assert_eq!(take(&epoll, 8), [(3, Events::IN)]);
        }
    });
}

#[test]
fn one_shot_says_nothing_until_modified() {
    everywhere(|world| {
        let (epoll, probe) = (world.epoll(), world.probe());
        probe.add(&epoll, 3, IN | ONE_SHOT).unwrap();
        probe.source.raise(Events::IN);
        assert_eq!(take(&epoll, 8), [(3, Events::IN)]);
        probe.source.raise(Events::IN);
        assert_eq!(take(&epoll, 8), []);
        probe.modify(&epoll, 3, IN | ONE_SHOT).unwrap();
        assert_eq!(take(&epoll, 8), [(3, Events::IN)]);
    });
}

#[test]
fn a_signal_ends_a_wait() {
    everywhere(|world| {
        if world.setting == Setting::Local {
            return;
        }
        let (epoll, probe) = (world.epoll(), world.probe());
        probe.add(&epoll, 3, IN).unwrap();
        for _ in 0..3 {
            assert_eq!(take(&epoll, 8), []);
            let source = probe.source.clone();
            world.then(move || source.raise(Events::IN));
            assert_eq!(epoll.wait(Deadline::NEVER), Woken::Events);
            assert_eq!(take(&epoll, 8), [(3, Events::IN)]);
            probe.source.lower(Events::IN);
        }
    });
}

#[test]
fn a_signal_between_look_and_wait_ends_the_wait() {
    everywhere(|world| {
        let (epoll, probe) = (world.epoll(), world.probe());
        probe.add(&epoll, 3, IN).unwrap();
        assert_eq!(take(&epoll, 8), []);
        probe.source.raise(Events::IN);
        assert_eq!(epoll.wait(Deadline::NEVER), Woken::Events);
        assert_eq!(take(&epoll, 8), [(3, Events::IN)]);
    });
}

#[test]
fn a_kick_and_a_deadline_interrupt() {
    everywhere(|world| {
        let (epoll, probe) = (world.epoll(), world.probe());
        probe.add(&epoll, 3, IN).unwrap();
        assert_eq!(take(&epoll, 8), []);
        assert_eq!(epoll.wait(Deadline::at(5)), Woken::Interrupted);
        world.kick_later();
        assert_eq!(epoll.wait(Deadline::NEVER), Woken::Interrupted);
    });
}

#[test]
fn thousands_of_sources_are_all_reported() {
    everywhere(|world| {
        let epoll = world.epoll();
        let probes: Vec<Probe> = (0..3000).map(|_| world.probe()).collect();
        for (fd, probe) in probes.iter().enumerate() {
            if fd == 250 {
                // Entries are outstanding while the buffer grows.
                probes[..9].iter().for_each(|p| p.source.raise(Events::IN));
            }
            probe.add(&epoll, fd as i32, IN).unwrap();
        }
        probes.iter().for_each(|p| p.source.raise(Events::IN));
        let mut all = take(&epoll, 4000);
        all.sort_unstable_by_key(|r| r.0);
        let expected: Vec<_> = (0..3000).map(|fd| (fd, Events::IN)).collect();
        assert_eq!(all, expected);
    });
}

#[test]
fn churn_does_not_fill_the_queue() {
    everywhere(|world| {
        let epoll = world.epoll();
        for round in 0..1000 {
            let probe = world.probe();
            probe.add(&epoll, round, IN).unwrap();
            probe.source.raise(Events::IN);
            epoll.forget(probe.file);
            assert!(epoll.is_empty());
        }
        assert_eq!(take(&epoll, 8), []);
    });
}

#[test]
fn nothing_pending_costs_no_kernel_entry_on_the_queue() {
    let world = World::new(Setting::Queue);
    let (epoll, probe) = (world.epoll(), world.probe());
    probe.add(&epoll, 3, IN).unwrap();
    let before = world.model.calls.get();
    for _ in 0..10 {
        assert_eq!(take(&epoll, 8), []);
    }
    assert_eq!(world.model.calls.get(), before);
    probe.source.raise(Events::IN);
    take(&epoll, 8);
    assert_eq!(world.model.calls.get(), before + 1, "one collection");
    take(&epoll, 8);
    assert_eq!(world.model.calls.get(), before + 1, "ready list");
}

#[test]
fn several_pollers_share_the_notification_of_a_process() {
    everywhere(|world| {
        let (one, two) = (world.epoll(), world.epoll());
        let (a, b) = (world.probe(), world.probe());
        a.add(&one, 3, IN).unwrap();
        b.add(&two, 4, IN).unwrap();
        a.add(&two, 5, IN | EDGE).unwrap();
        a.source.raise(Events::IN);
        b.source.raise(Events::IN);
        assert_eq!(take(&one, 8), [(3, Events::IN)]);
        let mut both = take(&two, 8);
        both.sort_unstable_by_key(|r| r.0);
        assert_eq!(both, [(4, Events::IN), (5, Events::IN)]);
    });
}

#[test]
fn an_inner_instance_wakes_the_outer_one() {
    everywhere(|world| {
        let (outer, inner, probe) = (world.epoll(), world.epoll(), world.probe());
        let target = world.target(9, &inner);
        let add = crate::frontend::epoll::Operation::Add {
            events: IN,
            data: 9,
        };
        outer.control(add, &target).unwrap();
        probe.add(&inner, 3, IN).unwrap();
        for _ in 0..3 {
            assert_eq!(take(&outer, 8), []);
            probe.source.raise(Events::IN);
            assert_eq!(outer.wait(Deadline::NEVER), Woken::Events);
            assert_eq!(take(&outer, 8), [(9, Events::IN)]);
            assert_eq!(take(&inner, 8), [(3, Events::IN)]);
            probe.source.lower(Events::IN);
        }
        probe.modify(&inner, 3, Events::OUT.bits()).unwrap();
        probe.source.raise(Events::OUT);
        assert_eq!(take(&outer, 8), [(9, Events::IN)]);
        inner.forget(probe.file);
        assert_eq!(take(&outer, 8), []);
    });
}

#[test]
fn polling_again_attaches_nothing() {
    everywhere(|world| {
        let set = PollSet::new(world.backend());
        let probes: Vec<Probe> = (0..100).map(|_| world.probe()).collect();
        let polled = |fd: i32| -> Polled {
            let probe = &probes[fd as usize];
            let source: Rc<dyn vfs_hooks::source::Source> = probe.source.clone();
            Polled::Source(probe.file, source)
        };
        let mut fds: Vec<PollFd> = (0..100)
            .map(|fd| PollFd {
                fd,
                events: IN as u16,
                revents: 0,
            })
            .collect();
        let mut calls = 0;
        for round in 0..5 {
            assert_eq!(scan(&mut fds, polled), 0);
            set.begin();
            for fd in 0..100 {
                let Polled::Source(file, source) = polled(fd) else {
                    unreachable!()
                };
                set.arm(file, &source, Events::IN | Events::ALWAYS).unwrap();
            }
            set.armed();
            if round == 1 {
                calls = world.model.calls.get();
            }
            let source = probes[round * 7].source.clone();
            if world.setting == Setting::Local {
                source.raise(Events::IN);
            } else {
                world.then(move || source.raise(Events::IN));
            }
            assert_eq!(set.wait(Deadline::NEVER), Woken::Events);
            assert_eq!(scan(&mut fds, polled), 1);
            assert_eq!(fds[round * 7].revents, IN as u16);
            probes[round * 7].source.lower(Events::IN);
        }
        // A wait, a collection or a poll of the notification in each round, and nothing for any fd.
        assert!(world.model.calls.get() - calls <= 4 * 3);
    });
}
