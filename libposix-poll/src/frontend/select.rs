// SPDX-License-Identifier: BSD-2-Clause
//! select(2) in terms of poll: which events each of the three sets asks for, and which it reports.

use vfs_hooks::Events;

/// What the read set reports (Linux's POLLIN_SET).
pub const READ: Events = Events::IN
    .union(Events::RDNORM)
    .union(Events::RDBAND)
    .union(Events::HUP)
    .union(Events::ERR);
/// What the write set reports (POLLOUT_SET).
pub const WRITE: Events = Events::OUT
    .union(Events::WRNORM)
    .union(Events::WRBAND)
    .union(Events::ERR);
/// What the exception set reports (POLLEX_SET).
pub const EXCEPT: Events = Events::PRI;

/// In which sets an fd is, or is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    /// Read set.
    pub read: bool,
    /// Write set.
    pub write: bool,
    /// Exception set.
    pub except: bool,
}

impl Sets {
    /// Events to watch for.
    pub fn events(self) -> Events {
        let mut events = Events::empty();
        for (wanted, set) in [
            (self.read, READ),
            (self.write, WRITE),
            (self.except, EXCEPT),
        ] {
            if wanted {
                events |= set;
            }
        }
        events
    }

    /// Of the sets that were asked about, those that `events` make true.
    pub fn report(self, events: Events) -> Sets {
        Sets {
            read: self.read && events.intersects(READ),
            write: self.write && events.intersects(WRITE),
            except: self.except && events.intersects(EXCEPT),
        }
    }

    /// How many sets: what select counts.
    pub fn count(self) -> usize {
        usize::from(self.read) + usize::from(self.write) + usize::from(self.except)
    }
}
