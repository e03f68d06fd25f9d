// SPDX-License-Identifier: BSD-2-Clause
//! Where datagrams to an address of this machine go: the channels of the sockets that receive there, as the root server said. It is asked once for each destination, and again
//! when the socket there has gone, or another has come.

use alloc::vec::Vec;

use vfs_hooks::udp::{End, Socket};

use crate::errno::Errno;
use crate::files::channel::{hold, let_go};
use crate::platform::udp;

/// Destinations that a socket remembers.
const MOST: usize = 8;
/// The side of who sends.
const SENDER: usize = 1;

/// A channel that is held to send to.
struct Route {
    to: End,
    from: End,
    channel: usize,
    /// What [`Socket::routes`] was.
    seen: u64,
}

impl Drop for Route {
    fn drop(&mut self) {
        let_go(self.channel, SENDER);
    }
}

impl Route {
    fn socket(&self) -> Socket<'static> {
        udp::socket(self.channel)
    }

    fn holds(&self) -> bool {
        let socket = self.socket();
        socket.is_open() && socket.routes() == self.seen && socket.accepts(self.from)
    }
}

/// See the module: those used last are first.
#[derive(Default)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// The channel that a datagram goes to. ECONNREFUSED: nobody receives it.
    pub fn find(&mut self, to: End, from: End) -> Result<usize, Errno> {
        let known = |route: &Route| route.to == to && route.from == from;
        if let Some(at) = self.0.iter().position(known) {
            if self.0[at].holds() {
                self.0[..=at].rotate_right(1);
                return Ok(self.0[0].channel);
            }
            // Dropped before it is asked for anew: it may be the same.
            drop(self.0.remove(at));
        }
        let channel = udp::find(to, from)?;
        let seen = udp::socket(channel).routes();
        hold(channel, SENDER);
        let route = Route {
            to,
            from,
            channel,
            seen,
        };
        if !route.socket().is_valid() || !route.socket().accepts(from) {
            return Err(Errno::ECONNREFUSED);
        }
        self.0.truncate(MOST - 1);
        self.0.insert(0, route);
        Ok(channel)
    }
}
