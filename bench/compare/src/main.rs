// SPDX-License-Identifier: BSD-2-Clause
//! Root task that compares all mechanisms, as a table on the serial line, for `cargo xtask compare`. Tab-separated, after
//! the kind of line the mechanism, topology, number of sources and of producers:
//!
//! * `cost`: events of a wake; then of each event instructions, kernel entries, address-space switches, in hundredths
//! * `memory`: bytes of kernel objects, bytes of frames, capabilities; of all sources together
//! * `stops`: why it cannot be had
//! * `wrong`: what was delivered, and should have been
//!
//! It ends with a line `# end`. For QEMU with `-icount shift=0,sleep=off`, where the time-stamp counter counts instructions.
#![no_std]
#![no_main]

use compare::Cell;
use compare::measure::{Effort, Outcome};
use queue_tests::{line, machine};
use sel4_bindings::BootInfo;

guest_rt::root_task!(main);

/// How many sources.
const SOURCES: [usize; 6] = [1, 10, 64, 100, 1_000, 10_000];
const EFFORT: Effort = Effort {
    rounds: 41,
    counted: 11,
};

fn main(info: BootInfo) -> ! {
    guest_rt::set_panic_hook(machine::bail_out);
    let mut wrong = false;
    compare::run(info, &SOURCES, EFFORT, |cell, outcome| {
        wrong |= matches!(outcome, Outcome::Wrong(_));
        print(cell, outcome);
    });
    line!("# end");
    machine::exit(wrong.into())
}

fn print(cell: Cell, outcome: Outcome) {
    let Cell {
        mechanism,
        topology,
        sources,
        producers,
    } = cell;
    let key = format_args!("{mechanism}\t{topology}\t{sources}\t{producers}");
    match outcome {
        Outcome::Refused(why) => line!("stops\t{key}\t{why}"),
        Outcome::Failed(error) => line!("stops\t{key}\t{error:?}"),
        Outcome::Wrong(wrong) => line!("wrong\t{key}\t{wrong}"),
        Outcome::Measured(costs, account) => {
            for cost in costs {
                let (batch, instructions) = (cost.batch, cost.instructions);
                let (entries, switches) = (cost.entries, cost.switches);
                line!("cost\t{key}\t{batch}\t{instructions}\t{entries}\t{switches}");
            }
            let (kernel, frames, caps) = (account.kernel, account.frames, account.caps);
            line!("memory\t{key}\t{kernel}\t{frames}\t{caps}");
        }
    }
}
