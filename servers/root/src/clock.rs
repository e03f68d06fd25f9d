// SPDX-License-Identifier: BSD-2-Clause
//! Time: the HPET for deadlines, the time-stamp counter for clocks; the driver says what the time is, or the CMOS clock in whole seconds.

use sel4_bindings::{CPtr, rdtsc, x86_io_port_in8, x86_io_port_out8};

use crate::memory::Memory;
use crate::objects::Result;

/// Physical address of the HPET's registers.
const HPET: u64 = 0xfed0_0000;
/// IOAPIC pin of its timer 0.
pub const PIN: u64 = 2;

// Registers.
const CAPABILITIES: usize = 0x00;
const CONFIGURATION: usize = 0x10;
const COUNTER: usize = 0xf0;
const TIMER_CONFIGURATION: usize = 0x100;
const TIMER_COMPARATOR: usize = 0x108;
const ENABLE: u64 = 1;
const TIMER_ROUTE: u64 = PIN << 9;
const TIMER_ENABLE: u64 = 1 << 2;

const FEMTOSECONDS: u64 = 1_000_000;
/// Length of the comparison of the two counters.
const CALIBRATION_NS: u64 = 10_000_000;

/// How often the time is asked for at most, and how long an answer may take that is good enough.
const QUESTIONS: usize = 8;
const SOON: u64 = 200_000;

/// The clock.
pub struct Clock {
    base: usize,
    /// Femtoseconds per HPET tick.
    period: u64,
    /// Time-stamp counter at time 0.
    pub tsc_base: u64,
    /// Nanoseconds per counter tick, times 2^32.
    pub tsc_scale: u64,
    /// Nanoseconds since 1970 at time 0.
    pub realtime_base: u64,
    /// By how many nanoseconds at most that is too little; `None`: up to a second.
    pub behind: Option<u64>,
    /// Deadline of the interrupt that is to come.
    armed: Option<u64>,
}

impl Clock {
    /// Starts the HPET and measures the time-stamp counter by it.
    pub fn new(memory: &mut Memory) -> Result<Clock> {
        let mut clock = Clock {
            base: memory.device(HPET)?,
            period: 0,
            tsc_base: 0,
            tsc_scale: 0,
            realtime_base: 0,
            behind: None,
            armed: None,
        };
        clock.period = clock.read(CAPABILITIES) >> 32;
        // The specification's limit; nonsense means that there is no HPET.
        if clock.period == 0 || clock.period > 100 * FEMTOSECONDS {
            return Err(sel4_bindings::Error::FailedLookup);
        }
        clock.write(CONFIGURATION, 0);
        clock.write(COUNTER, 0);
        clock.write(TIMER_CONFIGURATION, TIMER_ROUTE);
        clock.write(CONFIGURATION, ENABLE);
        clock.calibrate();
        clock.realtime_base = date();
        clock.tsc_base = rdtsc();
        Ok(clock)
    }

    fn calibrate(&mut self) {
        let (hpet_start, tsc_start) = self.both();
        let end = hpet_start + self.ticks(CALIBRATION_NS);
        while self.read(COUNTER) < end {}
        let (hpet_end, tsc_end) = self.both();
        let ns = (hpet_end - hpet_start) as u128 * self.period as u128 / FEMTOSECONDS as u128;
        let ticks = (tsc_end - tsc_start).max(1) as u128;
        self.tsc_scale = ((ns << 32) / ticks) as u64;
    }

    /// Both counters at nearly one moment: the reading that took the least time of several.
    fn both(&self) -> (u64, u64) {
        let reading = |_| {
            let before = rdtsc();
            let hpet = self.read(COUNTER);
            let after = rdtsc();
            (after - before, (hpet, before + (after - before) / 2))
        };
        let best = (0..16).map(reading).min_by_key(|(took, _)| *took);
        best.map_or((0, 0), |(_, both)| both)
    }

    /// Sets CLOCK_REALTIME by what `ask` says that it is, and for how long it put the answer off: the answer that took the least time of a few counts, from when it came. So
    /// the clock is behind by at most that time, and never ahead. `false`: there is no answer.
    pub fn set_time(&mut self, mut ask: impl FnMut(&Clock) -> Option<(u64, u64)>) -> bool {
        let mut best = None;
        for _ in 0..QUESTIONS {
            let asked = self.now();
            let Some((time, waited)) = ask(self) else {
                break;
            };
            let came = self.now();
            let took = (came - asked).saturating_sub(waited);
            if best.is_none_or(|(least, _)| took < least) {
                best = Some((took, time.saturating_sub(came)));
            }
            if took < SOON {
                break;
            }
        }
        if let Some((took, base)) = best {
            (self.behind, self.realtime_base) = (Some(took), base);
        }
        best.is_some()
    }

    /// Frequency of the time-stamp counter.
    pub fn tsc_khz(&self) -> u64 {
        ((1_000_000u128 << 32) / self.tsc_scale.max(1) as u128) as u64
    }

    /// CLOCK_MONOTONIC in nanoseconds.
    pub fn now(&self) -> u64 {
        let ticks = rdtsc().wrapping_sub(self.tsc_base);
        ((ticks as u128 * self.tsc_scale as u128) >> 32) as u64
    }

    /// Asks for an interrupt when `now` has reached `deadline`. It may come early, or for an earlier deadline that was asked for
    /// before: the caller looks at the clock. `false`: the deadline has been reached already, no interrupt comes.
    #[must_use]
    pub fn arm(&mut self, deadline: u64) -> bool {
        if self.armed.is_some_and(|armed| armed <= deadline) {
            return true;
        }
        let Some(ahead @ 1..) = deadline.checked_sub(self.now()) else {
            return false;
        };
        // One hour at most: far deadlines are armed again on the way.
        let ahead = ahead.min(3_600_000_000_000);
        self.write(TIMER_CONFIGURATION, TIMER_ROUTE);
        self.write(TIMER_COMPARATOR, self.read(COUNTER) + self.ticks(ahead) + 1);
        self.write(TIMER_CONFIGURATION, TIMER_ROUTE | TIMER_ENABLE);
        self.armed = Some(deadline);
        true
    }

    /// The interrupt has come.
    pub fn rang(&mut self) {
        self.write(TIMER_CONFIGURATION, TIMER_ROUTE);
        self.armed = None;
    }

    fn ticks(&self, ns: u64) -> u64 {
        (ns as u128 * FEMTOSECONDS as u128 / self.period as u128) as u64
    }

    fn read(&self, register: usize) -> u64 {
        // SAFETY: `base` is the HPET's page, mapped uncached for ever; the registers lie in it and are aligned.
        unsafe { ((self.base + register) as *const u64).read_volatile() }
    }

    fn write(&self, register: usize, value: u64) {
        // SAFETY: as in `read`; the HPET writes no memory.
        unsafe { ((self.base + register) as *mut u64).write_volatile(value) }
    }
}

/// The CMOS clock as nanoseconds since 1970; it keeps UTC.
fn date() -> u64 {
    let cmos = |register: u64| {
        let _ = x86_io_port_out8(CPtr::IO_PORT, 0x70, register);
        x86_io_port_in8(CPtr::IO_PORT, 0x71).unwrap_or(0) as u64
    };
    let sample = || {
        // Bit 7 of register A: being updated. Bounded, in case there is no such clock.
        for _ in 0..100_000 {
            if cmos(10) & 0x80 == 0 {
                break;
            }
        }
        [0, 2, 4, 7, 8, 9, 0x32].map(cmos)
    };
    let mut values = sample();
    // Two samples that agree were not taken across an update.
    for _ in 0..10 {
        let again = sample();
        if again == values {
            break;
        }
        values = again;
    }
    let format = cmos(11);
    let number = |value: u64| match format & 4 {
        0 => (value >> 4) * 10 + (value & 15),
        _ => value,
    };
    let [second, minute, hour, day, month, year, century] = values;
    // 12-hour format: bit 7 is PM, and 12 means 0.
    let hour = match format & 2 {
        0 => number(hour & 0x7f) % 12 + 12 * (hour >> 7),
        _ => number(hour),
    };
    let century = match number(century) {
        century @ 19..=22 => century,
        _ => 20,
    };
    let year = century * 100 + number(year);
    let days = days_since_1970(year, number(month).clamp(1, 12), number(day).max(1));
    let seconds = days * 86400 + hour * 3600 + number(minute) * 60 + number(second);
    seconds * 1_000_000_000
}

/// Days from 1970-01-01 to the given day of the Gregorian calendar.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    // Years that begin in March: the leap day is the last one.
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    (year * 365 + leap_days + day_of_year).saturating_sub(719_468)
}
