// SPDX-License-Identifier: BSD-2-Clause
// Processes that take all they can get, send nonsense and flood, each beside one that works with all that it has and verifies it; and after each the servers
// have given away what they had before.
//
//     hostile [PORT [NAME]]
//
// PORT: there is a net server, and the host sends back what it gets at that port; 0: none. NAME: only what has this name.
//
// It is the first process, to whom orphans come.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../kills/figures.h"
#include "hostile.h"

extern char **environ;

char *self;
static uint64_t state = 1;
// What a role tells is written to fd 3 there, and read here.
static int tells[2];
static bool network;
static const char *only;
uint16_t outside_port;
static int failures, number;

void set_seed(uint64_t seed)
{
    state = seed;
}

uint32_t chance(uint32_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

uint64_t any_word(void)
{
    static char here[8192];
    switch (chance(10)) {
    case 0: return (uint64_t)chance(1u << 31) << 33 | chance(1u << 31) << 2;
    case 1: return (uint64_t)-1 - chance(4);
    case 2: return (uintptr_t)here & ~4095ul;
    case 3: return chance(64) * 4096;
    case 4: return 0x1000000000 + chance(64) * 4096;
    case 5: return (uint64_t)chance(64) << 32 | chance(64);
    case 6: return 0;
    default: return chance(8);
    }
}

pid_t start(const char *role, const char *argument)
{
    char *arguments[] = {self, "role", (char *)role, (char *)argument, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (tells[1])
        posix_spawn_file_actions_adddup2(&actions, tells[1], 3);
    pid_t pid;
    const int error = posix_spawn(&pid, self, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    return error ? -1 : pid;
}

int ending(pid_t pid)
{
    int status;
    if (pid < 0)
        return -1;
    while (waitpid(pid, &status, 0) != pid)
        if (errno != EINTR)
            return -1;
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void empty(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    if (!directory)
        return;
    while ((entry = readdir(directory)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            if (unlinkat(dirfd(directory), entry->d_name, 0))
                unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR);
    closedir(directory);
    rmdir(path);
}

// Names that no sane process would make in `/`: requests at random have made them.
static void remove_odd_names(void)
{
    DIR *directory = opendir("/");
    struct dirent *entry;
    if (!directory)
        return;
    while ((entry = readdir(directory))) {
        const char *const name = entry->d_name;
        if ((*name < 'a' || *name > 'z') && strcmp(name, ".") && strcmp(name, ".."))
            if (unlinkat(dirfd(directory), name, 0))
                unlinkat(dirfd(directory), name, AT_REMOVEDIR);
    }
    closedir(directory);
}

static struct figures settled(void)
{
    sigset_t all, old;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &old);
    struct figures figures = read_figures();
    // The net server learns of its clients' end in its own time.
    for (int i = 0; i < 100000 && figures.of[12]; i++) {
        sched_yield();
        figures = read_figures();
    }
    // They are read some at a time: those before the last client went count its memory.
    figures = read_figures();
    sigprocmask(SIG_SETMASK, &old, NULL);
    return figures;
}

// Ends what a scenario has left; whether any orphan says that something was wrong.
static bool clean_up(bool kill_them)
{
    bool right = true;
    int status;
    pid_t pid;
    if (kill_them)
        kill(-1, SIGKILL);
    while ((pid = wait(&status)) > 0)
        if (WIFEXITED(status) && WEXITSTATUS(status) == 1) {
            printf("# orphan %d found something wrong\n", pid);
            right = false;
        }
    remove_odd_names();
    empty("/tmp/greedy");
    return right;
}

static void result(const char *name, const char *of, bool right)
{
    printf("%s %d - %s%s%s\n", right ? "ok" : "not ok", ++number, name, *of ? ": " : "", of);
    fflush(stdout);
    failures += !right;
}

static void all_is_back(const struct figures *before, const char *name, const char *of)
{
    const struct figures after = settled();
    char text[100];
    snprintf(text, sizeof text, "everything is back after %s", name);
    result(text, of, !differ(before, &after));
}

// Takes all of something, and holds it while others work.
static void be_greedy(const char *what)
{
    without_files = !strcmp(what, "inodes") || !strcmp(what, "links") || !strcmp(what, "bytes");
    const char *const role = without_files ? "fileless" : "bystander";
    const struct figures before = settled();
    mkdir("/tmp/greedy", 0700);
    if (pipe2(tells, O_CLOEXEC))
        abort();
    const pid_t beside = start(role, "3"), greedy = start("greedy", what);
    close(tells[1]);
    tells[1] = 0;
    char byte;
    const bool stopped = read(tells[0], &byte, 1) == 1;
    result("one that takes all it can get is told so by the errno that fits", what, stopped);
    const int first = ending(beside);
    const int second = bystander(1), third = ending(start(role, "1"));
    result("others work beside it, and after it has all", what, !first && !second && !third);
    if (first || second || third)
        printf("# %d %d %d\n", first, second, third);
    if (!stopped)
        printf("# it ended with %d\n", ending(greedy));
    close(tells[0]);
    clean_up(true);
    without_files = false;
    all_is_back(&before, "one that takes all it can get", what);
}

// Does what `role` does, several times over, while others work.
static void be_hostile(const char *role, const char *argument, int times, bool seeded)
{
    const struct figures before = settled();
    if (pipe2(tells, O_CLOEXEC))
        abort();
    const pid_t beside = start("bystander", "6");
    bool right = beside > 0;
    for (int i = 0; i < times; i++) {
        char text[32];
        snprintf(text, sizeof text, seeded ? "%s%d" : "%s", argument, seeded ? i : 0);
        if (!strcmp(role, "flood"))
            snprintf(text, sizeof text, "%d", beside);
        const pid_t pid = start(role, text);
        right &= pid > 0 && ending(pid) != -1;
        right &= ending(start("bystander", "1")) == 0;
    }
    const int status = ending(beside);
    close(tells[1]);
    tells[1] = 0;
    // Until the last peer has ended.
    char bytes[64];
    while (read(tells[0], bytes, sizeof bytes) > 0)
        ;
    close(tells[0]);
    right &= clean_up(false);
    if (status)
        printf("# the bystander ended with %d\n", status);
    result("others work beside one that means ill", role, right && status == 0);
    all_is_back(&before, "one that means ill", role);
}

// Shares something with one that scribbles over it, again and again, while others work with channels of their own.
static void be_scribbled_over(const char *kind)
{
    enum { TIMES = 6 };
    const struct figures before = settled();
    mkdir("/tmp/greedy", 0700);
    if (pipe2(tells, O_CLOEXEC))
        abort();
    const pid_t beside = start("bystander", "4");
    bool right = beside > 0;
    for (int i = 0; i < TIMES; i++) {
        char text[32];
        snprintf(text, sizeof text, "%s.%d", kind, i);
        const int status = ending(start("spoilt", text));
        if (status)
            printf("# its peer %d ended with %d\n", i, status);
        right &= status == 0;
    }
    const int status = ending(beside);
    close(tells[0]);
    close(tells[1]);
    tells[1] = 0;
    if (status)
        printf("# the bystander ended with %d\n", status);
    right &= clean_up(false);
    result("one that scribbles over what it shares spoils nothing else", kind, right && status == 0);
    all_is_back(&before, "one that scribbles over what it shares", kind);
}

// Multiplies without end while others work: with a limit they do all that they want; without, what they have they keep, and else are refused.
static void be_bombed(const char *how)
{
    const bool limited = strcmp(how, "unlimited");
    const struct figures before = settled();
    char byte;
    if (pipe2(tells, O_CLOEXEC))
        abort();
    const pid_t talks = start("talker", "");
    bool right = talks > 0 && read(tells[0], &byte, 1) == 1 && byte == 't';
    const pid_t bomb = start("bomb", how);
    right &= bomb > 0 && read(tells[0], &byte, 1) == 1 && byte == 'x';
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    const int beside = limited ? ending(start("bystander", "2")) : 0;
    const int more = ending(start("nothing", "7"));
    kill(talks, SIGUSR1);
    const int talked = ending(talks);
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("# %d, %d, %d beside it in %lld ms\n", beside, more, talked,
           (long long)(end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000);
    right &= beside == 0 && talked == 0 && (more == 7 || (!limited && more == -1));
    close(tells[1]);
    tells[1] = 0;
    clean_up(true);
    close(tells[0]);
    result("others work beside one that multiplies", how, right);
    all_is_back(&before, "one that multiplies", how);
}

static void be_malformed(const char *server)
{
    be_hostile(server, "", 6, true);
}

static void be_flooded(const char *role)
{
    be_hostile(role, "", 2, true);
}

static void each(void (*scenario)(const char *), const char **names)
{
    for (; *names; names++)
        if (!only || !strcmp(only, *names))
            scenario(*names);
}

static int play(const char *role, const char *argument)
{
    if (strcmp(role, "bystander") && strcmp(role, "fileless"))
        set_seed(strtoul(argument + strcspn(argument, "0123456789"), NULL, 10) + 1);
    if (!strcmp(role, "nothing"))
        return atoi(argument);
    without_files = !strcmp(role, "fileless");
    if (!strcmp(role, "bystander") || without_files)
        return bystander(atoi(argument)) != 0;
    if (!strcmp(role, "greedy"))
        return greedy(argument);
    if (!strcmp(role, "root") || !strcmp(role, "vfs") || !strcmp(role, "net"))
        return garbage(role);
    if (!strcmp(role, "flood"))
        return flood(atoi(argument));
    if (!strcmp(role, "bomb"))
        return bomb(argument);
    if (!strcmp(role, "talker"))
        return talker();
    if (!strcmp(role, "spoilt"))
        return spoilt(argument, strtoul(argument + strcspn(argument, "0123456789"), NULL, 10));
    return 99;
}

int main(int argc, char **argv)
{
    self = argv[0];
    const bool plays = argc == 4 && !strcmp(argv[1], "role");
    if (argc > 1 && !plays)
        setenv("OUTSIDE_PORT", argv[1], 1);
    const char *const port = getenv("OUTSIDE_PORT");
    outside_port = port ? (uint16_t)atoi(port) : 0;
    if (plays)
        return play(argv[2], argv[3]);
    network = outside_port != 0;
    only = argc == 3 ? argv[2] : NULL;
    printf("TAP version 13\n");
    // Programs, tables and this process's own pages.
    for (int i = 0; i < 3; i++)
        if (bystander(1) || ending(start("bystander", "1")))
            return 2;
    if (!network)
        each(be_greedy, (const char *[]){"memory", "reservations", "channels", "threads", "inodes", "links", "bytes", NULL});
    if (!network)
        each(be_bombed, (const char *[]){"stays", "exits", "unlimited", NULL});
    each(be_scribbled_over, network ? (const char *[]){"tcp-listener", "udp", "outside-tcp", "outside-udp", "slots", NULL}
                                    : (const char *[]){"pipe", "packets", "eventfd", "timerfd", "position", "file", "fifo", "stream", "seqpacket",
                                                       "datagrams", "named", "listener", "tcp", "tcp-listener", "udp", "pidfd", "inotify", NULL});
    each(be_malformed, network ? (const char *[]){"root", "vfs", "net", NULL} : (const char *[]){"root", "vfs", NULL});
    each(be_flooded, (const char *[]){"flood", NULL});
    printf("1..%d\n", number);
    return failures != 0;
}
