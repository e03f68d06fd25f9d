// SPDX-License-Identifier: BSD-2-Clause
//! What SPAWN and EXEC carry: a block in the caller's memory, which the root server copies before it reads it.
//!
//! Nine words (little-endian), then channel numbers (4 bytes each), path, name, arguments, environment, inheritance, one after the
//! other without gaps. Arguments and environment are strings that end with a zero byte each. The inheritance (open
//! files, working directory, signal mask) is between the two programs' shims: the root server puts it on the new program's
//! stack unread. Channels are named apart because the root server must check and count them.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use crate::file;

/// Longest block (compare ARG_MAX and MAX_ARG_STRLEN of Linux, which allow a quarter of an 8 MiB stack).
pub const MAX_BLOCK: usize = 2 << 20;
/// Most arguments and most variables: with the pointers to them, what the shim counts for each fills half a block.
pub const MAX_STRINGS: usize = MAX_BLOCK / 32;
/// Most channels that one process can pass on.
pub const MAX_CHANNELS: usize = 1 << 16;

/// Bit of the last word: a file's number.
const FILE: u64 = file::PASSED as u64;

const WORDS: usize = 9;
const HEADER: usize = WORDS * 8;

/// The new process leads a group of its own, or joins `group` if that is not 0 (POSIX_SPAWN_SETPGROUP).
pub const SET_GROUP: u64 = 1;
/// The new process leads a session of its own (POSIX_SPAWN_SETSID).
pub const NEW_SESSION: u64 = 2;
const FLAGS: u64 = SET_GROUP | NEW_SESSION;

/// A request in its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block<'a> {
    /// [`SET_GROUP`], [`NEW_SESSION`]. None of them for EXEC.
    pub flags: u64,
    /// For [`SET_GROUP`].
    pub group: u32,
    /// Channels that the new program holds from its start, each once: number × 4 + sides.
    pub channels: Vec<u32>,
    /// The program's file, if it is not in the boot archive: the number of a shared file that the caller holds.
    pub file: Option<u32>,
    /// Its path, absolute.
    pub path: &'a [u8],
    /// What was asked for, which symbolic links and scripts may have led from: AT_EXECFN. Empty: the path.
    pub name: &'a [u8],
    /// argv, from argv\[0\] on.
    pub args: Vec<&'a [u8]>,
    /// The environment.
    pub env: Vec<&'a [u8]>,
    /// What the new program's shim gets.
    pub inheritance: &'a [u8],
}

/// A block that contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Block<'a> {
    /// As bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let total = |strings: &[&[u8]]| strings.iter().map(|s| s.len() + 1).sum::<usize>();
        let (args, env) = (total(&self.args), total(&self.env));
        let words = [
            self.flags,
            self.group.into(),
            self.channels.len() as u64,
            self.path.len() as u64,
            args as u64,
            env as u64,
            self.inheritance.len() as u64,
            self.file.map_or(0, |file| FILE | u64::from(file)),
            self.name.len() as u64,
        ];
        let names = self.path.len() + self.name.len();
        let len = HEADER + 4 * self.channels.len() + names + args + env;
        let mut bytes = Vec::with_capacity(len + self.inheritance.len());
        bytes.extend(words.iter().flat_map(|w| w.to_le_bytes()));
        bytes.extend(self.channels.iter().flat_map(|c| c.to_le_bytes()));
        bytes.extend_from_slice(self.path);
        bytes.extend_from_slice(self.name);
        for string in self.args.iter().chain(&self.env) {
            bytes.extend_from_slice(string);
            bytes.push(0);
        }
        bytes.extend_from_slice(self.inheritance);
        bytes
    }

    /// From bytes that a process wrote. Everything is checked but what the path names and whether it holds the channels.
    pub fn parse(bytes: &'a [u8]) -> Result<Block<'a>, Malformed> {
        if bytes.len() > MAX_BLOCK {
            return Err(Malformed);
        }
        let (header, mut rest) = bytes.split_at_checked(HEADER).ok_or(Malformed)?;
        let mut words = [0; WORDS];
        for (word, part) in words.iter_mut().zip(header.chunks_exact(8)) {
            *word = u64::from_le_bytes(part.try_into().map_err(|_| Malformed)?);
        }
        let [
            flags,
            group,
            channels,
            path,
            args,
            env,
            inheritance,
            file,
            name,
        ] = words;
        let known = file == 0 || (FILE..FILE + file::MOST as u64).contains(&file);
        if flags & !FLAGS != 0 || !known || channels as usize > MAX_CHANNELS {
            return Err(Malformed);
        }
        let mut part = |len: u64| {
            let len = usize::try_from(len).map_err(|_| Malformed)?;
            let (part, others) = rest.split_at_checked(len).ok_or(Malformed)?;
            rest = others;
            Ok(part)
        };
        let numbers = part(channels * 4)?;
        let mut channels: Vec<u32> = numbers
            .chunks_exact(4)
            .map(|n| n.iter().rev().fold(0, |n, byte| n << 8 | u32::from(*byte)))
            .collect();
        channels.sort_unstable();
        channels.dedup();
        let (path, name) = (part(path)?, part(name)?);
        let (args, env) = (strings(part(args)?)?, strings(part(env)?)?);
        let inheritance = part(inheritance)?;
        if path.contains(&0) || name.contains(&0) || !rest.is_empty() {
            return Err(Malformed);
        }
        Ok(Block {
            flags,
            group: u32::try_from(group).map_err(|_| Malformed)?,
            channels,
            file: (file != 0).then(|| (file - FILE) as u32),
            path,
            name,
            args,
            env,
            inheritance,
        })
    }
}

/// Strings that end with a zero byte each.
fn strings(bytes: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    match bytes.split_last() {
        None => Ok(Vec::new()),
        Some((0, strings)) => {
            let all: Vec<&[u8]> = strings.split(|b| *b == 0).take(MAX_STRINGS + 1).collect();
            match all.len() {
                ..=MAX_STRINGS => Ok(all),
                _ => Err(Malformed),
            }
        }
        Some(_) => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn sample() -> Block<'static> {
        Block {
            flags: SET_GROUP,
            group: 7,
            channels: vec![3, 9],
            file: Some(file::MOST as u32 - 1),
            path: b"/bin/x",
            name: b"y",
            args: vec![b"x", b"", b"-l"],
            env: vec![b"A=1"],
            inheritance: b"\0\x01\x02",
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let block = sample();
        assert_eq!(Block::parse(&block.bytes()), Ok(block));
        let empty = Block::default();
        assert_eq!(Block::parse(&empty.bytes()), Ok(empty));
    }

    #[test]
    fn channels_are_counted_once() {
        let block = Block {
            channels: vec![9, 3, 9, 9],
            ..sample()
        };
        assert_eq!(Block::parse(&block.bytes()), Ok(sample()));
    }

    #[test]
    fn whatever_is_cut_off_or_added_is_noticed() {
        let bytes = sample().bytes();
        for len in 0..bytes.len() {
            assert_eq!(Block::parse(&bytes[..len]), Err(Malformed), "cut at {len}");
        }
        let longer = [&bytes[..], b"x"].concat();
        assert_eq!(Block::parse(&longer), Err(Malformed));
    }

    #[test]
    fn strings_are_not_more_than_the_root_server_has_room_for() {
        let with = |count: usize| Block {
            args: vec![b""; count],
            ..sample()
        };
        assert!(Block::parse(&with(MAX_STRINGS).bytes()).is_ok());
        let more = with(MAX_STRINGS + 1).bytes();
        assert_eq!(Block::parse(&more), Err(Malformed));
    }

    #[test]
    fn strings_end_and_paths_do_not() {
        let zero_in_path = Block {
            path: b"/bin\0",
            ..sample()
        };
        assert_eq!(Block::parse(&zero_in_path.bytes()), Err(Malformed));
        let zero_in_name = Block {
            name: b"\0",
            ..sample()
        };
        assert_eq!(Block::parse(&zero_in_name.bytes()), Err(Malformed));
        let mut bytes = sample().bytes();
        let end_of_env = bytes.len() - 4;
        assert_eq!(bytes[end_of_env], 0);
        bytes[end_of_env] = b'x';
        assert_eq!(Block::parse(&bytes), Err(Malformed));
    }

    /// Any bytes at all: it answers, and what it takes it would write the same way.
    #[test]
    fn nonsense_never_panics() {
        let mut seed = 1u64;
        let mut random = move || {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            seed >> 33
        };
        let good = sample().bytes();
        let (mut taken, mut refused) = (0, 0);
        for _ in 0..200_000 {
            let mut bytes = good.clone();
            for _ in 0..1 + random() % 4 {
                let at = random() as usize % bytes.len();
                match random() % 4 {
                    0 => bytes[at] = random() as u8,
                    1 => bytes[at] = 0,
                    2 => bytes[at] ^= 1 << (random() % 8),
                    _ => bytes[at / 8 * 8..]
                        .iter_mut()
                        .take(4)
                        .for_each(|b| *b = 0xff),
                }
            }
            match Block::parse(&bytes) {
                Ok(block) => {
                    taken += 1;
                    assert_eq!(Block::parse(&block.bytes()), Ok(block));
                }
                Err(Malformed) => refused += 1,
            }
        }
        assert!(taken > 1000 && refused > 1000, "{taken} {refused}");
    }
}
