// SPDX-License-Identifier: BSD-2-Clause
// Stopping and continuing processes, and what their parents learn of it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "process.h"
#include "thread.h"

// Waits for news of a child that has stopped (or ended, which fails the check).
static void await_stop(pid_t pid, int number)
{
    int status;
    EXPECT_EQ(waitpid(pid, &status, WUNTRACED), pid);
    EXPECT(WIFSTOPPED(status));
    EXPECT_EQ(WSTOPSIG(status), number);
}

static void await_continuation(pid_t pid)
{
    int status;
    EXPECT_EQ(waitpid(pid, &status, WCONTINUED), pid);
    EXPECT(WIFCONTINUED(status));
}

ROLE(pauses_forever)
{
    for (;;)
        pause();
    return 0;
}

ROLE(loops_forever)
{
    for (volatile int n = 0; n >= 0;)
        ;
    return 0;
}

static void stops_and_continues(const char *role)
{
    const pid_t pid = child(role, NULL);
    int status;
    for (int i = 0; i < 3; i++) {
        OK(kill(pid, SIGSTOP));
        await_stop(pid, SIGSTOP);
        // Told once.
        EXPECT_EQ(waitpid(pid, &status, WUNTRACED | WCONTINUED | WNOHANG), 0);
        OK(kill(pid, SIGCONT));
        await_continuation(pid);
        EXPECT_EQ(waitpid(pid, &status, WUNTRACED | WCONTINUED | WNOHANG), 0);
    }
    OK(kill(pid, SIGTERM));
    EXPECT_EQ(ending(pid), 1000 + SIGTERM);
}

CHECK(signal, stop_waiting, "SIGSTOP stops a child that waits, SIGCONT lets it go on, and the parent is told of each once")
{
    stops_and_continues("pauses_forever");
}

CHECK(signal, stop_computing, "so it does with a child that computes")
{
    stops_and_continues("loops_forever");
}

// Writes a byte whenever there is room.
ROLE(writes_forever)
{
    const int fd = atoi(arguments[0]);
    while (write(fd, "x", 1) == 1)
        ;
    return 0;
}

CHECK(signal, stopped_does_nothing, "a stopped child does nothing until it is continued")
{
    struct ends p = new_pipe(0);
    char number[16];
    snprintf(number, sizeof number, "%d", p.w);
    const pid_t pid = child("writes_forever", number, NULL);
    EXPECT_EQ(await(p.r, POLLIN), POLLIN);
    OK(kill(pid, SIGSTOP));
    await_stop(pid, SIGSTOP);
    set_nonblocking(p.r);
    drain(p.r);
    struct pollfd fd = {.fd = p.r, .events = POLLIN};
    EXPECT_EQ(poll(&fd, 1, 30), 0);
    OK(kill(pid, SIGCONT));
    EXPECT_EQ(await(p.r, POLLIN), POLLIN);
    OK(kill(pid, SIGKILL));
    EXPECT_EQ(ending(pid), 1000 + SIGKILL);
}

CHECK(signal, stopped_keeps_signals, "signals wait while a child is stopped, but SIGKILL ends it")
{
    pid_t pid = child("loops_forever", NULL);
    OK(kill(pid, SIGSTOP));
    await_stop(pid, SIGSTOP);
    OK(kill(pid, SIGTERM));
    int status;
    EXPECT_EQ(waitpid(pid, &status, WNOHANG), 0);
    OK(kill(pid, SIGCONT));
    EXPECT_EQ(ending(pid), 1000 + SIGTERM);
    pid = child("pauses_forever", NULL);
    OK(kill(pid, SIGSTOP));
    await_stop(pid, SIGSTOP);
    OK(kill(pid, SIGKILL));
    EXPECT_EQ(ending(pid), 1000 + SIGKILL);
}

ROLE(stops_itself)
{
    raise(SIGSTOP);
    kill(getpid(), SIGSTOP);
    return 5;
}

CHECK(signal, stop_oneself, "a child stops itself, and goes on behind that")
{
    const pid_t pid = child("stops_itself", NULL);
    await_stop(pid, SIGSTOP);
    OK(kill(pid, SIGCONT));
    await_stop(pid, SIGSTOP);
    OK(kill(pid, SIGCONT));
    EXPECT_EQ(ending(pid), 5);
}

// Terminal stop signals do nothing in an orphaned group: the child gets a group of its own.
ROLE(terminal_stop)
{
    setpgid(0, 0);
    raise(atoi(arguments[0]));
    return 6;
}

CHECK(signal, terminal_signals_stop, "SIGTSTP, SIGTTIN and SIGTTOU stop by default")
{
    const int numbers[] = {SIGTSTP, SIGTTIN, SIGTTOU};
    for (size_t i = 0; i < 3; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", numbers[i]);
        const pid_t pid = child("terminal_stop", number, NULL);
        await_stop(pid, numbers[i]);
        OK(kill(pid, SIGCONT));
        EXPECT_EQ(ending(pid), 6);
    }
}

static volatile sig_atomic_t caught;

static void catches(int number)
{
    caught = number;
}

ROLE(handles_terminal_stop)
{
    struct sigaction action = {.sa_handler = catches};
    sigaction(SIGTSTP, &action, NULL);
    raise(SIGTSTP);
    if (caught != SIGTSTP)
        return 1;
    action.sa_handler = SIG_IGN;
    sigaction(SIGTSTP, &action, NULL);
    raise(SIGTSTP);
    return 7;
}

CHECK(signal, terminal_stop_handled, "SIGTSTP can be handled and ignored")
{
    EXPECT_EQ(ending(child("handles_terminal_stop", NULL)), 7);
}

ROLE(handles_continue)
{
    struct sigaction action = {.sa_handler = catches};
    sigaction(SIGCONT, &action, NULL);
    raise(SIGSTOP);
    return caught == SIGCONT ? 8 : 1;
}

CHECK(signal, continue_handled, "a handler of SIGCONT runs when the process goes on")
{
    const pid_t pid = child("handles_continue", NULL);
    await_stop(pid, SIGSTOP);
    OK(kill(pid, SIGCONT));
    EXPECT_EQ(ending(pid), 8);
}

static int waits_for(int number)
{
    sigset_t set, waiting;
    sigpending(&waiting);
    sigemptyset(&set);
    return sigismember(&waiting, number);
}

CHECK(signal, stop_and_continue_cancel, "SIGCONT takes back a waiting SIGTSTP, and that a waiting SIGCONT")
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTSTP);
    sigaddset(&set, SIGCONT);
    OK(sigprocmask(SIG_BLOCK, &set, NULL));
    OK(raise(SIGTSTP));
    EXPECT_EQ(waits_for(SIGTSTP), 1);
    OK(raise(SIGCONT));
    EXPECT_EQ(waits_for(SIGTSTP), 0);
    EXPECT_EQ(waits_for(SIGCONT), 1);
    OK(raise(SIGTSTP));
    EXPECT_EQ(waits_for(SIGCONT), 0);
    OK(raise(SIGCONT));
    OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
}

static struct signalfd_siginfo next_child_signal(int fd)
{
    struct signalfd_siginfo info;
    EXPECT_EQ(read(fd, &info, sizeof info), (ssize_t)sizeof info);
    return info;
}

CHECK(signal, stop_tells_parent, "SIGCHLD tells of stops and continuations, unless SA_NOCLDSTOP")
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    OK(sigprocmask(SIG_BLOCK, &set, NULL));
    const int fd = OK(signalfd(-1, &set, 0));
    struct sigaction action = {.sa_handler = SIG_DFL};
    OK(sigaction(SIGCHLD, &action, NULL));
    pid_t pid = child("pauses_forever", NULL);
    OK(kill(pid, SIGSTOP));
    struct signalfd_siginfo info = next_child_signal(fd);
    EXPECT_EQ(info.ssi_code, CLD_STOPPED);
    EXPECT_EQ(info.ssi_status, SIGSTOP);
    EXPECT_EQ(info.ssi_pid, pid);
    OK(kill(pid, SIGCONT));
    info = next_child_signal(fd);
    EXPECT_EQ(info.ssi_code, CLD_CONTINUED);
    EXPECT_EQ(info.ssi_status, SIGCONT);
    action.sa_flags = SA_NOCLDSTOP;
    OK(sigaction(SIGCHLD, &action, NULL));
    OK(kill(pid, SIGSTOP));
    await_stop(pid, SIGSTOP);
    EXPECT_EQ(ready_now(fd, POLLIN), 0);
    OK(kill(pid, SIGKILL));
    EXPECT_EQ(next_child_signal(fd).ssi_code, CLD_KILLED);
    EXPECT_EQ(ending(pid), 1000 + SIGKILL);
    action.sa_flags = 0;
    OK(sigaction(SIGCHLD, &action, NULL));
    OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
}

CHECK(signal, waitid_tells_stops, "waitid: WSTOPPED, WCONTINUED and WNOWAIT")
{
    const pid_t pid = child("pauses_forever", NULL);
    siginfo_t info;
    memset(&info, 0, sizeof info);
    EXPECT_EQ(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WCONTINUED | WNOHANG), 0);
    EXPECT_EQ(info.si_pid, 0);
    OK(kill(pid, SIGSTOP));
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(waitid(P_PID, (id_t)pid, &info, WSTOPPED | (i ? 0 : WNOWAIT)), 0);
        EXPECT_EQ(info.si_code, CLD_STOPPED);
        EXPECT_EQ(info.si_status, SIGSTOP);
        EXPECT_EQ(info.si_pid, pid);
    }
    OK(kill(pid, SIGCONT));
    EXPECT_EQ(waitid(P_PID, (id_t)pid, &info, WCONTINUED), 0);
    EXPECT_EQ(info.si_code, CLD_CONTINUED);
    EXPECT_EQ(info.si_status, SIGCONT);
    OK(kill(pid, SIGKILL));
    EXPECT_EQ(ending(pid), 1000 + SIGKILL);
}

static void *writes_too(void *fd)
{
    while (write((int)(intptr_t)fd, "y", 1) == 1)
        ;
    return NULL;
}

ROLE(two_write_forever)
{
    started(writes_too, (void *)(intptr_t)atoi(arguments[0]));
    for (volatile int n = 0; n >= 0;)
        ;
    return 0;
}

CHECK(signal, all_threads_stop, "all threads of a process stop and go on together")
{
    struct ends p = new_pipe(0);
    char number[16];
    snprintf(number, sizeof number, "%d", p.w);
    const pid_t pid = child("two_write_forever", number, NULL);
    EXPECT_EQ(await(p.r, POLLIN), POLLIN);
    OK(kill(pid, SIGSTOP));
    await_stop(pid, SIGSTOP);
    set_nonblocking(p.r);
    // On Linux, too, the other thread may be about to stop when the first one has.
    struct pollfd fd = {.fd = p.r, .events = POLLIN};
    do
        drain(p.r);
    while (poll(&fd, 1, 100) != 0);
    OK(kill(pid, SIGCONT));
    EXPECT_EQ(await(p.r, POLLIN), POLLIN);
    OK(kill(pid, SIGKILL));
    EXPECT_EQ(ending(pid), 1000 + SIGKILL);
}
