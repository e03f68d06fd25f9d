// SPDX-License-Identifier: BSD-2-Clause
//! Badge bits: one notification; each source's send cap has one of its 64 bits as badge. Sources that share a bit are
//! looked at, all of them.

use sel4_bindings::{CapRights, ObjectType};

use super::Mechanism;
use crate::bench::Bench;
use crate::memory::Result;
use crate::producer::{self, Producer};
use crate::sys::{self, Sys};
use crate::watcher::{self, Watcher, bits};

/// Bits of a badge.
pub(super) const BITS: usize = 64;

/// See the module.
pub struct Badges;

impl Mechanism for Badges {
    const NAME: &'static str = "badges";

    fn set_up<S: Sys>(bench: &mut Bench) -> Result<()> {
        let notification = bench.arena.make(ObjectType::Notification)?;
        bench.to_consumer(0, notification, CapRights::READ)?;
        for source in 0..bench.sources() {
            bench.to_producer(source, (0, 1), notification, Some(1 << (source % BITS)))?;
        }
        Ok(())
    }

    #[inline(always)]
    fn notify<S: Sys>(_: &Producer, source: usize) {
        sys::signal::<S>(producer::slot(source));
    }

    fn consume<S: Sys>(watcher: &Watcher) -> ! {
        loop {
            for bit in bits(sys::wait::<S>(watcher::slot(0)).badge) {
                watcher.scan(bit, BITS, |_| ());
            }
        }
    }
}
