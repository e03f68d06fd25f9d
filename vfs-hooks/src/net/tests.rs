// SPDX-License-Identifier: BSD-2-Clause
//! The channel's words by behaviour, one side after the other. The levels are those that Linux gives a TCP socket in the same state.

use super::*;
use std::vec::Vec;

/// A channel with its first chunk, as both processes would see it.
struct Memory {
    base: NonNull<u8>,
}

const LAYOUT: core::alloc::Layout =
    match core::alloc::Layout::from_size_align(SLOTS_OFFSET + CHUNK_SIZE, PAGE) {
        Ok(layout) => layout,
        Err(_) => panic!(),
    };

impl Memory {
    fn new() -> Memory {
        // SAFETY: the size is not zero.
        let base = NonNull::new(unsafe { std::alloc::alloc_zeroed(LAYOUT) }).unwrap();
        Memory { base }
    }

    fn channel(&self) -> Channel {
        // SAFETY: the control page is allocated until `self` goes, and tests keep it to their end.
        unsafe { Channel::new(self.base) }
    }

    fn slot(&self, index: u32) -> &SocketSlot {
        assert!((index as usize) < CHUNK_SLOTS);
        // SAFETY: the first chunk is there.
        unsafe { self.channel().slot(index) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout; nobody looks any more.
        unsafe { std::alloc::dealloc(self.base.as_ptr(), LAYOUT) };
    }
}

fn stream(memory: &Memory, index: u32, state: State) -> &SocketSlot {
    let slot = memory.slot(index);
    slot.reset(kind::STREAM);
    slot.state.store(state.bits(), Ordering::Relaxed);
    slot
}

#[test]
fn channels_of_clients_lie_side_by_side() {
    assert_eq!(channel_base(0), crate::process::NET_CHANNEL);
    assert_eq!(channel_base(3) - channel_base(2), CHANNEL_SIZE);
    const { assert!(SLOTS_OFFSET + SLOTS * SLOT_SIZE <= CHANNEL_SIZE) };
}

#[test]
fn marks_are_taken_once_and_ring_only_who_sleeps() {
    let memory = Memory::new();
    let channel = memory.channel();
    let control = channel.control();
    let taken = || {
        let mut all = Vec::new();
        control.take(|slot| all.push(slot));
        all
    };
    assert!(!control.mark(5), "it does not sleep");
    assert!(!control.mark(5));
    assert!(!control.mark(4095));
    // A number beyond the slots is one of them: it spoils the client's own.
    assert!(!control.mark(64 + SLOTS as u32));
    assert_eq!(taken(), [5, 64, 4095]);
    assert_eq!(taken(), []);
    control.arm();
    assert!(control.mark(7), "it sleeps: ring");
    assert!(!control.mark(8), "once");
    assert_eq!(taken(), [7, 8]);
}

#[test]
fn a_listener_is_readable_while_a_connection_waits() {
    let memory = Memory::new();
    let slot = memory.slot(0);
    slot.reset(kind::LISTENER);
    assert_eq!(slot.level(), Events::empty());
    assert_eq!(slot.pop_accept(), Ok(None));
    for connection in 0..ACCEPT_SIZE {
        assert!(slot.push_accept(connection));
    }
    assert!(!slot.push_accept(9), "the backlog is full");
    assert_eq!(slot.level(), Events::READABLE);
    assert_eq!(slot.pop_accept(), Ok(Some(0)));
    assert!(slot.push_accept(4000));
    for connection in (1..ACCEPT_SIZE).chain([4000]) {
        assert_eq!(slot.pop_accept(), Ok(Some(connection)));
    }
    assert_eq!(slot.level(), Events::empty());
}

#[test]
fn what_the_other_side_claims_of_its_backlog_is_checked() {
    let memory = Memory::new();
    let slot = memory.slot(1);
    slot.reset(kind::LISTENER);
    assert!(slot.push_accept(SLOTS as u32));
    assert_eq!(slot.pop_accept(), Err(Corrupt), "no such slot");
    slot.accept.tail.store(1 << 20, Ordering::Relaxed);
    assert_eq!(
        slot.pop_accept(),
        Err(Corrupt),
        "more than there is room for"
    );
    assert_eq!(slot.level(), Events::empty());
    assert!(!slot.push_accept(1));
}

#[test]
fn levels_of_a_connection_are_linuxs() {
    let memory = Memory::new();
    let (read, write) = (Events::READABLE, Events::WRITABLE);
    let connecting = stream(&memory, 0, State::empty());
    assert_eq!(connecting.level(), Events::empty());
    assert_eq!(stream(&memory, 0, State::CONNECTED).level(), write);
    let shut = stream(&memory, 0, State::CONNECTED | State::PEER_SHUT);
    assert_eq!(shut.level(), read | Events::RDHUP | write);
    // Both directions are shut: a hang-up, and writing would not block.
    shut.shut_write.store(1, Ordering::Relaxed);
    let both = read | Events::RDHUP | Events::HUP | write;
    assert_eq!(shut.level(), both);
    let broken = stream(&memory, 0, State::CONNECTED | State::BROKEN);
    assert_eq!(broken.level(), both);
    broken.error.store(104, Ordering::Relaxed);
    assert_eq!(broken.level(), both | Events::ERR);
    // Bits that mean nothing are not believed.
    broken.state.store(!0, Ordering::Relaxed);
    assert_eq!(broken.state(), State::all());
}

#[test]
fn writable_while_a_third_of_the_buffer_is_free() {
    let memory = Memory::new();
    let slot = stream(&memory, 2, State::CONNECTED);
    // SAFETY: the slot is in the first chunk.
    let (tx, rx) = unsafe { (memory.channel().tx(2), memory.channel().rx(2)) };
    let most = (TX_SIZE - TX_SIZE / 3) as usize;
    assert_eq!(tx.write(&std::vec![1; most]), Ok(most));
    assert_eq!(slot.level(), Events::WRITABLE);
    assert_eq!(tx.write(&[2]), Ok(1));
    assert_eq!(slot.level(), Events::empty());
    // The rings do not touch each other, nor the next slot.
    let mut out = std::vec![0; TX_SIZE as usize];
    assert_eq!(
        rx.write(&std::vec![3; RX_SIZE as usize]),
        Ok(RX_SIZE as usize)
    );
    assert_eq!(memory.slot(3).kind.load(Ordering::Relaxed), kind::FREE);
    assert_eq!(slot.level(), Events::READABLE);
    assert_eq!(tx.read(&mut out), Ok(most + 1));
    assert!(out[..most].iter().all(|&byte| byte == 1) && out[most] == 2);
    assert_eq!(slot.level(), Events::READABLE | Events::WRITABLE);
}

#[test]
fn publishing_counts_edges_and_signals_who_is_armed() {
    let memory = Memory::new();
    let slot = stream(&memory, 0, State::CONNECTED);
    slot.subscriptions.put(0, 40, Events::IN);
    slot.subscriptions.put(1, 41, Events::OUT);
    let mut signals = Vec::new();
    slot.publish(Events::READABLE, |watch| signals.push(watch));
    slot.publish(Events::READABLE, |watch| signals.push(watch));
    assert_eq!(signals, [40], "armed once");
    slot.publish(Events::WRITABLE, |watch| signals.push(watch));
    assert_eq!(signals, [40, 41]);
    let edges = |word: &AtomicU32| word.load(Ordering::Relaxed);
    assert_eq!(
        (edges(&slot.input_edges), edges(&slot.output_edges)),
        (2, 1)
    );
    // A slot that is used anew knows nothing of this.
    slot.subscriptions.arm(0);
    slot.reset(kind::STREAM);
    slot.publish(Events::all(), |_| panic!("its watches are gone"));
    assert_eq!(
        (edges(&slot.input_edges), edges(&slot.output_edges)),
        (1, 1)
    );
}

#[test]
fn marks_of_sockets_in_channels_are_taken_apart_from_the_others() {
    let memory = Memory::new();
    let channel = memory.channel();
    let control = channel.control();
    let taken = || {
        let mut all = Vec::new();
        control.take_channels(|channel| all.push(channel));
        all
    };
    assert_eq!(taken(), []);
    assert!(!control.mark_channel(70), "it does not sleep");
    assert!(!control.mark(5));
    assert_eq!((taken(), taken()), (std::vec![70], std::vec![]));
    // A number from outside is made one that there is.
    control.arm();
    assert!(control.mark_channel(MOST + 1));
    assert!(!control.mark_channel(MOST - 1), "it is awake");
    assert_eq!(taken(), [1, MOST - 1]);
}
