// SPDX-License-Identifier: GPL-2.0-only
//! docs/notification-queue.md says of the interface what the code and the README say.

use std::collections::BTreeSet;

const RFC: &str = include_str!("../../docs/notification-queue.md");
const README: &str = include_str!("../README.md");
const OBJECT: &str = include_str!("../queue/src/object/notificationqueue.c");
const HOOKS: &str = include_str!("../queue/hooks.patch");

/// The rows of the table of errors.
fn errors(text: &str) -> Vec<(&str, &str)> {
    let table = text.split("| refused | error |").nth(1);
    let table = table.expect("there is a table of errors");
    table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            (cells.next().unwrap(), cells.next().unwrap())
        })
        .collect()
}

/// What `refuse` is called with in the object's code: the error and, where it counts, the cap.
fn refusals() -> BTreeSet<String> {
    let calls = OBJECT.split("return refuse(seL4_").skip(1);
    calls
        .map(|call| {
            let mut arguments = call.split(',').map(str::trim);
            let error = arguments.next().unwrap();
            match error {
                "InvalidCapability" => format!("{error} {}", arguments.next().unwrap()),
                _ => error.to_owned(),
            }
        })
        .collect()
}

#[test]
fn both_tables_of_errors_are_the_same() {
    assert!(errors(README).len() > 10);
    assert_eq!(errors(RFC), errors(README));
}

#[test]
fn the_errors_are_those_of_the_code() {
    let documented: BTreeSet<String> = errors(RFC)
        .iter()
        .map(|(_, error)| (*error).to_owned())
        .filter(|error| error != "fault")
        .collect();
    assert_eq!(documented, refusals());
}

#[test]
fn every_method_of_the_interface_is_documented() {
    let methods: Vec<&str> = HOOKS
        .split("<method id=\"NotificationQueue")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(methods.len(), 3);
    for method in methods {
        let row = format!("| `NotificationQueue_{method}` |");
        assert!(RFC.contains(&row), "no row for {method}");
    }
}
