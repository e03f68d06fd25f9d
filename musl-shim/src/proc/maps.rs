// SPDX-License-Identifier: BSD-2-Clause
//! The reader's own memory, as /proc/self/maps has it: program, break, what mmap(2) gave, stack.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use vfs_hooks::facts::Text;
use vfs_hooks::process::{STACK_SIZE, STACK_TOP};

use crate::abi::{PROT_READ, PROT_WRITE};
use crate::memory;
use crate::platform::{self, processes};
use crate::process::pid;

const PROT_EXEC: u32 = 4;

/// A run of pages of one kind.
pub struct Run {
    start: usize,
    end: usize,
    protection: u32,
    shared: bool,
    /// Where in the file, if there is one.
    offset: usize,
    name: String,
}

/// All of them, by address.
pub fn runs() -> Vec<Run> {
    let program = processes::text(pid(), Text::Path).unwrap_or_default();
    let program = String::from_utf8_lossy(&program).into_owned();
    let mut runs: Vec<Run> = platform::memory::segments()
        .map(|(start, end, protection, offset)| Run {
            start,
            end,
            protection,
            shared: false,
            offset,
            name: program.clone(),
        })
        .collect();
    memory::with(|memory| {
        let heap = memory.heap();
        runs.extend(memory.regions().map(|(start, end, protection)| Run {
            start,
            end,
            protection,
            shared: false,
            offset: 0,
            name: match heap.contains(&start) {
                true => "[heap]".into(),
                false => String::new(),
            },
        }));
    });
    runs.push(Run {
        start: STACK_TOP - STACK_SIZE,
        end: STACK_TOP,
        protection: PROT_READ | PROT_WRITE,
        shared: false,
        offset: 0,
        name: "[stack]".into(),
    });
    runs.sort_by_key(|run| run.start);
    runs
}

/// /proc/self/maps.
pub fn write(out: &mut String) {
    for run in runs() {
        let may = |bit: u32, letter: char| {
            if run.protection & bit != 0 {
                letter
            } else {
                '-'
            }
        };
        let (r, w, x) = (
            may(PROT_READ, 'r'),
            may(PROT_WRITE, 'w'),
            may(PROT_EXEC, 'x'),
        );
        let p = if run.shared { 's' } else { 'p' };
        let head = alloc::format!(
            "{:08x}-{:08x} {r}{w}{x}{p} {:08x} 00:00 0 ",
            run.start,
            run.end,
            run.offset
        );
        let _ = match run.name.as_str() {
            "" => writeln!(out, "{head}"),
            // Names stand in one column.
            name => writeln!(out, "{head:<73}{name}"),
        };
    }
}
