// SPDX-License-Identifier: BSD-2-Clause
//! What every process finds in its address space and CSpace, as the root server lays it out.

use crate::lock::MAX_THREADS;
use crate::sync::{AtomicU32, AtomicU64};

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// Bytes of a large page.
pub const LARGE_PAGE: usize = 2 << 20;

// Address space. The program's ELF lies low, where its linker put it (0x400000).

/// Start of the heap that brk grows, unless the ELF ends above it.
pub const BRK: usize = 0x08_0000_0000;
/// Memory for mmap; the process chooses addresses in it, the root server maps.
pub const MMAP: core::ops::Range<usize> = 0x10_0000_0000..0x18_0000_0000;
/// Channel to the net server (client); channels of all clients (net server).
pub const NET_CHANNEL: usize = 0x20_0000_0000;
/// Buffers of notification queues, read-only: see [`queue_buffer`].
pub const QUEUE_BUFFERS: usize = 0x40_0000_0000;
/// Device registers (net server).
pub const MMIO: usize = 0x50_0000_0000;
/// Memory that the device reads and writes (net server).
pub const DMA: usize = 0x51_0000_0000;
/// Heap of a server: mapped from the start, [`ProcessInfo::heap_len`] bytes.
pub const HEAP: usize = 0x52_0000_0000;

// What every program has lies in one GiB, and but for the archive and the depth of the stack in 2 MiB of it: fewer page tables to make.

/// Boot archive, read-only.
pub const ARCHIVE: usize = 0x7f_c000_0000;
/// Bytes of a program's stack, of which pages come as they are touched (Linux's default limit).
pub const STACK_SIZE: usize = 8 << 20;
/// End of the first thread's stack.
pub const STACK_TOP: usize = 0x7f_fef0_0000;
/// [`ProcessInfo`], read-only.
pub const INFO: usize = STACK_TOP + 0x1000;
/// [`ProcessStats`], read-write.
pub const STATS: usize = STACK_TOP + 0x2000;
/// IPC buffer of the first thread.
pub const IPC_BUFFER: usize = STACK_TOP + 0x3000;
/// Heap of a program's shim, [`ProcessInfo::heap_len`] bytes, of which pages come as they are touched.
pub const SHIM_HEAP: usize = STACK_TOP + 0x4_0000;

/// What the other threads have beside their stacks: see [`thread_memory`].
pub const THREADS: usize = 0x60_1000_0000;
/// Bytes of stack that a thread has for its end, when its own may be gone.
pub const LAST_STACK: usize = 2 * PAGE;

// CSpace: 64-bit addresses, two levels: [44 zero bits][6 bits: which CNode][14 bits: slot].

/// Bits of a slot number within a second-level CNode.
pub const CSPACE_LOW_BITS: u32 = 14;
/// Bits of the first-level CNode.
pub const CSPACE_TOP_BITS: u32 = 6;
/// Bits of all of an address that is not zero.
pub const CSPACE_BITS: u32 = CSPACE_TOP_BITS + CSPACE_LOW_BITS;
/// First-level index of the process's own caps.
pub const OWN: usize = 0;
/// First-level index of its watches: notification `i` for watch slot `i` (queue kernel: receive right; stock kernel: absent).
pub const WATCHES: usize = 1;
/// First-level index of a program's notification queues: slot `q` for queue `q`. Absent until there is one.
pub const QUEUE_CAPS: usize = 2;
/// Most queues of a process.
pub const MAX_QUEUES: usize = 1 << 10;
/// First-level index, in the net server, of a client's watches: send caps. Around those of channels.
pub const fn client_watches(client: usize) -> usize {
    let below = crate::channel::CHANNEL_CNODES - 1;
    if client < below {
        1 + client
    } else {
        client - below + crate::channel::CHANNEL_CNODES + crate::channel::CNODES
    }
}
/// Most clients of the net server: as many as have room for their watches there.
pub const MOST_CLIENTS: usize = (1 << CSPACE_TOP_BITS) - 1 - crate::channel::CNODES;
const _: () = assert!(client_watches(MOST_CLIENTS - 1) == (1 << CSPACE_TOP_BITS) - 1);
/// Most watch slots of a process.
pub const MAX_WATCHES: usize = 1 << CSPACE_LOW_BITS;
/// Watch slots come in groups of this many, but for the first, which fill up the first group later.
pub const WATCH_GROUP: usize = 256;
/// How many watch slots a process has at first.
pub const FEW_WATCHES: usize = 8;

/// First-level index of what a program's other threads have: thread `t`'s own notification, bound to it, at slot `t`, its endpoint for faults at
/// `MAX_THREADS + t`. Absent while there is only the first.
pub const THREAD_CAPS: usize = 3;
/// Bits of that CNode.
pub const THREAD_BITS: u32 = 9;
const _: () = assert!(2 * MAX_THREADS == 1 << THREAD_BITS);

/// Address of a cap.
pub const fn cptr(top: usize, slot: usize) -> usize {
    top << CSPACE_LOW_BITS | slot
}

/// Slots of the process's own caps.
pub mod slot {
    /// Endpoint of the root server; badge: [`super::badge`].
    pub const ROOT: usize = 1;
    /// Endpoint of the net server; badge: client number (call in a program, receive in the net server, unbadged).
    pub const NET: usize = 2;
    /// Send cap to the net server's bound notification; badge: bit `2 + client % 62`.
    pub const DOORBELL: usize = 3;
    /// The process's own notification, with the receive right. Queue kernel and servers: the first thread's. Stock kernel: the one that all
    /// watches signal, for one thread at a time.
    pub const NOTIFICATION: usize = 4;
    /// Endpoint for faults of the first thread (handled by the root server).
    pub const FAULT: usize = 5;
    /// Access to the PCI configuration ports (net server).
    pub const PCI_PORTS: usize = 6;
    /// The first thread's own notification, bound to it. On the queue kernel, and in servers, the same as NOTIFICATION.
    pub const FIRST: usize = 7;
    /// Endpoint of the VFS server; badge: process number (call in a program, receive in the VFS server, unbadged).
    pub const VFS: usize = 8;
    /// Bits of the CNode of own caps.
    pub const OWN_BITS: u32 = 4;
}

/// Badges on the root server's endpoint: the process's number, and a bit for faults.
pub mod badge {
    /// The first program's process number: init. Other programs have higher ones.
    pub const INIT: usize = 1;
    /// The net server's process number, above those of programs.
    pub const NET_SERVER: usize = 1 << 15;
    /// The VFS server's process number.
    pub const VFS_SERVER: usize = NET_SERVER + 1;
    /// Bits of a process's number.
    pub const NUMBER: usize = 0xffff;
    /// Set on a process's fault endpoints.
    pub const FAULT: usize = 1 << 16;
    /// The thread's number in the badge of a fault endpoint, from this bit on.
    pub const THREAD_SHIFT: u32 = 17;
}

/// Badge bits of a process's own notification.
pub mod notice {
    /// The deadline given with SET_TIMER has passed.
    pub const TIMER: u64 = 1 << 0;
    /// Look at the things only the server can change: console input, children that have ended, signals.
    pub const KICK: u64 = 1 << 1;
    /// VFS server: a file that somebody held is held by nobody now.
    pub const UNHELD: u64 = 1 << 2;
    /// Net server: the network card.
    pub const DEVICE: u64 = 1 << 1;
    /// Net server: first of the clients' doorbells.
    pub const FIRST_DOORBELL: u32 = 2;
    /// Stock kernel: first of the bits that stand for groups of watches; watch slot `i` has bit `FIRST_WATCH + i % WATCH_BITS`.
    pub const FIRST_WATCH: u32 = 8;
    /// Stock kernel: how many such bits.
    pub const WATCH_BITS: u32 = 56;
}

/// Where the 4 KiB buffer of queue `q` lies; its 2 MiB successor lies [`LARGE_PAGE`] above.
pub const fn queue_buffer(q: usize) -> usize {
    QUEUE_BUFFERS + q * 2 * LARGE_PAGE
}

/// Address of what a thread has beside its stack: [`LAST_STACK`] bytes, then its IPC buffer. The next page is not mapped.
pub const fn thread_memory(thread: usize) -> usize {
    THREADS + thread * (LAST_STACK + 2 * PAGE)
}

/// Address of a thread's IPC buffer. Its user data word is the thread's number.
pub const fn ipc_buffer(thread: usize) -> usize {
    match thread {
        0 => IPC_BUFFER,
        _ => thread_memory(thread) + LAST_STACK,
    }
}

/// Bit of [`ProcessInfo::signals`] (that of SIGSTOP): the process is stopped, its threads are to wait.
pub const STOPPED: u64 = 1 << 18;

/// [`ProcessInfo::terminal`]: the process group in the foreground, and bits.
pub mod terminal {
    /// It is the terminal of the process's session.
    pub const OWN: u32 = 1 << 31;
    /// Who is in the background may not write to it (TOSTOP).
    pub const STOPS_WRITERS: u32 = 1 << 30;
    /// A read that finds nothing says so at once (VMIN of 0).
    pub const NEVER_WAITS: u32 = 1 << 29;
    /// The number of the process group.
    pub const GROUP: u32 = 0xffff;
}

/// First word of [`ProcessInfo`].
pub const INFO_MAGIC: u64 = u64::from_le_bytes(*b"posixpo1");

/// Facts for the process, written by the root server; only the atomics change afterwards.
#[repr(C)]
#[derive(Debug)]
pub struct ProcessInfo {
    /// [`INFO_MAGIC`].
    pub magic: u64,
    /// 1 on the kernel with notification queues, 0 on the stock kernel.
    pub queue_kernel: u32,
    /// Process number.
    pub process: u32,
    /// Time-stamp counter at CLOCK_MONOTONIC 0.
    pub tsc_base: u64,
    /// Nanoseconds per counter tick, times 2³²: ns = (tsc - tsc_base) * tsc_scale >> 32 (in 128 bits).
    pub tsc_scale: u64,
    /// CLOCK_REALTIME at CLOCK_MONOTONIC 0, nanoseconds.
    pub realtime_base: u64,
    /// Bytes of the archive at [`ARCHIVE`].
    pub archive_len: u64,
    /// Bytes of heap at [`HEAP`] or [`SHIM_HEAP`].
    pub heap_len: u64,
    /// Bytes mapped at [`STACK_TOP`]'s lower side.
    pub stack_len: u64,
    /// End of the program's ELF image, rounded up to a page; brk starts at the larger of this and [`BRK`].
    pub image_end: u64,
    /// Entropy for AT_RANDOM and friends. Not cryptographic: see CAVEATS.
    pub random: [u64; 4],
    /// Own IPv4 address (most significant byte first in the number); 0: no network.
    pub address: u32,
    /// Bits of the network's prefix.
    pub prefix: u32,
    /// IPv4 gateway.
    pub gateway: u32,
    /// Network card (net server): PCI bus << 16 | device << 8 | function; `u32::MAX`: none.
    pub nic: u32,
    /// Bytes of console input that wait at the root server (programs), and [`CONSOLE_ENDED`]: in one word, which many calls look at.
    pub console: AtomicU64,
    /// Physical address of the memory at [`DMA`].
    pub dma_physical: u64,
    /// Bytes of it.
    pub dma_len: u64,
    /// Device regions mapped for the net server: physical address, virtual address, bytes; unused ones are zero.
    pub mmio: [[u64; 3]; 6],
    /// MSI vector number to write into the card's MSI-X table entry 0 (data = vector + 0x30), as NET-NOTES has it.
    pub msi_vector: u32,
    /// Bytes of guest memory in all.
    pub memory: u64,
    /// Parent's process number; 0: none.
    pub parent: AtomicU32,
    /// Process group and session.
    pub group: AtomicU32,
    /// Session.
    pub session: AtomicU32,
    /// How many children have ended, modulo 2³².
    pub ended: AtomicU32,
    /// Net server: bit `c` is set while client `c` exists.
    pub clients: AtomicU64,
    /// Net server: how many channels there have been for CHANNEL_HUNG, modulo 2³².
    pub hung: AtomicU32,
    /// 1: somebody watches files (inotify(7)), so closing one is told.
    pub watching: AtomicU32,
    /// Signals sent by others: see TAKE_SIGNAL.
    pub signals: AtomicU64,
    /// 1: the program's calls are to be traced.
    pub traced: u32,
    /// The console as this process has it: see [`terminal`].
    pub terminal: AtomicU32,
    /// Where the inheritance lies that SPAWN or EXEC gave, and its bytes; 0: none, the process is the first.
    pub inheritance: [u64; 2],
}

/// In [`ProcessInfo::console`]: no more input will come.
pub const CONSOLE_ENDED: u64 = 1 << 32;

/// Counters a process keeps; the root server prints them on request and at exit.
#[repr(C)]
#[derive(Debug, Default)]
pub struct ProcessStats {
    /// System calls that C code made (function calls into the shim).
    pub calls: AtomicU64,
    /// Calls to a server (seL4_Call).
    pub server_calls: AtomicU64,
    /// Times a thread blocked in the kernel.
    pub waits: AtomicU64,
    /// Collections of a queue.
    pub collects: AtomicU64,
    /// Entries collected.
    pub entries: AtomicU64,
    /// Cookies handed over to a blocked waiter.
    pub handoffs: AtomicU64,
    /// Wake-ups by a badge bit of a watch (stock kernel).
    pub badge_wakes: AtomicU64,
    /// Doorbells rung at a server.
    pub doorbells: AtomicU64,
    /// Doorbells not rung because the server was awake.
    pub doorbells_saved: AtomicU64,
    /// Calls that worked in a channel: on what processes share.
    pub channel_calls: AtomicU64,
    /// Watches in channels that were signalled.
    pub signals: AtomicU64,
}

#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<ProcessInfo>() <= PAGE && size_of::<ProcessStats>() <= PAGE);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{self, CHANNEL_CNODES, CHANNELS, MOST, SIDES, SPAN};
    use crate::net::{CHANNEL_SIZE, channel_base};
    use crate::subscription::SUBSCRIPTIONS;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    #[test]
    fn nothing_in_the_address_space_overlaps() {
        let last_queue = queue_buffer(MAX_QUEUES - 1) + 2 * LARGE_PAGE;
        let clients = MOST_CLIENTS;
        let mut regions = [
            ("brk", BRK, MMAP.start),
            ("mmap", MMAP.start, MMAP.end),
            (
                "net channels",
                channel_base(0),
                channel_base(clients) + CHANNEL_SIZE,
            ),
            ("channels", CHANNELS, CHANNELS + MOST * SPAN),
            ("queues", QUEUE_BUFFERS, last_queue),
            ("devices", MMIO, DMA),
            ("rings", DMA, HEAP),
            ("threads", thread_memory(1), thread_memory(MAX_THREADS)),
            ("archive", ARCHIVE, STACK_TOP - STACK_SIZE),
            ("stack", STACK_TOP - STACK_SIZE, STACK_TOP),
            ("facts", INFO, STATS),
            ("figures", STATS, IPC_BUFFER),
            ("message", ipc_buffer(0), ipc_buffer(0) + PAGE),
        ];
        regions.sort_by_key(|region| region.1);
        for pair in regions.windows(2) {
            let [(below, _, end), (above, start, _)] = pair else {
                unreachable!()
            };
            assert!(end <= start, "{below} and {above}");
        }
    }

    #[test]
    fn a_page_that_is_not_mapped_follows_each_thread() {
        for thread in 1..MAX_THREADS {
            let end = ipc_buffer(thread) + PAGE;
            assert_eq!(ipc_buffer(thread), thread_memory(thread) + LAST_STACK);
            assert_eq!(thread_memory(thread + 1), end + PAGE);
        }
        assert_eq!(ipc_buffer(0), IPC_BUFFER);
    }

    /// Every capability that a program may have, by its place: no two share one, and all fit.
    #[test]
    fn no_two_capabilities_have_one_place() {
        let own = (0..1 << slot::OWN_BITS).map(|at| cptr(OWN, at));
        let watches = (0..MAX_WATCHES).map(|at| cptr(WATCHES, at));
        let queues = (0..MAX_QUEUES).map(|at| cptr(QUEUE_CAPS, at));
        let threads = (0..1 << THREAD_BITS).map(|at| cptr(THREAD_CAPS, at));
        let channels = (0..MOST).flat_map(|number| {
            let cells = (0..SIDES).flat_map(|side| (0..SUBSCRIPTIONS).map(move |c| (side, c)));
            cells.map(move |(side, cell)| {
                channel::watch_cptr(number, channel::watch_number(side, cell))
            })
        });
        let all: Vec<usize> = own
            .chain(watches)
            .chain(queues)
            .chain(threads)
            .chain(channels)
            .collect();
        let places: BTreeSet<usize> = all.iter().copied().collect();
        assert_eq!(places.len(), all.len());
        assert!(
            all.iter()
                .all(|at| at >> (CSPACE_LOW_BITS + CSPACE_TOP_BITS) == 0)
        );
        const { assert!(CHANNEL_CNODES > client_watches(0)) };
        assert_eq!(channel::address(MOST - 1) + SPAN, CHANNELS + MOST * SPAN);
    }
}
