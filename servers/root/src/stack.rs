// SPDX-License-Identifier: BSD-2-Clause
//! The first thing on a program's stack: argc, argv, envp and the auxiliary vector, as Linux lays them out.

use alloc::vec::Vec;
use core::ops::Range;

/// What goes on the stack.
#[derive(Debug)]
pub struct Start<'a> {
    /// argv.
    pub args: &'a [&'a [u8]],
    /// envp.
    pub env: &'a [&'a [u8]],
    /// AT_EXECFN.
    pub path: &'a [u8],
    /// AT_PHDR.
    pub headers: usize,
    /// AT_PHNUM.
    pub header_count: usize,
    /// AT_ENTRY.
    pub entry: usize,
    /// AT_RANDOM.
    pub random: [u8; 16],
}

// elf(5), getauxval(3).
const AT_NULL: usize = 0;
const AT_PHDR: usize = 3;
const AT_PHENT: usize = 4;
const AT_PHNUM: usize = 5;
const AT_PAGESZ: usize = 6;
const AT_ENTRY: usize = 9;
const AT_UID: usize = 11;
const AT_EUID: usize = 12;
const AT_GID: usize = 13;
const AT_EGID: usize = 14;
const AT_HWCAP: usize = 16;
const AT_CLKTCK: usize = 17;
const AT_SECURE: usize = 23;
const AT_RANDOM: usize = 25;
const AT_EXECFN: usize = 31;

/// User and group of every process.
const USER: usize = 1000;

impl Start<'_> {
    /// Where [`Start::bytes`] puts arguments and environment, each string with a NUL behind it.
    pub fn strings(&self, top: usize) -> [Range<usize>; 2] {
        let len = |strings: &[&[u8]]| strings.iter().map(|s| s.len() + 1).sum::<usize>();
        let before = self.random.len() + self.path.len() + 1;
        let (args, env) = (len(self.args), len(self.env));
        let start = ((top - before - args - env) & !15) + before;
        [start..start + args, start + args..start + args + env]
    }

    /// Bytes to put below `top`, the stack's end. The lowest of them is where rsp points, a multiple of 16.
    pub fn bytes(&self, top: usize) -> Vec<u8> {
        let mut strings = Vec::new();
        let mut keep = |bytes: &[u8], zero: bool| {
            let at = strings.len();
            strings.extend_from_slice(bytes);
            if zero {
                strings.push(0);
            }
            at
        };
        let random = keep(&self.random, false);
        let path = keep(self.path, true);
        let args: Vec<usize> = self.args.iter().map(|a| keep(a, true)).collect();
        let env: Vec<usize> = self.env.iter().map(|e| keep(e, true)).collect();
        let base = (top - strings.len()) & !15;
        let text = |offset: usize| base + offset;

        let mut words = Vec::from([args.len()]);
        words.extend(args.iter().map(|a| text(*a)));
        words.push(0);
        words.extend(env.iter().map(|e| text(*e)));
        words.push(0);
        for (key, value) in [
            (AT_PHDR, self.headers),
            (AT_PHENT, 56),
            (AT_PHNUM, self.header_count),
            (AT_PAGESZ, 4096),
            (AT_ENTRY, self.entry),
            (AT_UID, USER),
            (AT_EUID, USER),
            (AT_GID, USER),
            (AT_EGID, USER),
            (AT_SECURE, 0),
            (AT_CLKTCK, 100),
            (AT_HWCAP, 0),
            (AT_RANDOM, text(random)),
            (AT_EXECFN, text(path)),
            (AT_NULL, 0),
        ] {
            words.extend([key, value]);
        }
        if words.len() % 2 != 0 {
            // Above the vector, so that argc stays at the 16-byte boundary.
            words.push(0);
        }
        let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        bytes.extend_from_slice(&strings);
        bytes.resize(bytes.len() + (top - base - strings.len()), 0);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argc_is_at_a_multiple_of_16_and_pointers_reach_their_strings() {
        let top = 0x7000;
        for extra in 0..5 {
            let env = &[&b"A=1"[..], b"B=", b"C=3", b"DD=4", b"E=5"][..extra];
            let start = Start {
                args: &[b"prog", b""],
                env,
                path: b"/bin/prog",
                headers: 0x40,
                header_count: 3,
                entry: 0x1000,
                random: [9; 16],
            };
            let bytes = start.bytes(top);
            let sp = top - bytes.len();
            assert_eq!(sp % 16, 0);
            let word = |i: usize| usize::from_le_bytes(bytes[i * 8..][..8].try_into().unwrap());
            let text = |at: usize| {
                let rest = &bytes[at - sp..];
                &rest[..rest.iter().position(|b| *b == 0).unwrap()]
            };
            assert_eq!(word(0), 2);
            assert_eq!(
                (text(word(1)), text(word(2)), word(3)),
                (&b"prog"[..], &b""[..], 0)
            );
            for (i, variable) in env.iter().enumerate() {
                assert_eq!(text(word(4 + i)), *variable);
            }
            assert_eq!(word(4 + extra), 0);
            let [args, env] = start.strings(top);
            assert_eq!(args.start, word(1));
            assert_eq!(&bytes[args.start - sp..args.end - sp], b"prog\0\0");
            assert_eq!(env.start, args.end);
            assert!(extra == 0 || env.start == word(4));
            let last = extra
                .checked_sub(1)
                .map_or(env.start, |i| word(4 + i) + text(word(4 + i)).len() + 1);
            assert_eq!(env.end, last);
            let mut at = 5 + extra;
            while word(at) != AT_EXECFN {
                at += 2;
            }
            assert_eq!(text(word(at + 1)), b"/bin/prog");
            assert_eq!((word(at + 2), word(at + 3)), (AT_NULL, 0));
        }
    }
}
