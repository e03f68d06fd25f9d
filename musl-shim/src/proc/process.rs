// SPDX-License-Identifier: BSD-2-Clause
//! Files of /proc that are a process's (proc(5)), in Linux's form.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use vfs_hooks::facts::{Facts, Text};
use vfs_hooks::process::{PAGE, STACK_SIZE, STACK_TOP};

use super::ProcessFile;
use super::maps;
use super::system::HZ;
use crate::clock::SECOND;
use crate::errno::Errno;
use crate::files;
use crate::platform::processes;
use crate::process::{self, UID};
use crate::{memory, platform, signal, threads};

/// A file whose text is about the process that `facts` tell of, or one of its threads.
const fn of_all(
    name: &'static str,
    write: fn(&Facts, &mut Vec<u8>) -> Result<(), Errno>,
) -> ProcessFile {
    ProcessFile {
        name,
        mode: 0o444,
        write,
        own: false,
        of_threads: true,
    }
}

/// A file that only the process itself can read.
const fn of_own(
    name: &'static str,
    write: fn(&Facts, &mut Vec<u8>) -> Result<(), Errno>,
) -> ProcessFile {
    ProcessFile {
        name,
        mode: 0o444,
        write,
        own: true,
        of_threads: false,
    }
}

/// All of them.
pub static FILES: [ProcessFile; 10] = [
    of_all("cmdline", |facts, out| text(facts, Text::Arguments, out)),
    ProcessFile {
        name: COMM,
        mode: 0o644,
        ..of_all(COMM, |facts, out| {
            out.extend(name(facts)?);
            out.push(b'\n');
            Ok(())
        })
    },
    ProcessFile {
        name: "environ",
        mode: 0o400,
        ..of_all("environ", |facts, out| text(facts, Text::Environment, out))
    },
    of_own("limits", |_, out| written(out, limits)),
    of_own("maps", |_, out| written(out, maps::write)),
    of_own("mounts", |_, out| {
        out.extend_from_slice(b"rootfs / tmpfs rw 0 0\nproc /proc proc rw 0 0\n");
        Ok(())
    }),
    of_all("stat", stat),
    of_all("statm", statm),
    of_all("status", status),
    of_all("wchan", |_, out| {
        out.push(b'0');
        Ok(())
    }),
];

/// The file that gives a thread its name.
pub const COMM: &str = "comm";

fn written(out: &mut Vec<u8>, write: fn(&mut String)) -> Result<(), Errno> {
    let mut text = String::new();
    write(&mut text);
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// The process of a thread's id.
fn process_of(facts: &Facts) -> usize {
    facts.pid as usize & 0xffff
}

fn is_own(facts: &Facts) -> bool {
    process_of(facts) == process::pid()
}

fn text(facts: &Facts, which: Text, out: &mut Vec<u8>) -> Result<(), Errno> {
    out.extend(processes::text(process_of(facts), which)?);
    Ok(())
}

/// The name of a thread.
fn name(facts: &Facts) -> Result<Vec<u8>, Errno> {
    if is_own(facts)
        && let Some(thread) = threads::find(facts.pid as usize)
        && let name = threads::name_of(thread)
        && name[0] != 0
    {
        return Ok(name.into_iter().take_while(|b| *b != 0).collect());
    }
    processes::text(process_of(facts), Text::Name)
}

fn ticks(nanoseconds: u64) -> u64 {
    nanoseconds / (SECOND / HZ)
}

/// Signals of the reader: pending, blocked, ignored, caught.
fn signals(facts: &Facts) -> [u64; 4] {
    if !is_own(facts) {
        return [0; 4];
    }
    let [ignored, caught] = signal::dispositions();
    [signal::pending(), signal::mask(), ignored, caught]
}

/// Bounds of the program's text and data.
fn bounds() -> [usize; 4] {
    let mut bounds = [0; 4];
    for (start, end, protection, _) in platform::memory::segments() {
        let at = if protection & crate::abi::PROT_WRITE == 0 {
            0
        } else {
            2
        };
        bounds[at] = match bounds[at] {
            0 => start,
            low => low.min(start),
        };
        bounds[at + 1] = bounds[at + 1].max(end);
    }
    bounds
}

/// One line of 52 fields.
fn stat(facts: &Facts, out: &mut Vec<u8>) -> Result<(), Errno> {
    let mut line = String::new();
    let name = name(facts)?;
    let [parent, group, session] = facts.ids;
    let [pending, blocked, ignored, caught] = signals(facts).map(|set| set & 0x7fff_ffff);
    let (own, limit) = (is_own(facts), process::rlimit(5).rlim_cur);
    let [code, code_end, data, data_end] = if own { bounds() } else { [0; 4] };
    let (stack, heap) = match own {
        true => (STACK_TOP, memory::with(|memory| memory.heap().start)),
        false => (0, 0),
    };
    let _ = write!(line, "{} (", facts.pid);
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(&name);
    line.clear();
    // No terminal, no foreground group; flags, then faults without and with reading, own and of children.
    let _ = write!(
        line,
        ") {} {parent} {group} {session} 0 -1 0 {} 0 0 0 ",
        char::from(facts.state),
        facts.faults
    );
    // Time in user mode and in the kernel, own and of children; priority, nice, threads, no timer, begin.
    let _ = write!(
        line,
        "{} 0 {} 0 20 0 {} 0 {} {} {} {limit} ",
        ticks(facts.time),
        ticks(facts.children_time),
        facts.threads,
        ticks(facts.started),
        facts.size,
        facts.resident,
    );
    let _ = write!(
        line,
        "{code} {code_end} {stack} 0 0 {pending} {blocked} {ignored} {caught} 0 0 0 17 0 0 0 0 0 0 {data} {data_end} {heap} 0 0 0 0 {}",
        facts.status
    );
    line.push('\n');
    out.extend_from_slice(line.as_bytes());
    Ok(())
}

/// Pages: all, resident, shared, text, libraries, data and stack, dirty.
fn statm(facts: &Facts, out: &mut Vec<u8>) -> Result<(), Errno> {
    let mut line = String::new();
    let size = facts.size / PAGE as u64;
    let [code, code_end, ..] = if is_own(facts) { bounds() } else { [0; 4] };
    let text = ((code_end - code) / PAGE) as u64;
    let data = size.saturating_sub(text);
    let _ = writeln!(line, "{size} {} 0 {text} 0 {data} 0", facts.resident);
    out.extend_from_slice(line.as_bytes());
    Ok(())
}

fn state_name(state: u8) -> &'static str {
    match state {
        b'R' => "R (running)",
        b'T' => "T (stopped)",
        b'Z' => "Z (zombie)",
        _ => "S (sleeping)",
    }
}

fn status(facts: &Facts, out: &mut Vec<u8>) -> Result<(), Errno> {
    out.extend_from_slice(b"Name:\t");
    out.extend(name(facts)?);
    out.push(b'\n');
    let mut text = String::new();
    let kib = |bytes: u64| bytes / 1024;
    let page = PAGE as u64;
    let own = is_own(facts);
    if own {
        let _ = writeln!(text, "Umask:\t{:04o}", process::umask());
    }
    let _ = writeln!(text, "State:\t{}", state_name(facts.state));
    let _ = writeln!(
        text,
        "Tgid:\t{}\nNgid:\t0\nPid:\t{}",
        process_of(facts),
        facts.pid
    );
    let _ = writeln!(text, "PPid:\t{}\nTracerPid:\t0", facts.ids[0]);
    for kind in ["Uid", "Gid"] {
        let _ = writeln!(text, "{kind}:\t{UID}\t{UID}\t{UID}\t{UID}");
    }
    if own {
        let last = files::table()
            .iter()
            .map(|(fd, _)| fd + 1)
            .last()
            .unwrap_or(0);
        let _ = writeln!(text, "FDSize:\t{}", last.next_multiple_of(64));
    }
    let _ = writeln!(text, "Groups:\t{UID} ");
    if facts.state != b'Z' {
        let rows = [
            ("VmPeak", kib(facts.size)),
            ("VmSize", kib(facts.size)),
            ("VmLck", 0),
            ("VmPin", 0),
            ("VmHWM", kib(facts.peak * page)),
            ("VmRSS", kib(facts.resident * page)),
            ("VmStk", kib(STACK_SIZE as u64)),
            ("VmSwap", 0),
        ];
        for (name, value) in rows {
            let _ = writeln!(text, "{name}:\t{value:8} kB");
        }
    }
    let _ = writeln!(text, "Threads:\t{}", facts.threads);
    if own {
        let [pending, blocked, ignored, caught] = signals(facts);
        let names = ["SigPnd", "SigBlk", "SigIgn", "SigCgt"];
        for (name, set) in names.into_iter().zip([pending, blocked, ignored, caught]) {
            let _ = writeln!(text, "{name}:\t{set:016x}");
        }
    }
    text.push_str("Cpus_allowed:\t1\nCpus_allowed_list:\t0\n");
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Names of limits with their units, by number.
const LIMITS: [(&str, &str); 16] = [
    ("Max cpu time", "seconds"),
    ("Max file size", "bytes"),
    ("Max data size", "bytes"),
    ("Max stack size", "bytes"),
    ("Max core file size", "bytes"),
    ("Max resident set", "bytes"),
    ("Max processes", "processes"),
    ("Max open files", "files"),
    ("Max locked memory", "bytes"),
    ("Max address space", "bytes"),
    ("Max file locks", "locks"),
    ("Max pending signals", "signals"),
    ("Max msgqueue size", "bytes"),
    ("Max nice priority", ""),
    ("Max realtime priority", ""),
    ("Max realtime timeout", "us"),
];

fn limits(out: &mut String) {
    let row = |out: &mut String, cells: [&str; 4]| {
        let [name, soft, hard, unit] = cells;
        let _ = writeln!(out, "{name:<25} {soft:<20} {hard:<20} {unit:<10}");
    };
    row(out, ["Limit", "Soft Limit", "Hard Limit", "Units"]);
    let value = |limit: u64| match limit {
        u64::MAX => String::from("unlimited"),
        limit => alloc::format!("{limit}"),
    };
    for (number, (name, unit)) in LIMITS.iter().enumerate() {
        let limit = process::rlimit(number);
        let (soft, hard) = (value(limit.rlim_cur), value(limit.rlim_max));
        row(out, [name, &soft, &hard, unit]);
    }
}

/// /proc/self/fdinfo/N.
pub fn write_fd(fd: usize, out: &mut String) -> Result<(), Errno> {
    const SEEK_CUR: usize = 1;
    let file = files::get(fd).map_err(|_| Errno::ENOENT)?;
    let close = files::table()
        .slot_mut(fd)
        .is_some_and(|slot| slot.close_on_exec);
    let close = if close { crate::abi::O_CLOEXEC } else { 0 };
    let position = file.file.seek(0, SEEK_CUR).unwrap_or(0);
    let stat = file.file.stat();
    let _ = write!(
        out,
        "pos:\t{position}\nflags:\t0{:o}\n",
        file.flags() | close
    );
    let _ = writeln!(out, "mnt_id:\t{}\nino:\t{}", stat.st_dev, stat.st_ino);
    Ok(())
}
