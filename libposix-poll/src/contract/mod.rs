// SPDX-License-Identifier: BSD-2-Clause
//! What every backend must do: one suite of cases over the trait [`Machine`].
//!
//! On the host the machine is a model of either kernel, and each case a test. In the guest it is the process itself (musl-shim, feature
//! `contract`): queues and badge bits of the kernel that runs, channels as sources, threads that block; tests/contract runs each case in a process of its own.

/// The cases of a file, by the settings that they are about; on the host each is a test.
macro_rules! cases {
    ($($settings:ident: $($name:ident),+;)+) => {
        /// The cases of this file.
        pub fn cases<M: $crate::contract::Machine>() -> alloc::vec::Vec<$crate::contract::Case<M>> {
            alloc::vec![$($($crate::contract::Case {
                name: stringify!($name),
                settings: $crate::contract::$settings,
                run: $name::<M>,
            },)+)+]
        }

        #[cfg(test)]
        mod on_the_host {
            $($(#[test]
            fn $name() {
                $crate::contract::host::check($crate::contract::$settings, super::$name);
            })+)+
        }
    };
}
mod machine;
mod random;
mod regressions;
mod shared;
mod suite;
mod threads;
mod traps;
mod world;

#[cfg(test)]
mod host;

pub use machine::{Machine, Refusal, Tallied, Tally};
pub use world::{Epoll, Probe, Woken, World};

use alloc::vec::Vec;

/// Where the sources are, and what carries their signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// In another process, on the kernel with queues.
    Queue,
    /// In another process, on the stock kernel.
    Badge,
    /// In this process.
    Local,
}

impl Setting {
    /// Whether a kernel has what it takes.
    pub fn is_on(self, has_queues: bool) -> bool {
        match self {
            Setting::Queue => has_queues,
            Setting::Badge => !has_queues,
            Setting::Local => true,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Setting::Queue => "queue",
            Setting::Badge => "badge",
            Setting::Local => "local",
        }
    }
}

const EVERYWHERE: &[Setting] = &[Setting::Queue, Setting::Badge, Setting::Local];
const REMOTE: &[Setting] = &[Setting::Queue, Setting::Badge];
const QUEUE: &[Setting] = &[Setting::Queue];
const BADGE: &[Setting] = &[Setting::Badge];
const LOCAL: &[Setting] = &[Setting::Local];
/// Where each exclusive watch is told by itself: on badges one thread hears for all.
const EACH: &[Setting] = &[Setting::Queue, Setting::Local];

/// One thing that must hold.
pub struct Case<M: Machine> {
    /// Its name.
    pub name: &'static str,
    /// Where.
    pub settings: &'static [Setting],
    /// Panics if it does not.
    pub run: fn(&mut World<M>),
}

/// All cases.
pub fn cases<M: Machine>() -> Vec<Case<M>> {
    [
        suite::cases(),
        traps::cases(),
        threads::cases(),
        shared::cases(),
        regressions::cases(),
        random::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
