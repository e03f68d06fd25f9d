// SPDX-License-Identifier: BSD-2-Clause
//! Events: poll(2)'s and epoll_ctl(2)'s bits, which have the same values on x86_64.

bitflags::bitflags! {
    /// What holds of a source now (its readiness), or what is asked for (a watch's interest).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Events: u32 {
        /// Data to read, or a connection to accept, or end of file.
        const IN = 0x001;
        /// Exceptional condition (unused by our sources so far).
        const PRI = 0x002;
        /// A write would not block.
        const OUT = 0x004;
        /// Error; reported unasked.
        const ERR = 0x008;
        /// Hang-up; reported unasked.
        const HUP = 0x010;
        /// poll only: the fd is not open.
        const NVAL = 0x020;
        /// As `IN`.
        const RDNORM = 0x040;
        /// Priority data (never set by our sources).
        const RDBAND = 0x080;
        /// As `OUT`.
        const WRNORM = 0x100;
        /// Priority data may be written (never set by our sources).
        const WRBAND = 0x200;
        /// Unused, as on Linux.
        const MSG = 0x400;
        /// The peer will send no more; reported only if asked for.
        const RDHUP = 0x2000;
    }
}

impl Events {
    /// Reported whether asked for or not (poll(2), epoll_ctl(2)).
    pub const ALWAYS: Events = Events::ERR.union(Events::HUP);
    /// Events that an edge of the input direction can bring.
    pub const INPUT: Events = Events::IN
        .union(Events::PRI)
        .union(Events::RDNORM)
        .union(Events::RDBAND)
        .union(Events::RDHUP)
        .union(Events::ALWAYS);
    /// Events that an edge of the output direction can bring.
    pub const OUTPUT: Events = Events::OUT
        .union(Events::WRNORM)
        .union(Events::WRBAND)
        .union(Events::ALWAYS);

    /// What is reported where a read would not block (Linux).
    pub const READABLE: Events = Events::IN.union(Events::RDNORM);
    /// What is reported where a write would not block.
    pub const WRITABLE: Events = Events::OUT.union(Events::WRNORM);

    /// Which directions, input and output, these events belong to.
    pub fn directions(self) -> (bool, bool) {
        (
            self.intersects(Events::INPUT),
            self.intersects(Events::OUTPUT),
        )
    }
}
