// SPDX-License-Identifier: BSD-2-Clause
//! Root task that runs all mechanisms with few sources and checks that each event arrives once and of the right source,
//! in TAP on the serial line. It measures nothing.
#![no_std]
#![no_main]

use core::fmt;

use compare::Cell;
use compare::measure::{Effort, Outcome};
use queue_tests::{line, machine};
use sel4_bindings::BootInfo;

guest_rt::root_task!(main);

/// One; as many as a badge has bits; and more than bits, than a small buffer serves, than two levels of badges tell apart, than
/// there can be processes.
const SOURCES: [usize; 3] = [1, 64, 4_500];
const EFFORT: Effort = Effort {
    rounds: 3,
    counted: 1,
};

fn main(info: BootInfo) -> ! {
    guest_rt::set_panic_hook(machine::bail_out);
    line!("\nTAP version 13");
    let (mut done, mut failed) = (0, 0);
    compare::run(info, &SOURCES, EFFORT, |cell, outcome| match outcome {
        Outcome::Refused(why) => line!("# {}: {why}", cell.mechanism),
        outcome => {
            done += 1;
            failed += !check(done, cell, outcome) as u32;
        }
    });
    line!("1..{done}");
    machine::exit((failed > 0).into())
}

/// Prints test number `number`; whether it passed.
fn check(number: u32, cell: Cell, outcome: Outcome) -> bool {
    let Cell {
        mechanism,
        topology,
        sources,
        producers,
    } = cell;
    let name = format_args!(
        "{number} - {mechanism}, {topology}: {sources} sources in {producers} processes"
    );
    let wrong: &dyn fmt::Debug = match &outcome {
        // Each event that is alone has an entry of its producer and one of its consumer, and a switch to it.
        Outcome::Measured(costs, _)
            if costs
                .iter()
                .all(|c| c.batch > 1 || c.entries >= 200 && c.switches >= 100) =>
        {
            line!("ok {name}");
            return true;
        }
        Outcome::Measured(costs, _) => costs,
        Outcome::Refused(why) => why,
        Outcome::Failed(error) => error,
        Outcome::Wrong(wrong) => wrong,
    };
    line!("not ok {name}\n# {wrong:?}");
    false
}
