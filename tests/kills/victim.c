// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "victim.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

enum { MOST_KEPT = 24 };

char *self;
static _Thread_local uint64_t state;
static int files[MOST_KEPT];
static unsigned next_kept, count_kept;

void set_seed(uint64_t seed)
{
    state = seed;
}

uint32_t chance(uint32_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

void keep(int fd)
{
    if (fd < 0)
        return;
    if (count_kept == MOST_KEPT)
        close(files[next_kept]);
    else
        count_kept++;
    files[next_kept] = fd;
    next_kept = (next_kept + 1) % MOST_KEPT;
}

int kept(void)
{
    return count_kept ? files[chance(count_kept)] : -1;
}

void close_kept(void)
{
    for (unsigned i = 0; i < count_kept; i++)
        close(files[i]);
    next_kept = count_kept = 0;
}

const char *name_of(char kind)
{
    static _Thread_local char names[4][64];
    static _Thread_local unsigned next;
    char *name = names[next++ % 4];
    snprintf(name, sizeof names[0], PLACE "/%c%u", kind, chance(NAMES));
    return name;
}

static void nothing(int signal)
{
    (void)signal;
}

// Whatever blocks ends soon: nothing here waits for ever, and handlers run at any place.
static void be_hurried(void)
{
    struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGRTMIN, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    const struct itimerval often = {{0, 300 + chance(2000)}, {0, 1 + chance(2000)}};
    setitimer(ITIMER_REAL, &often, NULL);
}

void be_victim(uint64_t seed, int depth)
{
    set_seed(seed);
    be_hurried();
    if (chance(4) == 0)
        setpgid(0, 0);
    if (chance(8) == 0)
        setsid();
    for (;;) {
        switch (chance(16)) {
        case 0: step_pipe(); break;
        case 1: step_events(); break;
        case 2: step_epoll(); break;
        case 3: step_timers(); break;
        case 4: step_pair(); break;
        case 5: step_rights(); break;
        case 6: step_names(); break;
        case 7: step_file(); break;
        case 8: step_tree(); break;
        case 9: step_memory(); break;
        case 10: step_threads(); break;
        case 11: step_futex(); break;
        case 12: step_signals(); break;
        case 13: step_child(depth); break;
        case 14: step_tcp(); break;
        default:
            if (chance(8) == 0)
                close_kept();
        }
    }
}
