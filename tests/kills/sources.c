// SPDX-License-Identifier: BSD-2-Clause
// Steps with pipes, eventfds, timers and what waits for them.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "victim.h"

static char bytes[70000];

static void read_some(int fd)
{
    if (read(fd, bytes, 1 + chance(sizeof bytes)) < 0)
        return;
}

static void write_some(int fd)
{
    if (write(fd, bytes, 1 + chance(sizeof bytes)) < 0)
        return;
}

void step_pipe(void)
{
    int p[2];
    if (chance(3) == 0) {
        const int fd = kept();
        if (chance(2))
            fcntl(fd, F_SETFL, O_NONBLOCK);
        if (chance(2))
            read_some(fd);
        else
            write_some(fd);
        return;
    }
    static const int flags[] = {0, O_CLOEXEC, O_DIRECT, 0};
    if (pipe2(p, flags[chance(4)] | O_NONBLOCK))
        return;
    write_some(p[1]);
    read_some(p[0]);
    keep(p[0]);
    keep(p[1]);
}

void step_events(void)
{
    const int fd = eventfd(chance(3), chance(2) ? EFD_NONBLOCK : EFD_NONBLOCK | EFD_SEMAPHORE);
    uint64_t value = 1 + chance(5);
    if (write(fd, &value, 8) == 8 && chance(2) && read(fd, &value, 8) != 8)
        return;
    keep(fd);
}

static void use_epoll(int ep)
{
    static const uint32_t modes[] = {0, EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE};
    for (int i = chance(6); i > 0; i--) {
        struct epoll_event event = {EPOLLIN | (chance(2) ? EPOLLOUT : 0), {.u64 = chance(99)}};
        const int fd = kept();
        switch (chance(4)) {
        case 0: epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL); break;
        case 1: epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event); break;
        default:
            event.events |= modes[chance(4)];
            epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
        }
    }
    struct epoll_event events[8];
    epoll_wait(ep, events, 8, chance(3) - 1);
}

void step_epoll(void)
{
    struct pollfd fds[8];
    fd_set set;
    struct timeval soon = {0, chance(500)};
    switch (chance(4)) {
    case 0: {
        const int ep = epoll_create1(0);
        use_epoll(ep);
        keep(ep);
        break;
    }
    case 1:
        use_epoll(kept());
        break;
    case 2:
        for (int i = 0; i < 8; i++)
            fds[i] = (struct pollfd){kept(), chance(2) ? POLLIN : POLLIN | POLLOUT, 0};
        poll(fds, 8, chance(3) - 1);
        break;
    default:
        FD_ZERO(&set);
        for (int i = 0; i < 4; i++) {
            const int fd = kept();
            if (fd >= 0)
                FD_SET(fd, &set);
        }
        select(FD_SETSIZE, &set, NULL, NULL, &soon);
    }
}

void step_timers(void)
{
    const struct itimerspec often = {{0, 100000 + chance(1000000)}, {0, 1 + chance(1000000)}};
    const struct timespec nap = {0, chance(100000)};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    sigset_t set;
    timer_t timer;
    switch (chance(4)) {
    case 0: {
        const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
        timerfd_settime(fd, 0, &often, NULL);
        keep(fd);
        break;
    }
    case 1:
        if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0) {
            timer_settime(timer, 0, &often, NULL);
            nanosleep(&nap, NULL);
            timer_delete(timer);
        }
        break;
    case 2:
        sigemptyset(&set);
        sigaddset(&set, SIGUSR2);
        keep(signalfd(-1, &set, SFD_NONBLOCK));
        break;
    default:
        nanosleep(&nap, NULL);
    }
}
