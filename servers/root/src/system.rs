// SPDX-License-Identifier: BSD-2-Clause
//! All processes, and the loop that serves them.

use alloc::vec::Vec;

use sel4_bindings::*;
use vfs_hooks::process::badge;
use vfs_hooks::sync::{AtomicU64, Ordering};

use crate::clock::{self, Clock};
use crate::console::{Command, Console};
use crate::faults;
use crate::log;
use crate::memory::Memory;
use crate::meter;
use crate::network::Client;
use crate::objects::Result;
use crate::process::Process;
use crate::serial;

/// Badge bits of the root server's own notification. The top bit tells it from endpoints, whose badges have 28.
const NOTICE: u64 = 1 << 63;
const CLOCK: u64 = 1 << 0;
const CONSOLE: u64 = 1 << 1;
const CONTROL: u64 = 1 << 2;

// IOAPIC pins of the serial lines.
const CONSOLE_PIN: u64 = 4;
const CONTROL_PIN: u64 = 3;

/// Exit status when a server has failed.
const SERVER_FAILED: u8 = 125;

/// Everything.
pub struct System {
    /// Frames and kernel objects.
    pub memory: Memory,
    /// Time.
    pub clock: Clock,
    /// Input of the serial lines.
    pub console: Console,
    /// Processes by number.
    pub processes: Vec<Option<Process>>,
    /// The net server's clients by number.
    pub clients: Vec<Client>,
    /// Where processes call.
    pub endpoint: CPtr,
    /// Where programs call the net server.
    pub net_endpoint: CPtr,
    /// Print the counters at the end.
    pub stats: bool,
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
    pub fn new(mut memory: Memory, stats: bool) -> Result<System> {
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
        Ok(System {
            memory,
            clock,
            console: Console::default(),
            processes: Vec::new(),
            clients: Vec::new(),
            endpoint,
            net_endpoint: CPtr::NULL,
            stats,
            interrupts,
        })
    }

    /// The C program.
    pub fn program(&self) -> Option<&Process> {
        self.processes.get(badge::FIRST_PROGRAM)?.as_ref()
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
                    self.fault((badge & !(badge::FAULT as u64)) as usize, &message);
                    None
                }
                badge => self.request(badge as usize, &message),
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
            let program = self
                .processes
                .get(badge::FIRST_PROGRAM)
                .and_then(Option::as_ref);
            self.console.receive(program);
        }
        if bits & CONTROL != 0 {
            let _ = irq_handler_ack(self.interrupts.control);
            while let Some(command) = self.console.command() {
                match command {
                    Command::Stats => self.print_stats(),
                    Command::Exit(status) => self.end(status),
                    Command::Unknown(line) => log!("no such command: {line:?}"),
                }
            }
        }
    }

    /// Signals the deadlines that have come, and sees to it that the clock rings for the next. What rings for nobody is harmless.
    pub fn run_timers(&mut self) {
        loop {
            let now = self.clock.now();
            let processes = self.processes.iter_mut().flatten();
            let next = processes.filter_map(|p| p.expire(now)).min();
            match next {
                None => return,
                Some(deadline) if self.clock.arm(deadline) => return,
                Some(_) => {}
            }
        }
    }

    fn fault(&mut self, number: usize, message: &Message) {
        let Some(Some(process)) = self.processes.get(number) else {
            return;
        };
        let status = faults::report(process, message);
        self.program_ended(number, status);
    }

    /// Process `number` has ended: by EXIT, or by a fault. Its thread stays blocked in the call that told so.
    pub fn program_ended(&mut self, number: usize, status: u8) {
        let Some(Some(process)) = self.processes.get_mut(number) else {
            return;
        };
        process.ended = true;
        process.deadline = None;
        if number < badge::FIRST_PROGRAM {
            log!(
                "process {number} ({}) is a server: the system ends",
                process.path
            );
            self.end(SERVER_FAILED);
        }
        let net = self.processes.get(badge::NET_SERVER);
        if let (Some(Some(net)), Some(client)) =
            (net, self.clients.get(number - badge::FIRST_PROGRAM))
        {
            client.ended(net);
        }
        // The one program is what the machine runs for.
        self.end(status);
    }

    fn end(&self, status: u8) -> ! {
        if self.stats {
            self.print_stats();
        }
        serial::exit(status)
    }

    /// One line of counters for the driver.
    fn print_stats(&self) {
        let Some(program) = self.program() else {
            log!("@stats");
            return;
        };
        let stats = program.stats();
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let kernel = match kernel() {
            Some(Kernel::Queue) => "queue",
            _ => "stock",
        };
        log!(
            "@stats calls={} server_calls={} waits={} collects={} entries={} handoffs={} badge_wakes={} doorbells={} \
             doorbells_saved={} kernel={kernel} queues={} kernel_entries={} watches={} free={} busy={}",
            get(&stats.calls),
            get(&stats.server_calls),
            get(&stats.waits),
            get(&stats.collects),
            get(&stats.entries),
            get(&stats.handoffs),
            get(&stats.badge_wakes),
            get(&stats.doorbells),
            get(&stats.doorbells_saved),
            program.queues.count(),
            program.queues.entries(),
            program.watches,
            self.memory.available(),
            meter::busy().unwrap_or(0),
        );
    }
}
