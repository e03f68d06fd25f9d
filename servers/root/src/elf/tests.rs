// SPDX-License-Identifier: BSD-2-Clause
//! Small ELF files made by hand, whole and broken.

use super::*;

const ADDRESSES: Range<usize> = 0x10000..0x8000_0000;

/// Header, three program headers (code, data, note), then the note.
fn sample() -> Vec<u8> {
    let mut note = Vec::new();
    for word in [11u32, 4, 1] {
        note.extend(word.to_le_bytes());
    }
    note.extend(b"posix-poll\0\0");
    note.extend(7u32.to_le_bytes());
    let headers = [
        (PT_LOAD, 5u32, 0usize, 0x400000usize, 300usize, 300usize),
        (PT_LOAD, 6, 100, 0x401064, 100, 9000),
        (PT_NOTE, 4, 64 + 3 * 56, 0, note.len(), note.len()),
    ];
    let mut file = Vec::from(*b"\x7fELF\x02\x01\x01");
    file.resize(16, 0);
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [0x400010usize, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 3, 0, 64, 0, 0, 0, 0, 0]);
    assert_eq!(file.len(), 64);
    for (kind, flags, offset, address, in_file, in_memory) in headers {
        file.extend(kind.to_le_bytes());
        file.extend(flags.to_le_bytes());
        for word in [offset, address, address, in_file, in_memory, 4096] {
            file.extend(word.to_le_bytes());
        }
    }
    file.extend(note);
    file.resize(300, 0x55);
    file
}

#[test]
fn a_good_file_is_understood() {
    let file = sample();
    let elf = Elf::parse(&file, ADDRESSES).unwrap();
    assert_eq!((elf.entry, elf.abi), (0x400010, Some(7)));
    assert_eq!((elf.headers, elf.header_count), (0x400040, 3));
    assert_eq!(elf.end(), 0x401064 + 9000);
    assert_eq!(elf.pages(), [0x400000, 0x401000, 0x402000, 0x403000]);
    assert!(!elf.writable(0x400000, 4096) && elf.writable(0x401000, 4096));
    let page: Vec<_> = elf.contents(0x401000, 4096).collect();
    assert_eq!(page, [(0x64, &file[100..200])]);
    assert_eq!(elf.contents(0x402000, 4096).count(), 0);
    assert_eq!(elf.file_offset(0x401070), Some(112));
    assert_eq!(elf.file_offset(0x402000), None);
    assert_eq!(elf.function(0x400010), None);
}

#[test]
fn other_files_are_refused_with_the_reason() {
    let check = |at: usize, value: u8, refusal: Refusal| {
        let mut file = sample();
        file[at] = value;
        assert_eq!(Elf::parse(&file, ADDRESSES).unwrap_err(), refusal);
    };
    check(0, b'x', Refusal::NotElf);
    check(4, 1, Refusal::OtherMachine);
    check(18, 183, Refusal::OtherMachine);
    check(16, 3, Refusal::NotStatic);
    check(64 + 2 * 56, PT_INTERP as u8, Refusal::Dynamic);
    check(54, 32, Refusal::Malformed);
    // Data before code, more in the file than in memory, beyond the file, entry nowhere.
    check(64 + 56 + 16 + 2, 0x3f, Refusal::Malformed);
    check(64 + 40, 10, Refusal::Malformed);
    check(64 + 8 + 1, 8, Refusal::Malformed);
    check(24 + 2, 0x70, Refusal::Malformed);
    check(64 + 16 + 7, 0xff, Refusal::Address);
    assert_eq!(
        Elf::parse(&sample(), 0x400001..0x8000_0000).unwrap_err(),
        Refusal::Address
    );
}

#[test]
fn no_cut_or_flipped_byte_panics() {
    let file = sample();
    for cut in 0..file.len() {
        let _ = Elf::parse(&file[..cut], ADDRESSES);
    }
    for at in 0..file.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut file = file.clone();
            file[at] = value;
            if let Ok(elf) = Elf::parse(&file, ADDRESSES) {
                let _ = (elf.contents(0x401000, 4096).count(), elf.function(0x400010));
                let _ = elf.file_offset(0x401070);
            }
        }
    }
}

/// Fields of the right size with values that stand at the edge of something, several at a time: a file that is taken must be one that can be loaded.
#[test]
fn odd_numbers_in_any_field_are_refused_or_make_sense() {
    let good = sample();
    let mut seed = 11u64;
    let mut random = move |below: usize| {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (seed >> 33) as usize % below
    };
    let odd = [
        0,
        1,
        4095,
        4096,
        0x1000_0000,
        0x40_0000,
        0x40_1064,
        0x7fff_ffff,
        0xffff_ffff,
        1 << 47,
        1 << 63,
        u64::MAX,
        u64::MAX - 4095,
        300,
        64,
        56,
    ];
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..200_000 {
        let mut file = good.clone();
        for _ in 0..1 + random(3) {
            let value = odd[random(odd.len())]
                .wrapping_add(random(3) as u64)
                .wrapping_sub(1);
            let size = [2, 4, 8][random(3)];
            let at = random((64 + 3 * 56) / size) * size;
            file[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        }
        if random(10) == 0 {
            file.truncate(random(good.len()));
        }
        let Ok(elf) = Elf::parse(&file, ADDRESSES) else {
            refused += 1;
            continue;
        };
        taken += 1;
        let mut end = 0;
        for segment in &elf.segments {
            assert!(ADDRESSES.start <= segment.memory.start && segment.memory.end <= ADDRESSES.end);
            assert!(segment.memory.start >= end && segment.file.end <= file.len());
            assert!(segment.file.len() <= segment.memory.len());
            end = segment.memory.end;
            let page = segment.memory.start & !4095;
            for (offset, part) in elf.contents(page, 4096) {
                assert!(offset + part.len() <= 4096);
            }
        }
        let _ = (
            elf.function(0x40_0010),
            elf.file_offset(0x40_1070),
            elf.writable(0x40_1000, 4096),
        );
    }
    assert!(taken > 1000 && refused > 1000, "{taken} {refused}");
}

#[test]
fn whatever_is_damaged_loads_into_its_own_addresses_or_not_at_all() {
    let mut seed = 1u64;
    let mut random = |below: usize| {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (seed >> 33) as usize % below
    };
    let values = [0, 1, 2, 0x38, 0x40, 0x7f, 0x80, 0xff];
    let mut taken = 0;
    for _ in 0..200_000 {
        let mut file = sample();
        for _ in 0..1 + random(4) {
            // Headers are what matters.
            let at = random(64 + 3 * 56 + 40);
            match random(3) {
                0 => file[at] = random(256) as u8,
                1 => file[at] = values[random(values.len())],
                _ => file[at / 8 * 8..][..8].fill(values[random(values.len())]),
            }
        }
        file.truncate(file.len() - random(2) * random(file.len()));
        let Ok(elf) = Elf::parse(&file, ADDRESSES) else {
            continue;
        };
        taken += 1;
        let mut last = ADDRESSES.start;
        for segment in &elf.segments {
            assert!(last <= segment.memory.start && segment.memory.end <= ADDRESSES.end);
            assert!(segment.file.end <= file.len());
            last = segment.memory.end;
            for at in [segment.memory.start, segment.memory.end - 1] {
                for size in [4096, 2 << 20] {
                    let page = at & !(size - 1);
                    for (offset, part) in elf.contents(page, size) {
                        assert!(offset + part.len() <= size);
                    }
                }
                let _ = (elf.function(at), elf.file_offset(at));
            }
        }
        assert!(elf.segments.iter().any(|s| s.memory.contains(&elf.entry)));
    }
    assert!(taken > 10_000, "{taken}");
}

#[test]
fn more_headers_than_a_linker_makes_are_refused() {
    let mut file = sample();
    file[56] = MOST_HEADERS as u8 + 1;
    file.resize(64 + 56 * 100, 0);
    let refused = Elf::parse(&file, ADDRESSES).unwrap_err();
    assert_eq!(refused, Refusal::Malformed);
}

#[test]
fn the_test_program_itself_has_functions() {
    let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    // Position-independent, so refused; the symbol table can be read all the same.
    assert_eq!(
        Elf::parse(&file, ADDRESSES).unwrap_err(),
        Refusal::NotStatic
    );
    let elf = Elf {
        bytes: &file,
        entry: 0,
        segments: Vec::new(),
        headers: 0,
        header_count: 0,
        abi: None,
    };
    let entry = File(&file).word(24).unwrap();
    assert_eq!(elf.function(entry), Some(("_start", 0)));
}
