// SPDX-License-Identifier: BSD-2-Clause
//! Polite clients, many at once.

use anyhow::Result;

use super::fetch::{self, Fetch, Files, PATIENCE};
use super::largest;
use super::peer::Peer;

/// Connections in one burst: fewer than the server's backlog of 512.
const BURST: usize = 300;

/// All SYNs leave before the first answer is looked at.
pub fn together(peer: &mut Peer, files: &Files) -> Result<()> {
    let fetches = (0..BURST).map(|number| Fetch::new(&files[number % files.len()]));
    fetch::all(peer, fetches.collect(), PATIENCE)
}

/// Many requests at once, with more bytes than the server's receive ring holds.
pub fn pipelined(peer: &mut Peer, files: &Files) -> Result<()> {
    let one = |(path, contents): &'_ (String, Vec<u8>)| (path.clone(), contents.clone());
    let owned: Vec<_> = files.iter().map(one).collect();
    let fetches = owned
        .iter()
        .map(|(path, contents)| Fetch::repeated((path, contents), 20, 4000));
    fetch::all(peer, fetches.collect(), PATIENCE)
}

/// The FIN comes with the request: the answer has to come all the same.
pub fn half_closing(peer: &mut Peer, files: &Files) -> Result<()> {
    let large = largest(files);
    let fetches = files.iter().chain([large; 10]);
    let fetches = fetches.map(|file| Fetch::new(file).half_closing());
    fetch::all(peer, fetches.collect(), PATIENCE)
}
