// SPDX-License-Identifier: BSD-2-Clause
// epoll: its errors, and how long a watch lives: keyed by (descriptor, open file).
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "helpers.h"

static int control(int ep, int operation, int fd, uint32_t interest)
{
    struct epoll_event event = {.events = interest, .data.u64 = (uint64_t)(unsigned)fd};
    return epoll_ctl(ep, operation, fd, &event);
}

CHECK(epoll, create_flags, "epoll_create1 knows EPOLL_CLOEXEC and refuses other flags")
{
    EXPECT_ERRNO(epoll_create1(1), EINVAL);
    EXPECT_ERRNO(epoll_create1(-1), EINVAL);
    EXPECT_EQ(fcntl(OK(epoll_create1(0)), F_GETFD), 0);
    EXPECT_EQ(fcntl(OK(epoll_create1(EPOLL_CLOEXEC)), F_GETFD), FD_CLOEXEC);
}

CHECK(epoll, add_twice, "adding twice is EEXIST and changes nothing")
{
    const int fd = new_eventfd(1), ep = new_epoll();
    add(ep, fd, EPOLLIN);
    EXPECT_ERRNO(control(ep, EPOLL_CTL_ADD, fd, EPOLLOUT), EEXIST);
    EXPECT_EVENT(ep, fd, EPOLLIN);
}

CHECK(epoll, not_added, "modifying or deleting what was not added is ENOENT")
{
    const int fd = new_eventfd(1), ep = new_epoll();
    EXPECT_ERRNO(control(ep, EPOLL_CTL_MOD, fd, EPOLLIN), ENOENT);
    EXPECT_ERRNO(control(ep, EPOLL_CTL_DEL, fd, 0), ENOENT);
    add(ep, fd, EPOLLIN);
    unwatch(ep, fd);
    EXPECT_ERRNO(control(ep, EPOLL_CTL_MOD, fd, EPOLLIN), ENOENT);
    EXPECT_ERRNO(control(ep, EPOLL_CTL_DEL, fd, 0), ENOENT);
}

CHECK(epoll, bad_descriptors, "a closed descriptor is EBADF in either place")
{
    const int fd = new_eventfd(1), ep = new_epoll();
    EXPECT_ERRNO(control(-1, EPOLL_CTL_ADD, fd, EPOLLIN), EBADF);
    EXPECT_ERRNO(control(ep, EPOLL_CTL_ADD, -1, EPOLLIN), EBADF);
    EXPECT_ERRNO(control(ep, EPOLL_CTL_ADD, 100, EPOLLIN), EBADF);
    EXPECT_ERRNO(control(100, EPOLL_CTL_ADD, fd, EPOLLIN), EBADF);
}

CHECK(epoll, not_an_epoll, "epoll_ctl and epoll_wait on another kind of file are EINVAL")
{
    const int fd = new_eventfd(1), other = new_eventfd(1);
    struct epoll_event event;
    EXPECT_ERRNO(control(fd, EPOLL_CTL_ADD, other, EPOLLIN), EINVAL);
    EXPECT_ERRNO(epoll_wait(fd, &event, 1, 0), EINVAL);
}

CHECK(epoll, itself, "an instance cannot watch itself (EINVAL)")
{
    const int ep = new_epoll();
    EXPECT_ERRNO(control(ep, EPOLL_CTL_ADD, ep, EPOLLIN), EINVAL);
}

CHECK(epoll, unknown_operation, "an unknown operation is EINVAL")
{
    const int fd = new_eventfd(1), ep = new_epoll();
    EXPECT_ERRNO(control(ep, 0, fd, EPOLLIN), EINVAL);
    EXPECT_ERRNO(control(ep, 4, fd, EPOLLIN), EINVAL);
}

CHECK(epoll, wait_arguments, "epoll_wait refuses bad counts and closed descriptors")
{
    const int ep = new_epoll();
    struct epoll_event event;
    volatile int negative = -1; // gcc warns of a constant
    EXPECT_ERRNO(epoll_wait(ep, &event, 0, 0), EINVAL);
    EXPECT_ERRNO(epoll_wait(ep, &event, negative, 0), EINVAL);
    EXPECT_ERRNO(epoll_wait(-1, &event, 1, 0), EBADF);
    EXPECT_ERRNO(epoll_wait(100, &event, 1, 0), EBADF);
}

CHECK(epoll, regular_file, "regular files and directories cannot be watched (EPERM)")
{
    const int ep = new_epoll();
    const int file = OK(open(options.data, O_RDONLY));
    const int directory = OK(open("/", O_RDONLY | O_DIRECTORY));
    EXPECT_ERRNO(control(ep, EPOLL_CTL_ADD, file, EPOLLIN), EPERM);
    EXPECT_ERRNO(control(ep, EPOLL_CTL_ADD, directory, EPOLLIN), EPERM);
}

CHECK(epoll, delete_without_event, "EPOLL_CTL_DEL needs no event structure")
{
    const int fd = new_eventfd(1), ep = new_epoll();
    add(ep, fd, EPOLLIN);
    OK(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL));
    EXPECT_IDLE(ep);
}

CHECK(epoll, delete_withdraws, "deleting a watch withdraws its uncollected event")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN | EPOLLET);
    put(p.w, "a");
    unwatch(ep, p.r);
    EXPECT_IDLE(ep);
    put(p.w, "b");
    EXPECT_IDLE(ep);
    add(ep, p.r, EPOLLIN | EPOLLET);
    EXPECT_EVENT(ep, p.r, EPOLLIN);
}

CHECK(epoll, event_layout, "the event structure has the x86_64 layout and carries 64 bits of data")
{
    EXPECT_EQ(sizeof(struct epoll_event), 12);
    EXPECT_EQ(offsetof(struct epoll_event, data), 4);
    const int ep = new_epoll();
    for (uint64_t i = 1; i <= 3; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = i << 60 | i};
        OK(epoll_ctl(ep, EPOLL_CTL_ADD, new_eventfd(1), &event));
    }
    struct epoll_event events[4];
    events[3].data.u64 = 7;
    EXPECT_EQ(wait_now(ep, events, 4), 3);
    uint64_t sum = 0;
    for (int i = 0; i < 3; i++)
        sum += events[i].data.u64;
    EXPECT_EQ(sum, (6ull << 60) + 6);
    EXPECT_EQ(events[3].data.u64, 7);
}

CHECK(epoll, close_removes, "closing a descriptor ends its watch")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    put(p.w, "a");
    add(ep, p.r, EPOLLIN);
    OK(close(p.r));
    EXPECT_IDLE(ep);
    EXPECT_ERRNO(control(ep, EPOLL_CTL_DEL, p.r, 0), EBADF);
}

CHECK(epoll, reused_number, "a descriptor number used again is a new source with no old events")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN | EPOLLET);
    put(p.w, "a");
    OK(close(p.r));
    const struct ends q = new_pipe(0);
    EXPECT_EQ(q.r, p.r);
    EXPECT_IDLE(ep);
    put(q.w, "a");
    EXPECT_IDLE(ep);
    EXPECT_ERRNO(control(ep, EPOLL_CTL_MOD, q.r, EPOLLIN), ENOENT);
    add(ep, q.r, EPOLLIN);
    EXPECT_EVENT(ep, q.r, EPOLLIN);
}

CHECK(epoll, dup_keeps, "a duplicate keeps the watch of a closed descriptor alive")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN);
    const int copy = OK(dup(p.r));
    OK(close(p.r));
    put(p.w, "a");
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    EXPECT_ERRNO(control(ep, EPOLL_CTL_DEL, p.r, 0), EBADF);
    EXPECT_ERRNO(control(ep, EPOLL_CTL_DEL, copy, 0), ENOENT);
    OK(close(copy));
    EXPECT_IDLE(ep);
}

CHECK(epoll, dup_is_another_watch, "a descriptor and its duplicate can both be added")
{
    const int fd = new_eventfd(1), ep = new_epoll();
    const int copy = OK(dup(fd));
    add(ep, fd, EPOLLIN);
    add(ep, copy, EPOLLIN);
    struct epoll_event events[4];
    EXPECT_EQ(wait_now(ep, events, 4), 2);
    EXPECT_EQ(events[0].data.u64 + events[1].data.u64, fd + copy);
    unwatch(ep, fd);
    EXPECT_EVENT(ep, copy, EPOLLIN);
}

CHECK(epoll, dup2_over, "dup2 over a watched descriptor ends the watch")
{
    const int fd = new_eventfd(1), other = new_eventfd(1), ep = new_epoll();
    add(ep, fd, EPOLLIN);
    OK(dup2(other, fd));
    EXPECT_IDLE(ep);
    EXPECT_ERRNO(control(ep, EPOLL_CTL_MOD, fd, EPOLLIN), ENOENT);
    add(ep, fd, EPOLLIN);
    EXPECT_EVENT(ep, fd, EPOLLIN);
}

CHECK(epoll, dup_of_instance, "a duplicate of an instance is the same instance")
{
    const int fd = new_eventfd(1), ep = new_epoll();
    const int copy = OK(dup(ep));
    add(copy, fd, EPOLLIN);
    EXPECT_EVENT(ep, fd, EPOLLIN);
    OK(close(ep));
    EXPECT_EVENT(copy, fd, EPOLLIN);
}

CHECK(epoll, two_instances, "two instances report the same source independently")
{
    const struct ends p = new_pipe(0);
    const int a = new_epoll(), b = new_epoll();
    add(a, p.r, EPOLLIN | EPOLLET);
    add(b, p.r, EPOLLIN | EPOLLET);
    put(p.w, "a");
    EXPECT_EVENT(a, p.r, EPOLLIN);
    EXPECT_EVENT(b, p.r, EPOLLIN);
    OK(close(a));
    put(p.w, "b");
    EXPECT_EVENT(b, p.r, EPOLLIN);
}

CHECK(epoll, instance_closed_first, "sources outlive the instance that watched them")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    char c;
    add(ep, p.r, EPOLLIN);
    put(p.w, "a");
    OK(close(ep));
    get(p.r, &c, 1);
    put(p.w, "b");
    EXPECT_EQ(ready_now(p.r, POLLIN), POLLIN);
}

CHECK(epoll, exclusive, "an exclusive watch reports like another")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN | EPOLLEXCLUSIVE);
    put(p.w, "a");
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    unwatch(ep, p.r);
    EXPECT_IDLE(ep);
}

CHECK(epoll, exclusive_rules, "exclusive is refused with MOD, one-shot, RDHUP and instances")
{
    const int fd = new_eventfd(1), ep = new_epoll(), inner = new_epoll();
    EXPECT_ERRNO(control(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL);
    EXPECT_ERRNO(control(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLRDHUP), EINVAL);
    EXPECT_ERRNO(control(ep, EPOLL_CTL_ADD, inner, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
    add(ep, fd, EPOLLIN);
    EXPECT_ERRNO(control(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
    unwatch(ep, fd);
    add(ep, fd, EPOLLIN | EPOLLET | EPOLLEXCLUSIVE);
    EXPECT_ERRNO(control(ep, EPOLL_CTL_MOD, fd, EPOLLIN), EINVAL);
}
