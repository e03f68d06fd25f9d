// SPDX-License-Identifier: BSD-2-Clause
// Blocking calls that end with EINTR whatever SA_RESTART says, or because the process was stopped: signal(7).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "process.h"
#include "signal_calls.h"
#include "thread.h"

static struct ends ends;
static int fd;
static unsigned word;

// --- never restarted --------------------------------------------------------------------------

static const struct timespec LONG = {.tv_sec = HANG_MS / 1000};
static sigset_t none;

static long receives(void)
{
    char byte;
    return recv(ends.r, &byte, 1, 0);
}

static long reads(void)
{
    char byte;
    return read(ends.r, &byte, 1);
}

static long sends(void)
{
    return send(ends.w, "x", 1, 0);
}

static long accepts(void)
{
    return accept(fd, NULL, NULL);
}

static void make_pair(int kind)
{
    int pair[2];
    new_pair(kind, pair);
    ends = (struct ends){pair[0], pair[1]};
}

static long in_epoll_wait(void)
{
    struct epoll_event event;
    return epoll_wait(fd, &event, 1, -1);
}

static long in_epoll_pwait(void)
{
    struct epoll_event event;
    return epoll_pwait(fd, &event, 1, HANG_MS, &none);
}

static long in_poll(void)
{
    return poll(NULL, 0, -1);
}

static long in_poll_limited(void)
{
    return poll(NULL, 0, HANG_MS);
}

static long in_ppoll(void)
{
    return ppoll(NULL, 0, &LONG, &none);
}

static long in_select(void)
{
    return select(0, NULL, NULL, NULL, NULL);
}

static long in_pselect(void)
{
    return pselect(0, NULL, NULL, NULL, &LONG, &none);
}

static long in_pause(void)
{
    return pause();
}

static long in_sigsuspend(void)
{
    return sigsuspend(&none);
}

// By the system call: the C function of musl begins again.
static long in_sigtimedwait(void)
{
    const unsigned long set = 1UL << (SIGUSR2 - 1);
    return syscall(SYS_rt_sigtimedwait, &set, NULL, NULL, 8);
}

static struct timespec rest;

static long in_nanosleep(void)
{
    return nanosleep(&LONG, &rest);
}

static long in_clock_nanosleep(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += HANG_MS / 1000;
    errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    return errno ? -1 : 0;
}

static long in_futex_limited(void)
{
    return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &LONG, NULL, 0);
}

CHECK(signal, no_restart_waits, "whatever SA_RESTART says: epoll_wait, poll, select and their relatives fail with EINTR")
{
    sigemptyset(&none);
    fd = new_epoll();
    long (*const calls[])(void) = {in_epoll_wait, in_epoll_pwait, in_poll,   in_poll_limited,
                                   in_ppoll,      in_select,      in_pselect};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        expect_interrupted(calls[i], SA_RESTART);
}

CHECK(signal, no_restart_sleeps, "so do nanosleep, clock_nanosleep, and a futex with a time limit")
{
    word = 0;
    rest.tv_sec = -1;
    expect_interrupted(in_nanosleep, SA_RESTART);
    EXPECT(rest.tv_sec >= 0 && rest.tv_sec <= LONG.tv_sec);
    expect_interrupted(in_clock_nanosleep, SA_RESTART);
    expect_interrupted(in_futex_limited, SA_RESTART);
}

CHECK(signal, no_restart_signals, "so do pause, sigsuspend and sigtimedwait")
{
    sigemptyset(&none);
    expect_interrupted(in_pause, SA_RESTART);
    expect_interrupted(in_sigsuspend, SA_RESTART);
    expect_interrupted(in_sigtimedwait, SA_RESTART);
}

CHECK(signal, no_restart_limited_sockets, "so do sockets with SO_RCVTIMEO and SO_SNDTIMEO")
{
    const struct timeval limit = {.tv_sec = HANG_MS / 1000};
    make_pair(SOCK_STREAM);
    OK(setsockopt(ends.r, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    expect_interrupted(receives, SA_RESTART);
    OK(setsockopt(ends.w, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit));
    while (send(ends.w, "0123456789", 10, MSG_DONTWAIT) > 0)
        ;
    expect_interrupted(sends, SA_RESTART);
    fd = new_listener(4);
    OK(fcntl(fd, F_SETFL, 0));
    OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    expect_interrupted(accepts, SA_RESTART);
}

// --- stopping ---------------------------------------------------------------------------------

static long named(const char *name)
{
    static const struct {
        const char *name;
        long (*call)(void);
    } calls[] = {
        {"epoll_wait", in_epoll_wait}, {"sigtimedwait", in_sigtimedwait}, {"recv", receives},
        {"read", reads},               {"pause", in_pause},               {"poll", in_poll},
        {"select", in_select},         {"futex", in_futex_limited},       {"sigsuspend", in_sigsuspend},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(calls[i].name, name) == 0)
            return calls[i].call();
    return -2;
}

static const struct timeval LIMIT = {.tv_sec = HANG_MS / 1000};

// Makes a call on the descriptor that it is given. Status: 0, or the errno.
ROLE(waits_in)
{
    fd = ends.r = atoi(arguments[1]);
    sigemptyset(&none);
    if (strcmp(arguments[0], "recv") == 0)
        OK(setsockopt(ends.r, SOL_SOCKET, SO_RCVTIMEO, &LIMIT, sizeof LIMIT));
    return named(arguments[0]) < 0 ? errno : 0;
}

static pid_t waiting_child(const char *call, int on)
{
    char number[16];
    snprintf(number, sizeof number, "%d", on);
    return child("waits_in", call, number, NULL);
}

// Stops and continues a child that blocks: whether it has ended instead, with *status.
static int is_over_after_stop(pid_t pid, int *status)
{
    await_blocked(pid, pid);
    OK(kill(pid, SIGSTOP));
    EXPECT_EQ(waitpid(pid, status, WUNTRACED), pid);
    if (!WIFSTOPPED(*status))
        return 1;
    OK(kill(pid, SIGCONT));
    return 0;
}

static void ended_by_stop(const char *call, int on)
{
    int status;
    const pid_t pid = waiting_child(call, on);
    while (!is_over_after_stop(pid, &status))
        ;
    EXPECT(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), EINTR);
}

// The child makes one for itself: ours cannot be passed on.
ROLE(waits_in_epoll)
{
    fd = new_epoll();
    return in_epoll_wait() < 0 ? errno : 0;
}

CHECK(signal, stop_ends_waits, "SIGSTOP and SIGCONT end epoll_wait, sigtimedwait and a recv with a time limit: EINTR")
{
    int status;
    const pid_t pid = child("waits_in_epoll", NULL);
    while (!is_over_after_stop(pid, &status))
        ;
    EXPECT_EQ(WEXITSTATUS(status), EINTR);
    ended_by_stop("sigtimedwait", 0);
    make_pair(SOCK_STREAM);
    ended_by_stop("recv", ends.r);
}

CHECK(signal, stop_lets_go_on, "SIGSTOP and SIGCONT do not end read, poll, select, pause, sigsuspend and futex")
{
    static const char *const calls[] = {"poll", "select", "pause", "sigsuspend", "futex"};
    int status;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const pid_t pid = waiting_child(calls[i], 0);
        for (int round = 0; round < ROUNDS; round++)
            EXPECT_EQ(is_over_after_stop(pid, &status), 0);
        OK(kill(pid, SIGKILL));
        EXPECT_EQ(ending(pid), 1000 + SIGKILL);
    }
    ends = new_pipe(0);
    const pid_t pid = waiting_child("read", ends.r);
    for (int round = 0; round < ROUNDS; round++)
        EXPECT_EQ(is_over_after_stop(pid, &status), 0);
    put(ends.w, "x");
    EXPECT_EQ(ending(pid), 0);
}
