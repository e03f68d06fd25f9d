// SPDX-License-Identifier: BSD-2-Clause
// Memory: malloc, mmap and brk.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helpers.h"

#define PAGE 4096
#define MIB (1 << 20)

static unsigned char *map(size_t size, int protection)
{
    return OK(mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void expect_zero(const unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (p[i] != 0)
            fail(__FILE__, __LINE__, "byte %zu of %zu is %d, not 0", i, size, p[i]);
}

CHECK(memory, malloc_large, "32 MiB can be had, written and read back")
{
    const size_t size = 32 * MIB;
    unsigned char *p = malloc(size);
    EXPECT(p != NULL);
    for (size_t i = 0; i < size; i += PAGE)
        p[i] = (unsigned char)(i / PAGE % 251);
    for (size_t i = 0; i < size; i += PAGE)
        EXPECT_EQ(p[i], i / PAGE % 251);
    free(p);
}

CHECK(memory, malloc_again, "memory that is freed can be had again, for ever")
{
    for (int i = 0; i < 40; i++) {
        unsigned char *p = malloc(16 * MIB);
        EXPECT(p != NULL);
        for (size_t j = 0; j < 16 * MIB; j += 16 * PAGE)
            p[j] = 1;
        free(p);
    }
}

CHECK(memory, malloc_small, "ten thousand pieces of many sizes do not overlap")
{
    enum { COUNT = 10000 };
    static unsigned char *piece[COUNT];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++) {
            const size_t size = 1 + (size_t)i * 7 % 600;
            piece[i] = malloc(size);
            EXPECT(piece[i] != NULL);
            EXPECT_EQ((uintptr_t)piece[i] % 16, 0);
            memset(piece[i], i % 256, size);
        }
        for (int i = 0; i < COUNT; i++) {
            const size_t size = 1 + (size_t)i * 7 % 600;
            EXPECT(piece[i][0] == i % 256 && piece[i][size - 1] == i % 256);
            free(piece[i]);
        }
    }
}

CHECK(memory, malloc_too_much, "more than there can be is ENOMEM, not a crash")
{
    volatile size_t huge = (size_t)1 << 60;
    errno = 0;
    EXPECT(malloc(huge) == NULL);
    EXPECT_EQ(errno, ENOMEM);
}

CHECK(memory, realloc_grows, "realloc keeps the contents while it grows to 16 MiB")
{
    unsigned char *p = malloc(100);
    size_t size = 100;
    EXPECT(p != NULL);
    for (size_t i = 0; i < size; i++)
        p[i] = (unsigned char)i;
    while (size < 16 * MIB) {
        p = realloc(p, size * 4);
        EXPECT(p != NULL);
        for (size_t i = 0; i < 100; i++)
            EXPECT_EQ(p[i], i);
        p[size * 4 - 1] = 9;
        size *= 4;
    }
    free(p);
}

CHECK(memory, calloc_zero, "calloc gives zeros, from used memory too")
{
    for (size_t size = 10; size < MIB; size *= 10) {
        unsigned char *p = malloc(size);
        EXPECT(p != NULL);
        memset(p, 0xff, size);
        free(p);
        p = calloc(1, size);
        EXPECT(p != NULL);
        expect_zero(p, size);
        free(p);
    }
}

CHECK(memory, map_zero, "anonymous memory is zero, and again when mapped again")
{
    for (int i = 0; i < 4; i++) {
        unsigned char *p = map(16 * PAGE, PROT_READ | PROT_WRITE);
        EXPECT_EQ((uintptr_t)p % PAGE, 0);
        expect_zero(p, 16 * PAGE);
        memset(p, 0xff, 16 * PAGE);
        OK(munmap(p, 16 * PAGE));
    }
}

CHECK(memory, map_shared, "anonymous shared memory can be had too")
{
    unsigned char *p =
        OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    expect_zero(p, PAGE);
    p[0] = 1;
    OK(munmap(p, PAGE));
}

CHECK(memory, map_arguments, "no length, no kind of sharing, an odd address: EINVAL")
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    EXPECT_ERRNO((intptr_t)mmap(NULL, 0, PROT_READ, flags, -1, 0), EINVAL);
    EXPECT_ERRNO((intptr_t)mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
    unsigned char *p = map(PAGE, PROT_READ);
    EXPECT_ERRNO(munmap(p + 1, PAGE), EINVAL);
    EXPECT_ERRNO(munmap(p, 0), EINVAL);
    EXPECT_ERRNO((intptr_t)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 100, 0), EBADF);
}

CHECK(memory, unmap_a_part, "a hole in a mapping leaves what is around it")
{
    unsigned char *p = map(5 * PAGE, PROT_READ | PROT_WRITE);
    memset(p, 7, 5 * PAGE);
    OK(munmap(p + PAGE, PAGE));
    OK(munmap(p + 3 * PAGE, PAGE));
    EXPECT(p[0] == 7 && p[PAGE - 1] == 7);
    EXPECT(p[2 * PAGE] == 7 && p[3 * PAGE - 1] == 7);
    EXPECT(p[4 * PAGE] == 7 && p[5 * PAGE - 1] == 7);
    OK(munmap(p, 5 * PAGE));
}

CHECK(memory, map_fixed, "MAP_FIXED replaces what was there with zeros")
{
    unsigned char *p = map(3 * PAGE, PROT_READ | PROT_WRITE);
    memset(p, 7, 3 * PAGE);
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    EXPECT(mmap(p + PAGE, PAGE, PROT_READ | PROT_WRITE, flags, -1, 0) == p + PAGE);
    expect_zero(p + PAGE, PAGE);
    EXPECT(p[0] == 7 && p[2 * PAGE] == 7);
    EXPECT_ERRNO((intptr_t)mmap(p + 1, PAGE, PROT_READ, flags, -1, 0), EINVAL);
    OK(munmap(p, 3 * PAGE));
}

CHECK(memory, reserve, "a reservation without access becomes memory by mprotect")
{
    unsigned char *p = map(64 * MIB, PROT_NONE);
    OK(mprotect(p + 8 * MIB, 2 * PAGE, PROT_READ | PROT_WRITE));
    expect_zero(p + 8 * MIB, 2 * PAGE);
    memset(p + 8 * MIB, 7, 2 * PAGE);
    OK(mprotect(p + 8 * MIB, PAGE, PROT_READ));
    EXPECT_EQ(p[8 * MIB], 7);
    OK(munmap(p, 64 * MIB));
}

CHECK(memory, protect_unmapped, "mprotect: ENOMEM where nothing is mapped, EINVAL off a page")
{
    unsigned char *p = map(2 * PAGE, PROT_READ);
    OK(munmap(p + PAGE, PAGE));
    EXPECT_ERRNO(mprotect(p + PAGE, PAGE, PROT_READ), ENOMEM);
    // By number: musl's function rounds the address.
    EXPECT_ERRNO(syscall(SYS_mprotect, p + 1, PAGE, PROT_READ), EINVAL);
    OK(munmap(p, PAGE));
}

CHECK(memory, remap, "mremap grows and shrinks a mapping and keeps its contents")
{
    unsigned char *p = map(2 * PAGE, PROT_READ | PROT_WRITE);
    memset(p, 7, 2 * PAGE);
    p = OK(mremap(p, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE));
    EXPECT(p[0] == 7 && p[2 * PAGE - 1] == 7);
    expect_zero(p + 2 * PAGE, 62 * PAGE);
    p = OK(mremap(p, 64 * PAGE, PAGE, MREMAP_MAYMOVE));
    EXPECT_EQ(p[PAGE - 1], 7);
    OK(munmap(p, PAGE));
}

CHECK(memory, brk, "the break can be moved up and down again; memory there is zero")
{
    // By number: musl's sbrk refuses to move it.
    const uintptr_t old = (uintptr_t)syscall(SYS_brk, 0);
    const uintptr_t up = (old + PAGE - 1) / PAGE * PAGE + 4 * PAGE;
    EXPECT_EQ(syscall(SYS_brk, up), up);
    unsigned char *p = (unsigned char *)(up - 4 * PAGE);
    expect_zero(p, 4 * PAGE);
    memset(p, 7, 4 * PAGE);
    EXPECT_EQ(syscall(SYS_brk, old), old);
    EXPECT_EQ(syscall(SYS_brk, up), up);
    expect_zero(p, 4 * PAGE);
    EXPECT_EQ(syscall(SYS_brk, old), old);
}

CHECK(memory, brk_refused, "a break that cannot be leaves the old one")
{
    const uintptr_t old = (uintptr_t)syscall(SYS_brk, 0);
    EXPECT_EQ(syscall(SYS_brk, 1), old);
    EXPECT_EQ(syscall(SYS_brk, 0), old);
}

CHECK(memory, advice, "madvise is taken, and DONTNEED makes anonymous memory zero")
{
    unsigned char *p = map(4 * PAGE, PROT_READ | PROT_WRITE);
    memset(p, 7, 4 * PAGE);
    OK(madvise(p, 4 * PAGE, MADV_WILLNEED));
    EXPECT_EQ(p[0], 7);
    OK(madvise(p + PAGE, PAGE, MADV_DONTNEED));
    expect_zero(p + PAGE, PAGE);
    EXPECT(p[0] == 7 && p[2 * PAGE] == 7);
    OK(munmap(p, 4 * PAGE));
}
