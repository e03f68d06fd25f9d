// SPDX-License-Identifier: BSD-2-Clause
//! How to tell one process which of thousands of sources in other processes have something: every way that was proposed,
//! in one program.
//!
//! * Sources belong to *producers*, processes of their own; the *consumer* is a process of its own. What a producer
//!   shares with the consumer is its *channel*: a counter for each source, which grows with each event.
//! * A mechanism is one file in [`mechanism`], behind one trait: what the root task sets up, what a producer does
//!   after it changed a counter, and the consumer's loop.
//! * The root task tells the producers of k sources to go on, steps back, and comes again when nothing else can run. It
//!   counts the instructions of such a round, takes off those of a round in which the producers change their state and
//!   notify nobody, and divides by k. After each round the consumer must have delivered each event once, and of the right
//!   source.
//!
//! | module | what it holds |
//! |---|---|
//! | [`layout`] | addresses, and what is shared |
//! | [`memory`], [`process`] | kernel objects |
//! | [`bench`] | producers, consumer, broker |
//! | [`measure`] | rounds, checks, figures |
//! | [`producer`], [`watcher`], [`ring`], [`sys`] | what runs in the processes |
//! | [`mechanism`] | what is compared |
#![no_std]

extern crate alloc;

pub mod bench;
pub mod layout;
pub mod measure;
pub mod mechanism;
pub mod memory;
pub mod process;
pub mod producer;
pub mod ring;
pub mod sys;
pub mod watcher;

use core::fmt;

use queue_tests::line;
use sel4_bindings::kernel::probe_kernel;
use sel4_bindings::{BootInfo, CPtr, CapRights, ObjectType, set_kernel};

use bench::{Producers, World};
use layout::{LARGE_PAGE, MAX_PRODUCERS};
use measure::{Effort, Outcome, measure};
use mechanism::*;
use memory::Arena;

/// Numbers of sources for which equal priorities are looked at as well.
const EQUAL: core::ops::RangeInclusive<usize> = 64..=1_000;

/// How the sources are spread over processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// As many processes as there can be, one source in each if they suffice.
    Spread,
    /// All sources in one process: a server.
    Server,
    /// As spread, and all threads at one priority.
    Equal,
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Topology::Spread => "spread",
            Topology::Server => "server",
            Topology::Equal => "equal",
        })
    }
}

/// What an [`Outcome`] is of.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// The mechanism's name.
    pub mechanism: &'static str,
    /// How the sources are spread.
    pub topology: Topology,
    /// How many there are.
    pub sources: usize,
    /// In how many processes.
    pub producers: usize,
}

/// Runs all mechanisms with each number of sources and each topology.
pub fn run(
    info: BootInfo,
    sources: &[usize],
    effort: Effort,
    mut report: impl FnMut(Cell, Outcome),
) {
    let untyped = info.untyped().find(|u| !u.device).expect("no memory");
    let kernel = probe_kernel(CPtr(untyped.slot)).expect("neither kernel");
    set_kernel(kernel);
    line!("\n# kernel: {kernel:?}");
    let [mut permanent, mut processes, mut arena] = memory::arenas(&info);
    add_heap(&mut permanent);
    let mut world = World::new(&mut permanent).expect("the image");
    for &sources in sources {
        for topology in [Topology::Spread, Topology::Server, Topology::Equal] {
            let count = match topology {
                // It shows what batches become, and depends on the number as spread does.
                Topology::Equal if !EQUAL.contains(&sources) => continue,
                Topology::Spread | Topology::Equal => sources.min(MAX_PRODUCERS),
                // The same as spread.
                Topology::Server if sources == 1 => continue,
                Topology::Server => 1,
            };
            world.maker.equal = topology == Topology::Equal;
            let producers = Producers::new(&mut world, &mut processes, sources, count)
                .expect("not enough memory for the producers");
            let mut bench = Runner {
                world: &mut world,
                arena: &mut arena,
                producers: &producers,
                effort,
                topology,
                report: &mut report,
            };
            bench.all();
            drop(producers);
            processes.clear();
        }
    }
}

/// Memory for the lists of the root task.
fn add_heap(arena: &mut Arena) {
    const HEAP: usize = 0x14_0000_0000;
    let frame = arena.make(ObjectType::LargeFrame).expect("heap");
    let root = CPtr::INIT_VSPACE;
    arena
        .map(root, frame, HEAP, CapRights::READ_WRITE)
        .expect("heap");
    // SAFETY: just mapped, for this alone, for ever.
    assert!(unsafe { guest_rt::heap::init(HEAP, LARGE_PAGE) });
}

struct Runner<'a> {
    world: &'a mut World,
    arena: &'a mut Arena,
    producers: &'a Producers,
    effort: Effort,
    topology: Topology,
    report: &'a mut dyn FnMut(Cell, Outcome),
}

impl Runner<'_> {
    fn all(&mut self) {
        self.one::<Queue>();
        self.one::<Nested>();
        self.one::<Badges>();
        self.one::<Threads>();
        self.one::<ThreadPosts<false>>();
        self.one::<ThreadPosts<true>>();
        self.one::<BadgeBroker>();
        self.one::<CallBroker>();
        self.one::<Rings>();
        self.one::<QueuedRings>();
        self.one::<Hierarchy<2>>();
        self.one::<Hierarchy<3>>();
    }

    fn one<M: Mechanism>(&mut self) {
        let outcome = measure::<M>(self.world, self.arena, self.producers, self.effort);
        let cell = Cell {
            mechanism: M::NAME,
            topology: self.topology,
            sources: self.producers.sources,
            producers: self.producers.all.len(),
        };
        (self.report)(cell, outcome);
    }
}
