// SPDX-License-Identifier: BSD-2-Clause
//! Locks beside a model that knows for each byte who has it.

use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use vfs_hooks::file_lock::{Asked, END, FREE, Kind, NO_PROCESS, What, kind};

use super::{Fake, Random, server};
use crate::errno::Errno;
use crate::ranges::Owner;
use crate::server::Server;

const FILE: u64 = 77;
/// Bytes that the model tells apart; the last stands for all that follow.
const BYTES: usize = 12;

fn asked(what: What, start: u64, end: u64) -> Asked {
    Asked {
        what,
        whole: false,
        open: None,
        thread: 0,
        start,
        end,
    }
}

fn set(
    server: &mut Server<Fake>,
    process: usize,
    what: What,
    start: u64,
    end: u64,
) -> Result<(), Errno> {
    server
        .lock(process, FILE, &asked(what, start, end))
        .map(drop)
}

/// First byte, last byte and owner of what is in the way of an exclusive lock of everything.
fn in_the_way(server: &mut Server<Fake>, process: usize) -> Option<(u64, u64, u64)> {
    let test = asked(What::Test(Kind::Exclusive), 0, END);
    let words = server.lock(process, FILE, &test).unwrap().words;
    (words[0] != FREE).then_some((words[1], words[2], words[3]))
}

#[test]
fn ranges_split_and_join() {
    let mut server = server();
    let write = What::Set(Kind::Exclusive);
    set(&mut server, 1, write, 0, 99).unwrap();
    set(&mut server, 1, What::Unlock, 40, 59).unwrap();
    assert_eq!(in_the_way(&mut server, 2), Some((0, 39, 1)));
    set(&mut server, 1, write, 40, 59).unwrap();
    assert_eq!(in_the_way(&mut server, 2), Some((0, 99, 1)));
    set(&mut server, 1, What::Set(Kind::Shared), 10, 19).unwrap();
    set(&mut server, 2, What::Set(Kind::Shared), 10, 19).unwrap();
    assert_eq!(
        set(&mut server, 2, What::Set(Kind::Shared), 9, 19),
        Err(Errno::AGAIN)
    );
    assert_eq!(in_the_way(&mut server, 1), Some((10, 19, 2)));
}

#[test]
fn an_owner_that_ends_frees_its_locks_and_wakes() {
    let mut server = server();
    let write = What::Set(Kind::Exclusive);
    set(&mut server, 1, write, 0, END).unwrap();
    let wait = Asked {
        thread: 5,
        ..asked(What::Wait(Kind::Shared), 3, 3)
    };
    assert_eq!(server.lock(2, FILE, &wait), Err(Errno::AGAIN));
    assert!(server.files.kicked.is_empty());
    server.files.ended.push(Owner::Process(1));
    server.sweep_owners();
    assert_eq!(server.files.kicked, [(2, 5)]);
    assert!(server.lock(2, FILE, &wait).is_ok());
}

#[test]
fn who_waits_for_himself_is_told() {
    let mut server = server();
    let (write, wait) = (What::Set(Kind::Exclusive), What::Wait(Kind::Exclusive));
    for process in 1..=3 {
        set(&mut server, process, write, process as u64, process as u64).unwrap();
    }
    assert_eq!(set(&mut server, 1, wait, 2, 2), Err(Errno::AGAIN));
    assert_eq!(set(&mut server, 2, wait, 3, 3), Err(Errno::AGAIN));
    assert_eq!(set(&mut server, 3, wait, 1, 1), Err(Errno::DEADLK));
    // Who has given up is no longer in the circle.
    set(&mut server, 2, What::GiveUp, 0, 0).unwrap();
    assert_eq!(set(&mut server, 3, wait, 1, 1), Err(Errno::AGAIN));
}

#[test]
fn an_open_file_is_an_owner_of_its_own() {
    let mut server = server();
    let open = |what, channel, whole| Asked {
        open: Some(channel),
        whole,
        ..asked(what, 0, END)
    };
    let write = What::Set(Kind::Exclusive);
    server.lock(1, FILE, &open(write, 8, false)).unwrap();
    let by_process = set(&mut server, 1, write, 0, 0);
    assert_eq!(by_process, Err(Errno::AGAIN));
    assert_eq!(in_the_way(&mut server, 1), Some((0, END, NO_PROCESS)));
    // flock(2) does not see it.
    server.lock(1, FILE, &open(write, 9, true)).unwrap();
    assert_eq!(
        server.lock(1, FILE, &open(write, 8, true)),
        Err(Errno::AGAIN)
    );
    // Somebody else's.
    server.files.foreign = Some(8);
    let stolen = server.lock(2, FILE, &open(What::Unlock, 8, false));
    assert_eq!(stolen, Err(Errno::BADF));
}

#[test]
fn flock_gives_up_what_it_has_before_it_gets_the_other_kind() {
    let mut server = server();
    let open = |what, channel| Asked {
        open: Some(channel),
        whole: true,
        ..asked(what, 0, END)
    };
    let (read, write) = (What::Set(Kind::Shared), What::Set(Kind::Exclusive));
    server.lock(1, FILE, &open(read, 1)).unwrap();
    server.lock(1, FILE, &open(read, 2)).unwrap();
    assert_eq!(server.lock(1, FILE, &open(write, 1)), Err(Errno::AGAIN));
    // It has none now.
    server.lock(1, FILE, &open(write, 2)).unwrap();
}

#[test]
fn there_is_an_end_to_locks() {
    let mut server = server();
    let write = What::Set(Kind::Exclusive);
    let mut at = 0;
    let full = loop {
        match set(&mut server, 1, write, at, at) {
            Ok(()) => at += 2,
            Err(errno) => break errno,
        }
    };
    assert_eq!(full, Errno::NOLCK);
    assert!(at > 1000);
    set(&mut server, 2, write, 1, 1).unwrap();
    set(&mut server, 1, What::Unlock, 0, END).unwrap();
    set(&mut server, 1, write, 3, 3).unwrap();
}

/// Who has each byte, and how.
#[derive(Default)]
struct Model {
    held: BTreeMap<Owner, [Option<Kind>; BYTES]>,
    waiters: BTreeMap<u16, (Owner, Kind, usize, usize)>,
}

impl Model {
    fn blocked(&self, owner: Owner, kind: Kind, from: usize, to: usize) -> bool {
        self.held.iter().any(|(other, bytes)| {
            let conflicts = |held: &Option<Kind>| match held {
                None => false,
                Some(held) => kind == Kind::Exclusive || *held == Kind::Exclusive,
            };
            *other != owner && bytes[from..=to].iter().any(conflicts)
        })
    }

    fn put(&mut self, owner: Owner, kind: Option<Kind>, from: usize, to: usize) {
        self.held.entry(owner).or_default()[from..=to].fill(kind);
    }

    /// Threads that nothing is in the way of.
    fn free(&self) -> BTreeSet<u16> {
        let free = self.waiters.iter().filter(|(_, waiter)| {
            let (owner, kind, from, to) = **waiter;
            !self.blocked(owner, kind, from, to)
        });
        free.map(|(thread, _)| *thread).collect()
    }
}

fn last(byte: usize) -> u64 {
    if byte == BYTES - 1 { END } else { byte as u64 }
}

#[test]
fn answers_as_a_model_with_bytes() {
    let mut random = Random(3);
    for _ in 0..200 {
        let (mut server, mut model) = (server(), Model::default());
        for _ in 0..200 {
            step(&mut server, &mut model, &mut random);
        }
    }
}

fn step(server: &mut Server<Fake>, model: &mut Model, random: &mut Random) {
    let number = random.below(5);
    let owner = match number {
        0..3 => Owner::Process(number + 1),
        _ => Owner::Open(number as u32),
    };
    let process = if number < 3 { number + 1 } else { 1 };
    let from = random.below(BYTES);
    let to = from + random.below(BYTES - from);
    let wanted = [Kind::Shared, Kind::Exclusive][random.below(2)];
    let thread = number as u16;
    let what = match random.below(10) {
        0 | 1 => What::Test(wanted),
        2..5 => What::Set(wanted),
        5 | 6 => What::Wait(wanted),
        7 | 8 => What::Unlock,
        _ if random.below(3) == 0 => {
            server.files.ended.push(owner);
            server.sweep_owners();
            model.held.remove(&owner);
            if let Owner::Process(ended) = owner {
                // Threads 3 and 4 are the first process's.
                let gone = |t: u16| if t < 3 { t as usize + 1 } else { 1 };
                model.waiters.retain(|t, _| gone(*t) != ended);
            }
            return check_kicks(server, model);
        }
        _ => What::GiveUp,
    };
    let request = Asked {
        what,
        whole: false,
        open: match owner {
            Owner::Process(_) => None,
            Owner::Open(channel) => Some(channel),
        },
        thread,
        start: from as u64,
        end: last(to),
    };
    let result = server.lock(process, FILE, &request);
    let blocked = model.blocked(owner, wanted, from, to);
    match what {
        What::Test(_) => {
            let words = result.unwrap().words;
            assert_eq!(words[0] != FREE, blocked);
            if blocked {
                check_range(model, owner, &words);
            }
        }
        What::Set(_) => {
            assert_eq!(result.is_err(), blocked);
            if !blocked {
                model.put(owner, Some(wanted), from, to);
            }
        }
        What::Wait(_) => {
            model.waiters.remove(&thread);
            match result {
                Ok(_) => {
                    assert!(!blocked);
                    model.put(owner, Some(wanted), from, to);
                }
                Err(Errno::AGAIN) => {
                    assert!(blocked);
                    model.waiters.insert(thread, (owner, wanted, from, to));
                }
                Err(errno) => {
                    assert_eq!(errno, Errno::DEADLK);
                    assert!(blocked && !model.waiters.is_empty());
                }
            }
        }
        What::Unlock => {
            result.unwrap();
            model.put(owner, None, from, to);
        }
        What::GiveUp => {
            result.unwrap();
            model.waiters.remove(&thread);
        }
    }
    check_kicks(server, model);
}

/// Whoever could go on now has been kicked at some time since it began to wait; and each byte of what is told is held so.
fn check_kicks(server: &mut Server<Fake>, model: &Model) {
    let kicked: BTreeSet<u16> = server.files.kicked.iter().map(|(_, t)| *t).collect();
    let free = model.free();
    assert!(free.is_subset(&kicked), "{free:?} of {kicked:?}");
    let still: Vec<_> = server.files.kicked.drain(..).collect();
    // A kick that came too early, because another was faster, is not the last.
    server.files.kicked = still
        .into_iter()
        .filter(|(_, thread)| free.contains(thread))
        .collect();
}

fn check_range(model: &Model, owner: Owner, words: &[u64]) {
    let (held, start, end) = (kind(words[0]), words[1], words[2]);
    let to = (end as usize).min(BYTES - 1);
    let matches = model.held.iter().any(|(other, bytes)| {
        let named = match other {
            Owner::Process(number) => words[3] == *number as u64,
            Owner::Open(_) => words[3] == NO_PROCESS,
        };
        let from = start as usize;
        let whole = bytes[from..=to].iter().all(|byte| *byte == Some(held));
        // No longer on either side.
        let left = from == 0 || bytes[from - 1] != Some(held);
        let right = end == END || bytes[to + 1] != Some(held);
        named && *other != owner && whole && left && right
    });
    assert!(matches, "{words:?}");
}
