// SPDX-License-Identifier: BSD-2-Clause
// A process that multiplies without end, and one that only talks meanwhile.
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

// Of all processes that there are, if it is limited; forks of one whose children end at once, until it says that it is under way.
enum { LIMIT = 24, UNDER_WAY = 50 };

int bomb(const char *how)
{
    const bool limited = strcmp(how, "unlimited"), stays = strcmp(how, "exits");
    const struct rlimit limit = {LIMIT, LIMIT};
    if (limited && setrlimit(RLIMIT_NPROC, &limit))
        return 2;
    signal(SIGCHLD, SIG_IGN);
    bool told = false;
    for (int forks = 0;; forks++) {
        const pid_t pid = fork();
        if (pid == 0 && !stays)
            _exit(0);
        if (!told && (pid < 0 || (!stays && forks > UNDER_WAY)))
            told = write(3, "x", 1) == 1;
        if (pid < 0)
            sched_yield();
    }
}

static volatile sig_atomic_t enough;

static void stop(int signal)
{
    enough = signal;
}

int talker(void)
{
    int there[2], back[2];
    uint64_t word = 1, answer;
    signal(SIGUSR1, stop);
    if (pipe(there) || pipe(back))
        return 2;
    const pid_t pid = fork();
    if (pid == 0) {
        close(there[1]);
        while (read(there[0], &word, sizeof word) == sizeof word) {
            word = ~word;
            if (write(back[1], &word, sizeof word) != sizeof word)
                _exit(1);
        }
        _exit(0);
    }
    close(there[0]);
    close(back[1]);
    if (pid < 0 || write(3, "t", 1) != 1)
        return 3;
    // Until it is told, and some more.
    for (int more = 300; more > 0; more -= enough != 0) {
        word *= 0x9e3779b97f4a7c15u;
        if (write(there[1], &word, sizeof word) != sizeof word || read(back[0], &answer, sizeof answer) != sizeof answer ||
            answer != ~word)
            return 4;
    }
    close(there[1]);
    return ending(pid) == 0 ? 0 : 5;
}
