// SPDX-License-Identifier: BSD-2-Clause
// A process that writes over all that it shares with anybody: whatever it can write to where channels, files' headers and the net server's rings lie.
#define _GNU_SOURCE
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "../kills/figures.h"
#include "hostile.h"

// Where things lie: vfs-hooks/src/process.rs, channel.rs, file.rs, net.rs.
#define CHANNELS 0x3400000000ul
#define FILES 0x3800000000ul
#define NET_CHANNEL 0x2000000000ul
#define STATS 0x7ffef02000ul
enum {
    PAGE = 4096,
    CHANNEL_SPAN = 1 << 20,
    LOOKED_AT = 256,
    CONNECTION = 1024,
    SLOTS_OFFSET = 2 << 20,
    SLOT_SIZE = 64 << 10,
    MOST_PAGES = 2048,
    DOORBELL = 3
};

static uintptr_t pages[MOST_PAGES];
static unsigned count;
static pid_t own, maker;
static sigjmp_buf back;

static void not_there(int signal)
{
    (void)signal;
    siglongjmp(back, 1);
}

static void look_at(uintptr_t page)
{
    volatile uint32_t *const word = (uint32_t *)page;
    if (count < MOST_PAGES && !sigsetjmp(back, 1)) {
        __atomic_fetch_add(word, 0, __ATOMIC_RELAXED);
        pages[count++] = page;
    }
}

static void find_pages(void)
{
    const struct sigaction handler = {.sa_handler = not_there, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &handler, NULL);
    count = 0;
    for (unsigned i = 0; i < LOOKED_AT; i++) {
        const unsigned before = count;
        look_at(CHANNELS + (uintptr_t)i * CHANNEL_SPAN);
        // Of what it holds: pages of rings, some of which nobody has touched.
        for (unsigned at = 1; count > before && at < 160; at += 1 + chance(24))
            look_at(CHANNELS + (uintptr_t)i * CHANNEL_SPAN + at * PAGE);
        look_at(FILES + (uintptr_t)i * PAGE);
    }
    look_at(NET_CHANNEL);
    for (unsigned i = 0; i < 8; i++)
        for (unsigned at = 0; at < SLOT_SIZE; at += PAGE)
            look_at(NET_CHANNEL + SLOTS_OFFSET + (uintptr_t)i * SLOT_SIZE + at);
    look_at(STATS);
    signal(SIGSEGV, SIG_DFL);
}

static uint32_t odd_word(void)
{
    const uint32_t any = chance(1u << 31);
    const uint32_t some[] = {
        0, 1, 2, 7, 8, 512, 4095, 4096, 65535, 65536, 131072, 131073, 262143, 262144, 262145, 1u << 30, 1u << 31,
        // Locks: of itself, of who made it, of the first process, of a server, of nobody.
        own, maker, 1, 32768, 54321,
    };
    switch (chance(6)) {
    case 0: return any << 1 | (any & 1);
    case 1: return -1;
    case 2: return -1 - any % 9;
    default: return some[any % (sizeof some / sizeof *some)];
    }
}

static void scribble(uintptr_t page)
{
    // Heads are where it hurts.
    const uint32_t reach = chance(3) ? CONNECTION + 256 : PAGE;
    for (unsigned i = 1 + chance(6); i > 0; i--)
        ((volatile uint32_t *)page)[chance(reach / 4)] = odd_word();
    if (chance(30) == 0)
        for (unsigned i = 0; i < PAGE / 4; i++)
            ((volatile uint32_t *)page)[i] = odd_word();
    // A pipe's lock, value and positions.
    if (chance(4) == 0)
        ((volatile uint32_t *)page)[chance(8)] = odd_word();
}

static void ring(void)
{
    uint64_t slot = DOORBELL, info = 0;
    __asm__ volatile("mov %%rsp, %%rbx\n\tsyscall\n\tmov %%rbx, %%rsp"
                     : "+D"(slot), "+S"(info)
                     : "d"(-4l)
                     : "rcx", "r11", "rbx", "r10", "r8", "r9", "r15", "memory");
}

unsigned scribble_over_all(int rounds)
{
    own = getpid();
    maker = getppid();
    find_pages();
    for (int i = 0; i < rounds && count; i++) {
        for (unsigned n = 1 + chance(count < 8 ? count : 8); n > 0; n--)
            scribble(pages[chance(count)]);
        ring();
        sched_yield();
    }
    return count;
}
