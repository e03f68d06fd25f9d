// SPDX-License-Identifier: BSD-2-Clause
// The first process runs above all others, so what it sleeps is what they run: with QEMU's -icount the next victim of a thing gets just one step further than the last one.
// From one request to a server to the next is more than a step of 300 instructions (a call and its answer alone are 383), so each is once the last of its victim; so is each
// place between them. Those who shared something with the victim must find its end and come to theirs.
#define _GNU_SOURCE
#include "steps.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "figures.h"
#include "things.h"
#include "victim.h"

extern char **environ;

// Runs until programs, tables and this process's own pages are there. SIGTERM ends a victim only where it takes signals, so not at each step.
enum { FIRST_RUNS = 3, TERM_EVERY = 8, NOTHING = 7 };

static long killed;

static pid_t start(const char *thing, int tells)
{
    char *arguments[] = {self, "step", (char *)thing, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, tells, 3);
    sigset_t none;
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    pid_t pid;
    const int error = posix_spawn(&pid, self, &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error) {
        printf("posix_spawn: %s\n", strerror(error));
        exit(1);
    }
    return pid;
}

// One victim, which lives so long: whether it came to its end, -1: somebody beside it found something wrong.
static int one(const char *thing, uint64_t life, int signal)
{
    int tells[2], status, others;
    if (pipe2(tells, O_CLOEXEC))
        exit(1);
    const pid_t pid = start(thing, tells[1]);
    close(tells[1]);
    char byte;
    if (read(tells[0], &byte, 1) != 1)
        return -1;
    const struct timespec time = {life / 1000000000, life % 1000000000};
    nanosleep(&time, NULL);
    kill(pid, signal);
    if (waitpid(pid, &status, 0) != pid)
        return -1;
    bool right = true;
    pid_t other;
    while ((other = wait(&others)) > 0) {
        const int code = WIFEXITED(others) ? WEXITSTATUS(others) : 1000 + WTERMSIG(others);
        if (code != 0 && code != NOTHING) {
            printf("%s: %d, beside it, ended with %d\n", thing, other, code);
            right = false;
        }
    }
    close(tells[0]);
    empty(PLACE);
    if (!right)
        return -1;
    if (WIFSIGNALED(status) && WTERMSIG(status) == signal) {
        killed++;
        return 0;
    }
    if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != NOTHING)) {
        printf("%s: it ended with %x\n", thing, status);
        return -1;
    }
    return 1;
}

static int at_each_step(const char *thing, uint32_t step, int signal)
{
    struct figures before = {{0}};
    // Above: no victim takes so long.
    const uint64_t most = 50000000;
    for (int run = 0; run < FIRST_RUNS; run++)
        if (one(thing, most, signal) != 1) {
            printf("%s: it does not come to its end\n", thing);
            return 1;
        }
    before = read_figures();
    const long first = killed;
    for (uint64_t life = 0; life < most; life += step) {
        const int done = one(thing, life, signal);
        const struct figures after = read_figures();
        if (done < 0 || differ(&before, &after)) {
            printf("%s: not as before when it ends after %llu ns by signal %d\n", thing, (unsigned long long)life, signal);
            return 1;
        }
        if (done) {
            printf("# %s: %ld ended, one every %u instructions, by signal %d\n", thing, killed - first, step, signal);
            fflush(stdout);
            return 0;
        }
    }
    printf("%s: it does not come to its end\n", thing);
    return 1;
}

int kill_at_each_step(uint32_t step, const char *only)
{
    for (const struct thing *thing = things; thing->name; thing++) {
        if (only && strcmp(only, thing->name))
            continue;
        if (at_each_step(thing->name, step, SIGKILL) || at_each_step(thing->name, step * TERM_EVERY, SIGTERM))
            return 1;
    }
    const struct figures after = read_figures();
    printf("%ld processes ended at each step of what they did; every figure is as before:", killed);
    for (int i = 0; i < ALL; i++)
        if (i != HEAP)
            printf(" %s=%llu", figure_names[i], (unsigned long long)after.of[i]);
    printf("\n");
    return 0;
}

int do_in_steps(const char *name)
{
    if (!strcmp(name, "nothing"))
        return NOTHING;
    for (const struct thing *thing = things; thing->name; thing++) {
        if (strcmp(name, thing->name))
            continue;
        if (thing->prepare)
            thing->prepare();
        if (write(3, "x", 1) != 1)
            return 1;
        thing->run();
        return 0;
    }
    return 1;
}
