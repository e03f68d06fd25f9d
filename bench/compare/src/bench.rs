// SPDX-License-Identifier: BSD-2-Clause
//! The processes of a run: producers, which stay for all mechanisms, and for each mechanism a consumer and perhaps a
//! broker.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use sel4_bindings::*;

use crate::layout::*;
use crate::mechanism::Mechanism;
use crate::memory::{Arena, Result, nth};
use crate::process::{self, Maker, Process, priority};
use crate::producer::{self, GO, produce};
use crate::sys::Sys;
use crate::watcher::{self, broke, consume, help};

// Where the root task sees what it shares.
const ROOT_COUNTS: usize = 0x10_0000_0000;
const ROOT_CONSUMER: usize = 0x11_0000_0000;
const ROOT_BROKER: usize = 0x12_0000_0000;
const ROOT_CHANNELS: usize = 0x13_0000_0000;

/// What outlives all runs.
pub struct World {
    /// Makes processes.
    pub maker: Maker,
    counts_frame: CPtr,
    /// The counts of counted runs.
    pub counts: &'static Counts,
}

impl World {
    /// Made of objects that are never taken back.
    pub fn new(arena: &mut Arena) -> Result<World> {
        let maker = Maker::new(arena)?;
        let counts_frame = arena.make(ObjectType::Frame)?;
        let copy = arena.copy(counts_frame)?;
        arena.map(CPtr::INIT_VSPACE, copy, ROOT_COUNTS, CapRights::READ_WRITE)?;
        Ok(World {
            maker,
            counts_frame,
            // SAFETY: just mapped for ever; it consists of atomics.
            counts: unsafe { &*(ROOT_COUNTS as *const Counts) },
        })
    }

    fn map_counts(&self, arena: &mut Arena, process: &Process) -> Result<()> {
        let copy = arena.copy(self.counts_frame)?;
        arena.map(process.vspace, copy, COUNTS, CapRights::READ_WRITE)
    }
}

/// A producer as the root task sees it.
pub struct Producer {
    process: Process,
    /// Tells it to go on.
    pub go: CPtr,
    /// Its channel.
    pub channel: &'static Channel,
    frame: CPtr,
}

/// All producers.
pub struct Producers {
    /// They.
    pub all: Vec<Producer>,
    /// Number of sources: source `i` is source `i / all.len()` of producer `i % all.len()`.
    pub sources: usize,
    shape: Shape,
}

impl Producers {
    /// So many sources in so many processes, made of an empty arena.
    pub fn new(
        world: &mut World,
        arena: &mut Arena,
        sources: usize,
        count: usize,
    ) -> Result<Producers> {
        assert!(sources <= MAX_SOURCES && count <= MAX_PRODUCERS);
        let each = sources.div_ceil(count);
        let shape = Shape::new(each);
        let caps = producer::FIRST_SLOT + each * crate::mechanism::MOST_CAPS;
        let bits = caps.next_power_of_two().trailing_zeros();
        let (object, size) = frame_of(shape);
        let goes = arena.make_many(ObjectType::Notification, count)?;
        let mut all = Vec::with_capacity(count);
        for number in 0..count {
            let process = world.maker.make(arena, bits, 1, priority::PRODUCER)?;
            world.map_counts(arena, &process)?;
            let frame = arena.make(object)?;
            arena.map(process.vspace, frame, CHANNEL, CapRights::READ_WRITE)?;
            let view = arena.copy(frame)?;
            let at = ROOT_CHANNELS + number * size;
            arena.map(CPtr::INIT_VSPACE, view, at, CapRights::READ_WRITE)?;
            let go = nth(goes, number);
            process.give(arena, GO.0, go, CapRights::READ, None)?;
            all.push(Producer {
                process,
                go,
                // SAFETY: just mapped, until the arena is cleared, which takes the producers with it; atomics.
                channel: unsafe { &*(at as *const Channel) },
                frame,
            });
        }
        Ok(Producers {
            all,
            sources,
            shape,
        })
    }

    /// The producer of a source, and the source's number there.
    pub fn owner(&self, source: usize) -> (usize, usize) {
        (source % self.all.len(), source / self.all.len())
    }
}

fn frame_of(shape: Shape) -> (ObjectType, usize) {
    match shape.large {
        true => (ObjectType::LargeFrame, LARGE_PAGE),
        false => (ObjectType::Frame, PAGE),
    }
}

/// One mechanism's processes.
pub struct Bench<'a> {
    /// What it is made of.
    pub arena: &'a mut Arena,
    /// The producers.
    pub producers: &'a Producers,
    /// The consumer.
    pub consumer: Process,
    /// The broker, if the mechanism has one.
    pub broker: Option<Process>,
    /// The consumer's memory.
    pub memory: &'static Memory,
}

impl<'a> Bench<'a> {
    /// Consumer, and broker if wanted, with their memory and all channels.
    pub fn new<M: Mechanism>(
        world: &mut World,
        arena: &'a mut Arena,
        producers: &'a Producers,
    ) -> Result<Bench<'a>> {
        let (consumer, memory) = watch(world, arena, producers, ROOT_CONSUMER, priority::CONSUMER)?;
        let broker = match M::BROKER {
            Some(priority) => Some(watch(world, arena, producers, ROOT_BROKER, priority)?.0),
            None => None,
        };
        Ok(Bench {
            arena,
            producers,
            consumer,
            broker,
            memory,
        })
    }

    /// Starts all processes, each on its side of the mechanism.
    pub fn start<M: Mechanism, S: Sys>(&self) -> Result<()> {
        for (number, producer) in self.producers.all.iter().enumerate() {
            let channel = producer.channel;
            for word in [&channel.tail, &channel.head, &channel.overflow] {
                word.store(0, Ordering::Relaxed);
            }
            channel.wanted.store(1, Ordering::Relaxed);
            let large = self.producers.shape.large as usize;
            producer.process.start(produce::<M, S>, [number, large])?;
        }
        if let Some(broker) = &self.broker {
            broker.start(broke::<M, S>, [0, 0])?;
        }
        self.consumer.start(consume::<M, S>, [0, 0])
    }

    /// Number of sources.
    pub fn sources(&self) -> usize {
        self.producers.sources
    }

    /// Gives the producer of `source` a send cap, in slot `index` of `each` that it has for each of its sources.
    pub fn to_producer(
        &mut self,
        source: usize,
        (index, each): (usize, usize),
        cap: CPtr,
        badge: Option<Word>,
    ) -> Result<()> {
        let (producer, own) = self.producers.owner(source);
        let slot = producer::FIRST_SLOT + own * each + index;
        let process = self.producers.all[producer].process;
        process.give(self.arena, slot, cap, CapRights::WRITE, badge)
    }

    /// As [`Bench::to_producer`], of a cap for calls: with the grant right, since the kernel makes a reply cap.
    pub fn to_caller(&mut self, source: usize, cap: CPtr, badge: Word) -> Result<()> {
        let (producer, own) = self.producers.owner(source);
        let rights = CapRights::new(true, false, true);
        let process = self.producers.all[producer].process;
        process.give(
            self.arena,
            producer::FIRST_SLOT + own,
            cap,
            rights,
            Some(badge),
        )
    }

    /// Gives the consumer a capability.
    pub fn to_consumer(&mut self, index: usize, cap: CPtr, rights: CapRights) -> Result<()> {
        let slot = watcher::FIRST_SLOT + index;
        self.consumer.give(self.arena, slot, cap, rights, None)
    }

    /// Gives the broker a capability.
    pub fn to_broker(&mut self, index: usize, cap: CPtr, rights: CapRights) -> Result<()> {
        let broker = self.broker.ok_or(Error::InvalidCapability)?;
        broker.give(self.arena, watcher::FIRST_SLOT + index, cap, rights, None)
    }

    /// Adds a thread to the consumer, with one page of stack, and starts it.
    pub fn add_thread<M: Mechanism, S: Sys>(&mut self, source: usize) -> Result<()> {
        let tcb = self.consumer.thread(self.arena, M::HELPER)?;
        let frame = self.arena.make(ObjectType::Frame)?;
        let stack = STACKS + source * PAGE;
        self.map_in_consumer(frame, stack, CapRights::READ_WRITE)?;
        process::start(tcb, help::<M, S>, stack + PAGE, [source, 0])
    }

    /// Maps a frame in the consumer.
    pub fn map_in_consumer(&mut self, frame: CPtr, at: usize, rights: CapRights) -> Result<()> {
        self.arena.map(self.consumer.vspace, frame, at, rights)
    }

    /// Maps one large page in broker and consumer, at [`FORWARD`].
    pub fn share_forward_ring(&mut self) -> Result<()> {
        let broker = self.broker.ok_or(Error::InvalidCapability)?;
        let frame = self.arena.make(ObjectType::LargeFrame)?;
        let copy = self.arena.copy(frame)?;
        let both = CapRights::READ_WRITE;
        self.arena.map(broker.vspace, frame, FORWARD, both)?;
        self.map_in_consumer(copy, FORWARD, both)
    }
}

/// A process that sees all channels, and its memory.
fn watch(
    world: &mut World,
    arena: &mut Arena,
    producers: &Producers,
    view: usize,
    priority: u8,
) -> Result<(Process, &'static Memory)> {
    let slots = watcher::FIRST_SLOT + 2 * producers.sources + 256;
    let bits = slots.next_power_of_two().trailing_zeros();
    let process = world.maker.make(arena, bits, WATCHER_STACK, priority)?;
    world.map_counts(arena, &process)?;
    let own = arena.make(ObjectType::LargeFrame)?;
    let both = CapRights::READ_WRITE;
    arena.map(process.vspace, own, MEMORY, both)?;
    let copy = arena.copy(own)?;
    arena.map(CPtr::INIT_VSPACE, copy, view, both)?;
    // SAFETY: just mapped, until the arena is cleared; whoever uses it then has no process to use it with. Atomics.
    let memory = unsafe { &*(view as *const Memory) };
    let (_, size) = frame_of(producers.shape);
    for (number, producer) in producers.all.iter().enumerate() {
        let copy = arena.copy(producer.frame)?;
        arena.map(process.vspace, copy, CHANNELS + number * size, both)?;
    }
    let words = [
        (&memory.sources, producers.sources),
        (&memory.producers, producers.all.len()),
    ];
    for (word, value) in words {
        word.store(value as u64, Ordering::Relaxed);
    }
    for source in 0..producers.sources {
        let (producer, own) = producers.owner(source);
        let at = CHANNELS + producer * size + EDGES + own * 8;
        memory.edge_at[source].store(at as u64, Ordering::Relaxed);
        // What happened under another mechanism is not for this one to deliver.
        let now = ROOT_CHANNELS + producer * size + EDGES + own * 8;
        // SAFETY: mapped since the producers were made.
        let now =
            unsafe { (*(now as *const core::sync::atomic::AtomicU64)).load(Ordering::Relaxed) };
        memory.seen[source].store(now, Ordering::Relaxed);
    }
    Ok((process, memory))
}
