// SPDX-License-Identifier: BSD-2-Clause
// poll and ppoll.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "helpers.h"

CHECK(poll, counts, "poll returns how many entries have events, not how many events")
{
    const struct ends p = new_pipe(0);
    const int both = new_eventfd(1);
    put(p.w, "a");
    struct pollfd set[3] = {
        {.fd = p.r, .events = POLLIN},
        {.fd = new_eventfd(0), .events = POLLIN},
        {.fd = both, .events = POLLIN | POLLOUT},
    };
    EXPECT_EQ(poll(set, 3, 0), 2);
    EXPECT_EQ(set[0].revents, POLLIN);
    EXPECT_EQ(set[1].revents, 0);
    EXPECT_EQ(set[2].revents, POLLIN | POLLOUT);
}

CHECK(poll, writes_revents_only, "poll writes every revents, and nothing else")
{
    struct pollfd set[2] = {
        {.fd = new_eventfd(0), .events = POLLIN, .revents = 0x7fff},
        {.fd = new_eventfd(1), .events = POLLIN, .revents = 0x7fff},
    };
    struct pollfd before[2];
    memcpy(before, set, sizeof set);
    EXPECT_EQ(poll(set, 2, 0), 1);
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(set[i].fd, before[i].fd);
        EXPECT_EQ(set[i].events, before[i].events);
        EXPECT_EQ(set[i].revents, i ? POLLIN : 0);
    }
}

CHECK(poll, negative_is_skipped, "an entry with a negative descriptor is skipped, its revents zero")
{
    struct pollfd set[3] = {
        {.fd = -1, .events = POLLIN, .revents = 0x7fff},
        {.fd = new_eventfd(1), .events = POLLIN},
        {.fd = -100, .events = POLLIN, .revents = 0x7fff},
    };
    EXPECT_EQ(poll(set, 3, 0), 1);
    EXPECT_EQ(set[0].revents, 0);
    EXPECT_EQ(set[1].revents, POLLIN);
    EXPECT_EQ(set[2].revents, 0);
}

CHECK(poll, closed_is_nval, "a closed descriptor is NVAL and counts; the call does not fail")
{
    struct pollfd set[2] = {
        {.fd = 100, .events = POLLIN},
        {.fd = new_eventfd(0), .events = POLLIN},
    };
    EXPECT_EQ(poll(set, 2, -1), 1);
    EXPECT_EQ(set[0].revents, POLLNVAL);
    EXPECT_EQ(set[1].revents, 0);
}

CHECK(poll, nval_unasked, "NVAL is reported with no events asked")
{
    struct pollfd one = {.fd = 100, .events = 0};
    EXPECT_EQ(poll(&one, 1, 0), 1);
    EXPECT_EQ(one.revents, POLLNVAL);
}

CHECK(poll, duplicates, "one descriptor in several entries is reported in each, as it asks")
{
    const int fd = new_eventfd(1);
    struct pollfd set[3] = {
        {.fd = fd, .events = POLLIN},
        {.fd = fd, .events = POLLOUT},
        {.fd = fd, .events = POLLPRI},
    };
    EXPECT_EQ(poll(set, 3, 0), 2);
    EXPECT_EQ(set[0].revents, POLLIN);
    EXPECT_EQ(set[1].revents, POLLOUT);
    EXPECT_EQ(set[2].revents, 0);
}

CHECK(poll, duplicates_wait, "one descriptor in several entries ends a wait in all of them")
{
    const int timer = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    const struct itimerspec soon = {.it_value.tv_nsec = MS(5)};
    struct pollfd set[2] = {{.fd = timer, .events = POLLIN}, {.fd = timer, .events = POLLIN}};
    OK(timerfd_settime(timer, 0, &soon, NULL));
    EXPECT_EQ(poll(set, 2, HANG_MS), 2);
    EXPECT_EQ(set[0].revents, POLLIN);
    EXPECT_EQ(set[1].revents, POLLIN);
}

CHECK(poll, hang_up_unasked, "HUP is reported unasked, without IN when nothing is left to read")
{
    const struct ends p = new_pipe(0);
    put(p.w, "a");
    OK(close(p.w));
    EXPECT_EQ(ready_now(p.r, 0), POLLHUP);
    EXPECT_EQ(ready_now(p.r, POLLIN), POLLIN | POLLHUP);
    drain(p.r);
    EXPECT_EQ(ready_now(p.r, POLLIN), POLLHUP);
}

CHECK(poll, error_unasked, "ERR is reported unasked to a writer whose reader is gone")
{
    const struct ends p = new_pipe(0);
    OK(close(p.r));
    EXPECT_EQ(ready_now(p.w, 0), POLLERR);
    EXPECT_EQ(ready_now(p.w, POLLOUT), POLLOUT | POLLERR);
}

CHECK(poll, ends_of_a_pipe, "the ends of a pipe: never IN at the writer, never OUT at the reader")
{
    const struct ends p = new_pipe(0);
    EXPECT_EQ(ready_now(p.r, POLLIN | POLLOUT), 0);
    EXPECT_EQ(ready_now(p.w, POLLIN | POLLOUT), POLLOUT);
    put(p.w, "a");
    EXPECT_EQ(ready_now(p.r, POLLIN | POLLOUT), POLLIN);
    EXPECT_EQ(ready_now(p.w, POLLIN | POLLOUT), POLLOUT);
}

CHECK(poll, normal_data, "RDNORM and WRNORM are reported beside IN and OUT when asked")
{
    const struct ends p = new_pipe(0);
    put(p.w, "a");
    EXPECT_EQ(ready_now(p.r, POLLRDNORM), POLLRDNORM);
    EXPECT_EQ(ready_now(p.r, POLLIN | POLLRDNORM), POLLIN | POLLRDNORM);
    EXPECT_EQ(ready_now(p.w, POLLWRNORM), POLLWRNORM);
}

CHECK(poll, regular_file, "a regular file is always readable and writable")
{
    const int fd = OK(open(options.data, O_RDONLY));
    EXPECT_EQ(ready_now(fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
    OK(lseek(fd, 0, SEEK_END));
    EXPECT_EQ(ready_now(fd, POLLIN), POLLIN);
}

CHECK(poll, timeout_not_early, "a timeout is never early")
{
    struct pollfd one = {.fd = new_eventfd(0), .events = POLLIN};
    for (int ms = 1; ms <= 25; ms += 8) {
        const int64_t start = now_ns();
        EXPECT_EQ(poll(&one, 1, ms), 0);
        EXPECT_AT_LEAST(now_ns() - start, MS(ms));
        EXPECT_EQ(one.revents, 0);
    }
}

CHECK(poll, no_entries, "poll without entries waits for its timeout")
{
    const int64_t start = now_ns();
    EXPECT_EQ(poll(NULL, 0, 10), 0);
    EXPECT_AT_LEAST(now_ns() - start, MS(10));
}

CHECK(poll, no_timeout, "a wait without timeout ends when something comes")
{
    const int timer = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    const struct itimerspec in_20_ms = {.it_value.tv_nsec = MS(20)};
    struct pollfd one = {.fd = timer, .events = POLLIN};
    const int64_t start = now_ns();
    OK(timerfd_settime(timer, 0, &in_20_ms, NULL));
    EXPECT_EQ(poll(&one, 1, -1), 1);
    EXPECT_AT_LEAST(now_ns() - start, MS(20));
}

CHECK(poll, again_and_again, "waiting on the same entries many times sees every change")
{
    const struct ends a = new_pipe(0), b = new_pipe(0);
    struct pollfd set[2] = {{.fd = a.r, .events = POLLIN}, {.fd = b.r, .events = POLLIN}};
    for (int i = 0; i < 200; i++) {
        const int first = i % 3 == 0;
        put(first ? a.w : b.w, "a");
        EXPECT_EQ(poll(set, 2, HANG_MS), 1);
        EXPECT_EQ(set[0].revents, first ? POLLIN : 0);
        EXPECT_EQ(set[1].revents, first ? 0 : POLLIN);
        EXPECT_EQ(drain(first ? a.r : b.r), 1);
    }
}

CHECK(poll, reused_number, "a descriptor number used again is waited on as the new source")
{
    const struct itimerspec soon = {.it_value.tv_nsec = MS(2)}, never = {.it_value.tv_sec = 1000};
    const int old = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    OK(timerfd_settime(old, 0, &never, NULL));
    struct pollfd one = {.fd = old, .events = POLLIN};
    EXPECT_EQ(poll(&one, 1, 1), 0);
    OK(close(old));
    EXPECT_EQ(OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)), old);
    OK(timerfd_settime(old, 0, &soon, NULL));
    EXPECT_EQ(poll(&one, 1, HANG_MS), 1);
}

CHECK(poll, many, "three hundred descriptors in one call")
{
    enum { COUNT = 300 };
    static struct pollfd set[COUNT];
    for (int i = 0; i < COUNT; i++)
        set[i] = (struct pollfd){.fd = new_eventfd(i % 10 == 3), .events = POLLIN};
    EXPECT_EQ(poll(set, COUNT, 0), COUNT / 10);
    for (int i = 0; i < COUNT; i++)
        EXPECT_EQ(set[i].revents, i % 10 == 3 ? POLLIN : 0);
}

CHECK(poll, too_many, "more entries than descriptors are allowed is EINVAL")
{
    struct pollfd one = {.fd = -1};
    volatile nfds_t huge = 1u << 30;
    EXPECT_ERRNO(poll(&one, huge, 0), EINVAL);
}

CHECK(poll, ppoll_timeout, "ppoll takes nanoseconds, is never early and leaves its timeout alone")
{
    struct pollfd one = {.fd = new_eventfd(0), .events = POLLIN};
    struct timespec span = timespec_of(MS(5) + 1);
    const int64_t start = now_ns();
    EXPECT_EQ(ppoll(&one, 1, &span, NULL), 0);
    EXPECT_AT_LEAST(now_ns() - start, MS(5) + 1);
    EXPECT_EQ(span.tv_nsec, MS(5) + 1);
}

CHECK(poll, ppoll_bad_timeout, "ppoll refuses a timeout that is no time (EINVAL)")
{
    struct pollfd one = {.fd = new_eventfd(1), .events = POLLIN};
    const struct timespec negative = {.tv_sec = -1}, large = {.tv_nsec = 1000000000};
    EXPECT_ERRNO(ppoll(&one, 1, &negative, NULL), EINVAL);
    EXPECT_ERRNO(ppoll(&one, 1, &large, NULL), EINVAL);
    EXPECT_EQ(ppoll(&one, 1, NULL, NULL), 1);
}
