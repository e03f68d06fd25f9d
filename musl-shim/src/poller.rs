// SPDX-License-Identifier: BSD-2-Clause
//! The process's part of the event core: what lies beneath it, its epoll instances, and the watches that the thread
//! keeps for poll, select and blocking calls.

use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;

use libposix_poll::frontend::FileId;
use libposix_poll::frontend::epoll::Epoll;
use libposix_poll::frontend::poll::PollSet;

use crate::platform::threads;
use crate::platform::transport::Transport;
use crate::shared::Shared;

struct State {
    transport: Transport,
    epolls: Vec<Weak<Epoll>>,
    /// By thread.
    kept: Vec<Option<Rc<PollSet>>>,
}

static STATE: Shared<Option<State>> = Shared::new(None);

fn with<R>(work: impl FnOnce(&mut State) -> R) -> R {
    work(STATE.lock().as_mut().expect("start() ran"))
}

/// Sets up what lies beneath.
pub fn start() {
    let transport = Transport::new();
    *STATE.lock() = Some(State {
        transport,
        epolls: Vec::new(),
        kept: Vec::new(),
    });
}

/// A new epoll instance.
pub fn new_epoll() -> Rc<Epoll> {
    with(|state| {
        let epoll = Rc::new(Epoll::new(state.transport.backend()));
        state.epolls.retain(|other| other.strong_count() > 0);
        state.epolls.push(Rc::downgrade(&epoll));
        epoll
    })
}

/// The watches that the calling thread keeps.
pub fn kept() -> Rc<PollSet> {
    with(|state| {
        let thread = threads::current();
        if state.kept.len() <= thread {
            state.kept.resize(thread + 1, None);
        }
        let set = &mut state.kept[thread];
        set.get_or_insert_with(|| Rc::new(PollSet::new(state.transport.backend())))
            .clone()
    })
}

/// The thread has ended: what it kept goes.
#[allow(
    dead_code,
    reason = "for the end of a thread that is not the process's"
)]
pub fn thread_ended(thread: usize) {
    // Dropped when nothing is borrowed.
    drop(with(|state| {
        state.kept.get_mut(thread).and_then(Option::take)
    }));
}

/// An open file was closed for good: nobody watches it any longer.
pub fn forget(file: FileId) {
    let (mut epolls, kept) = with(|state| (core::mem::take(&mut state.epolls), state.kept.clone()));
    for set in kept.iter().flatten() {
        set.forget(file);
    }
    // Outside of the borrow: what is dropped with a watch may close files in turn.
    for epoll in epolls.iter().filter_map(Weak::upgrade) {
        epoll.forget(file);
    }
    with(|state| {
        epolls.append(&mut state.epolls);
        state.epolls = epolls;
    });
}
