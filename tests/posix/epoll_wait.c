// SPDX-License-Identifier: BSD-2-Clause
// epoll: what one wait returns: batches and their order, timeouts, instances in instances.
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "helpers.h"

#define SOURCES 8

// Adds SOURCES eventfds that are ready; their data are 0, 1, 2...
static void add_ready(int ep, uint32_t interest, int fds[SOURCES])
{
    for (int i = 0; i < SOURCES; i++) {
        struct epoll_event event = {.events = interest, .data.u64 = (uint64_t)i};
        fds[i] = new_eventfd(1);
        OK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &event));
    }
}

// Counts in `seen` what one wait for at most `max` events reports.
static void count_batch(int ep, int max, int seen[SOURCES])
{
    struct epoll_event events[SOURCES];
    const int count = wait_now(ep, events, max);
    for (int i = 0; i < count; i++) {
        EXPECT(events[i].data.u64 < SOURCES);
        EXPECT_EQ(events[i].events, EPOLLIN);
        seen[events[i].data.u64]++;
    }
}

CHECK(epoll, whole_batch, "all that is ready comes in one wait, each once")
{
    int fds[SOURCES], seen[SOURCES] = {0};
    const int ep = new_epoll();
    add_ready(ep, EPOLLIN, fds);
    count_batch(ep, SOURCES, seen);
    for (int i = 0; i < SOURCES; i++)
        EXPECT_EQ(seen[i], 1);
}

CHECK(epoll, full_batch_level, "a full batch does not starve the rest: level watches take turns")
{
    int fds[SOURCES], seen[SOURCES] = {0};
    const int ep = new_epoll();
    add_ready(ep, EPOLLIN, fds);
    for (int i = 0; i < SOURCES; i++)
        count_batch(ep, 3, seen);
    for (int i = 0; i < SOURCES; i++)
        EXPECT_EQ(seen[i], 3);
}

CHECK(epoll, full_batch_edge, "a full batch does not lose the rest: each edge comes once")
{
    int fds[SOURCES], seen[SOURCES] = {0};
    const int ep = new_epoll();
    add_ready(ep, EPOLLIN | EPOLLET, fds);
    for (int i = 0; i < 4; i++)
        count_batch(ep, 3, seen);
    for (int i = 0; i < SOURCES; i++)
        EXPECT_EQ(seen[i], 1);
}

CHECK(epoll, one_at_a_time, "waits for one event alternate between two level watches")
{
    const int a = new_eventfd(1), b = new_eventfd(1), ep = new_epoll();
    add(ep, a, EPOLLIN);
    add(ep, b, EPOLLIN);
    struct epoll_event event;
    EXPECT_EQ(wait_now(ep, &event, 1), 1);
    const uint64_t first = event.data.u64;
    for (int i = 1; i < 6; i++) {
        EXPECT_EQ(wait_now(ep, &event, 1), 1);
        EXPECT_EQ(event.data.u64, i % 2 ? (uint64_t)(a + b) - first : first);
    }
}

CHECK(epoll, batch_after_drain, "what is drained between two batches is left out of the second")
{
    int fds[SOURCES], seen[SOURCES] = {0};
    const int ep = new_epoll();
    uint64_t value;
    add_ready(ep, EPOLLIN, fds);
    count_batch(ep, 3, seen);
    for (int i = 0; i < SOURCES; i++)
        if (!seen[i])
            EXPECT_EQ(read(fds[i], &value, 8), 8);
    count_batch(ep, SOURCES, seen);
    int sum = 0;
    for (int i = 0; i < SOURCES; i++)
        sum += seen[i] == 2;
    EXPECT_EQ(sum, 3);
}

CHECK(epoll, five_hundred, "five hundred watches report one by one and all together")
{
    enum { COUNT = 500 };
    static int fds[COUNT];
    static struct epoll_event events[COUNT + 1];
    static unsigned char seen[COUNT];
    const uint64_t one = 1;
    const int ep = new_epoll();
    for (int i = 0; i < COUNT; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = (uint64_t)i};
        fds[i] = new_eventfd(0);
        OK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &event));
        seen[i] = 0;
    }
    for (int i = 0; i < COUNT; i += 7) {
        EXPECT_EQ(write(fds[i], &one, 8), 8);
        EXPECT_EQ(wait_now(ep, events, COUNT + 1), 1);
        EXPECT_EQ(events[0].data.u64, i);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++)
            EXPECT_EQ(write(fds[i], &one, 8), 8);
        EXPECT_EQ(wait_now(ep, events, COUNT + 1), COUNT);
        for (int i = 0; i < COUNT; i++)
            seen[events[i].data.u64]++;
        EXPECT_IDLE(ep);
    }
    for (int i = 0; i < COUNT; i++)
        EXPECT_EQ(seen[i], 3);
}

CHECK(epoll, churn, "adding and deleting without a wait between them loses nothing")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    put(p.w, "a");
    for (int i = 0; i < 2000; i++) {
        add(ep, p.r, EPOLLIN);
        unwatch(ep, p.r);
    }
    EXPECT_IDLE(ep);
    add(ep, p.r, EPOLLIN);
    EXPECT_EVENT(ep, p.r, EPOLLIN);
}

CHECK(epoll, timeout_zero, "a timeout of zero does not wait")
{
    const int ep = new_epoll();
    add(ep, new_eventfd(0), EPOLLIN);
    EXPECT_IDLE(ep);
}

CHECK(epoll, timeout_not_early, "a timeout is never early")
{
    const int ep = new_epoll();
    struct epoll_event event;
    add(ep, new_eventfd(0), EPOLLIN);
    for (int ms = 1; ms <= 25; ms += 8) {
        const int64_t start = now_ns();
        EXPECT_EQ(epoll_wait(ep, &event, 1, ms), 0);
        EXPECT_AT_LEAST(now_ns() - start, MS(ms));
    }
}

CHECK(epoll, timeout_of_empty, "an instance without watches waits for its timeout too")
{
    const int ep = new_epoll();
    struct epoll_event event;
    const int64_t start = now_ns();
    EXPECT_EQ(epoll_wait(ep, &event, 1, 10), 0);
    EXPECT_AT_LEAST(now_ns() - start, MS(10));
}

CHECK(epoll, no_timeout, "a wait without timeout ends when something comes")
{
    const int ep = new_epoll(), timer = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    const struct itimerspec in_20_ms = {.it_value.tv_nsec = MS(20)};
    struct epoll_event event;
    add(ep, timer, EPOLLIN);
    const int64_t start = now_ns();
    OK(timerfd_settime(timer, 0, &in_20_ms, NULL));
    EXPECT_EQ(epoll_wait(ep, &event, 1, -1), 1);
    EXPECT_AT_LEAST(now_ns() - start, MS(20));
    EXPECT_EQ(event.data.u64, timer);
}

CHECK(epoll, event_before_timeout, "an event ends a wait before its timeout")
{
    const int ep = new_epoll(), timer = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    const struct itimerspec soon = {.it_value.tv_nsec = MS(5)};
    add(ep, timer, EPOLLIN);
    OK(timerfd_settime(timer, 0, &soon, NULL));
    EXPECT_EVENT(ep, timer, EPOLLIN);
}

CHECK(epoll, pwait, "epoll_pwait without a mask is epoll_wait")
{
    const int fd = new_eventfd(0), ep = new_epoll();
    const uint64_t one = 1;
    struct epoll_event event;
    add(ep, fd, EPOLLIN);
    const int64_t start = now_ns();
    EXPECT_EQ(epoll_pwait(ep, &event, 1, 10, NULL), 0);
    EXPECT_AT_LEAST(now_ns() - start, MS(10));
    EXPECT_EQ(write(fd, &one, 8), 8);
    EXPECT_EQ(epoll_pwait(ep, &event, 1, -1, NULL), 1);
    EXPECT_EQ(event.data.u64, fd);
}

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

// musl 1.2.3 has no function for it.
static long wait_until(int ep, struct epoll_event *event, const struct timespec *timeout)
{
    return syscall(SYS_epoll_pwait2, ep, event, 1, timeout, NULL, 8);
}

CHECK(epoll, pwait2, "epoll_pwait2 takes nanoseconds, is never early and refuses bad times")
{
    const int fd = new_eventfd(0), ep = new_epoll();
    const uint64_t one = 1;
    struct epoll_event event;
    const struct timespec span = timespec_of(MS(5) + 1), zero = {0}, bad = {.tv_nsec = 1000000000};
    add(ep, fd, EPOLLIN);
    if (wait_until(ep, &event, &zero) == -1 && errno == ENOSYS)
        skip("this kernel has no epoll_pwait2");
    const int64_t start = now_ns();
    EXPECT_EQ(wait_until(ep, &event, &span), 0);
    EXPECT_AT_LEAST(now_ns() - start, MS(5) + 1);
    EXPECT_ERRNO(wait_until(ep, &event, &bad), EINVAL);
    EXPECT_EQ(write(fd, &one, 8), 8);
    EXPECT_EQ(wait_until(ep, &event, NULL), 1);
}

CHECK(epoll, nested, "an instance is a source of another: readable while it has events")
{
    const struct ends p = new_pipe(0);
    const int inner = new_epoll(), outer = new_epoll();
    add(inner, p.r, EPOLLIN);
    add(outer, inner, EPOLLIN);
    EXPECT_IDLE(outer);
    put(p.w, "a");
    EXPECT_EVENT(outer, inner, EPOLLIN);
    EXPECT_EVENT(outer, inner, EPOLLIN);
    EXPECT_EVENT(inner, p.r, EPOLLIN);
}

CHECK(epoll, nested_looks_again, "the outer instance looks at the inner one before it reports")
{
    const struct ends p = new_pipe(0);
    const int inner = new_epoll(), outer = new_epoll();
    add(inner, p.r, EPOLLIN);
    add(outer, inner, EPOLLIN);
    put(p.w, "a");
    drain(p.r);
    EXPECT_IDLE(outer);
    put(p.w, "a");
    EXPECT_EVENT(outer, inner, EPOLLIN);
    drain(p.r);
    EXPECT_IDLE(outer);
    EXPECT_IDLE(inner);
}

CHECK(epoll, nested_edges, "an inner edge watch makes the inner instance ready until collected")
{
    const struct ends p = new_pipe(0);
    const int inner = new_epoll(), outer = new_epoll();
    add(inner, p.r, EPOLLIN | EPOLLET);
    add(outer, inner, EPOLLIN);
    put(p.w, "a");
    EXPECT_EVENT(outer, inner, EPOLLIN);
    EXPECT_EVENT(inner, p.r, EPOLLIN);
    EXPECT_IDLE(outer);
    put(p.w, "b");
    EXPECT_EVENT(outer, inner, EPOLLIN);
}

CHECK(epoll, nested_outer_edge, "an outer edge watch reports each new event of the inner instance")
{
    const struct ends a = new_pipe(0), b = new_pipe(0);
    const int inner = new_epoll(), outer = new_epoll();
    add(inner, a.r, EPOLLIN);
    add(inner, b.r, EPOLLIN);
    add(outer, inner, EPOLLIN | EPOLLET);
    put(a.w, "a");
    EXPECT_EVENT(outer, inner, EPOLLIN);
    EXPECT_IDLE(outer);
    put(b.w, "b");
    EXPECT_EVENT(outer, inner, EPOLLIN);
    EXPECT_IDLE(outer);
}

CHECK(epoll, nested_wait, "an event three levels down ends a wait at the top")
{
    const int timer = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    const struct itimerspec soon = {.it_value.tv_nsec = MS(5)};
    const int a = new_epoll(), b = new_epoll(), c = new_epoll();
    add(a, timer, EPOLLIN);
    add(b, a, EPOLLIN);
    add(c, b, EPOLLIN);
    OK(timerfd_settime(timer, 0, &soon, NULL));
    EXPECT_EVENT(c, b, EPOLLIN);
    EXPECT_EVENT(b, a, EPOLLIN);
    EXPECT_EVENT(a, timer, EPOLLIN);
}

CHECK(epoll, nested_cycle, "a cycle of instances is ELOOP")
{
    const int a = new_epoll(), b = new_epoll(), c = new_epoll();
    struct epoll_event event = {.events = EPOLLIN};
    add(a, b, EPOLLIN);
    EXPECT_ERRNO(epoll_ctl(b, EPOLL_CTL_ADD, a, &event), ELOOP);
    add(b, c, EPOLLIN);
    EXPECT_ERRNO(epoll_ctl(c, EPOLL_CTL_ADD, a, &event), ELOOP);
    EXPECT_ERRNO(epoll_ctl(c, EPOLL_CTL_ADD, b, &event), ELOOP);
    unwatch(a, b);
    OK(epoll_ctl(c, EPOLL_CTL_ADD, a, &event));
}

CHECK(epoll, nested_depth, "five levels of instances are allowed, a sixth is ELOOP")
{
    int level[6];
    struct epoll_event event = {.events = EPOLLIN};
    for (int i = 0; i < 6; i++)
        level[i] = new_epoll();
    for (int i = 1; i < 5; i++)
        add(level[i], level[i - 1], EPOLLIN);
    EXPECT_ERRNO(epoll_ctl(level[5], EPOLL_CTL_ADD, level[4], &event), ELOOP);
    add(level[0], new_eventfd(1), EPOLLIN);
    EXPECT_EVENT(level[4], level[3], EPOLLIN);
}

CHECK(epoll, in_poll_and_select, "poll and select see an instance as readable while it has events")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN);
    EXPECT_EQ(ready_now(ep, POLLIN | POLLOUT), 0);
    put(p.w, "a");
    EXPECT_EQ(ready_now(ep, POLLIN | POLLOUT), POLLIN);
    fd_set set;
    struct timeval zero = {0};
    FD_ZERO(&set);
    FD_SET(ep, &set);
    EXPECT_EQ(select(ep + 1, &set, NULL, NULL, &zero), 1);
    drain(p.r);
    EXPECT_EQ(ready_now(ep, POLLIN | POLLOUT), 0);
}
