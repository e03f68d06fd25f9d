// SPDX-License-Identifier: BSD-2-Clause
//! The memory routines that the compiler calls.
//!
//! Blocks of 64 bytes through SSE registers: `rep movsb` would be one instruction in the code, but QEMU's `-icount`
//! counts every byte of it. Loops are assembly, so that the compiler does not see a memcpy in memcpy and call it.

use core::arch::asm;
use core::arch::x86_64::{__m128i, _mm_set1_epi8, _mm_storeu_si128};

const BLOCK: usize = 64;

/// Copies at most [`BLOCK`] bytes, overlapping or not: everything is read before anything is written.
#[inline(always)]
unsafe fn copy_small(d: *mut u8, s: *const u8, n: usize) {
    /// Copies the first and the last `size_of::<T>()` bytes, which together cover all.
    #[inline(always)]
    unsafe fn ends<T: Copy>(d: *mut u8, s: *const u8, n: usize) {
        let last = n - size_of::<T>();
        // SAFETY: size_of::<T>() <= n, so both ends lie inside the two ranges of n bytes.
        unsafe {
            let (a, b) = (
                s.cast::<T>().read_unaligned(),
                s.add(last).cast::<T>().read_unaligned(),
            );
            d.cast::<T>().write_unaligned(a);
            d.add(last).cast::<T>().write_unaligned(b);
        }
    }
    // SAFETY: the caller promises n bytes at both ends; each case is given an n of at least its type's size.
    unsafe {
        match n {
            0 => {}
            1 => *d = *s,
            2..4 => ends::<u16>(d, s, n),
            4..8 => ends::<u32>(d, s, n),
            8..16 => ends::<u64>(d, s, n),
            16..32 => ends::<__m128i>(d, s, n),
            _ => ends::<[__m128i; 2]>(d, s, n),
        }
    }
}

/// Copies more than [`BLOCK`] bytes from the low end; right for `d` below `s` even if they overlap, because the last block is
/// read first.
unsafe fn copy_forward(d: *mut u8, s: *const u8, n: usize) {
    let last = n - BLOCK;
    // SAFETY: the loop copies blocks at 0, 64, … below `last`, the end the block at `last`: all inside n bytes.
    unsafe {
        asm!(
            "movups xmm4, [{s} + {last}]",
            "movups xmm5, [{s} + {last} + 16]",
            "movups xmm6, [{s} + {last} + 32]",
            "movups xmm7, [{s} + {last} + 48]",
            "2:",
            "movups xmm0, [{s} + {i}]",
            "movups xmm1, [{s} + {i} + 16]",
            "movups xmm2, [{s} + {i} + 32]",
            "movups xmm3, [{s} + {i} + 48]",
            "movups [{d} + {i}], xmm0",
            "movups [{d} + {i} + 16], xmm1",
            "movups [{d} + {i} + 32], xmm2",
            "movups [{d} + {i} + 48], xmm3",
            "add {i}, 64",
            "cmp {i}, {last}",
            "jb 2b",
            "movups [{d} + {last}], xmm4",
            "movups [{d} + {last} + 16], xmm5",
            "movups [{d} + {last} + 32], xmm6",
            "movups [{d} + {last} + 48], xmm7",
            s = in(reg) s, d = in(reg) d, last = in(reg) last, i = inout(reg) 0usize => _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            options(nostack),
        );
    }
}

/// Copies more than [`BLOCK`] bytes from the high end; right for `d` above `s` even if they overlap.
unsafe fn copy_backward(d: *mut u8, s: *const u8, n: usize) {
    // SAFETY: the loop copies blocks ending at n, n - 64, … while more than a block remains, the end the block at 0.
    unsafe {
        asm!(
            "movups xmm4, [{s}]",
            "movups xmm5, [{s} + 16]",
            "movups xmm6, [{s} + 32]",
            "movups xmm7, [{s} + 48]",
            "2:",
            "movups xmm0, [{s} + {i} - 64]",
            "movups xmm1, [{s} + {i} - 48]",
            "movups xmm2, [{s} + {i} - 32]",
            "movups xmm3, [{s} + {i} - 16]",
            "movups [{d} + {i} - 64], xmm0",
            "movups [{d} + {i} - 48], xmm1",
            "movups [{d} + {i} - 32], xmm2",
            "movups [{d} + {i} - 16], xmm3",
            "sub {i}, 64",
            "cmp {i}, 64",
            "ja 2b",
            "movups [{d}], xmm4",
            "movups [{d} + 16], xmm5",
            "movups [{d} + 32], xmm6",
            "movups [{d} + 48], xmm7",
            s = in(reg) s, d = in(reg) d, i = inout(reg) n => _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            options(nostack),
        );
    }
}

/// C's memcpy.
///
/// # Safety
/// `s` must be readable and `d` writable for `n` bytes, and they must not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcpy(d: *mut u8, s: *const u8, n: usize) -> *mut u8 {
    // SAFETY: passed on.
    unsafe {
        if n <= BLOCK {
            copy_small(d, s, n);
        } else {
            copy_forward(d, s, n);
        }
    }
    d
}

/// C's memmove.
///
/// # Safety
/// `s` must be readable and `d` writable for `n` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memmove(d: *mut u8, s: *const u8, n: usize) -> *mut u8 {
    // SAFETY: passed on; `d` not inside the source, seen from its start, may go forward.
    unsafe {
        if n <= BLOCK {
            copy_small(d, s, n);
        } else if (d as usize).wrapping_sub(s as usize) >= n {
            copy_forward(d, s, n);
        } else {
            copy_backward(d, s, n);
        }
    }
    d
}

/// C's memset.
///
/// # Safety
/// `d` must be writable for `n` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memset(d: *mut u8, c: i32, n: usize) -> *mut u8 {
    let word = (c as u8 as u64) * 0x0101_0101_0101_0101;
    let wide = || {
        // SAFETY: SSE2 is part of x86_64.
        unsafe { _mm_set1_epi8(c as i8) }
    };
    // SAFETY: each case writes its first and last unit inside the n bytes; the loop writes blocks below the last one.
    unsafe {
        match n {
            0 => {}
            1 => *d = c as u8,
            2..4 => {
                d.cast::<u16>().write_unaligned(word as u16);
                d.add(n - 2).cast::<u16>().write_unaligned(word as u16);
            }
            4..8 => {
                d.cast::<u32>().write_unaligned(word as u32);
                d.add(n - 4).cast::<u32>().write_unaligned(word as u32);
            }
            8..16 => {
                d.cast::<u64>().write_unaligned(word);
                d.add(n - 8).cast::<u64>().write_unaligned(word);
            }
            16..=BLOCK => {
                let (x, half) = (wide(), if n >= 32 { 16 } else { 0 });
                _mm_storeu_si128(d.cast(), x);
                _mm_storeu_si128(d.add(half).cast(), x);
                _mm_storeu_si128(d.add(n - 16 - half).cast(), x);
                _mm_storeu_si128(d.add(n - 16).cast(), x);
            }
            _ => asm!(
                "2:",
                "movups [{d} + {i}], {x}",
                "movups [{d} + {i} + 16], {x}",
                "movups [{d} + {i} + 32], {x}",
                "movups [{d} + {i} + 48], {x}",
                "add {i}, 64",
                "cmp {i}, {last}",
                "jb 2b",
                "movups [{d} + {last}], {x}",
                "movups [{d} + {last} + 16], {x}",
                "movups [{d} + {last} + 32], {x}",
                "movups [{d} + {last} + 48], {x}",
                d = in(reg) d, x = in(xmm_reg) wide(), last = in(reg) n - BLOCK, i = inout(reg) 0usize => _,
                options(nostack),
            ),
        }
    }
    d
}

/// C's memcmp.
///
/// # Safety
/// Both must be readable for `n` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    let mut i = 0;
    // SAFETY: all reads stay below n.
    unsafe {
        while i + 8 <= n {
            let x = a.add(i).cast::<u64>().read_unaligned();
            let y = b.add(i).cast::<u64>().read_unaligned();
            if x != y {
                // The first byte that differs decides: the highest, once the order is turned round.
                return if x.swap_bytes() < y.swap_bytes() {
                    -1
                } else {
                    1
                };
            }
            i += 8;
        }
        while i < n {
            let (x, y) = (a.add(i).read_volatile(), b.add(i).read_volatile());
            if x != y {
                return x as i32 - y as i32;
            }
            i += 1;
        }
    }
    0
}

/// C's bcmp: zero if equal.
///
/// # Safety
/// Both must be readable for `n` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: passed on.
    unsafe { memcmp(a, b, n) }
}

/// C's strlen.
///
/// # Safety
/// `s` must end with a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strlen(s: *const u8) -> usize {
    let mut n = 0;
    // SAFETY: up to the zero byte, which the caller promises. Volatile: the compiler would see strlen.
    unsafe {
        while s.add(n).read_volatile() != 0 {
            n += 1;
        }
    }
    n
}

// The block copies above assume this size.
const _: () = assert!(size_of::<[__m128i; 2]>() * 2 == BLOCK);
