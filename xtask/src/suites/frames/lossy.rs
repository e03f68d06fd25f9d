// SPDX-License-Identifier: BSD-2-Clause
//! A cable that is no good: what arrives is complete and right all the same.

use std::time::Duration;

use anyhow::Result;

use super::fetch::{self, Fetch, Files};
use super::peer::Peer;
use super::wire::Faults;

/// Retransmission timers double: a frame that is lost several times in a row takes its time.
const PATIENCE: Duration = Duration::from_secs(90);
/// Connections at a time.
const CONNECTIONS: usize = 24;

/// Loss, doubles and overtaking.
pub fn lost(peer: &mut Peer, files: &Files) -> Result<()> {
    let faults = Faults {
        lose: 25,
        double: 30,
        delay: 10,
        ..Faults::default()
    };
    under(peer, files, faults, 11)
}

/// One bit the other way round in the IPv4 packet, or the frame's end missing: checksums and lengths find all of it.
pub fn damaged(peer: &mut Peer, files: &Files) -> Result<()> {
    let faults = Faults {
        flip: 40,
        cut: 40,
        ..Faults::default()
    };
    under(peer, files, faults, 12)
}

fn under(peer: &mut Peer, files: &Files, faults: Faults, seed: u64) -> Result<()> {
    peer.set_faults(faults, seed);
    let fetches = (0..CONNECTIONS).map(|number| Fetch::new(&files[number % files.len()]));
    let result = fetch::all(peer, fetches.collect(), PATIENCE);
    peer.set_faults(Faults::default(), 0);
    result
}
