// SPDX-License-Identifier: BSD-2-Clause
// select and pselect.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/select.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "helpers.h"

static fd_set set_of(int a, int b)
{
    fd_set set;
    FD_ZERO(&set);
    if (a >= 0)
        FD_SET(a, &set);
    if (b >= 0)
        FD_SET(b, &set);
    return set;
}

// select with no time to wait, over all descriptors below 100.
static int select_now(fd_set *in, fd_set *out, fd_set *except)
{
    struct timeval zero = {0};
    return select(100, in, out, except, &zero);
}

CHECK(select, keeps_ready_only, "select leaves the bits that are ready and clears the others")
{
    const int a = new_eventfd(1), b = new_eventfd(0);
    fd_set in = set_of(a, b);
    EXPECT_EQ(select_now(&in, NULL, NULL), 1);
    EXPECT(FD_ISSET(a, &in));
    EXPECT(!FD_ISSET(b, &in));
}

CHECK(select, counts_bits, "a descriptor that is ready in two sets counts twice")
{
    const int fd = new_eventfd(1);
    fd_set in = set_of(fd, -1), out = in, except = in;
    EXPECT_EQ(select_now(&in, &out, &except), 2);
    EXPECT(FD_ISSET(fd, &in));
    EXPECT(FD_ISSET(fd, &out));
    EXPECT(!FD_ISSET(fd, &except));
}

CHECK(select, only_what_is_set, "a descriptor that is in no set is not reported")
{
    const int a = new_eventfd(1), b = new_eventfd(1);
    fd_set in = set_of(a, -1), out = set_of(b, -1);
    EXPECT_EQ(select_now(&in, &out, NULL), 2);
    EXPECT(!FD_ISSET(b, &in));
    EXPECT(!FD_ISSET(a, &out));
}

CHECK(select, below_nfds, "descriptors from nfds on are not looked at")
{
    const int a = new_eventfd(0), b = new_eventfd(1);
    struct timeval zero = {0};
    fd_set in = set_of(a, b);
    EXPECT_EQ(select(b, &in, NULL, NULL, &zero), 0);
    EXPECT(!FD_ISSET(a, &in));
}

CHECK(select, closed, "a closed descriptor in a set is EBADF")
{
    fd_set in = set_of(new_eventfd(1), 90);
    EXPECT_ERRNO(select_now(&in, NULL, NULL), EBADF);
    fd_set except = set_of(90, -1);
    EXPECT_ERRNO(select_now(NULL, NULL, &except), EBADF);
}

CHECK(select, bad_arguments, "a negative count or time is EINVAL")
{
    struct timeval zero = {0}, negative = {.tv_sec = -1};
    fd_set in = set_of(new_eventfd(1), -1);
    EXPECT_ERRNO(select(-1, &in, NULL, NULL, &zero), EINVAL);
    EXPECT_ERRNO(select(100, &in, NULL, NULL, &negative), EINVAL);
}

CHECK(select, high_descriptor, "descriptors beyond the first words of a set work")
{
    const int low = new_eventfd(0), high = OK(fcntl(new_eventfd(1), F_DUPFD, 700));
    struct timeval zero = {0};
    fd_set in = set_of(low, high);
    EXPECT_EQ(select(high + 1, &in, NULL, NULL, &zero), 1);
    EXPECT(FD_ISSET(high, &in));
    EXPECT(!FD_ISSET(low, &in));
    OK(close(high));
}

CHECK(select, end_of_file, "end of file is readable")
{
    const struct ends p = new_pipe(0);
    OK(close(p.w));
    fd_set in = set_of(p.r, -1);
    EXPECT_EQ(select_now(&in, NULL, NULL), 1);
}

CHECK(select, broken_pipe, "a pipe whose reader is gone is writable")
{
    const struct ends p = new_pipe(O_NONBLOCK);
    fill(p.w);
    fd_set out = set_of(p.w, -1);
    EXPECT_EQ(select_now(NULL, &out, NULL), 0);
    OK(close(p.r));
    out = set_of(p.w, -1);
    EXPECT_EQ(select_now(NULL, &out, NULL), 1);
}

CHECK(select, regular_file, "a regular file is always readable and writable")
{
    const int fd = OK(open(options.data, O_RDONLY));
    fd_set in = set_of(fd, -1), out = in;
    EXPECT_EQ(select_now(&in, &out, NULL), 2);
}

CHECK(select, timeout_not_early, "a timeout is never early, and clears the sets")
{
    const int fd = new_eventfd(0);
    for (int ms = 1; ms <= 25; ms += 8) {
        fd_set in = set_of(fd, -1);
        struct timeval span = {.tv_usec = ms * 1000};
        const int64_t start = now_ns();
        EXPECT_EQ(select(fd + 1, &in, NULL, NULL, &span), 0);
        EXPECT_AT_LEAST(now_ns() - start, MS(ms));
        EXPECT(!FD_ISSET(fd, &in));
    }
}

CHECK(select, as_sleep, "select without sets sleeps")
{
    struct timeval span = {.tv_usec = 10000};
    const int64_t start = now_ns();
    EXPECT_EQ(select(0, NULL, NULL, NULL, &span), 0);
    EXPECT_AT_LEAST(now_ns() - start, MS(10));
}

CHECK(select, no_timeout, "a wait without timeout ends when something comes")
{
    const int timer = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    const struct itimerspec in_20_ms = {.it_value.tv_nsec = MS(20)};
    fd_set in = set_of(timer, -1);
    const int64_t start = now_ns();
    OK(timerfd_settime(timer, 0, &in_20_ms, NULL));
    EXPECT_EQ(select(timer + 1, &in, NULL, NULL, NULL), 1);
    EXPECT_AT_LEAST(now_ns() - start, MS(20));
    EXPECT(FD_ISSET(timer, &in));
}

CHECK(select, pselect_timeout, "pselect takes nanoseconds, is never early, keeps its timeout")
{
    const int fd = new_eventfd(0);
    fd_set in = set_of(fd, -1);
    const struct timespec span = timespec_of(MS(5) + 1), bad = {.tv_nsec = -1};
    const int64_t start = now_ns();
    EXPECT_EQ(pselect(fd + 1, &in, NULL, NULL, &span, NULL), 0);
    EXPECT_AT_LEAST(now_ns() - start, MS(5) + 1);
    EXPECT_EQ(span.tv_nsec, MS(5) + 1);
    EXPECT_ERRNO(pselect(fd + 1, &in, NULL, NULL, &bad, NULL), EINVAL);
}
