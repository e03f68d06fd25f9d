// SPDX-License-Identifier: BSD-2-Clause
// timerfd. Times are lower bounds: a timer may be late, never early.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "helpers.h"

static int new_timer(void)
{
    return OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
}

static void set(int fd, int64_t value, int64_t interval)
{
    const struct itimerspec spec = {timespec_of(interval), timespec_of(value)};
    OK(timerfd_settime(fd, 0, &spec, NULL));
}

// The count of expirations, 0 if none came since the last read.
static uint64_t expirations(int fd)
{
    uint64_t count = 77;
    const ssize_t n = read(fd, &count, sizeof count);
    if (n == -1) {
        EXPECT(errno == EAGAIN);
        return 0;
    }
    EXPECT_EQ(n, 8);
    return count;
}

// Waits until so much monotonic time has passed since `start`, without reading the timer.
static void wait_since(int64_t start, int64_t ns)
{
    for (int64_t left = start + ns - now_ns(); left > 0; left = start + ns - now_ns())
        OK(poll(NULL, 0, (int)(left / MS(1)) + 1));
}

CHECK(timerfd, arguments, "unknown clocks and flags are EINVAL")
{
    EXPECT_ERRNO(timerfd_create(99, 0), EINVAL);
    EXPECT_ERRNO(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
    const int fd = OK(timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
}

CHECK(timerfd, bad_times, "nanoseconds outside of a second are EINVAL")
{
    const int fd = new_timer();
    const struct itimerspec large = {.it_value.tv_nsec = 1000000000},
                            negative = {.it_value.tv_nsec = -1},
                            interval = {.it_value.tv_sec = 1, .it_interval.tv_nsec = 1000000000};
    EXPECT_ERRNO(timerfd_settime(fd, 0, &large, NULL), EINVAL);
    EXPECT_ERRNO(timerfd_settime(fd, 0, &negative, NULL), EINVAL);
    EXPECT_ERRNO(timerfd_settime(fd, 0, &interval, NULL), EINVAL);
}

CHECK(timerfd, not_a_timer, "setting or asking another kind of file is EINVAL, a closed one EBADF")
{
    const int other = new_eventfd(0);
    struct itimerspec spec = {0};
    EXPECT_ERRNO(timerfd_settime(other, 0, &spec, NULL), EINVAL);
    EXPECT_ERRNO(timerfd_gettime(other, &spec), EINVAL);
    EXPECT_ERRNO(timerfd_settime(100, 0, &spec, NULL), EBADF);
    EXPECT_ERRNO(timerfd_gettime(100, &spec), EBADF);
}

CHECK(timerfd, not_armed, "a timer that was not set never expires and reads EAGAIN")
{
    const int fd = new_timer();
    EXPECT_EQ(ready_now(fd, POLLIN | POLLOUT), 0);
    EXPECT_EQ(expirations(fd), 0);
    struct itimerspec spec = {.it_value.tv_sec = 7};
    OK(timerfd_gettime(fd, &spec));
    EXPECT_EQ(spec.it_value.tv_sec + spec.it_value.tv_nsec, 0);
}

CHECK(timerfd, one_expiration, "a timer expires once, not early, and reads 1 and then EAGAIN")
{
    const int fd = new_timer();
    const int64_t start = now_ns();
    set(fd, MS(20), 0);
    EXPECT_EQ(await(fd, POLLIN), POLLIN);
    EXPECT_AT_LEAST(now_ns() - start, MS(20));
    EXPECT_EQ(expirations(fd), 1);
    EXPECT_EQ(expirations(fd), 0);
    EXPECT_EQ(ready_now(fd, POLLIN), 0);
}

CHECK(timerfd, blocking_read, "a blocking read waits for the expiration")
{
    const int fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
    const int64_t start = now_ns();
    set(fd, MS(10), 0);
    EXPECT_EQ(expirations(fd), 1);
    EXPECT_AT_LEAST(now_ns() - start, MS(10));
}

CHECK(timerfd, interval, "an interval timer goes on, each expiration in its time")
{
    const int fd = new_timer();
    const int64_t start = now_ns();
    set(fd, MS(10), MS(5));
    uint64_t count = 0;
    while (count < 4) {
        await(fd, POLLIN);
        const uint64_t more = expirations(fd);
        EXPECT_AT_LEAST(more, 1);
        count += more;
        EXPECT_AT_LEAST(now_ns() - start, MS(10) + (int64_t)(count - 1) * MS(5));
    }
}

CHECK(timerfd, missed_expirations, "a read counts all expirations since the last")
{
    const int fd = new_timer();
    const int64_t start = now_ns();
    set(fd, MS(5), MS(5));
    wait_since(start, MS(32));
    EXPECT_AT_LEAST(expirations(fd), 6);
    EXPECT_AT_LEAST((now_ns() - start) / MS(5), 6);
}

CHECK(timerfd, small_buffer, "a read of fewer than 8 bytes is EINVAL and takes nothing")
{
    const int fd = new_timer();
    uint64_t value;
    set(fd, MS(1), 0);
    await(fd, POLLIN);
    EXPECT_ERRNO(read(fd, &value, 7), EINVAL);
    EXPECT_EQ(expirations(fd), 1);
}

CHECK(timerfd, no_writing, "a timer cannot be written (EINVAL)")
{
    const uint64_t one = 1;
    EXPECT_ERRNO(write(new_timer(), &one, 8), EINVAL);
}

CHECK(timerfd, remaining, "gettime gives what remains, and the interval")
{
    const int fd = new_timer();
    set(fd, 100 * MS(1000), MS(250));
    struct itimerspec spec;
    OK(timerfd_gettime(fd, &spec));
    const int64_t left = (int64_t)spec.it_value.tv_sec * MS(1000) + spec.it_value.tv_nsec;
    EXPECT_AT_LEAST(left, 1);
    EXPECT_AT_LEAST(100 * MS(1000), left);
    EXPECT_AT_LEAST(left, 10 * MS(1000));
    EXPECT_EQ(spec.it_interval.tv_sec, 0);
    EXPECT_EQ(spec.it_interval.tv_nsec, MS(250));
}

CHECK(timerfd, nothing_remains, "gettime of an expired one-shot timer is zero")
{
    const int fd = new_timer();
    set(fd, MS(1), 0);
    await(fd, POLLIN);
    struct itimerspec spec = {.it_value.tv_sec = 7};
    OK(timerfd_gettime(fd, &spec));
    EXPECT_EQ(spec.it_value.tv_sec + spec.it_value.tv_nsec, 0);
    EXPECT_EQ(expirations(fd), 1);
}

CHECK(timerfd, old_setting, "settime gives the setting it replaces")
{
    const int fd = new_timer();
    const struct itimerspec off = {0};
    struct itimerspec old;
    set(fd, 100 * MS(1000), MS(3));
    OK(timerfd_settime(fd, 0, &off, &old));
    EXPECT_AT_LEAST(old.it_value.tv_sec, 10);
    EXPECT_EQ(old.it_interval.tv_nsec, MS(3));
    OK(timerfd_settime(fd, 0, &off, &old));
    EXPECT_EQ(old.it_value.tv_sec + old.it_value.tv_nsec, 0);
}

CHECK(timerfd, disarm, "a zero value disarms, and forgets what expired")
{
    const int fd = new_timer();
    set(fd, MS(1), 0);
    await(fd, POLLIN);
    set(fd, 0, 0);
    EXPECT_EQ(ready_now(fd, POLLIN), 0);
    EXPECT_EQ(expirations(fd), 0);
    set(fd, MS(2), 0);
    set(fd, 0, MS(1));
    wait_since(now_ns(), MS(8));
    EXPECT_EQ(expirations(fd), 0);
}

CHECK(timerfd, rearm, "setting again replaces the time and forgets what expired")
{
    const int fd = new_timer();
    set(fd, MS(1), 0);
    await(fd, POLLIN);
    const int64_t start = now_ns();
    set(fd, MS(15), 0);
    EXPECT_EQ(expirations(fd), 0);
    await(fd, POLLIN);
    EXPECT_AT_LEAST(now_ns() - start, MS(15));
    EXPECT_EQ(expirations(fd), 1);
}

CHECK(timerfd, rearm_earlier, "setting an earlier time while somebody watches takes effect")
{
    const int fd = new_timer(), ep = new_epoll();
    add(ep, fd, EPOLLIN);
    set(fd, 1000 * MS(1000), 0);
    EXPECT_IDLE(ep);
    set(fd, MS(5), 0);
    EXPECT_EVENT(ep, fd, EPOLLIN);
}

CHECK(timerfd, absolute, "an absolute time is met, not early; one in the past expires at once")
{
    const int fd = new_timer();
    const int64_t when = now_ns() + MS(15);
    struct itimerspec spec = {.it_value = timespec_of(when)};
    OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL));
    await(fd, POLLIN);
    EXPECT_AT_LEAST(now_ns(), when);
    EXPECT_EQ(expirations(fd), 1);
    spec.it_value = timespec_of(1);
    OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL));
    await(fd, POLLIN);
    EXPECT_EQ(expirations(fd), 1);
}

CHECK(timerfd, realtime, "a timer on CLOCK_REALTIME takes absolute times of that clock")
{
    const int fd = OK(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK));
    struct timespec now;
    OK(clock_gettime(CLOCK_REALTIME, &now));
    const int64_t when = (int64_t)now.tv_sec * MS(1000) + now.tv_nsec + MS(10);
    const struct itimerspec spec = {.it_value = timespec_of(when)};
    const int64_t start = now_ns();
    OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL));
    EXPECT_EQ(expirations(fd), 0);
    await(fd, POLLIN);
    EXPECT_EQ(expirations(fd), 1);
    EXPECT_AT_LEAST(now_ns() - start, MS(5));
}

CHECK(timerfd, order, "of several timers the earliest is reported first")
{
    const int late = new_timer(), soon = new_timer(), ep = new_epoll();
    add(ep, late, EPOLLIN | EPOLLET);
    add(ep, soon, EPOLLIN | EPOLLET);
    set(late, 1000 * MS(1000), 0);
    set(soon, MS(5), 0);
    EXPECT_EVENT(ep, soon, EPOLLIN);
    set(late, MS(5), 0);
    EXPECT_EVENT(ep, late, EPOLLIN);
}

CHECK(timerfd, edge_per_expiration, "each expiration that is read makes room for another edge")
{
    const int fd = new_timer(), ep = new_epoll();
    add(ep, fd, EPOLLIN | EPOLLET);
    set(fd, MS(2), MS(2));
    for (int i = 0; i < 3; i++) {
        EXPECT_EVENT(ep, fd, EPOLLIN);
        EXPECT_AT_LEAST(expirations(fd), 1);
    }
}
