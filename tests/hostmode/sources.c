// SPDX-License-Identifier: BSD-2-Clause
// Host mode: Linux's fds as sources beside ours, and one space of numbers.
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#include "../posix/helpers.h"

// A connected pair of Linux's own.
static void new_pair(int pair[2])
{
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
}

CHECK(sources, edge_per_write, "a write into a socket full of unread data is an edge")
{
    int pair[2];
    new_pair(pair);
    const int ep = new_epoll();
    add(ep, pair[0], EPOLLIN | EPOLLET);
    EXPECT_IDLE(ep);
    for (int i = 0; i < 3; i++) {
        put(pair[1], "x");
        EXPECT_EVENT(ep, pair[0], EPOLLIN);
        EXPECT_IDLE(ep);
    }
    char c;
    get(pair[0], &c, 1);
    EXPECT_IDLE(ep);
}

CHECK(sources, edges_by_direction, "data that come in are no edge for a watch of output, nor the other way round")
{
    int pair[2];
    new_pair(pair);
    const int ep = new_epoll();
    add(ep, pair[0], EPOLLOUT | EPOLLET);
    EXPECT_EVENT(ep, pair[0], EPOLLOUT);
    EXPECT_IDLE(ep);
    put(pair[1], "x");
    EXPECT_IDLE(ep);
    modify(ep, pair[0], EPOLLIN | EPOLLOUT | EPOLLET);
    EXPECT_EVENT(ep, pair[0], EPOLLIN | EPOLLOUT);
    EXPECT_IDLE(ep);
    put(pair[1], "y");
    EXPECT_EVENT(ep, pair[0], EPOLLIN | EPOLLOUT);
    EXPECT_IDLE(ep);
}

CHECK(sources, what_holds_at_add, "what holds when a socket is added is reported once by an edge-triggered watch")
{
    int pair[2];
    new_pair(pair);
    put(pair[1], "x");
    const int first = new_epoll(), second = new_epoll();
    add(first, pair[0], EPOLLIN | EPOLLET);
    EXPECT_EVENT(first, pair[0], EPOLLIN);
    EXPECT_IDLE(first);
    add(second, pair[0], EPOLLIN | EPOLLET);
    EXPECT_EVENT(second, pair[0], EPOLLIN);
    EXPECT_IDLE(second);
    EXPECT_IDLE(first);
}

CHECK(sources, space, "a full socket becomes writable when its peer reads")
{
    int pair[2];
    new_pair(pair);
    const int ep = new_epoll();
    fill(pair[0]);
    add(ep, pair[0], EPOLLOUT);
    EXPECT_IDLE(ep);
    drain(pair[1]);
    EXPECT_EVENT(ep, pair[0], EPOLLOUT);
}

CHECK(sources, peer_closes, "a closed peer is IN, HUP and, if asked for, RDHUP")
{
    int pair[2];
    new_pair(pair);
    const int ep = new_epoll();
    add(ep, pair[0], EPOLLIN | EPOLLRDHUP);
    EXPECT_IDLE(ep);
    OK(close(pair[1]));
    EXPECT_EVENT(ep, pair[0], EPOLLIN | EPOLLRDHUP | EPOLLHUP);
}

CHECK(sources, ours_and_linuxs, "one wait reports an eventfd, a pipe and a socket; one poll as well")
{
    int pair[2];
    new_pair(pair);
    const struct ends p = new_pipe(0);
    const int event = new_eventfd(1), ep = new_epoll();
    add(ep, pair[0], EPOLLIN);
    add(ep, p.r, EPOLLIN);
    add(ep, event, EPOLLIN);
    put(pair[1], "x");
    put(p.w, "x");
    struct epoll_event found[4];
    EXPECT_EQ(wait_now(ep, found, 4), 3);
    const int file = OK(open("/dev/zero", O_RDONLY));
    struct pollfd fds[] = {{pair[0], POLLIN, 0}, {p.r, POLLIN, 0}, {event, POLLIN, 0}, {file, POLLIN, 0}, {999, POLLIN, 0}};
    EXPECT_EQ(poll(fds, 5, -1), 5);
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(fds[i].revents, POLLIN);
    EXPECT_EQ(fds[4].revents, POLLNVAL);
}

CHECK(sources, files_are_refused, "epoll refuses a regular file of Linux's, select finds it ready")
{
    const int file = OK(open("/etc/passwd", O_RDONLY)), ep = new_epoll();
    struct epoll_event event = {.events = EPOLLIN};
    EXPECT_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, file, &event), EPERM);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(file, &set);
    EXPECT_EQ(select(file + 1, &set, 0, 0, 0), 1);
}

CHECK(sources, duplicates, "a watch outlives its number while a duplicate is open")
{
    int pair[2];
    new_pair(pair);
    const int ep = new_epoll();
    add(ep, pair[0], EPOLLIN);
    const int number = pair[0], other = OK(dup(pair[0]));
    OK(close(number));
    put(pair[1], "x");
    EXPECT_EVENT(ep, number, EPOLLIN);
    OK(close(other));
    EXPECT_IDLE(ep);
}

CHECK(sources, reused_number, "a reused number is another file")
{
    int pair[2], next[2];
    new_pair(pair);
    const int ep = new_epoll(), number = pair[0];
    add(ep, number, EPOLLIN);
    OK(close(number));
    new_pair(next);
    EXPECT_EQ(next[0], number);
    put(next[1], "x");
    EXPECT_IDLE(ep);
    add(ep, number, EPOLLIN);
    EXPECT_EVENT(ep, number, EPOLLIN);
}

CHECK(sources, overwritten_number, "dup2 onto a watched socket ends its watch")
{
    int pair[2], other[2];
    new_pair(pair);
    new_pair(other);
    const int ep = new_epoll();
    add(ep, pair[0], EPOLLIN);
    OK(dup2(other[0], pair[0]));
    put(other[1], "x");
    EXPECT_IDLE(ep);
    add(ep, pair[0], EPOLLIN);
    EXPECT_EVENT(ep, pair[0], EPOLLIN);
}

CHECK(sources, numbers, "numbers are the lowest free ones, whoever's files they are")
{
    const int first = OK(open("/dev/null", O_RDONLY));
    const struct ends p = new_pipe(0);
    EXPECT_EQ(p.r, first + 1);
    EXPECT_EQ(p.w, first + 2);
    const int event = new_eventfd(0);
    EXPECT_EQ(event, first + 3);
    OK(close(p.r));
    EXPECT_EQ(OK(dup(event)), first + 1);
    EXPECT_EQ(fcntl(event, F_GETFD), 0);
    OK(fcntl(event, F_SETFL, O_NONBLOCK));
    EXPECT(fcntl(event, F_GETFL) & O_NONBLOCK);
    uint64_t value;
    EXPECT_ERRNO(read(event, &value, 8), EAGAIN);
}
