// SPDX-License-Identifier: BSD-2-Clause
//! The calls as a library over Linux: what a program would get, by the same table, in this process.

use std::sync::Once;

const READ: usize = 0;
const WRITE: usize = 1;
const CLOSE: usize = 3;
const POLL: usize = 7;
const DUP: usize = 32;
const EPOLL_CTL: usize = 233;
const EPOLL_WAIT: usize = 232;
const TIMERFD_CREATE: usize = 283;
const TIMERFD_SETTIME: usize = 286;
const EVENTFD2: usize = 290;
const EPOLL_CREATE1: usize = 291;
const PIPE2: usize = 293;

const EAGAIN: isize = 11;
const ADD: usize = 1;
const IN: u32 = 1;
const EDGE: u32 = 1 << 31;
const NONBLOCK: usize = 0o4000;

#[repr(C, packed)]
#[derive(Clone, Copy)]
struct Event {
    events: u32,
    data: u64,
}

fn call(number: usize, args: &[usize]) -> isize {
    static START: Once = Once::new();
    START.call_once(musl_shim::start);
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    // SAFETY: the pointers that this file passes are to live values of the right types.
    unsafe { musl_shim::call(number, &all) }
}

fn fd(number: usize, args: &[usize]) -> usize {
    usize::try_from(call(number, args)).expect("an fd")
}

fn wait(epoll: usize, timeout: i32) -> Vec<(u32, u64)> {
    let mut events = [Event { events: 0, data: 0 }; 4];
    let n = call(
        EPOLL_WAIT,
        &[epoll, events.as_mut_ptr() as usize, 4, timeout as usize],
    );
    let n = usize::try_from(n).expect("a count");
    events[..n].iter().map(|e| (e.events, e.data)).collect()
}

fn add(epoll: usize, fd: usize, events: u32) {
    let data = fd as u64;
    let event = Event { events, data };
    let result = call(EPOLL_CTL, &[epoll, ADD, fd, &raw const event as usize]);
    assert_eq!(result, 0);
}

#[test]
fn a_thread_wakes_another() {
    const ROUNDS: u64 = 2_000;
    let (here, there) = (fd(EVENTFD2, &[0, 0]), fd(EVENTFD2, &[0, 0]));
    let epoll = fd(EPOLL_CREATE1, &[0]);
    add(epoll, here, IN | EDGE);
    let other = std::thread::spawn(move || {
        for _ in 0..ROUNDS {
            let mut value = 0u64;
            assert_eq!(call(READ, &[there, &raw mut value as usize, 8]), 8);
            assert_eq!(call(WRITE, &[here, &raw const value as usize, 8]), 8);
        }
    });
    for _ in 0..ROUNDS {
        let one = 1u64;
        assert_eq!(call(WRITE, &[there, &raw const one as usize, 8]), 8);
        assert_eq!(wait(epoll, 10_000), [(IN, here as u64)]);
    }
    other.join().unwrap();
}

#[test]
fn calls_answer_in_process() {
    let epoll = fd(EPOLL_CREATE1, &[0]);

    let event = fd(EVENTFD2, &[0, NONBLOCK]);
    add(epoll, event, IN | EDGE);
    assert_eq!(wait(epoll, 0), []);
    let mut value = 5u64;
    let value = &raw mut value as usize;
    assert_eq!(call(WRITE, &[event, value, 8]), 8);
    assert_eq!(wait(epoll, -1), [(IN, event as u64)]);
    assert_eq!(wait(epoll, 0), []);
    assert_eq!(call(READ, &[event, value, 8]), 8);
    assert_eq!(call(READ, &[event, value, 8]), -EAGAIN);

    let mut ends = [0i32; 2];
    assert_eq!(call(PIPE2, &[ends.as_mut_ptr() as usize, 0]), 0);
    let [reader, writer] = ends.map(|end| end as usize);
    let other = fd(DUP, &[reader]);
    add(epoll, reader, IN);
    assert_eq!(call(WRITE, &[writer, b"x".as_ptr() as usize, 1]), 1);
    assert_eq!(call(CLOSE, &[reader]), 0);
    assert_eq!(wait(epoll, 0), [(IN, reader as u64)]);
    assert_eq!(call(CLOSE, &[other]), 0);
    assert_eq!(wait(epoll, 0), []);

    // A blocking wait ends at the timer's expiry, not before.
    const MONOTONIC: usize = 1;
    let timer = fd(TIMERFD_CREATE, &[MONOTONIC, NONBLOCK]);
    let setting = [0u64, 0, 0, 20_000_000];
    let start = std::time::Instant::now();
    let set = [timer, 0, setting.as_ptr() as usize, 0];
    assert_eq!(call(TIMERFD_SETTIME, &set), 0);
    let mut polled = [timer as u32, IN];
    let n = call(POLL, &[polled.as_mut_ptr() as usize, 1, usize::MAX]);
    assert_eq!((n, polled[1] >> 16), (1, IN));
    assert!(start.elapsed().as_nanos() >= 20_000_000);
}
