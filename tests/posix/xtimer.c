// SPDX-License-Identifier: BSD-2-Clause
// timerfds that several processes have.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "process.h"
#include "unix.h"

static int set(int fd, int64_t first, int64_t interval)
{
    const struct itimerspec spec = {.it_value = timespec_of(first), .it_interval = timespec_of(interval)};
    return timerfd_settime(fd, 0, &spec, NULL);
}

static uint64_t count_of(int fd)
{
    uint64_t count = 0;
    return read(fd, &count, sizeof count) == sizeof count ? count : 0;
}

CHECK(xtimer, one_reads, "an expiration is read by one of the processes that have the timer")
{
    const int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    OK(set(fd, MS(5), 0));
    const pid_t pid = fork();
    if (pid == 0) {
        struct pollfd p = {fd, POLLIN, 0};
        _exit(poll(&p, 1, HANG_MS) == 1 && count_of(fd) == 1 ? 0 : 1);
    }
    EXPECT_EQ(ending(note_child(OK(pid))), 0);
    uint64_t count;
    EXPECT_ERRNO(read(fd, &count, 8), EAGAIN);
    EXPECT_EQ(ready_now(fd, POLLIN), 0);
}

CHECK(xtimer, set_elsewhere, "who waits for a disarmed timer wakes when another process has set it and it expires")
{
    const int fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
    struct ends go = new_pipe(0);
    const pid_t pid = fork();
    if (pid == 0) {
        if (write(go.w, "w", 1) != 1)
            _exit(1);
        // Blocks: nobody has set it, or somebody just has.
        _exit(count_of(fd) == 1 ? 0 : 2);
    }
    note_child(OK(pid));
    char byte;
    get(go.r, &byte, 1);
    OK(set(fd, MS(10), 0));
    EXPECT_EQ(ending(pid), 0);
}

CHECK(xtimer, earlier, "who waits for a late deadline wakes at the earlier one that another process sets")
{
    const int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    OK(set(fd, MS(1000000), 0));
    const pid_t pid = fork();
    if (pid == 0) {
        set(fd, MS(5), MS(1000000));
        for (;;)
            pause();
    }
    note_child(OK(pid));
    const int ep = new_epoll();
    add(ep, fd, EPOLLIN);
    EXPECT_EVENT(ep, fd, EPOLLIN);
    struct itimerspec now;
    OK(timerfd_gettime(fd, &now));
    EXPECT_EQ(now.it_interval.tv_sec, 1000);
    EXPECT_EQ(count_of(fd), 1);
    OK(kill(pid, SIGKILL));
    EXPECT_EQ(ending(pid), 1000 + SIGKILL);
    // The timer is not its setter's.
    OK(timerfd_gettime(fd, &now));
    EXPECT(now.it_value.tv_sec > 0);
}

CHECK(xtimer, disarmed_elsewhere, "what another process disarms expires no more")
{
    const int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    OK(set(fd, MS(1), MS(1)));
    EXPECT_EQ(await(fd, POLLIN), POLLIN);
    const pid_t pid = fork();
    if (pid == 0)
        _exit(set(fd, 0, 0) != 0);
    EXPECT_EQ(ending(note_child(OK(pid))), 0);
    EXPECT_EQ(ready_now(fd, POLLIN), 0);
    struct itimerspec now;
    OK(timerfd_gettime(fd, &now));
    EXPECT_EQ(now.it_value.tv_sec + now.it_value.tv_nsec, 0);
}

CHECK(xtimer, periods, "each period of a timer that two processes read is read by one of them")
{
    const int fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
    struct ends back = new_pipe(0);
    const int64_t start = now_ns();
    OK(set(fd, MS(2), MS(2)));
    const pid_t pid = fork();
    if (pid == 0) {
        uint64_t sum = 0;
        for (int i = 0; i < 10; i++)
            sum += count_of(fd);
        _exit(write(back.w, &sum, sizeof sum) != sizeof sum);
    }
    note_child(OK(pid));
    uint64_t sum = 0, theirs = 0;
    for (int i = 0; i < 10; i++) {
        const uint64_t count = count_of(fd);
        EXPECT(count > 0);
        sum += count;
    }
    get(back.r, &theirs, sizeof theirs);
    const int64_t end = now_ns();
    EXPECT_AT_LEAST(theirs, 10);
    // No period is counted twice.
    EXPECT_AT_LEAST((end - start) / MS(2), sum + theirs);
    EXPECT_EQ(ending(pid), 0);
}

CHECK(xtimer, edges, "an expiration is one edge, in each process that watches")
{
    const int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    const pid_t pid = fork();
    if (pid == 0) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLET};
        const int ep = epoll_create1(0);
        if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) != 0)
            _exit(1);
        if (epoll_wait(ep, &event, 1, HANG_MS) != 1 || event.events != EPOLLIN)
            _exit(2);
        _exit(epoll_wait(ep, &event, 1, 0) == 0 ? 0 : 3);
    }
    note_child(OK(pid));
    const int ep = new_epoll();
    add(ep, fd, EPOLLIN | EPOLLET);
    OK(set(fd, MS(5), 0));
    EXPECT_EVENT(ep, fd, EPOLLIN);
    EXPECT_IDLE(ep);
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EQ(count_of(fd), 1);
}

ROLE(reads_timer)
{
    return count_of(atoi(arguments[0]));
}

CHECK(xtimer, programs, "a timer goes to programs that are started, and by exec; with TFD_CLOEXEC it does not")
{
    const int fd = OK(timerfd_create(CLOCK_REALTIME, 0));
    char number[12];
    snprintf(number, sizeof number, "%d", fd);
    OK(set(fd, MS(5), 0));
    EXPECT_EQ(ending(child("reads_timer", number, NULL)), 1);
    OK(set(fd, MS(5), 0));
    const pid_t pid = fork();
    if (pid == 0) {
        execl(options.self, "x", "--child", "reads_timer", number, (char *)NULL);
        _exit(99);
    }
    EXPECT_EQ(ending(note_child(OK(pid))), 1);
    OK(fcntl(fd, F_SETFD, FD_CLOEXEC));
    OK(set(fd, MS(5), 0));
    EXPECT_EQ(ending(child("reads_timer", number, NULL)), 0);
    EXPECT_EQ(count_of(fd), 1);
}

CHECK(xtimer, by_message, "a timer goes by a message, and is the same one there")
{
    int s[2], got;
    unix_pair(s, SOCK_STREAM, false);
    const int fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
    EXPECT_EQ(send_fds(s[0], &fd, 1), 1);
    EXPECT_EQ(receive_fds(s[1], &got, 1, 0, NULL), 1);
    OK(set(got, MS(5), MS(1000000)));
    EXPECT_EQ(count_of(fd), 1);
    struct itimerspec now;
    OK(timerfd_gettime(fd, &now));
    EXPECT_EQ(now.it_interval.tv_sec, 1000);
}
