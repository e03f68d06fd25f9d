// SPDX-License-Identifier: BSD-2-Clause
// Starts processes that do everything, kills them at random points, and compares what the servers have given away before and after.
//
//     kills KILLS SEED
//     kills steps STEP [THING]
//
// The second form ends them not at random, but one after the other a little later: see steps.c.
//
// It is the first process (whom orphans come to, and whom kill(-1) spares), runs above all others, and is alone: what it waits for
// interrupts the others between any two instructions. With QEMU's -icount the same seed is the same run.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "figures.h"
#include "steps.h"
#include "victim.h"

extern char **environ;

// Rounds until programs, tables and this process's own pages are there; victims of a round; generations below them.
enum { FIRST_ROUNDS = 30, MOST_VICTIMS = 4, GENERATIONS = 2 };

// Longest life: 2 to this, in nanoseconds, which are instructions.
enum { LONGEST_BITS = 22 };

static long killed, ended;

static pid_t start(uint64_t seed)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    char *arguments[] = {self, "victim", text, "2", NULL};
    pid_t pid;
    if (chance(3)) {
        const int error = posix_spawn(&pid, self, NULL, NULL, arguments, environ);
        if (error) {
            printf("posix_spawn: %s\n", strerror(error));
            exit(1);
        }
        return pid;
    }
    pid = fork();
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        be_victim(seed, GENERATIONS);
    }
    return pid;
}

static void live(void)
{
    const struct timespec time = {0, chance(1u << (6 + chance(LONGEST_BITS - 5)))};
    nanosleep(&time, NULL);
}

static void count_end(int status)
{
    const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (signal == SIGKILL)
        killed++;
    else
        ended++;
    // Those may come before a new program has its handlers; nothing else may happen to it.
    const bool expected = signal == SIGALRM || signal == SIGUSR1 || signal == SIGRTMIN;
    if (signal && signal != SIGKILL && !expected) {
        printf("a victim was ended by signal %d\n", signal);
        exit(1);
    }
}

static void kill_round(void)
{
    pid_t victims[MOST_VICTIMS];
    const int count = 1 + (int)chance(MOST_VICTIMS);
    for (int i = 0; i < count; i++) {
        victims[i] = start(((uint64_t)chance(1 << 30) << 30) + chance(1 << 30));
        if (chance(2))
            live();
    }
    for (int i = 0; i < count; i++) {
        live();
        kill(victims[i], SIGKILL);
    }
    // Their children, some of which have no parent but this one now.
    live();
    kill(-1, SIGKILL);
    int status;
    while (wait(&status) > 0)
        count_end(status);
}

void empty(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory)
        return;
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        const int fd = dirfd(directory);
        if (unlinkat(fd, entry->d_name, 0) && unlinkat(fd, entry->d_name, AT_REMOVEDIR)) {
            char inner[512];
            snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
            empty(inner);
            unlinkat(fd, entry->d_name, AT_REMOVEDIR);
        }
    }
    closedir(directory);
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc == 4 && !strcmp(argv[1], "victim"))
        be_victim(strtoull(argv[2], NULL, 10), atoi(argv[3]));
    if (argc == 3 && !strcmp(argv[1], "step"))
        return do_in_steps(argv[2]);
    if (argc < 3 || argc > 4 || getpid() != 1) {
        printf("kills KILLS SEED, or kills steps STEP, as the first process\n");
        return 2;
    }
    const long wanted = atol(argv[1]);
    set_seed(strtoull(argv[2], NULL, 10));
    // Asking the servers by the kernel's own call must not be interrupted, so no signal is.
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    mkdir(PLACE, 0755);
    if (!strcmp(argv[1], "steps"))
        return kill_at_each_step((uint32_t)atol(argv[2]), argv[3]);
    struct figures before = {{0}};
    int round = 0;
    for (; killed < wanted; round++) {
        const uint64_t seed = chance(1 << 30);
        set_seed(seed);
        kill_round();
        empty(PLACE);
        const struct figures after = read_figures();
        if (round == FIRST_ROUNDS)
            before = after;
        if (round > FIRST_ROUNDS && differ(&before, &after)) {
            printf("not the same after round %d, whose seed is %llu; %ld were killed\n", round,
                   (unsigned long long)seed, killed);
            return 1;
        }
        if (round % 200 == 0) {
            printf("# round %d: %ld killed, %ld ended by themselves, heap %llu\n", round, killed, ended,
                   (unsigned long long)after.of[HEAP]);
            fflush(stdout);
        }
    }
    const struct figures after = read_figures();
    printf("%ld processes killed, %ld ended by themselves, in %d rounds; every figure is as before:", killed,
           ended, round);
    for (int i = 0; i < ALL; i++)
        if (i != HEAP)
            printf(" %s=%llu", figure_names[i], (unsigned long long)after.of[i]);
    printf("\nroot server's heap: %lld bytes more\n",
           (long long)(after.of[HEAP] - before.of[HEAP]));
    return 0;
}
