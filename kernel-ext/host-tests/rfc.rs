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

/// Lines of code that the patch adds to files whose paths end with one of `names`.
fn added(names: &[&str]) -> usize {
    let mut wanted = false;
    let mut lines = 0;
    for line in HOOKS.lines() {
        if let Some(path) = line.strip_prefix("+++ ") {
            let ends = |name: &&str| path.strip_suffix(name).is_some_and(|p| p.ends_with('/'));
            wanted = names.iter().any(ends);
        } else if let Some(code) = line.strip_prefix('+').map(str::trim) {
            let comment = ["--", "/*"].iter().any(|start| code.starts_with(start));
            lines += usize::from(wanted && !code.is_empty() && !comment);
        }
    }
    lines
}

#[test]
fn the_lines_of_each_existing_file_are_those_of_the_patch() {
    let section = RFC.split("### Impact on verification").nth(1);
    let section = section
        .unwrap()
        .split("**New deletion code")
        .next()
        .unwrap();
    let mut all = 0;
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let files: Vec<&str> = cells[0].split('`').skip(1).step_by(2).collect();
        if files.contains(&"nqring.h") {
            continue;
        }
        let lines: usize = cells[1].parse().unwrap();
        assert_eq!(lines, added(&files), "{}", cells[0]);
        all += lines;
    }
    let patch = HOOKS.lines().filter_map(|line| line.strip_prefix("+++ "));
    let names: Vec<&str> = patch.map(|p| p.rsplit('/').next().unwrap()).collect();
    assert_eq!(
        all,
        added(&names),
        "a file of the patch is not in the table"
    );
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
