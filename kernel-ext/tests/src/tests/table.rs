// SPDX-License-Identifier: BSD-2-Clause
//! On the host: the list of tests is in order, and the README's table is made of
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{On, TESTS};

const README: &str = include_str!("../../README.md");
const BEGIN: &str = "<!-- table: begin -->\n";
const END: &str = "<!-- table: end -->\n";

/// The promises, in a few words; docs/notification-queue.md has them in full.
const PROMISES: &[(u8, &str)] = &[
    (
        1,
        "a type of its own; rights to wait and to manage; no badge",
    ),
    (2, "attach: manage right, receive right, nothing lost"),
    (3, "at most one uncollected entry; badges go on"),
    (4, "collect, wait, hand-off, bound queue"),
    (5, "a waiter takes its own bound notification's signals"),
    (
        6,
        "collecting re-arms all at once; zeroed memory is a queue",
    ),
    (7, "the buffer, its capacity, overrun"),
    (8, "resizing collects and loses nothing"),
    (9, "one queue per notification; what attached excludes"),
    (10, "threads attached"),
    (11, "one level of nesting"),
    (12, "deleting and revoking, preemptibly"),
    (13, "unattached notifications are as on stock"),
];

/// Promises that no test in this crate checks, and where they are checked or why not.
const ELSEWHERE: &[(u8, &str)] = &[];

/// Tests in other root tasks, and their promises.
const MORE: &[(u8, &str)] = &[(
    12,
    "NQ1251 to NQ1254 how long an interrupt waits (both kernels; `queue-latency`)",
)];

fn table() -> String {
    let mut rows: BTreeMap<u8, Vec<String>> = BTreeMap::new();
    for test in TESTS {
        let kernel = match test.on {
            On::Both => " (both kernels)",
            On::Stock => " (stock kernel)",
            On::Queue => "",
        };
        for promise in test.promises {
            let text = format!("NQ{:04} {}{kernel}", test.number, test.name);
            rows.entry(*promise).or_default().push(text);
        }
    }
    for (promise, text) in MORE {
        rows.entry(*promise).or_default().push((*text).to_owned());
    }
    let mut table = String::from("| promise | tests |\n|---|---|\n");
    for (number, words) in PROMISES {
        let tests = rows.get(number).map(|tests| tests.join("; "));
        let elsewhere = ELSEWHERE.iter().find(|(promise, _)| promise == number);
        let cell = tests.or(elsewhere.map(|(_, why)| (*why).to_owned()));
        let cell = cell.unwrap_or_else(|| panic!("promise {number} has no test"));
        writeln!(table, "| {number}: {words} | {cell} |").unwrap();
    }
    let others = rows
        .get(&0)
        .map(|tests| tests.join("; "))
        .unwrap_or_default();
    writeln!(table, "| none: seL4 as it is | {others} |").unwrap();
    table
}

#[test]
fn numbers_rise_and_name_the_main_promise() {
    let mut last = 0;
    for test in TESTS {
        assert!(test.number > last, "NQ{:04} is out of order", test.number);
        last = test.number;
        let main = u16::from(test.promises[0]);
        let number = test.number / 100;
        assert!(
            number == main
                || number == 0
                || number == 14
                || test.promises.contains(&(number as u8)),
            "NQ{:04} is about promise {main}",
            test.number
        );
        let known = |p: &u8| *p == 0 || PROMISES.iter().any(|(number, _)| number == p);
        assert!(test.promises.iter().all(known), "NQ{:04}", test.number);
    }
}

#[test]
fn names_are_unique() {
    let names: BTreeSet<&str> = TESTS.iter().map(|test| test.name).collect();
    assert_eq!(names.len(), TESTS.len());
}

#[test]
fn the_readme_has_the_table() {
    let (_, rest) = README.split_once(BEGIN).expect("no begin of the table");
    let (found, _) = rest.split_once(END).expect("no end of the table");
    assert!(
        found == table(),
        "README.md is stale; between the marks it must say:\n\n{}",
        table()
    );
}
