// SPDX-License-Identifier: BSD-2-Clause
// Messages by the kernel's own calls, as no shim would send them.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../kills/figures.h"
#include "hostile.h"

enum { MESSAGES = 4000 };

// The message buffer's words, behind its tag: GS is the buffer's base.
static void fill_buffer(void)
{
    for (uint64_t at = 5; at < 120; at++)
        __asm__ volatile("movq %0, %%gs:(%1)" : : "r"(any_word()), "r"(at * 8) : "memory");
}

// Requests that do what they say, to whomever: EXIT, output, FORK, KILL; of threads, STOP.
static bool left_out(uint64_t label)
{
    return label == 1 || label == 2 || label == 12 || label == 17 || label == 19 ||
           (label >= 33 && label <= 38);
}

int garbage(const char *server)
{
    // What it shares with others (the console, the way to the first process) it could spoil; it makes channels of its own.
    for (int fd = 0; fd < 16; fd++)
        close(fd);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    const uint64_t slot = !strcmp(server, "root") ? ROOT_SERVER : !strcmp(server, "net") ? NET_SERVER : VFS_SERVER;
    // Known to the net server from now on.
    if (slot == NET_SERVER)
        ask(ROOT_SERVER, 26, (struct words){{0}}, 0);
    for (int i = 0; i < MESSAGES; i++) {
        uint64_t label = chance(3) ? chance(100) : any_word() & 0xfffff;
        if (slot == ROOT_SERVER && left_out(label))
            continue;
        fill_buffer();
        struct words words = {{any_word(), any_word(), any_word(), any_word()}};
        if (slot == VFS_SERVER && chance(2)) {
            // Lengths that can be true.
            words.of[3] = chance(300) | (uint64_t)chance(300) << 16;
        }
        // Bits 7 and 8: capabilities that go with it.
        ask(slot, label, words, chance(121) | chance(4) << 7);
    }
    return 0;
}
