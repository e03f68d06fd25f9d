// SPDX-License-Identifier: GPL-2.0-only
//! How much of the kernel's stack the deepest chain of calls takes that the queue
//! adds: a CNode is revoked in which the last capability to something attached lies,
//! and with that go the inner queue, the outer queue and the outer queue's frame.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use kernel_ext::{Build, Built, Kernel, Variant, build};

/// `CONFIG_KERNEL_STACK_BITS` 12.
const STACK: usize = 4096;

/// What the chain may take: half of the stack. An interrupt at a preemption point, deepest
/// in `cteRevoke`, takes a hundred bytes or two.
const LIMIT: usize = STACK / 2;

const ENTRY: [&str; 10] = [
    "c_handle_syscall",
    "slowpath",
    "handleSyscall",
    "handleInvocation",
    "decodeInvocation",
    "decodeCNodeInvocation",
    "cteRevoke",
    // The CNode, then a slot of it.
    "cteDelete",
    "finaliseSlot",
    "reduceZombie",
];

const ATTACHED: [&str; 15] = [
    "cteDelete",
    "finaliseSlot",
    // What is attached: its attachment goes, the last capability to the inner queue.
    "finaliseCap",
    "deletingNotification",
    "cteDeleteOne",
    // The inner queue, whose attachment is the last capability to the outer one.
    "finaliseCap",
    "deletingNotification",
    "cteDeleteOne",
    // The outer queue and its frame.
    "finaliseCap",
    "deletingNotification",
    "cteDeleteOne",
    "finaliseCap",
    "Arch_finaliseCap",
    "Mode_finaliseCap",
    "unmapPage",
];

fn cache() -> std::path::PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels")
}

/// `finaliseCap.part.0` → `finaliseCap`.
fn plain(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// Bytes of each function's frame, with saved registers and return address, as the compiler
/// wrote them down. A function that is part of its callers only has none.
fn frames(built: &Built) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(built.dir.join("kernel.su")).unwrap();
    let mut frames = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [place, bytes, kind] = fields[..] else {
            panic!("not a line of -fstack-usage: {line}");
        };
        assert_ne!(kind, "dynamic", "no limit is known: {line}");
        let name = place.rsplit(':').next().unwrap();
        // Of one that was split both parts count.
        *frames.entry(plain(name).to_string()).or_insert(0) += bytes.parse::<usize>().unwrap();
    }
    frames
}

/// Who calls whom, or jumps there instead.
fn calls(built: &Built) -> BTreeSet<(String, String)> {
    let output = Command::new("objdump")
        .args(["-d", "--no-show-raw-insn"])
        .arg(&built.elf)
        .output()
        .expect("objdump is missing: install Debian package binutils");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut calls = BTreeSet::new();
    let mut caller = String::new();
    for line in text.lines() {
        let Some((_, named)) = line.split_once('<') else {
            continue;
        };
        if line.ends_with(">:") {
            caller = plain(named.trim_end_matches(">:")).to_string();
        } else if line.contains("\tcall ") || line.contains("\tj") {
            let target = named.trim_end_matches('>');
            if !target.contains('+') {
                calls.insert((caller.clone(), plain(target).to_string()));
            }
        }
    }
    calls
}

/// Most functions in a row that can have been made part of their caller.
const INLINED: usize = 3;

/// Bytes of a chain. Each step of it must be a call that the kernel has, but for functions that
/// were made part of their caller there; those count as if they had not been.
fn depth(built: &Built, chain: &[&str]) -> usize {
    let (frames, calls) = (frames(built), calls(built));
    let there: Vec<&str> = chain
        .iter()
        .copied()
        .filter(|name| frames.contains_key(*name))
        .collect();
    for name in ["cteRevoke", "finaliseSlot", "finaliseCap"] {
        assert!(there.contains(&name), "{name} has no frame");
    }
    let mut at = 0;
    while at + 1 < there.len() {
        let called = |next: &usize| {
            let step = (there[at].to_string(), there[*next].to_string());
            calls.contains(&step)
        };
        let next = (at + 1..there.len().min(at + 2 + INLINED)).find(called);
        at = next.unwrap_or_else(|| {
            panic!(
                "{} calls none of {:?}: the chain is not the kernel's",
                there[at],
                &there[at + 1..there.len().min(at + 2 + INLINED)]
            )
        });
    }
    there.iter().map(|name| frames[*name]).sum()
}

#[test]
fn deepest_deletion_takes_less_than_half_the_stack() {
    let chain: Vec<&str> = ENTRY.into_iter().chain(ATTACHED).collect();
    // Of a thread instead of a notification.
    let thread: Vec<&str> = chain
        .iter()
        .enumerate()
        .map(|(i, name)| {
            if i == ENTRY.len() + 3 {
                "deletingThread"
            } else {
                name
            }
        })
        .collect();
    // The optional fast path of signals looks at each message that is sent, not called.
    let sent: Vec<&str> = [ENTRY[0], "fastpath_signal"]
        .into_iter()
        .chain(chain[1..].iter().copied())
        .collect();
    for build_kind in Build::ALL {
        for cores in [1, 2] {
            let variant = Variant::from(build_kind).cores(cores);
            let measure = |kernel: Kernel, what: &str, chain: &[&str]| {
                let built = build(kernel, variant, &cache(), &mut |_| ()).unwrap();
                let bytes = depth(&built, chain);
                println!("{kernel}, {variant}: {what}: {bytes} bytes of {STACK}");
                assert!(bytes > 600, "{variant}: {bytes} bytes cannot be all");
                assert!(bytes < LIMIT, "{kernel}, {variant}, {what}: {bytes} bytes");
            };
            measure(Kernel::Queue, "a notification", &chain);
            measure(Kernel::Queue, "a thread", &thread);
            measure(Kernel::Fast, "a notification", &sent);
        }
    }
}
