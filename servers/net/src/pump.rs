// SPDX-License-Identifier: BSD-2-Clause
//! Moves bytes and states between smoltcp's socket and the shared slot.
//!
//! Order matters to a client that looks at any time: data before the end that comes after it; the error
//! before the state that makes one look for it; everything before the edge and the signal (which the caller publishes).

use core::sync::atomic::{Ordering, fence};

use smoltcp::socket::tcp::State;
use smoltcp::time::Instant;
use vfs_hooks::Events;
use vfs_hooks::net::{self as channel, TX_SIZE};
use vfs_hooks::ring::Corrupt;

use crate::client::Shared;
use crate::connection::Connection;
use crate::errno::Errno;

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pumped {
    /// To publish on the slot.
    pub events: Events,
    /// The client is done with the slot and so are we.
    pub release: bool,
}

/// Linux calls a socket writable from here on.
const WRITABLE: u32 = TX_SIZE / 3;

/// Gives the connection's slot its turn.
pub fn pump(connection: &mut Connection, shared: &Shared, now: Instant) -> Pumped {
    let header = shared.header;
    let nagle = header.no_delay.load(Ordering::Relaxed) == 0;
    connection.socket().set_nagle_enabled(nagle);
    connection.keep_alive = header.keep_alive.load(Ordering::Relaxed) != 0;
    if header.closed.load(Ordering::Acquire) != 0 {
        let release = finish(connection, shared);
        if release {
            connection.orphan(now);
        }
        return Pumped {
            events: Events::empty(),
            release,
        };
    }
    let mut events = connected(connection, shared);
    match receive(connection, shared).and_then(|received| {
        events |= received;
        transmit(connection, shared)
    }) {
        Ok(transmitted) => events |= transmitted | shut(connection, shared),
        // The client broke its ring: that connection is over, nothing else is.
        Err(Corrupt) => connection.fail(Errno::CONNRESET),
    }
    events |= ended(connection, shared);
    Pumped {
        events,
        release: false,
    }
}

/// Adds to the state that the client sees. Returns whether it is new.
fn publish(connection: &mut Connection, shared: &Shared, state: channel::State) -> bool {
    let new = !connection.published.contains(state);
    if new {
        connection.published |= state;
        let bits = connection.published.bits();
        shared.header.state.store(bits, Ordering::Release);
    }
    new
}

fn connected(connection: &mut Connection, shared: &Shared) -> Events {
    let done = !matches!(
        connection.state(),
        State::Closed | State::Listen | State::SynSent | State::SynReceived
    );
    if done && publish(connection, shared, channel::State::CONNECTED) {
        Events::OUT | Events::WRNORM
    } else {
        Events::empty()
    }
}

/// From the socket to the client.
fn receive(connection: &mut Connection, shared: &Shared) -> Result<Events, Corrupt> {
    let mut moved = false;
    loop {
        if !connection.socket().can_recv() {
            break;
        }
        let written = connection.socket().recv(|bytes| {
            let written = shared.rx.write(bytes);
            (written.unwrap_or(0), written)
        });
        match written {
            Ok(Ok(1..)) => moved = true,
            Ok(Ok(0)) => {
                // No room. Ask to be told, then look again: the client may have read in between.
                if shared.header.rx_wanted.load(Ordering::Relaxed) != 0 {
                    break;
                }
                shared.header.rx_wanted.store(1, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                if shared.rx.len()? == channel::RX_SIZE {
                    break;
                }
            }
            Ok(Err(corrupt)) => return Err(corrupt),
            // The handshake is not done; nothing can be taken out.
            Err(_) => break,
        }
    }
    Ok(if moved {
        Events::IN | Events::RDNORM
    } else {
        Events::empty()
    })
}

/// From the client to the socket.
fn transmit(connection: &mut Connection, shared: &Shared) -> Result<Events, Corrupt> {
    let before = shared.tx.len()?;
    let mut moved = 0;
    while moved < before && connection.socket().can_send() {
        let sent = connection.socket().send(|room| {
            let read = shared.tx.read(room);
            (read.unwrap_or(0), read)
        });
        match sent {
            Ok(Ok(0)) | Err(_) => break,
            Ok(Ok(n)) => moved += n as u32,
            Ok(Err(corrupt)) => return Err(corrupt),
        }
    }
    let was_writable = TX_SIZE - before >= WRITABLE;
    let is_writable = (TX_SIZE - before).saturating_add(moved) >= WRITABLE;
    Ok(if is_writable && !was_writable {
        Events::OUT | Events::WRNORM
    } else {
        Events::empty()
    })
}

/// After the last bytes of a client that has shut its side comes our FIN.
fn shut(connection: &mut Connection, shared: &Shared) -> Events {
    let asked = shared.header.shut_write.load(Ordering::Acquire) != 0;
    let may_send = connection.socket().may_send();
    if !asked || !may_send || !shared.tx.is_empty() {
        return Events::empty();
    }
    connection.socket().close();
    publish(connection, shared, channel::State::SHUT);
    let mut events = Events::OUT | Events::WRNORM;
    if connection.published.contains(channel::State::PEER_SHUT) {
        events |= Events::HUP;
    }
    events
}

/// End of input, or the end of everything. Both wait until the client can see all that came before, so that nothing before a
/// FIN or a reset is lost; except that a client with unsent data, which may be waiting to write more, hears of a reset at once.
fn ended(connection: &mut Connection, shared: &Shared) -> Events {
    let rest = connection.socket().can_recv();
    let mut events = Events::empty();
    if let Some(error) = connection.error
        && (!rest || !shared.tx.is_empty())
        && !connection.published.contains(channel::State::BROKEN)
    {
        shared.header.error.store(error.0, Ordering::Relaxed);
        publish(connection, shared, channel::State::BROKEN);
        events |= Events::IN | Events::RDNORM | Events::OUT | Events::WRNORM;
        events |= Events::RDHUP | Events::ERR | Events::HUP;
    }
    if connection.peer_done && !rest && publish(connection, shared, channel::State::PEER_SHUT) {
        events |= Events::IN | Events::RDNORM | Events::RDHUP;
        if shared.header.shut_write.load(Ordering::Acquire) != 0 {
            events |= Events::HUP;
        }
    }
    events
}

/// The client has closed the slot. `true`: we no longer need it either.
fn finish(connection: &mut Connection, shared: &Shared) -> bool {
    let state = connection.state();
    if matches!(state, State::Closed | State::TimeWait | State::SynSent) {
        connection.abort();
        return true;
    }
    let unread = connection.socket().can_recv();
    if shared.header.abort.load(Ordering::Acquire) != 0 || unread {
        // What it wrote before goes out first, as far as the peer takes it: on Linux its write has sent it by then.
        connection.socket().set_nagle_enabled(false);
        if transmit(connection, shared).is_ok() {
            connection.reset_follows = true;
        } else {
            connection.abort();
        }
        return true;
    }
    match transmit(connection, shared) {
        Err(Corrupt) => {
            connection.abort();
            true
        }
        // After our FIN nothing can be sent, whatever the client wrote.
        Ok(_) if connection.socket().may_send() && !shared.tx.is_empty() => false,
        Ok(_) => {
            connection.socket().close();
            true
        }
    }
}
