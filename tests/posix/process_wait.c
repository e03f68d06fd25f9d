// SPDX-License-Identifier: BSD-2-Clause
// waitpid and its relatives, signals between processes, groups and sessions.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "process.h"

extern char **environ;

ROLE(sleeps)
{
    while (pause() == -1)
        ;
    return 98;
}

CHECK(process, no_children, "waiting without children fails with ECHILD")
{
    EXPECT_ERRNO(waitpid(-1, NULL, 0), ECHILD);
    EXPECT_ERRNO(waitpid(getpid(), NULL, 0), ECHILD);
    EXPECT_ERRNO(waitpid(-1, NULL, WNOHANG), ECHILD);
    EXPECT_ERRNO(waitpid(-1, NULL, 0x40), EINVAL);
}

CHECK(process, wait_without_hanging, "WNOHANG returns 0 while the child runs, and its id once it has ended")
{
    const pid_t pid = child("sleeps", NULL);
    int status;
    EXPECT_EQ(waitpid(pid, &status, WNOHANG), 0);
    EXPECT_EQ(waitpid(-1, &status, WNOHANG), 0);
    OK(kill(pid, SIGKILL));
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
    EXPECT_ERRNO(waitpid(pid, &status, 0), ECHILD);
}

CHECK(process, wait_for_any, "waitpid(-1) finds each ended child once")
{
    enum { N = 8 };
    pid_t pids[N];
    int seen[N] = {0};
    for (int i = 0; i < N; i++) {
        char number[8];
        snprintf(number, sizeof number, "%d", i + 1);
        pids[i] = child("exits", number, NULL);
    }
    for (int i = 0; i < N; i++) {
        int status;
        const pid_t pid = OK(waitpid(-1, &status, 0));
        int which = 0;
        while (which < N && pids[which] != pid)
            which++;
        EXPECT(which < N);
        EXPECT_EQ(WEXITSTATUS(status), which + 1);
        EXPECT_EQ(seen[which]++, 0);
    }
    EXPECT_ERRNO(waitpid(-1, NULL, 0), ECHILD);
}

CHECK(process, wait_for_one, "waitpid for one child leaves another that ended before")
{
    const pid_t first = child("exits", "1", NULL);
    siginfo_t info;
    OK(waitid(P_PID, first, &info, WEXITED | WNOWAIT));
    const pid_t second = child("exits", "2", NULL);
    EXPECT_EQ(ending(second), 2);
    EXPECT_EQ(ending(first), 1);
}

CHECK(process, waitid_tells_how, "waitid fills in who ended and how, and WNOWAIT leaves the child to be waited for")
{
    const pid_t pid = child("exits", "9", NULL);
    siginfo_t info;
    for (int round = 0; round < 2; round++) {
        memset(&info, 0, sizeof info);
        OK(waitid(P_ALL, 0, &info, WEXITED | (round ? 0 : WNOWAIT)));
        EXPECT_EQ(info.si_signo, SIGCHLD);
        EXPECT_EQ(info.si_code, CLD_EXITED);
        EXPECT_EQ(info.si_pid, pid);
        EXPECT_EQ(info.si_uid, getuid());
        EXPECT_EQ(info.si_status, 9);
    }
    EXPECT_ERRNO(waitid(P_ALL, 0, &info, WEXITED), ECHILD);
    const pid_t killed = child("sleeps", NULL);
    info.si_pid = 5;
    OK(waitid(P_PID, killed, &info, WEXITED | WNOHANG));
    EXPECT_EQ(info.si_pid, 0);
    OK(kill(killed, SIGTERM));
    OK(waitid(P_PID, killed, &info, WEXITED));
    EXPECT_EQ(info.si_code, CLD_KILLED);
    EXPECT_EQ(info.si_status, SIGTERM);
}

CHECK(process, waitid_arguments, "waitid refuses options and kinds that mean nothing")
{
    siginfo_t info;
    EXPECT_ERRNO(waitid(P_ALL, 0, &info, 0), EINVAL);
    EXPECT_ERRNO(waitid(P_ALL, 0, &info, WEXITED | 0x40), EINVAL);
    EXPECT_ERRNO(waitid(9, 0, &info, WEXITED), EINVAL);
    EXPECT_ERRNO(waitid(P_PID, 0, &info, WEXITED), EINVAL);
}

static volatile sig_atomic_t signals;
static void count_signal(int number)
{
    (void)number;
    signals++;
}

CHECK(process, child_signal, "SIGCHLD comes when a child ends, and ends a wait for signals")
{
    sigset_t chld, before;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    OK(sigprocmask(SIG_BLOCK, &chld, &before));
    struct sigaction act = {.sa_handler = count_signal}, old;
    OK(sigaction(SIGCHLD, &act, &old));
    signals = 0;
    const pid_t pid = child("exits", "0", NULL);
    while (!signals)
        EXPECT_ERRNO(sigsuspend(&before), EINTR);
    const int count = signals;
    OK(sigaction(SIGCHLD, &old, NULL));
    OK(sigprocmask(SIG_SETMASK, &before, NULL));
    EXPECT_EQ(count, 1);
    EXPECT_EQ(ending(pid), 0);
}

CHECK(process, ignored_children, "who ignores SIGCHLD has no children to wait for: waiting lasts until all have ended, then ECHILD")
{
    struct sigaction act = {.sa_handler = SIG_IGN}, old;
    OK(sigaction(SIGCHLD, &act, &old));
    child("exits", "0", NULL);
    child("exits", "1", NULL);
    errno = 0;
    const pid_t got = waitpid(-1, NULL, 0);
    const int error = errno;
    OK(sigaction(SIGCHLD, &old, NULL));
    EXPECT_EQ(got, -1);
    EXPECT_EQ(error, ECHILD);
}

CHECK(process, default_action, "a signal without a handler ends the child, which the status tells")
{
    const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGPIPE};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        // SIGPIPE is ignored here, and would be there.
        posix_spawnattr_t attributes;
        sigset_t all;
        sigfillset(&all);
        EXPECT_EQ(posix_spawnattr_init(&attributes), 0);
        EXPECT_EQ(posix_spawnattr_setsigdefault(&attributes, &all), 0);
        EXPECT_EQ(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF), 0);
        pid_t pid;
        EXPECT_EQ(spawn_with(&pid, NULL, &attributes, environ, "sleeps", NULL), 0);
        OK(kill(pid, numbers[i]));
        EXPECT_EQ(ending(pid), 1000 + numbers[i]);
        posix_spawnattr_destroy(&attributes);
    }
}

CHECK(process, kill_errors, "kill finds what is there, and says ESRCH and EINVAL otherwise")
{
    const pid_t pid = child("sleeps", NULL);
    EXPECT_EQ(kill(pid, 0), 0);
    EXPECT_ERRNO(kill(pid, 65), EINVAL);
    EXPECT_ERRNO(kill(pid, -1), EINVAL);
    OK(kill(pid, SIGKILL));
    siginfo_t info;
    OK(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
    // Ended, but not yet waited for: it can still be named.
    EXPECT_EQ(kill(pid, 0), 0);
    EXPECT_EQ(kill(pid, SIGTERM), 0);
    EXPECT_EQ(ending(pid), 1000 + SIGKILL);
    EXPECT_ERRNO(kill(pid, 0), ESRCH);
}

ROLE(has_signals)
{
    // Whether SIGUSR1 is blocked, SIGUSR2 ignored, SIGHUP at its default.
    sigset_t mask;
    struct sigaction ignored, handled;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    sigaction(SIGUSR2, NULL, &ignored);
    sigaction(SIGHUP, NULL, &handled);
    return sigismember(&mask, SIGUSR1) << 2 | (ignored.sa_handler == SIG_IGN) << 1 |
           (handled.sa_handler == SIG_DFL);
}

CHECK(process, signals_inherited, "blocked and ignored signals stay so in a new program, handlers do not")
{
    sigset_t usr1, before;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    OK(sigprocmask(SIG_BLOCK, &usr1, &before));
    signal(SIGUSR2, SIG_IGN);
    signal(SIGHUP, count_signal);
    const int inherited = ending(child("has_signals", NULL));
    posix_spawnattr_t attributes;
    sigset_t none, usr2;
    sigemptyset(&none);
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    EXPECT_EQ(posix_spawnattr_init(&attributes), 0);
    EXPECT_EQ(posix_spawnattr_setsigmask(&attributes, &none), 0);
    EXPECT_EQ(posix_spawnattr_setsigdefault(&attributes, &usr2), 0);
    EXPECT_EQ(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK),
              0);
    pid_t pid;
    EXPECT_EQ(spawn_with(&pid, NULL, &attributes, environ, "has_signals", NULL), 0);
    const int given = ending(pid);
    posix_spawnattr_destroy(&attributes);
    signal(SIGUSR2, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    OK(sigprocmask(SIG_SETMASK, &before, NULL));
    EXPECT_EQ(inherited, 7);
    EXPECT_EQ(given, 1);
}

CHECK(process, handler_runs_in_fork, "a signal from another process runs the handler, at the end of the wait that it ends")
{
    sigset_t usr1, before;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    OK(sigprocmask(SIG_BLOCK, &usr1, &before));
    signals = 0;
    signal(SIGUSR1, count_signal);
    const pid_t pid = fork();
    if (pid == 0) {
        while (!signals)
            sigsuspend(&before);
        _exit(signals);
    }
    note_child(OK(pid));
    OK(kill(pid, SIGUSR1));
    signal(SIGUSR1, SIG_DFL);
    OK(sigprocmask(SIG_SETMASK, &before, NULL));
    EXPECT_EQ(ending(pid), 1);
    EXPECT_EQ(signals, 0);
}

CHECK(process, group_kill, "kill of a negative id reaches the group and nobody else")
{
    posix_spawnattr_t attributes;
    pid_t leader, member;
    EXPECT_EQ(posix_spawnattr_init(&attributes), 0);
    EXPECT_EQ(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP), 0);
    EXPECT_EQ(spawn_with(&leader, NULL, &attributes, environ, "sleeps", NULL), 0);
    EXPECT_EQ(posix_spawnattr_setpgroup(&attributes, leader), 0);
    EXPECT_EQ(spawn_with(&member, NULL, &attributes, environ, "sleeps", NULL), 0);
    posix_spawnattr_destroy(&attributes);
    const pid_t other = child("sleeps", NULL);
    EXPECT_EQ(getpgid(leader), leader);
    EXPECT_EQ(getpgid(member), leader);
    EXPECT_EQ(getpgid(other), getpgrp());
    OK(kill(-leader, SIGTERM));
    EXPECT_EQ(ending(leader), 1000 + SIGTERM);
    EXPECT_EQ(waitpid(-leader, NULL, 0), member);
    EXPECT_EQ(waitpid(other, NULL, WNOHANG), 0);
    EXPECT_ERRNO(kill(-leader, SIGTERM), ESRCH);
}

CHECK(process, set_group_errors, "setpgid knows whom it may move, and where to")
{
    const pid_t pid = child("sleeps", NULL);
    EXPECT_ERRNO(setpgid(pid, 0), EACCES);
    EXPECT_ERRNO(setpgid(0, pid), EPERM);
    EXPECT_ERRNO(setpgid(-1, 1), ESRCH);
    EXPECT_ERRNO(setpgid(-1, 0), EINVAL);
    EXPECT_ERRNO(setpgid(0, -1), EINVAL);
    EXPECT_ERRNO(getpgid(1 << 22), ESRCH);
    const pid_t forked = fork();
    if (forked == 0)
        for (;;)
            pause();
    note_child(OK(forked));
    OK(setpgid(forked, forked));
    EXPECT_EQ(getpgid(forked), forked);
}

CHECK(process, sessions, "setsid starts a session and a group, once")
{
    const pid_t pid = fork();
    if (pid == 0) {
        const pid_t own = getpid();
        if (setsid() != own || getsid(0) != own || getpgrp() != own)
            _exit(1);
        _exit(setsid() == -1 && errno == EPERM ? 0 : 2);
    }
    EXPECT_EQ(ending(note_child(OK(pid))), 0);
    EXPECT_EQ(getsid(0), getsid(getpid()));
}
