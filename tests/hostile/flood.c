// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include <signal.h>

#include "hostile.h"

int flood(pid_t whom)
{
    // seL4_NBSend: by capabilities of its own, of channels, of threads, and where there are none.
    for (int i = 0; i < 30000; i++) {
        uint64_t slot = chance(16), info = 0;
        if (chance(2))
            slot = (uint64_t)(40 + chance(8)) << 14 | chance(1 << 14);
        __asm__ volatile("mov %%rsp, %%rbx\n\tsyscall\n\tmov %%rbx, %%rsp"
                         : "+D"(slot), "+S"(info)
                         : "d"(-4l)
                         : "rcx", "r11", "rbx", "r10", "r8", "r9", "r15", "memory");
        if (i % 16 == 0 && whom > 0)
            kill(whom, chance(2) ? SIGCHLD : SIGCONT);
    }
    return 0;
}
