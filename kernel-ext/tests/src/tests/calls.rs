// SPDX-License-Identifier: BSD-2-Clause
//! Invocations with any label, capabilities and words, and what came of them.

use core::fmt;

use sel4_bindings::invocations::LABELS;
use sel4_bindings::{CPtr, Error, Kernel, Word, invoke_raw};

/// The methods of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Attach,
    Detach,
    SetBuffer,
}

impl Method {
    pub(super) const ALL: [Method; 3] = [Method::Attach, Method::Detach, Method::SetBuffer];

    pub(super) fn label(self) -> Word {
        label(match self {
            Method::Attach => "NotificationQueueAttach",
            Method::Detach => "NotificationQueueDetach",
            Method::SetBuffer => "NotificationQueueSetBuffer",
        })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A label by the kernel's own name.
pub(super) fn label(name: &str) -> Word {
    let label = LABELS.iter().find(|l| l.name == name);
    label
        .and_then(|l| l.on(Kernel::Queue))
        .expect("not a method of the queue kernel")
}

/// The highest label that this kernel has.
pub(super) fn last_label() -> Word {
    let labels = LABELS.iter().filter_map(|l| l.on(Kernel::Queue));
    labels.max().unwrap_or(0)
}

/// Done, or why not; with `InvalidCapability` comes which one it was (0: the
/// invoked one), otherwise 0.
pub(super) type Outcome = Result<(), (Error, Word)>;

pub(super) const ILLEGAL: Outcome = Err((Error::IllegalOperation, 0));
pub(super) const TRUNCATED: Outcome = Err((Error::TruncatedMessage, 0));
pub(super) const NO_MEMORY: Outcome = Err((Error::NotEnoughMemory, 0));

/// Capability number `number` was the wrong one.
pub(super) fn wrong_cap(number: Word) -> Outcome {
    Err((Error::InvalidCapability, number))
}

/// Invokes.
pub(super) fn invoke(service: CPtr, label: Word, caps: &[CPtr], words: &[Word]) -> Outcome {
    let (label, words) = invoke_raw(service, label, caps, words);
    match Error::from_label(label) {
        None => Ok(()),
        Some(Error::InvalidCapability) => wrong_cap(words[0]),
        Some(error) => Err((error, 0)),
    }
}
