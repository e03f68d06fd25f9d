// SPDX-License-Identifier: BSD-2-Clause
//! All processes, and the loop that serves them.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use root_server::errno;
use root_server::family::{Family, Pid};
use root_server::ports::Ports;
use root_server::share;
use root_server::udp_ports::UdpPorts;
use root_server::waiters::Waiters;
use sel4_bindings::*;
use vfs_hooks::channel::MOST;
use vfs_hooks::figures::{AT_ONCE, Figures};
use vfs_hooks::process::{PAGE, badge};

use crate::channels::Channel;
use crate::clock::{self, Clock};
use crate::console::{Command, Console};
use crate::faults;
use crate::fifos::Fifos;
use crate::files::SharedFiles;
use crate::life::killed;
use crate::log;
use crate::memory::{Memory, can_remember};
use crate::meter;
use crate::network::Client;
use crate::objects::Result;
use crate::owners::Owners;
use crate::process::Process;
use crate::programs::Programs;
use crate::requests::Answer;
use crate::serial;
use crate::sockets::Names;

/// Badge bits of the root server's own notification. The top bit tells it from endpoints, whose badges have 28.
const NOTICE: u64 = 1 << 63;
const CLOCK: u64 = 1 << 0;
const CONSOLE: u64 = 1 << 1;
const CONTROL: u64 = 1 << 2;

// IOAPIC pins of the serial lines.
const CONSOLE_PIN: u64 = 4;
const CONTROL_PIN: u64 = 3;

/// What the root server remembers of a channel, in pages of which it remembers as much.
const CHANNEL_IN_PAGES: usize = 16;

/// Exit status when a server has failed.
pub const SERVER_FAILED: u8 = 125;

/// Everything.
pub struct System {
    /// Frames and kernel objects.
    pub memory: Memory,
    /// Time.
    pub clock: Clock,
    /// Input of the serial lines.
    pub console: Console,
    /// What processes are made of.
    pub programs: Programs,
    /// Processes that run, by number.
    pub processes: BTreeMap<usize, Process>,
    /// How those that run programs belong together, with those that have ended and wait to be waited for.
    pub family: Family,
    /// Channels by number.
    pub channels: Vec<Option<Box<Channel>>>,
    /// Names of AF_UNIX.
    pub names: Names,
    /// FIFOs that are open.
    pub fifos: Fifos,
    /// Ports of TCP.
    pub ports: Ports,
    /// Channels of which the net server is to hear that nobody holds side 0 any longer.
    pub hung: VecDeque<usize>,
    /// Names of UDP sockets.
    pub udp: UdpPorts,
    /// Shared files.
    pub files: SharedFiles,
    /// Owners of locks.
    pub owners: Owners,
    /// Who waits for words of shared memory.
    pub waiters: Waiters,
    /// The net server's clients by number.
    pub clients: Vec<Option<Client>>,
    /// Where processes call.
    pub endpoint: CPtr,
    /// Where programs call the net server.
    pub net_endpoint: CPtr,
    /// Where programs call the VFS server, and what tells it that a file is held by nobody.
    pub vfs_endpoint: CPtr,
    /// See [`System::vfs_endpoint`].
    pub vfs_signal: Option<CPtr>,
    /// Print the counters at the end.
    pub stats: bool,
    /// Requests and faults of programs so far.
    served: u64,
    interrupts: Interrupts,
}

/// Interrupt handlers.
struct Interrupts {
    clock: CPtr,
    console: CPtr,
    control: CPtr,
}

impl System {
    /// Starts clock and serial lines; no process yet.
    pub fn new(mut memory: Memory, programs: Programs, stats: bool) -> Result<System> {
        let endpoint = memory.objects.object(ObjectType::Endpoint)?;
        let notification = memory.objects.object(ObjectType::Notification)?;
        tcb_bind_notification(CPtr::INIT_TCB, notification)?;
        let clock = Clock::new(&mut memory)?;
        let mut handler = |pin: u64, bit: u64| {
            let badge = CapData::notification(NOTICE | bit);
            let signal = memory.objects.mint(notification, CapRights::WRITE, badge)?;
            let (slot, root, depth) = memory.objects.handler_slot()?;
            // Edge-triggered, active high; the interrupt's number is the pin's.
            irq_control_get_ioapic(
                CPtr::IRQ_CONTROL,
                root,
                slot.index(),
                depth as u64,
                0,
                pin,
                0,
                0,
                pin,
            )?;
            irq_handler_set_notification(slot, signal)?;
            irq_handler_ack(slot)?;
            Ok(slot)
        };
        let interrupts = Interrupts {
            clock: handler(clock::PIN, CLOCK)?,
            console: handler(CONSOLE_PIN, CONSOLE)?,
            control: handler(CONTROL_PIN, CONTROL)?,
        };
        // As much as tmpfs takes by default.
        let files = SharedFiles::new(memory.objects.total() as usize / PAGE / 2);
        Ok(System {
            memory,
            clock,
            console: Console::default(),
            programs,
            processes: BTreeMap::new(),
            family: Family::new(badge::INIT as Pid),
            channels: Vec::with_capacity(MOST),
            names: Names::new(),
            fifos: Fifos::new(),
            ports: Ports::default(),
            hung: VecDeque::new(),
            udp: UdpPorts::new(),
            files,
            owners: Owners::default(),
            waiters: Waiters::default(),
            clients: Vec::new(),
            endpoint,
            net_endpoint: CPtr::NULL,
            vfs_endpoint: CPtr::NULL,
            vfs_signal: None,
            stats,
            served: 0,
            interrupts,
        })
    }

    /// Asks the driver what the time is. `false`: it does not answer.
    pub fn ask_time(&mut self) -> bool {
        /// Nanoseconds after which nobody is there. The driver may not get to run for seconds.
        const PATIENCE: u64 = 60_000_000_000;
        let console = &mut self.console;
        self.clock.set_time(|clock| {
            let end = clock.now() + PATIENCE;
            log!("@time");
            while clock.now() < end {
                if let Some(Command::Time { time, waited }) = console.command() {
                    return Some((time, waited));
                }
            }
            None
        })
    }

    /// Serves for ever.
    pub fn serve(&mut self) -> ! {
        // What came in before the interrupts were on.
        self.notice(CONSOLE | CONTROL);
        let mut message = recv(self.endpoint);
        loop {
            let answer = match message.badge {
                badge if badge & NOTICE != 0 => {
                    self.notice(badge);
                    None
                }
                badge if badge & badge::FAULT as u64 != 0 => {
                    self.served += 1;
                    let badge = badge as usize;
                    let thread = badge >> badge::THREAD_SHIFT;
                    self.fault(badge & badge::NUMBER, thread, &message)
                }
                badge => {
                    self.served += 1;
                    self.request(badge as usize, &message)
                }
            };
            message = match answer {
                Some(answer) => {
                    let (info, mrs) = answer.message();
                    reply_recv(self.endpoint, info, mrs)
                }
                None => recv(self.endpoint),
            };
        }
    }

    /// Interrupts. Each is acknowledged before its device is looked at: what comes later raises another.
    fn notice(&mut self, bits: u64) {
        if bits & CLOCK != 0 {
            let _ = irq_handler_ack(self.interrupts.clock);
            self.clock.rang();
            self.run_timers();
        }
        if bits & CONSOLE != 0 {
            let _ = irq_handler_ack(self.interrupts.console);
            self.console_input();
        }
        if bits & CONTROL != 0 {
            let _ = irq_handler_ack(self.interrupts.control);
            while let Some(command) = self.console.command() {
                match command {
                    Command::Stats => self.print_stats(),
                    Command::Processes => self.print_processes(),
                    // An answer for which nobody waits any longer.
                    Command::Time { .. } => {}
                    Command::Exit(status) => self.shut_down(status),
                    Command::Unknown(line) => log!("no such command: {line:?}"),
                }
            }
        }
    }

    /// Signals the deadlines that have come, and sees to it that the clock rings for the next. What rings for nobody is harmless.
    pub fn run_timers(&mut self) {
        loop {
            let now = self.clock.now();
            let processes = self.processes.values_mut();
            let next = processes.filter_map(|p| p.expire(now)).min();
            match next {
                None => return,
                Some(deadline) if self.clock.arm(deadline) => return,
                Some(_) => {}
            }
        }
    }

    /// A fault of a thread of process `number`: the first one's stack grows, or the process ends. An answer lets it go on.
    fn fault(&mut self, number: usize, thread: usize, message: &Message) -> Option<Answer> {
        self.memory.keep_pieces();
        let allowed = self.may_have(number, 1);
        let process = self.processes.get_mut(&number)?;
        let tcb = process.threads.get(thread)?.tcb;
        if let Some(low) = faults::missing_page(message) {
            // A channel's pages were asked for when it was made.
            let grown = allowed && process.page_in(&mut self.memory, low);
            if grown || self.channel_page(number, low) {
                return Some(Answer::resume());
            }
        }
        let process = self.processes.get(&number)?;
        if let (Some(fault), Some(thread)) = (
            faults::of_program(tcb, message),
            process.threads.get(thread),
        ) && process.handles(thread, fault[0])
            && process.interrupt(thread, Some(fault))
        {
            return None;
        }
        let signal = faults::report(process, tcb, message);
        self.program_ended(number, killed(signal));
        None
    }

    /// Stops the machine.
    pub fn shut_down(&mut self, status: u8) -> ! {
        if self.stats {
            self.print_stats();
        }
        serial::exit(status)
    }

    /// Whether a process may have so many more pages of memory: see [`share`]. Servers may have what there is.
    pub fn may_have(&self, number: usize, pages: usize) -> bool {
        let (free, total) = (self.memory.available(), self.memory.objects.total());
        let wanted = (pages * PAGE) as u64;
        // Most of the time there is plenty, and nobody need count.
        if number >= badge::NET_SERVER || share::may_have(wanted, u64::MAX / 2, free, total, 1) {
            return true;
        }
        let held = self.processes.get(&number).map_or(0, |p| p.space.holds().0);
        share::may_have(wanted, held, free, total, self.processes.len())
    }

    /// Whether another thing may be remembered for a process. The eighth of the heap before the last is for those who have less than an equal share of all that costs heap, in pages.
    pub fn may_remember(&self, number: usize) -> bool {
        if guest_rt::heap::has_room(guest_rt::heap::capacity() / 8) {
            return true;
        }
        let share = self.memory.objects.total() as usize / PAGE / self.processes.len().max(1);
        let held = self.processes.get(&number).map_or(0, |process| {
            process.space.remembered() + CHANNEL_IN_PAGES * process.channels.len()
        });
        held <= share && can_remember(1)
    }

    /// The same of channels.
    pub fn may_have_channel(&self, number: usize) -> bool {
        let used = self.channels.iter().flatten().count() as u64;
        let held = self.processes.get(&number);
        let held = held.map_or(0, |process| process.channels.len() as u64);
        let (most, owners) = (MOST as u64, self.processes.len());
        share::may_have(1, held, most - used, most, owners)
    }

    /// What is given away, and what is not: [`vfs_hooks::figures`].
    fn figures(&self, number: usize) -> Figures {
        let (kept, kept_slots) = self.memory.kept();
        let asking = self.processes.get(&number);
        let (own, own_slots) = asking.map_or((0, 0), |process| {
            let (bytes, slots) = process.space.holds();
            let (queues, caps) = process.queues.holds();
            let (watches, cnodes) = process.watch_cnodes.holds();
            (bytes + queues + watches, slots + caps + cnodes)
        });
        // Servers keep their page tables for the next client or file.
        let servers = self.processes.range(badge::NET_SERVER..);
        let (kept, kept_slots) = servers.fold((kept, kept_slots), |(bytes, slots), (_, server)| {
            let (tables, caps) = server.space.arena.holds();
            (bytes + tables, slots + caps)
        });
        let (images, image_bytes) = self.programs.kept();
        let channels = || self.channels.iter().flatten();
        let (files, file_pages) = self.files.count();
        let slots = self.memory.objects.used_slots() - kept_slots - own_slots;
        [
            self.memory.available() + kept + image_bytes + own,
            slots as u64,
            self.processes.len() as u64,
            self.family.count() as u64,
            channels().count() as u64,
            channels().map(|c| c.holders.len() as u64).sum(),
            channels().map(|c| c.carried.len() as u64).sum(),
            channels().filter(|c| c.named.is_some()).count() as u64,
            self.names.len() as u64,
            files as u64,
            file_pages as u64,
            self.memory.shares(),
            self.clients.iter().flatten().count() as u64,
            images as u64,
            guest_rt::heap::used() as u64,
        ]
    }

    /// FIGURES.
    pub fn some_figures(
        &mut self,
        number: usize,
        first: u64,
    ) -> core::result::Result<[u64; AT_ONCE], u64> {
        // Then they need not be counted. What is not given back would be missing.
        let _ = self.memory.end_shells();
        let figures = self.figures(number);
        let some = figures.iter().skip(first as usize).copied();
        let mut answer = [0; AT_ONCE];
        let mut count = 0;
        for (place, figure) in answer.iter_mut().zip(some) {
            *place = figure;
            count += 1;
        }
        match count {
            AT_ONCE => Ok(answer),
            _ => Err(errno::EINVAL),
        }
    }

    /// One line of counters for the driver: those of the first program, and the system's.
    fn print_stats(&mut self) {
        let slots = self.memory.objects.used_slots();
        let processes = self.family.count();
        let Some(init) = self.processes.get(&badge::INIT) else {
            log!("@stats");
            return;
        };
        let Ok(counters) = init.stats(&mut self.memory) else {
            log!("@stats");
            return;
        };
        let kernel = match kernel() {
            Some(Kernel::Queue) => "queue",
            _ => "stock",
        };
        let [
            calls,
            server_calls,
            waits,
            collects,
            entries,
            handoffs,
            badge_wakes,
            doorbells,
            saved,
            channel_calls,
            signals,
        ] = counters;
        log!(
            "@stats calls={calls} server_calls={server_calls} waits={waits} collects={collects} entries={entries} \
             handoffs={handoffs} badge_wakes={badge_wakes} doorbells={doorbells} doorbells_saved={saved} \
             channel_calls={channel_calls} signals={signals} kernel={kernel} \
             queues={} kernel_entries={} watches={} free={} busy={} slots={slots} processes={processes} \
             served={} clock_behind={}",
            init.queues.count(),
            init.queues.entries(),
            init.watches,
            self.memory.available(),
            meter::busy().unwrap_or(0),
            self.served,
            self.clock.behind.unwrap_or(1_000_000_000),
        );
    }
}
