// SPDX-License-Identifier: BSD-2-Clause
// Clocks and sleeping.
#define _GNU_SOURCE
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "helpers.h"

static int64_t read_clock(clockid_t clock)
{
    struct timespec t = {.tv_nsec = -1};
    OK(clock_gettime(clock, &t));
    EXPECT(t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

CHECK(clock, monotonic, "monotonic clocks never go back")
{
    const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME,
                                CLOCK_MONOTONIC_COARSE};
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        int64_t last = read_clock(clocks[i]);
        for (int j = 0; j < 1000; j++) {
            const int64_t now = read_clock(clocks[i]);
            EXPECT_AT_LEAST(now, last);
            last = now;
        }
    }
}

CHECK(clock, advances, "the monotonic clock advances by itself")
{
    const int64_t start = now_ns();
    for (int64_t now = start; now == start; now = now_ns())
        if (read_clock(CLOCK_REALTIME) == 0)
            break;
    EXPECT_AT_LEAST(now_ns(), start + 1);
}

CHECK(clock, realtime, "the time of day is after 2020 and the same by three calls")
{
    struct timeval tv;
    const int64_t first = read_clock(CLOCK_REALTIME) / 1000000000;
    OK(gettimeofday(&tv, NULL));
    const int64_t third = time(NULL);
    EXPECT_AT_LEAST(first, 1577836800);
    EXPECT_AT_LEAST(tv.tv_sec, first);
    EXPECT_AT_LEAST(first + HANG_MS / 1000, tv.tv_sec);
    EXPECT_AT_LEAST(third + 1, tv.tv_sec);
    EXPECT_AT_LEAST(first + HANG_MS / 1000, third);
    EXPECT(tv.tv_usec >= 0 && tv.tv_usec < 1000000);
}

CHECK(clock, resolution, "clock_getres gives something finer than 20 ms")
{
    struct timespec t = {0};
    OK(clock_getres(CLOCK_MONOTONIC, &t));
    EXPECT_EQ(t.tv_sec, 0);
    EXPECT(t.tv_nsec > 0 && t.tv_nsec <= MS(20));
}

CHECK(clock, processor_time, "the process's time never goes back and grows with work")
{
    const int64_t start = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    int64_t now = start;
    for (int i = 0; i < 100000000 && now == start; i++)
        now = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    EXPECT_AT_LEAST(now, start + 1);
}

CHECK(clock, unknown, "an unknown clock is EINVAL")
{
    struct timespec t;
    EXPECT_ERRNO(clock_gettime(99, &t), EINVAL);
    EXPECT_ERRNO(clock_getres(99, &t), EINVAL);
}

CHECK(clock, sleep_not_early, "nanosleep is never early")
{
    const int64_t spans[] = {1, 1000, MS(1), MS(7) + 1, MS(20)};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        const struct timespec span = timespec_of(spans[i]);
        const int64_t start = now_ns();
        OK(nanosleep(&span, NULL));
        EXPECT_AT_LEAST(now_ns() - start, spans[i]);
    }
}

CHECK(clock, sleep_bad_time, "nanosleep refuses what is no time (EINVAL)")
{
    const struct timespec large = {.tv_nsec = 1000000000}, negative = {.tv_sec = -1};
    EXPECT_ERRNO(nanosleep(&large, NULL), EINVAL);
    EXPECT_ERRNO(nanosleep(&negative, NULL), EINVAL);
}

CHECK(clock, sleep_until, "clock_nanosleep to a time is never early, to the past returns at once")
{
    const int64_t when = now_ns() + MS(10);
    const struct timespec until = timespec_of(when), past = timespec_of(1);
    EXPECT_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL), 0);
    EXPECT_AT_LEAST(now_ns(), when);
    EXPECT_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, NULL), 0);
    EXPECT_EQ(clock_nanosleep(99, 0, &past, NULL), EINVAL);
}

CHECK(clock, usleep, "usleep is never early")
{
    const int64_t start = now_ns();
    OK(usleep(3000));
    EXPECT_AT_LEAST(now_ns() - start, MS(3));
}
