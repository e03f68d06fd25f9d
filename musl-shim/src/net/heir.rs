// SPDX-License-Identifier: BSD-2-Clause
//! TCP sockets in another process: what it takes to open one again.

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};

use vfs_hooks::channel::{MOST, READER, SIDES};
use vfs_hooks::stream::Side;

use crate::errno::Errno;
use crate::files::OpenFile;
use crate::files::channel::Kept;
use crate::inherit::Heir;
use crate::net::address::Address;
use crate::net::bind::Binding;
use crate::net::link::{self, Link};
use crate::net::listener::Listener;
use crate::net::remote::Remote;
use crate::net::socket::{Socket, State};
use crate::platform::channels;

/// A socket as it is passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// One of this module's numbers.
    pub state: u32,
    /// As SPAWN has them, channel × 4 + sides, 0 for none: what it is connected or listens by, and what holds its port.
    pub channels: [u32; 2],
    /// 1: a connect(2) is under way; of a listener, the net server listens too.
    pub flag: u32,
    /// Own address, as [`Address::word`] has it.
    pub local: u64,
    /// The peer's.
    pub peer: u64,
}

const IDLE: u32 = 0;
const LISTENING: u32 = 1;
/// A loopback connection.
const LINKED: u32 = 2;
/// A connection at the net server.
const REMOTE: u32 = 3;

fn word(channel: usize, side: usize) -> u32 {
    (channel as u32) << 2 | 1 << side
}

/// A side that is passed on in a word: of no channel that there can be, or several sides, none.
fn kept(word: u32) -> Option<Kept> {
    let channel = (word >> 2) as usize;
    let side = (0..SIDES).find(|side| word & 3 == 1 << side)?;
    (channel < MOST).then(|| Kept::new(channel, side))
}

/// The same of side 0.
fn kept_reader(word: u32) -> Option<Kept> {
    (word & 3 == 1 << READER).then(|| kept(word)).flatten()
}

impl Socket {
    /// Moves it to where another process can have it as well.
    pub fn share_all(&self) -> Result<(), Errno> {
        match &*self.state.borrow() {
            State::Idle => Ok(()),
            State::Listening(listener) => listener.share(),
            State::Local { link, side, .. } => {
                let (own, peer) = (self.local.get(), self.peer.get());
                let (from, to) = match side {
                    Side::First => (own, peer),
                    Side::Second => (peer, own),
                };
                link::share(link, from, to)?;
                let aborts = self.options.borrow().aborts();
                link.borrow().set_aborts(*side, aborts);
                if let Some(binding) = &mut *self.binding.borrow_mut() {
                    binding.handed_on();
                }
                Ok(())
            }
            State::Remote(remote) => {
                if remote.share()? {
                    remote.set_aborts(self.options.borrow().aborts());
                    self.look_at(remote)?;
                }
                Ok(())
            }
        }
    }

    /// What it takes to open it in another process.
    pub fn heir(&self) -> Result<Heir, Errno> {
        self.share_all()?;
        let binding = self.binding.borrow();
        let held = binding.as_ref().and_then(|binding| binding.kept.as_ref());
        let held = held.map_or(0, |kept| word(kept.channel, kept.side));
        let mut passed = Passed {
            channels: [0, held],
            flag: self.connecting.get().into(),
            local: self.name().word(),
            peer: self.peer_name_or_any().word(),
            ..Passed::default()
        };
        match &*self.state.borrow() {
            State::Idle => passed.state = IDLE,
            State::Listening(listener) => {
                let channel = listener.channel().ok_or(Errno::EINVAL)?;
                passed.state = LISTENING;
                passed.channels[0] = word(channel, READER);
                passed.flag = listener.is_network().into();
            }
            State::Local { link, side, .. } => {
                let (channel, side) = link.borrow().held(*side).ok_or(Errno::EBADF)?;
                passed.state = LINKED;
                passed.channels[0] = word(channel, side);
            }
            State::Remote(remote) => {
                passed.state = REMOTE;
                passed.channels[0] = word(remote.channel().ok_or(Errno::EBADF)?, READER);
            }
        }
        Ok(Heir::Tcp(passed))
    }

    /// In the child after fork(2).
    pub fn after_fork(&self) {
        if let Some(binding) = &mut *self.binding.borrow_mut() {
            binding.after_fork();
        }
    }
}

/// A socket that another process has passed on. `None`: it makes no sense.
pub fn inherited(passed: &Passed, flags: u32) -> Option<Rc<OpenFile>> {
    let socket = Socket::tcp();
    let [main, held] = passed.channels;
    let (local, peer) = (
        Address::from_word(passed.local),
        Address::from_word(passed.peer),
    );
    socket.local.set(local);
    socket.peer.set(peer);
    if let Some(kept) = kept_reader(held) {
        *socket.binding.borrow_mut() = Some(Binding::inherited(local, kept));
    }
    let state = match passed.state {
        IDLE => State::Idle,
        LISTENING => {
            let kept = kept_reader(main)?;
            let network = passed.flag != 0;
            State::Listening(Listener::inherited(local, kept, network, socket.source))
        }
        LINKED => {
            let kept = kept(main)?;
            if !channels::tcp(kept.channel).is_valid() {
                return None;
            }
            let side = match kept.side {
                READER => Side::First,
                _ => Side::Second,
            };
            socket.connecting.set(passed.flag != 0);
            let mut link = Link::in_channel(kept);
            link.attach(side, socket.source);
            State::Local {
                link: Rc::new(RefCell::new(link)),
                side,
                connected: Rc::new(Cell::new(true)),
            }
        }
        REMOTE => {
            let remote = Rc::new(Remote::apart(kept_reader(main)?));
            socket.connecting.set(passed.flag != 0);
            socket.look_at(&remote).ok()?;
            State::Remote(remote)
        }
        _ => return None,
    };
    *socket.state.borrow_mut() = state;
    Some(OpenFile::new(socket, flags))
}
