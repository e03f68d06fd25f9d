// SPDX-License-Identifier: BSD-2-Clause
//! A socket's source over its whole life: what is behind it changes (nothing, a listener, a connection here or at the net server), its
//! watchers stay.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use vfs_hooks::Events;
use vfs_hooks::source::{Edges, Readiness, Source, Watcher};

use crate::errno::Errno;

struct Watching {
    watcher: Watcher,
    interest: Events,
    /// Its subscription at the source behind.
    behind: usize,
}

/// See the module.
pub struct Switch {
    behind: RefCell<Rc<dyn Source>>,
    watchers: RefCell<Vec<Option<Watching>>>,
    /// Added to the edges of the source behind, so that a change of source is an edge.
    base: Cell<Edges>,
}

impl Switch {
    /// With `source` behind it.
    pub fn new(source: Rc<dyn Source>) -> Switch {
        Switch {
            behind: RefCell::new(source),
            watchers: RefCell::default(),
            base: Cell::default(),
        }
    }

    /// Puts another source behind; all watchers are told to look. ENOBUFS: the new one has no room for them all; then those without
    /// room hear nothing more.
    pub fn replace(&self, source: Rc<dyn Source>) -> Result<(), Errno> {
        let before = self.readiness().edges;
        let old = self.behind.replace(source.clone());
        let mut result = Ok(());
        for watching in self.watchers.borrow_mut().iter_mut().flatten() {
            old.unsubscribe(watching.behind);
            match source.subscribe(&watching.watcher, watching.interest) {
                Some(behind) => watching.behind = behind,
                None => {
                    watching.behind = usize::MAX;
                    result = Err(Errno::ENOBUFS);
                }
            }
        }
        let edges = source.readiness().edges;
        self.base.set(Edges {
            input: before.input.wrapping_sub(edges.input),
            output: before.output.wrapping_sub(edges.output),
        });
        self.touch();
        result
    }

    /// Tells all watchers to look: something changed that the source behind does not tell of.
    pub fn touch(&self) {
        let base = self.base.get();
        self.base.set(Edges {
            input: base.input.wrapping_add(1),
            output: base.output.wrapping_add(1),
        });
        for watching in self.watchers.borrow().iter().flatten() {
            watching.watcher.inbox.put(watching.watcher.key);
        }
    }
}

impl Source for Switch {
    #[inline]
    fn readiness(&self) -> Readiness {
        let Readiness { events, edges } = self.behind.borrow().readiness();
        let base = self.base.get();
        Readiness {
            events,
            edges: Edges {
                input: edges.input.wrapping_add(base.input),
                output: edges.output.wrapping_add(base.output),
            },
        }
    }

    fn subscribe(&self, watcher: &Watcher, interest: Events) -> Option<usize> {
        let behind = self.behind.borrow().subscribe(watcher, interest)?;
        let watching = Some(Watching {
            watcher: watcher.clone(),
            interest,
            behind,
        });
        let mut watchers = self.watchers.borrow_mut();
        match watchers.iter().position(Option::is_none) {
            Some(free) => {
                watchers[free] = watching;
                Some(free)
            }
            None => {
                watchers.push(watching);
                Some(watchers.len() - 1)
            }
        }
    }

    fn arm(&self, subscription: usize, interest: Events) {
        if let Some(Some(watching)) = self.watchers.borrow_mut().get_mut(subscription) {
            watching.interest = interest;
            self.behind.borrow().arm(watching.behind, interest);
        }
    }

    fn unsubscribe(&self, subscription: usize) {
        let watching = self
            .watchers
            .borrow_mut()
            .get_mut(subscription)
            .and_then(Option::take);
        if let Some(watching) = watching {
            self.behind.borrow().unsubscribe(watching.behind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vfs_hooks::local::{Inbox, LocalSubscriptions};
    use vfs_hooks::source::Slots;

    struct NoSlots;

    impl Slots for NoSlots {
        fn attach(&self, _: u64) -> Option<u32> {
            None
        }
        fn detach(&self, _: u32, _: u64) {}
        fn kick(&self, _thread: usize) {}
    }

    #[derive(Default)]
    struct Fixed {
        watchers: LocalSubscriptions,
        now: Cell<Readiness>,
    }

    impl Source for Fixed {
        fn readiness(&self) -> Readiness {
            self.now.get()
        }
        fn subscribe(&self, watcher: &Watcher, interest: Events) -> Option<usize> {
            self.watchers.subscribe(watcher, interest)
        }
        fn arm(&self, subscription: usize, interest: Events) {
            self.watchers.arm(subscription, interest);
        }
        fn unsubscribe(&self, subscription: usize) {
            self.watchers.unsubscribe(subscription);
        }
    }

    fn keys(inbox: &Inbox) -> Vec<u64> {
        let mut keys = Vec::new();
        inbox.take(&mut keys);
        keys
    }

    #[test]
    fn watchers_move_along_and_see_an_edge() {
        let (first, second) = (Rc::new(Fixed::default()), Rc::new(Fixed::default()));
        let switch = Switch::new(first.clone());
        let inbox = Rc::new(Inbox::default());
        let watcher = Watcher {
            inbox: inbox.clone(),
            slots: Rc::new(NoSlots),
            key: 7,
        };
        let subscription = switch.subscribe(&watcher, Events::IN).unwrap();
        let before = switch.readiness().edges;
        switch.replace(second.clone()).unwrap();
        let after = switch.readiness().edges;
        assert!(after.input != before.input && after.output != before.output);
        assert_eq!(keys(&inbox), [7]);
        first.watchers.notify(Events::IN);
        assert_eq!(keys(&inbox), []);
        switch.arm(subscription, Events::IN);
        second.watchers.notify(Events::IN);
        assert_eq!(keys(&inbox), [7]);
        switch.unsubscribe(subscription);
        second.watchers.notify(Events::IN);
        assert_eq!(keys(&inbox), []);
    }
}
