// SPDX-License-Identifier: BSD-2-Clause
//! Programs: static ELF files for x86_64, and the names of their functions for fault reports.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

/// A checked ELF file.
#[derive(Clone, Debug)]
pub struct Elf<'a> {
    bytes: &'a [u8],
    /// Where it starts.
    pub entry: usize,
    /// What is loaded, in the order of addresses, without overlap.
    pub segments: Vec<Segment>,
    /// Address of the program headers in memory; 0 if they are not loaded.
    pub headers: usize,
    /// Number of program headers.
    pub header_count: usize,
    /// Version of our ABI that its note names.
    pub abi: Option<u32>,
}

/// One part of the program's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where in memory.
    pub memory: Range<usize>,
    /// Its first bytes, in the file; the others are zero.
    pub file: Range<usize>,
    /// The program may write it.
    pub writable: bool,
}

/// Why a file is not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No ELF header.
    NotElf,
    /// 32 bits, big-endian, or another machine.
    OtherMachine,
    /// Not an ET_EXEC file: an object, a library, or position-independent.
    NotStatic,
    /// Wants a dynamic linker.
    Dynamic,
    /// Headers or segments do not fit in the file or contradict each other.
    Malformed,
    /// A segment lies outside of the addresses for programs.
    Address,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::NotElf => "it is not an ELF file",
            Refusal::OtherMachine => "it is not for x86_64",
            Refusal::NotStatic => {
                "it is not a static executable: link it with posix-poll-cc (not -pie, not -shared)"
            }
            Refusal::Dynamic => "it is dynamically linked: link it with posix-poll-cc",
            Refusal::Malformed => "its ELF headers contradict each other",
            Refusal::Address => "its segments lie outside of the addresses for programs",
        })
    }
}

/// Owner and type of the note that marks programs for this system.
const NOTE_OWNER: &[u8] = b"posix-poll\0";
const NOTE_TYPE: u32 = 1;

/// Most program headers: a linker makes about ten.
const MOST_HEADERS: usize = 64;

const PAGE: usize = 4096;
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;
const SHT_SYMTAB: u32 = 2;
const STT_FUNC: u8 = 2;

impl<'a> Elf<'a> {
    /// Checks `bytes`; segments must lie inside `addresses`.
    pub fn parse(bytes: &'a [u8], addresses: Range<usize>) -> Result<Elf<'a>, Refusal> {
        let file = File(bytes);
        if !bytes.starts_with(b"\x7fELF") || bytes.len() < 64 {
            return Err(Refusal::NotElf);
        }
        if bytes[4] != 2 || bytes[5] != 1 || file.u16(18)? != 62 {
            return Err(Refusal::OtherMachine);
        }
        if file.u16(16)? != 2 {
            return Err(Refusal::NotStatic);
        }
        let (table, size, header_count) = (file.word(32)?, file.u16(54)?, file.u16(56)? as usize);
        if size != 56 {
            return Err(Refusal::Malformed);
        }
        let mut elf = Elf {
            bytes,
            entry: file.word(24)?,
            segments: Vec::new(),
            headers: 0,
            header_count,
            abi: None,
        };
        if header_count > MOST_HEADERS {
            return Err(Refusal::Malformed);
        }
        for index in 0..header_count {
            let at = table.checked_add(index * 56).ok_or(Refusal::Malformed)?;
            file.part(at, 56)?;
            let (offset, address) = (file.word(at + 8)?, file.word(at + 16)?);
            let (in_file, in_memory) = (file.word(at + 32)?, file.word(at + 40)?);
            match file.u32(at)? {
                PT_INTERP => return Err(Refusal::Dynamic),
                PT_NOTE => {
                    let note = file.part(offset, in_file)?;
                    elf.abi = elf.abi.or_else(|| abi_note(note));
                }
                PT_LOAD if in_memory > 0 => {
                    let end = address.checked_add(in_memory).ok_or(Refusal::Address)?;
                    if address < addresses.start || end > addresses.end {
                        return Err(Refusal::Address);
                    }
                    file.part(offset, in_file)?;
                    let last = elf.segments.last().map_or(0, |s| s.memory.end);
                    if in_file > in_memory || address < last {
                        return Err(Refusal::Malformed);
                    }
                    if (offset..offset + in_file).contains(&table) {
                        elf.headers = address + (table - offset);
                    }
                    elf.segments.push(Segment {
                        memory: address..end,
                        file: offset..offset + in_file,
                        writable: file.u32(at + 4)? & 2 != 0,
                    });
                }
                _ => {}
            }
        }
        let started = |s: &Segment| s.memory.contains(&elf.entry);
        if !elf.segments.iter().any(started) {
            return Err(Refusal::Malformed);
        }
        Ok(elf)
    }

    /// End of the last segment.
    pub fn end(&self) -> usize {
        self.segments.last().map_or(0, |s| s.memory.end)
    }

    /// Addresses of all pages that it occupies, ascending.
    pub fn pages(&self) -> Vec<usize> {
        let mut pages: Vec<usize> = Vec::new();
        for segment in &self.segments {
            let first = segment.memory.start & !(PAGE - 1);
            let first = pages.last().map_or(first, |last| first.max(last + PAGE));
            pages.extend((first..segment.memory.end).step_by(PAGE));
        }
        pages
    }

    /// The bytes of the file that go to `page` (of `size` bytes at that address), each with its offset in the page.
    pub fn contents(
        &self,
        page: usize,
        size: usize,
    ) -> impl Iterator<Item = (usize, &'a [u8])> + '_ {
        self.segments.iter().filter_map(move |segment| {
            let loaded = segment.memory.start..segment.memory.start + segment.file.len();
            let from = loaded.start.max(page);
            let to = loaded.end.min(page + size);
            let start = segment.file.start + from.checked_sub(loaded.start)?;
            let bytes = self.bytes.get(start..start + to.checked_sub(from)?)?;
            Some((from - page, bytes))
        })
    }

    /// Whether any segment is in the page.
    pub fn covers(&self, page: usize, size: usize) -> bool {
        self.segments
            .iter()
            .any(|s| s.memory.start < page + size && s.memory.end > page)
    }

    /// Whether any segment in the page is writable.
    pub fn writable(&self, page: usize, size: usize) -> bool {
        self.segments
            .iter()
            .any(|s| s.writable && s.memory.start < page + size && s.memory.end > page)
    }

    /// Offset in the file of what is loaded at `address`.
    pub fn file_offset(&self, address: usize) -> Option<usize> {
        let segment = self.segments.iter().find(|s| s.memory.contains(&address))?;
        let offset = address - segment.memory.start;
        (offset < segment.file.len()).then(|| segment.file.start + offset)
    }

    /// The function that `address` is in, and how far into it. `None` without a symbol table.
    pub fn function(&self, address: usize) -> Option<(&'a str, usize)> {
        let file = File(self.bytes);
        let (table, size, count) = (
            file.word(40).ok()?,
            file.u16(58).ok()? as usize,
            file.u16(60).ok()? as usize,
        );
        let section = |index: usize| {
            let at = table.checked_add(index.checked_mul(size)?)?;
            file.part(at, 64).ok()?;
            (index < count && size >= 64).then_some(at)
        };
        let symbols = (0..count)
            .filter_map(section)
            .find(|at| file.u32(at + 4) == Ok(SHT_SYMTAB))?;
        let names = section(file.u32(symbols + 40).ok()? as usize)?;
        let part = |at: usize| {
            file.part(file.word(at + 24).ok()?, file.word(at + 32).ok()?)
                .ok()
        };
        let (symbols, names) = (part(symbols)?, part(names)?);
        let (name, start) = symbols
            .chunks_exact(24)
            .filter_map(|symbol| {
                let symbol = File(symbol);
                let (start, len) = (symbol.word(8).ok()?, symbol.word(16).ok()?);
                // Assembly functions often have no size: they reach to the next one.
                let inside = start <= address && (len == 0 || address - start < len);
                let function = symbol.0[4] & 15 == STT_FUNC;
                (function && inside).then_some((symbol.u32(0).ok()? as usize, start))
            })
            .max_by_key(|(_, start)| *start)?;
        let name = names.get(name..)?;
        let name = &name[..name.iter().position(|b| *b == 0)?];
        Some((core::str::from_utf8(name).ok()?, address - start))
    }
}

/// The ABI version, if our note is among the notes.
fn abi_note(mut notes: &[u8]) -> Option<u32> {
    while notes.len() >= 12 {
        let file = File(notes);
        let (name_len, len) = (file.u32(0).ok()? as usize, file.u32(4).ok()? as usize);
        let name = file.part(12, name_len).ok()?;
        let at = 12 + name_len.next_multiple_of(4);
        let data = file.part(at, len).ok()?;
        if name == NOTE_OWNER && file.u32(8).ok()? == NOTE_TYPE {
            return File(data).u32(0).ok();
        }
        notes = notes.get(at + len.next_multiple_of(4)..)?;
    }
    None
}

/// Checked little-endian access.
struct File<'a>(&'a [u8]);

impl<'a> File<'a> {
    fn part(&self, at: usize, len: usize) -> Result<&'a [u8], Refusal> {
        let end = at.checked_add(len).ok_or(Refusal::Malformed)?;
        self.0.get(at..end).ok_or(Refusal::Malformed)
    }

    fn number<const N: usize>(&self, at: usize) -> Result<[u8; N], Refusal> {
        let part = self.part(at, N)?;
        part.try_into().map_err(|_| Refusal::Malformed)
    }

    fn u16(&self, at: usize) -> Result<u16, Refusal> {
        self.number(at).map(u16::from_le_bytes)
    }

    fn u32(&self, at: usize) -> Result<u32, Refusal> {
        self.number(at).map(u32::from_le_bytes)
    }

    fn word(&self, at: usize) -> Result<usize, Refusal> {
        self.number(at).map(usize::from_le_bytes)
    }
}

#[cfg(test)]
mod tests;
