// SPDX-License-Identifier: BSD-2-Clause
//! As much of ELF as the driver needs: is a program ours, how large is it, where does it end.

use anyhow::{Result, bail};

/// Program header types.
pub const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const EM_X86_64: u16 = 62;

/// Bytes of the file header and of one program header.
pub const HEADER: usize = 64;
/// Bytes of one program header.
pub const SEGMENT: usize = 56;

/// Owner of the note that musl-shim puts into every program, and the ABI it speaks.
const NOTE_OWNER: &[u8] = b"posix-poll\0";
const NOTE_TYPE: u32 = 1;
const ABI: u32 = 2;

/// One program header.
#[derive(Clone, Debug)]
pub struct Segment {
    /// `PT_LOAD` and its like.
    pub kind: u32,
    /// Where it lies in the file.
    pub offset: u64,
    /// Where it lies in memory.
    pub address: u64,
    /// Bytes in the file.
    pub file_size: u64,
    /// Bytes in memory.
    pub memory_size: u64,
}

/// A static program for x86_64, whoever made it.
#[derive(Debug)]
pub struct Program {
    /// Its program headers.
    pub segments: Vec<Segment>,
}

impl Program {
    /// Parses an executable for a fixed address; the error says what it is instead.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.get(..4) != Some(b"\x7fELF") {
            bail!("is not an ELF program");
        }
        if bytes.get(4) != Some(&2) || bytes.get(5) != Some(&1) || half(bytes, 18)? != EM_X86_64 {
            bail!("is for another machine: x86_64 is wanted");
        }
        let kind = half(bytes, 16)?;
        let count = usize::from(half(bytes, 56)?);
        if usize::from(half(bytes, 54)?) != SEGMENT && count > 0 {
            bail!("has damaged program headers");
        }
        let table = word(bytes, 32)? as usize;
        let mut segments = Vec::with_capacity(count);
        for index in 0..count {
            let at = table.saturating_add(index * SEGMENT);
            let segment = Segment {
                kind: word32(bytes, at)?,
                offset: word(bytes, at + 8)?,
                address: word(bytes, at + 16)?,
                file_size: word(bytes, at + 32)?,
                memory_size: word(bytes, at + 40)?,
            };
            let file_end = segment.offset.checked_add(segment.file_size);
            let fits = file_end.is_some_and(|end| end <= bytes.len() as u64)
                && segment.address.checked_add(segment.memory_size).is_some();
            if !fits {
                bail!("is damaged: a segment lies outside the file or the address space");
            }
            segments.push(segment);
        }
        let has = |kind| {
            segments
                .iter()
                .any(|segment: &Segment| segment.kind == kind)
        };
        match kind {
            ET_EXEC if has(PT_INTERP) || has(PT_DYNAMIC) => {
                bail!("is dynamically linked: only static programs run")
            }
            ET_EXEC if !has(PT_LOAD) => bail!("has nothing to load"),
            ET_EXEC => Ok(Self { segments }),
            ET_DYN => bail!(
                "is dynamically linked or position-independent: only static programs at a fixed address run"
            ),
            _ => bail!("is an object file or something else that does not run"),
        }
    }

    /// Parses a program and makes sure that our cc made it.
    pub fn parse_ours(bytes: &[u8]) -> Result<Self> {
        let program = Self::parse(bytes)?;
        match program.abi(bytes) {
            Some(ABI) => Ok(program),
            Some(other) => bail!(
                "was linked for version {other} of this system, which has version {ABI}: compile it again"
            ),
            None => bail!(
                "was not made by posix-poll-cc (it has no .note.posix-poll): compile it with `cargo xtask cc`"
            ),
        }
    }

    /// Bytes of memory that the loaded segments take.
    pub fn memory(&self) -> u64 {
        self.loaded().map(|segment| segment.memory_size).sum()
    }

    /// The first address above all loaded segments.
    pub fn end(&self) -> u64 {
        self.loaded()
            .map(|segment| segment.address + segment.memory_size)
            .max()
            .unwrap_or(0)
    }

    fn loaded(&self) -> impl Iterator<Item = &Segment> {
        self.segments
            .iter()
            .filter(|segment| segment.kind == PT_LOAD)
    }

    /// The version in musl-shim's note.
    fn abi(&self, bytes: &[u8]) -> Option<u32> {
        let notes = self
            .segments
            .iter()
            .filter(|segment| segment.kind == PT_NOTE);
        for segment in notes {
            let start = segment.offset as usize;
            let mut rest = bytes.get(start..start + segment.file_size as usize)?;
            while rest.len() >= 12 {
                let owner_len = word32(rest, 0).ok()? as usize;
                let value_len = word32(rest, 4).ok()? as usize;
                let kind = word32(rest, 8).ok()?;
                let value_at = 12 + owner_len.next_multiple_of(4);
                let (Some(owner), Some(value)) = (
                    rest.get(12..12 + owner_len),
                    rest.get(value_at..value_at.checked_add(value_len)?),
                ) else {
                    break;
                };
                if owner == NOTE_OWNER && kind == NOTE_TYPE {
                    return word32(value, 0).ok();
                }
                rest = rest
                    .get(value_at + value_len.next_multiple_of(4)..)
                    .unwrap_or_default();
            }
        }
        None
    }
}

fn half(bytes: &[u8], at: usize) -> Result<u16> {
    Ok(u16::from_le_bytes(field(bytes, at)?))
}

fn word32(bytes: &[u8], at: usize) -> Result<u32> {
    Ok(u32::from_le_bytes(field(bytes, at)?))
}

fn word(bytes: &[u8], at: usize) -> Result<u64> {
    Ok(u64::from_le_bytes(field(bytes, at)?))
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(field) => Ok(*field),
        None => bail!("is damaged: it ends in the middle of its headers"),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A program with one loaded segment and one note.
    pub fn sample() -> Vec<u8> {
        let mut bytes = vec![0; 0x200];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(16, &ET_EXEC.to_le_bytes());
        put(18, &EM_X86_64.to_le_bytes());
        put(32, &64_u64.to_le_bytes());
        put(54, &(SEGMENT as u16).to_le_bytes());
        put(56, &2_u16.to_le_bytes());
        put(64, &PT_LOAD.to_le_bytes());
        put(64 + 16, &0x40_0000_u64.to_le_bytes());
        put(64 + 32, &0x200_u64.to_le_bytes());
        put(64 + 40, &0x1234_u64.to_le_bytes());
        put(120, &PT_NOTE.to_le_bytes());
        put(120 + 8, &0x100_u64.to_le_bytes());
        put(120 + 32, &28_u64.to_le_bytes());
        put(0x100, &11_u32.to_le_bytes());
        put(0x104, &4_u32.to_le_bytes());
        put(0x108, &1_u32.to_le_bytes());
        put(0x10c, NOTE_OWNER);
        put(0x118, &ABI.to_le_bytes());
        bytes
    }

    fn refused(change: impl Fn(&mut Vec<u8>), why: &str) {
        let mut bytes = sample();
        change(&mut bytes);
        let error = Program::parse_ours(&bytes).unwrap_err().to_string();
        assert!(error.contains(why), "{error:?} should say {why:?}");
    }

    #[test]
    fn ours_is_accepted() {
        let program = Program::parse_ours(&sample()).unwrap();
        assert_eq!(program.memory(), 0x1234);
        assert_eq!(program.end(), 0x40_1234);
    }

    #[test]
    fn what_is_not_ours_is_refused_with_its_reason() {
        refused(|bytes| bytes[0] = b'#', "not an ELF");
        refused(|bytes| bytes.truncate(3), "not an ELF");
        refused(|bytes| bytes[4] = 1, "another machine");
        refused(|bytes| bytes[18] = 183, "another machine");
        refused(|bytes| bytes[16] = 3, "position-independent");
        refused(|bytes| bytes[16] = 1, "object file");
        refused(|bytes| bytes[120] = PT_INTERP as u8, "dynamically linked");
        refused(|bytes| bytes[0x10c] = b'q', "not made by posix-poll-cc");
        refused(|bytes| bytes[0x118] = 77, "version 77");
        refused(|bytes| bytes.truncate(100), "damaged");
        refused(|bytes| bytes[64 + 8] = 1, "damaged");
        refused(|bytes| bytes[64] = 0, "nothing to load");
    }

    #[test]
    fn damage_never_panics() {
        let whole = sample();
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                let _ = Program::parse_ours(&bytes);
            }
            let _ = Program::parse_ours(&whole[..at]);
        }
    }
}
