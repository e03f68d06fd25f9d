// SPDX-License-Identifier: GPL-2.0-only
//! `nqring.h`, compiled for the host, against a model that knows nothing of heads
//! and tails; and mutants of it, each of which the model must catch.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const HEADER: &str = include_str!("../queue/include/object/nqring.h");
const HARNESS: &str = include_str!("ring.c");

/// More than any buffer of 4 KiB could serve, even wrongly.
const NOTIFICATIONS: u64 = 600;
const SMALL_BITS: u32 = 12;
/// Notifications that 4 KiB serve.
const CAPACITY: usize = 252;

/// Compiles the harness with a header; the executable.
fn compile(name: &str, header: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("ring")
        .join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("nqring.h"), header).unwrap();
    fs::write(folder.join("ring.c"), HARNESS).unwrap();
    let program = folder.join("ring");
    let gcc = Command::new("gcc")
        .args(["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .arg(folder.join("ring.c"))
        .output()
        .expect("gcc is missing: install Debian package gcc");
    assert!(
        gcc.status.success(),
        "{}",
        String::from_utf8_lossy(&gcc.stderr)
    );
    program
}

/// What the harness prints for `operations`.
fn run(program: &Path, bits: u32, operations: &str) -> String {
    let mut child = Command::new(program)
        .arg(bits.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let operations = operations.to_string();
    // Apart, lest both pipes fill up.
    let writer = std::thread::spawn(move || stdin.write_all(operations.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let written = writer.join().unwrap();
    assert!(
        output.status.success() && written.is_ok(),
        "{:?}",
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}

/// What a queue promises, without the arithmetic.
#[derive(Default)]
struct Model {
    attached: BTreeSet<u64>,
    /// Entries not collected yet, in order; whether the notification that made
    /// it has been detached since.
    pending: Vec<(u64, bool)>,
    told: HashSet<u64>,
    collected: u64,
    previous: Vec<u64>,
    expected: String,
}

impl Model {
    fn attach(&mut self, i: u64) -> bool {
        let stale = self
            .pending
            .iter()
            .filter(|(_, detached)| *detached)
            .count();
        let fits = self.attached.len() + stale < CAPACITY;
        if fits {
            self.attached.insert(i);
        }
        self.expected += if fits { "ok\n" } else { "full\n" };
        fits
    }

    fn signal(&mut self, i: u64) {
        if self.told.insert(i) {
            self.pending.push((i, false));
        }
    }

    fn detach(&mut self, i: u64) {
        self.attached.remove(&i);
        if self.told.remove(&i) {
            let last = self.pending.iter_mut().rev().find(|(n, _)| *n == i);
            last.unwrap().1 = true;
        }
    }

    fn collect(&mut self) {
        let run: Vec<u64> = self.pending.drain(..).map(|(i, _)| i).collect();
        self.told.clear();
        let line = |run: &[u64]| {
            let mut text = format!(" {}:", run.len());
            run.iter().for_each(|i| write!(text, " {i}").unwrap());
            text
        };
        writeln!(
            self.expected,
            "{} {}{}{}",
            run.len(),
            self.collected,
            line(&self.previous),
            line(&run)
        )
        .unwrap();
        self.collected += run.len() as u64;
        self.previous = run;
    }
}

/// xorshift64*: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// A random program in bursts, and what it must print.
fn program(seed: u64, bursts: usize) -> (String, String) {
    let mut random = Random(seed * 2 + 1);
    let mut model = Model::default();
    let mut text = String::new();
    for _ in 0..bursts {
        let start = random.below(NOTIFICATIONS);
        // Often all, else a few.
        let length = match random.below(3) {
            0 => NOTIFICATIONS,
            _ => random.below(40),
        };
        let kind = random.below(8);
        for k in 0..length {
            let i = (start + k) % NOTIFICATIONS;
            let attached = model.attached.contains(&i);
            match kind {
                0 | 1 if !attached => {
                    writeln!(text, "a {i}").unwrap();
                    model.attach(i);
                }
                2 if attached && random.below(4) == 0 => {
                    writeln!(text, "d {i}").unwrap();
                    model.detach(i);
                }
                3..=6 if attached && random.below(8) != 0 => {
                    writeln!(text, "s {i}").unwrap();
                    model.signal(i);
                }
                _ => {}
            }
        }
        if kind >= 5 {
            text += "c\n";
            model.collect();
        }
    }
    (text, model.expected)
}

/// Whether a harness prints what the model says, for several programs.
fn agrees(harness: &Path) -> bool {
    (1..=12).all(|seed| {
        let (text, expected) = program(seed, 400);
        run(harness, SMALL_BITS, &text) == expected
    })
}

#[test]
fn ring_does_what_the_model_says() {
    let harness = compile("original", HEADER);
    for seed in 1..=40 {
        let (text, expected) = program(seed, 500);
        let found = run(&harness, SMALL_BITS, &text);
        let differs = found
            .lines()
            .zip(expected.lines())
            .position(|(f, e)| f != e);
        assert!(found == expected, "program {seed}, output line {differs:?}");
    }
}

#[test]
fn programs_reach_the_limits() {
    let all: String = (1..=12).map(|seed| program(seed, 400).1).collect();
    let lines = || all.lines();
    assert!(lines().filter(|l| *l == "full").count() > 1000);
    let collections = lines().filter(|l| !l.starts_with(['o', 'f']));
    let full = collections.filter(|l| l.starts_with("252 ")).count();
    assert!(full > 0, "no program collects a full run");
}

#[test]
fn sizes_are_as_promised() {
    let harness = compile("sizes", HEADER);
    let attach_all: String = (0..1024).map(|i| format!("a {i}\n")).collect();
    let served = |bits| run(&harness, bits, &attach_all).matches("ok").count();
    assert_eq!(served(0), 0, "without a buffer");
    assert_eq!(served(SMALL_BITS), CAPACITY);
    assert_eq!(served(21), 1024);
    // 2 MiB: too many to attach by name.
    assert_eq!(((1 << 18) - 8) / 2, 131_068);
}

#[test]
fn mutants_are_caught() {
    let mutants = [
        ("ring of N", "nqSlots(bits) / 2", "nqSlots(bits)"),
        (
            "ring of N, exactly one less",
            "nqSlots(bits) / 2",
            "nqSlots(bits) - 1",
        ),
        (
            "one too many",
            "more <= nqSlots(bits) / 2",
            "more <= nqSlots(bits) / 2 + 1",
        ),
        (
            "one too few",
            "more <= nqSlots(bits) / 2",
            "more < nqSlots(bits) / 2",
        ),
        (
            "detached entries not counted",
            "ring->stale++",
            "(void)ring",
        ),
        ("stale never cleared", "ring->stale = 0", "ring->stale += 0"),
        (
            "stale counted always",
            "nqOutstanding(ring, position)) {\n        ring->stale",
            "position) {\n        ring->stale",
        ),
        (
            "attached not counted down",
            "ring->attached--",
            "(void)ring",
        ),
        (
            "outstanding one too long",
            "position > ring->head",
            "position >= ring->head && position",
        ),
        (
            "never coalesced",
            "return position > ring->head",
            "return (void)position, (void)ring, 0",
        ),
        (
            "collect leaves one",
            "ring->head = ring->tail",
            "ring->head = ring->tail ? ring->tail - 1 : 0",
        ),
        (
            "count from the wrong end",
            "ring->tail - ring->head",
            "ring->tail",
        ),
        (
            "next does not wrap",
            "ring->next + 1 == ring->end ?",
            "ring->next + 1 == 0 ?",
        ),
        (
            "next wraps into the header",
            "? NQ_HEADER_WORDS : ring->next",
            "? 0 : ring->next",
        ),
        (
            "next wraps too early",
            "(nq_half_t)(NQ_HEADER_WORDS + nqSlots(bits))",
            "(nq_half_t)(NQ_HEADER_WORDS + nqSlots(bits) - 1)",
        ),
        (
            "next forgotten",
            "ring->next = (nq_half_t)nqEntryWord(ring->tail, bits)",
            "(void)nqEntryWord(ring->tail, bits)",
        ),
    ];
    for (name, from, to) in mutants {
        assert_eq!(
            HEADER.matches(from).count(),
            1,
            "{name}: not in the header once"
        );
        let folder = name.replace([' ', ','], "-");
        let harness = compile(&folder, &HEADER.replace(from, to));
        assert!(!agrees(&harness), "the model does not catch: {name}");
    }
}
