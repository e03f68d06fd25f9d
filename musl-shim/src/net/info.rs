// SPDX-License-Identifier: BSD-2-Clause
//! TCP_INFO: the state of a connection. Of Linux's figures only the segment's size is there; nobody here keeps the others.

use vfs_hooks::net::State as RemoteState;

use crate::net::options::SEGMENT;
use crate::net::remote::Remote;
use crate::net::socket::{Socket, State};

/// Bytes of `struct tcp_info` up to `tcpi_total_retrans`, which all programs know.
pub const SIZE: usize = 104;
/// Offsets in it.
const SEND_SEGMENT: usize = 16;
const RECEIVE_SEGMENT: usize = 20;
const ADVERTISED_SEGMENT: usize = 84;

/// Linux's numbers of the states of RFC 9293, 3.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TcpState {
    Established = 1,
    SynSent = 2,
    FinWait1 = 4,
    FinWait2 = 5,
    Close = 7,
    CloseWait = 8,
    Listen = 10,
}

/// What two connected ends have told each other: `shut`, we send no more; `ended`, the peer does not.
fn connected(shut: bool, ended: bool) -> TcpState {
    match (shut, ended) {
        (false, false) => TcpState::Established,
        (false, true) => TcpState::CloseWait,
        (true, false) => TcpState::FinWait2,
        (true, true) => TcpState::Close,
    }
}

fn remote(remote: &Remote) -> TcpState {
    let state = remote.header().state();
    let shut = state.contains(RemoteState::SHUT);
    if state.contains(RemoteState::BROKEN) {
        TcpState::Close
    } else if !state.contains(RemoteState::CONNECTED) {
        TcpState::SynSent
    } else if !shut && remote.is_shut() {
        // What was written before has not gone yet.
        TcpState::FinWait1
    } else {
        connected(shut, state.contains(RemoteState::PEER_SHUT))
    }
}

fn state(socket: &Socket) -> TcpState {
    match &*socket.state.borrow() {
        State::Idle => TcpState::Close,
        State::Listening(_) => TcpState::Listen,
        State::Local { connected, .. } if !connected.get() => TcpState::SynSent,
        State::Local { link, side, .. } => match link.borrow().ends(*side) {
            Some((shut, ended)) => connected(shut, ended),
            None => TcpState::Close,
        },
        State::Remote(to) => remote(to),
    }
}

/// `struct tcp_info` of a TCP socket.
pub fn of(socket: &Socket) -> [u8; SIZE] {
    let mut info = [0; SIZE];
    info[0] = state(socket) as u8;
    for at in [SEND_SEGMENT, RECEIVE_SEGMENT, ADVERTISED_SEGMENT] {
        info[at..at + 4].copy_from_slice(&SEGMENT.to_ne_bytes());
    }
    info
}
