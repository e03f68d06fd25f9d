// SPDX-License-Identifier: BSD-2-Clause
//! System calls by number: one flat table, made at compile time from the tables of the areas.

use core::sync::atomic::Ordering;

use crate::errno::Errno;

use crate::calls::AREAS;
use crate::shared::{Shared, locked};
use crate::{console, deliver, names, platform, restart, trace};

/// Arguments of a call, as C code passed them.
pub type Args = [usize; 6];

/// Answers one call.
pub type Handler = fn(&Args) -> Result<usize, Errno>;

/// A line of an area's table.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// For people, and for the test that compares it with the number.
    #[cfg_attr(not(test), allow(dead_code))]
    name: &'static str,
    number: usize,
    handler: Handler,
}

impl Call {
    /// The call that Linux names and numbers so on x86_64.
    pub const fn new(name: &'static str, number: usize, handler: Handler) -> Call {
        Call {
            name,
            number,
            handler,
        }
    }

    /// Its number.
    #[cfg(test)]
    pub fn number(&self) -> usize {
        self.number
    }
}

/// First number past those that are answered.
const NUMBERS: usize = 448;

static TABLE: [Option<Handler>; NUMBERS] = table();

const fn table() -> [Option<Handler>; NUMBERS] {
    let mut table: [Option<Handler>; NUMBERS] = [None; NUMBERS];
    let mut area = 0;
    while area < AREAS.len() {
        let mut i = 0;
        while i < AREAS[area].len() {
            let call = AREAS[area][i];
            assert!(table[call.number].is_none(), "two lines answer one call");
            table[call.number] = Some(call.handler);
            i += 1;
        }
        area += 1;
    }
    table
}

/// Numbers that have been complained about.
static COMPLAINED: Shared<[u64; NUMBERS / 64 + 1]> = Shared::new([0; NUMBERS / 64 + 1]);

/// Says once that nothing answers `number`.
#[cold]
pub fn complain(number: usize) {
    let bit = number.min(NUMBERS);
    let word = &mut COMPLAINED.lock()[bit / 64];
    if *word & 1 << (bit % 64) != 0 {
        return;
    }
    *word |= 1 << (bit % 64);
    match names::name(number) {
        Some(name) => console::message(format_args!("system call {name} is not there (ENOSYS)\n")),
        None => console::message(format_args!(
            "system call number {number} does not exist (ENOSYS)\n"
        )),
    }
}

/// Makes call `number` again, whose handler has returned `errno` (see [`restart`]).
#[cfg(not(any(test, feature = "host")))]
#[cold]
#[inline(never)]
pub fn again(number: usize, args: &Args, errno: Errno) -> Result<usize, Errno> {
    match TABLE.get(number) {
        Some(&Some(handler)) => restart::again(handler, args, errno),
        _ => Err(Errno::ENOSYS),
    }
}

/// Linux's convention: the result, or a negated errno.
pub fn dispatch(number: usize, args: &Args) -> isize {
    if let Some(result) = platform::route(number, args) {
        return result;
    }
    deliver::enter();
    let result = match trace::is_on() {
        false => answer(number, args),
        true => trace::traced(number, args, || answer(number, args)),
    };
    deliver::leave();
    result
}

#[inline(always)]
fn answer(number: usize, args: &Args) -> isize {
    platform::stats().calls.fetch_add(1, Ordering::Relaxed);
    let Some(&Some(handler)) = TABLE.get(number) else {
        locked(|| complain(number));
        return -(Errno::ENOSYS.raw() as isize);
    };
    // One lock for all calls: see `shared`.
    let call = || match handler(args) {
        Err(errno) if errno.is_restart() => restart::again(handler, args, errno),
        result => result,
    };
    match platform::uninterrupted(|| locked(call)) {
        Ok(value) => value as isize,
        Err(errno) => -(errno.raw() as isize),
    }
}

/// What musl calls instead of executing `syscall`.
#[unsafe(no_mangle)]
extern "C" fn __sys_dispatch(
    number: usize,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> isize {
    dispatch(number, &[a, b, c, d, e, f])
}

#[cfg(test)]
mod tests {
    use crate::calls::AREAS;
    use crate::names;

    #[test]
    fn names_and_numbers_are_linuxs() {
        for call in AREAS.iter().flat_map(|area| area.iter()) {
            assert_eq!(names::name(call.number), Some(call.name));
        }
    }
}
