// SPDX-License-Identifier: BSD-2-Clause
//! Files of /proc that are the system's (proc(5)), in Linux's form.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::arch::x86_64::{__cpuid, CpuidResult};
use core::fmt::Write;

use vfs_hooks::file::MOST;
use vfs_hooks::inotify::{MOST_EVENTS, MOST_INSTANCES, MOST_WATCHES};
use vfs_hooks::process::PAGE;

use super::SystemFile;
use crate::clock::{SECOND, monotonic, realtime};
use crate::platform::{self, children, processes};

/// Largest process number, and one.
const PID_MAX: u32 = 30_001;
/// Ticks in a second, as times in /proc have them (USER_HZ).
pub const HZ: u64 = 100;

const fn file(path: &'static str, write: fn(&mut String)) -> SystemFile {
    SystemFile { path, write }
}

/// A fact of one line.
macro_rules! line {
    ($path:literal, $($value:tt)*) => {
        file($path, |out| {
            let _ = writeln!(out, $($value)*);
        })
    };
}

/// All of them.
pub static FILES: [SystemFile; 23] = [
    file("cpuinfo", cpuinfo),
    file("filesystems", |out| {
        out.push_str("nodev\tproc\nnodev\ttmpfs\n")
    }),
    file("loadavg", loadavg),
    file("meminfo", meminfo),
    file("stat", stat),
    file("swaps", |out| {
        out.push_str("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")
    }),
    file("uptime", uptime),
    file("version", version),
    line!("sys/fs/file-max", "{MOST}"),
    line!("sys/fs/inotify/max_queued_events", "{MOST_EVENTS}"),
    line!("sys/fs/inotify/max_user_instances", "{MOST_INSTANCES}"),
    line!("sys/fs/inotify/max_user_watches", "{MOST_WATCHES}"),
    line!("sys/fs/nr_open", "{}", 1 << 20),
    line!("sys/kernel/hostname", "sel4"),
    line!("sys/kernel/osrelease", "{RELEASE}"),
    line!("sys/kernel/ostype", "Linux"),
    line!("sys/kernel/pid_max", "{PID_MAX}"),
    line!(
        "sys/kernel/threads-max",
        "{}",
        vfs_hooks::lock::MAX_THREADS * 4096
    ),
    // What a listener's backlog is cut to.
    line!(
        "sys/net/core/somaxconn",
        "{}",
        vfs_hooks::net::ACCEPT_SIZE - 1
    ),
    line!(
        "sys/net/ipv4/ip_local_port_range",
        "{}\t{}",
        EPHEMERAL.0,
        EPHEMERAL.1
    ),
    line!("sys/vm/max_map_count", "65536"),
    // 2: what is not there cannot be had, as mmap(2) does it here.
    line!("sys/vm/overcommit_memory", "2"),
    line!("sys/vm/swappiness", "0"),
];

/// First and last port that is given to who asks for any.
const EPHEMERAL: (u16, u16) = (32768, 65535);

/// As uname(2) has it.
pub const RELEASE: &str = "6.1.0-posix-poll";

/// The directory with this path, if files are below it.
pub fn directory(path: &str) -> Option<&'static str> {
    let mut below = FILES.iter().filter(|file| {
        let rest = file.path.strip_prefix(path);
        rest.is_some_and(|rest| rest.starts_with('/'))
    });
    below.next().map(|file| &file.path[..path.len()])
}

/// Names in a directory, with their types as readdir(3) has them.
pub fn names(path: &str) -> Vec<(String, u8)> {
    let below = FILES.iter().filter_map(|file| match path {
        "" => Some(file.path),
        _ => file.path.strip_prefix(path)?.strip_prefix('/'),
    });
    let names: BTreeSet<(&str, u8)> = below
        .map(|rest| match rest.split_once('/') {
            None => (rest, 8),
            Some((directory, _)) => (directory, 4),
        })
        .collect();
    names
        .into_iter()
        .map(|(name, kind)| (name.into(), kind))
        .collect()
}

/// Bytes in KiB.
fn kib(bytes: u64) -> u64 {
    bytes / 1024
}

fn meminfo(out: &mut String) {
    let total = platform::memory::total();
    let [free, _] = children::usage().unwrap_or([0; 2]);
    let [limit, files] = platform::vfs::usage()
        .unwrap_or([0; 2])
        .map(|pages| pages * PAGE as u64);
    // Files are in memory, and cannot be anywhere else.
    let rows = [
        ("MemTotal", total),
        ("MemFree", free),
        ("MemAvailable", free),
        ("Buffers", 0),
        ("Cached", files),
        ("SwapCached", 0),
        ("Active", total.saturating_sub(free)),
        ("Inactive", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", 0),
        ("Writeback", 0),
        (
            "AnonPages",
            total.saturating_sub(free).saturating_sub(files),
        ),
        ("Shmem", files),
        ("Slab", 0),
        ("SReclaimable", 0),
        ("SUnreclaim", 0),
        ("CommitLimit", total),
        ("Committed_AS", total.saturating_sub(free)),
    ];
    for (name, bytes) in rows {
        let label = alloc::format!("{name}:");
        let _ = writeln!(out, "{label:<16}{:>8} kB", kib(bytes));
    }
    let _ = writeln!(out, "{:<16}{:>8} kB", "TmpfsLimit:", kib(limit));
}

fn uptime(out: &mut String) {
    let now = monotonic() * HZ / SECOND;
    let _ = writeln!(out, "{}.{:02} 0.00", now / HZ, now % HZ);
}

/// Processes by state: all, those that run, those that wait for devices.
fn states() -> (usize, usize) {
    let all = processes::all();
    let runs = |pid: &&usize| processes::facts(**pid).is_ok_and(|facts| facts.state == b'R');
    (all.len(), all.iter().filter(runs).count())
}

fn loadavg(out: &mut String) {
    let (all, running) = states();
    let last = processes::all().last().copied().unwrap_or(0);
    // Nobody takes averages.
    let _ = writeln!(out, "0.00 0.00 0.00 {running}/{all} {last}");
}

/// All time counts as processor time, here as in getrusage(2).
fn stat(out: &mut String) {
    let ticks = monotonic() * HZ / SECOND;
    let began = realtime().saturating_sub(monotonic()) / SECOND;
    let (all, running) = states();
    for name in ["cpu ", "cpu0"] {
        let _ = writeln!(out, "{name} {ticks} 0 0 0 0 0 0 0 0 0");
    }
    let _ = writeln!(out, "intr 0\nctxt 0\nbtime {began}\nprocesses {all}");
    let _ = writeln!(out, "procs_running {running}\nprocs_blocked 0");
}

fn version(out: &mut String) {
    let kernel = platform::process::version();
    let _ = writeln!(out, "Linux version {RELEASE} (posix-poll) {kernel}");
}

/// Bytes of CPUID's registers, up to the first that is 0.
fn letters(words: &[u32]) -> String {
    let bytes = words.iter().flat_map(|word| word.to_le_bytes());
    bytes.take_while(|b| *b != 0).map(char::from).collect()
}

/// Names of feature bits of leaf 1, in EDX and ECX, as Linux names them.
const FEATURES: [(bool, u32, &str); 30] = [
    (false, 0, "fpu"),
    (false, 1, "vme"),
    (false, 2, "de"),
    (false, 3, "pse"),
    (false, 4, "tsc"),
    (false, 5, "msr"),
    (false, 6, "pae"),
    (false, 7, "mce"),
    (false, 8, "cx8"),
    (false, 9, "apic"),
    (false, 11, "sep"),
    (false, 13, "pge"),
    (false, 15, "cmov"),
    (false, 16, "pat"),
    (false, 19, "clflush"),
    (false, 23, "mmx"),
    (false, 24, "fxsr"),
    (false, 25, "sse"),
    (false, 26, "sse2"),
    (true, 0, "pni"),
    (true, 1, "pclmulqdq"),
    (true, 9, "ssse3"),
    (true, 12, "fma"),
    (true, 13, "cx16"),
    (true, 19, "sse4_1"),
    (true, 20, "sse4_2"),
    (true, 23, "popcnt"),
    (true, 25, "aes"),
    (true, 28, "avx"),
    (true, 30, "rdrand"),
];

/// Family, model and stepping out of leaf 1's EAX (Intel SDM, CPUID).
fn signature(eax: u32) -> (u32, u32, u32) {
    let base = eax >> 8 & 15;
    let family = if base == 15 {
        base + (eax >> 20 & 255)
    } else {
        base
    };
    let extended = if base == 6 || base == 15 {
        eax >> 16 & 15
    } else {
        0
    };
    (family, extended << 4 | eax >> 4 & 15, eax & 15)
}

fn cpuinfo(out: &mut String) {
    let CpuidResult { ebx, ecx, edx, .. } = __cpuid(0);
    let vendor = letters(&[ebx, edx, ecx]);
    let first = __cpuid(1);
    let (family, model, stepping) = signature(first.eax);
    let brand: Vec<u32> = match __cpuid(0x8000_0000).eax {
        0x8000_0004.. => (0x8000_0002..=0x8000_0004)
            .flat_map(|leaf| {
                let CpuidResult { eax, ebx, ecx, edx } = __cpuid(leaf);
                [eax, ebx, ecx, edx]
            })
            .collect(),
        _ => Vec::new(),
    };
    let khz = platform::clock::khz();
    let has = |(second, bit, _): &&(bool, u32, &str)| {
        (if *second { first.ecx } else { first.edx }) >> bit & 1 != 0
    };
    let flags: Vec<&str> = FEATURES
        .iter()
        .filter(has)
        .map(|feature| feature.2)
        .collect();
    let rows = [
        ("processor", String::from("0")),
        ("vendor_id", vendor),
        ("cpu family", alloc::format!("{family}")),
        ("model", alloc::format!("{model}")),
        ("model name", letters(&brand).trim().into()),
        ("stepping", alloc::format!("{stepping}")),
        (
            "cpu MHz",
            alloc::format!("{}.{:03}", khz / 1000, khz % 1000),
        ),
        ("siblings", "1".into()),
        ("core id", "0".into()),
        ("cpu cores", "1".into()),
        ("flags", flags.join(" ")),
        (
            "clflush size",
            alloc::format!("{}", (first.ebx >> 8 & 255) * 8),
        ),
    ];
    for (name, value) in rows {
        // Names are filled up to two tabs, as Linux does.
        let tabs = if name.len() < 8 { "\t\t" } else { "\t" };
        let _ = writeln!(out, "{name}{tabs}: {value}");
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_what_files_are_below() {
        assert_eq!(directory("sys/kernel"), Some("sys/kernel"));
        assert_eq!(directory("sys"), Some("sys"));
        assert_eq!(directory("sys/kern"), None);
        assert_eq!(directory("meminfo"), None);
        let names = names("sys/net");
        assert_eq!(names, [("core".into(), 4), ("ipv4".into(), 4)]);
    }

    #[test]
    fn signatures_are_taken_apart() {
        // Nehalem, as QEMU has it, and a family beyond 15.
        assert_eq!(signature(0x106a3), (6, 26, 3));
        assert_eq!(signature(0x00a2_0f12), (25, 33, 2));
    }
}
