// SPDX-License-Identifier: BSD-2-Clause
//! Messages that make no sense: each is answered, and the tree stays one.

use std::vec::Vec;

use vfs_hooks::vfs::{MOST_STRINGS, entry};

use super::{Random, server};
use crate::requests::Request;
use crate::server::Server;
use crate::tree::Kind;

/// Every name leads to an inode, links and directories are counted right, every directory is below the root.
fn check<F: crate::Files>(server: &Server<F>) {
    let mut seen = std::collections::BTreeMap::new();
    let mut work = Vec::from([server.tree.root()]);
    while let Some(directory) = work.pop() {
        let (names, parent) = server.tree.directory(directory).unwrap();
        let mut directories = 0;
        assert!(server.tree.is_above(server.tree.root(), directory));
        assert!(directory == server.tree.root() || server.tree.is_above(parent, directory));
        for (_, _, inode) in names.from(0) {
            *seen.entry(inode).or_insert(0u32) += 1;
            if let Kind::Directory(_, up) = server.tree.get(inode).unwrap().kind {
                assert_eq!(up, directory);
                directories += 1;
                work.push(inode);
            }
        }
        assert_eq!(directories, names.directories);
    }
    for (inode, links) in seen {
        assert_eq!(server.tree.get(inode).unwrap().links, links);
    }
}

#[test]
fn nonsense_is_answered_and_breaks_nothing() {
    let mut server = server();
    let mut random = Random(1);
    let parts: [&[u8]; 10] = [
        b"a", b"b", b"..", b".", b"/", b"//", b"tmp/", b"/tmp/a", b"proc", b"\xff",
    ];
    let mut inodes = Vec::from([0u64]);
    for round in 0..200_000u64 {
        let mut bytes = Vec::new();
        for _ in 0..random.below(5) {
            bytes.extend_from_slice(parts[random.below(parts.len())]);
        }
        let first = random.below(bytes.len() + 1) as u64;
        let second = bytes.len() as u64 - first;
        let mut lengths = first | second << 16;
        if random.below(50) == 0 {
            lengths = random.0;
        }
        let word = |random: &mut Random| match random.below(4) {
            0 => random.0,
            1 => random.below(0o1000) as u64,
            2 => 1 << random.below(40),
            _ => inodes[random.below(inodes.len())],
        };
        let base = match random.below(20) {
            0 => random.0,
            _ => inodes[random.below(inodes.len())],
        };
        let words = [base, word(&mut random), word(&mut random)];
        let label = random.below(26) as u64;
        let Ok(request) = Request::parse(label, words, lengths, &bytes) else {
            continue;
        };
        if let Ok(reply) = server.request(random.below(3), &request, round) {
            assert!(reply.string.len() <= MOST_STRINGS);
            inodes.push(reply.words[0]);
            if inodes.len() > 100 {
                inodes.swap_remove(random.below(100));
            }
        }
        if random.below(100) == 0 {
            server.files.process_ended(random.below(3));
            server.sweep();
            check(&server);
        }
    }
    assert!(server.tree.count() > 20, "some of it made something");
    let _: Vec<_> = entry::parse(&[1; 100]).collect();
}
