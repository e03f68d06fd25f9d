// SPDX-License-Identifier: BSD-2-Clause
// Epoll descriptors of programs that another one started: posix_spawn and execve keep them, with their interest lists.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "process.h"

// An epoll descriptor without FD_CLOEXEC.
static int kept_epoll(void)
{
    return OK(epoll_create1(0));
}

static const char *number(int n)
{
    static char texts[8][12];
    static int next;
    char *const text = texts[next++ % 8];
    snprintf(text, sizeof texts[0], "%d", n);
    return text;
}

// Starts this program again in the role, by fork and execve.
static pid_t execute(const char *role, const char *first, const char *second)
{
    char *arguments[] = {options.self, "--child", (char *)role, (char *)first, (char *)second, NULL};
    const pid_t pid = fork();
    if (pid == 0) {
        execv(options.self, arguments);
        _exit(98);
    }
    return note_child(OK(pid));
}

// Says on descriptor 1 that it is there, and waits for one event: its data and its bits.
ROLE(takes_from_epoll)
{
    struct epoll_event event;
    const int ep = atoi(arguments[0]), ready = atoi(arguments[1]);
    if (ready >= 0 && write(ready, "r", 1) != 1)
        return 97;
    const int n = epoll_wait(ep, &event, 1, ready < 0 ? 0 : HANG_MS);
    return n == 1 ? event.data.u32 << 3 | (event.events & 7) : n == 0 ? 96 : 95;
}

CHECK(xepoll, epoll_in_new_program, "an epoll descriptor without FD_CLOEXEC goes to a new program, whose wait its sources end")
{
    for (int by_exec = 0; by_exec < 2; by_exec++) {
        const struct ends ready = new_pipe(0), p = new_pipe(0);
        const int ep = kept_epoll();
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = 9};
        OK(epoll_ctl(ep, EPOLL_CTL_ADD, p.r, &event));
        const pid_t pid = by_exec ? execute("takes_from_epoll", number(ep), number(ready.w))
                                  : child("takes_from_epoll", number(ep), number(ready.w), NULL);
        char byte;
        get(ready.r, &byte, 1);
        put(p.w, "x");
        EXPECT_EQ(ending(pid), 9 << 3 | EPOLLIN);
        // The list is still the parent's as well.
        EXPECT_EQ(epoll_wait(ep, &event, 1, HANG_MS), 1);
        EXPECT_EQ(event.data.u32, 9);
    }
}

CHECK(xepoll, epoll_ready_in_new_program, "what is ready when a program begins is reported there")
{
    const int value = OK(eventfd(1, 0)), ep = kept_epoll();
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 5};
    OK(epoll_ctl(ep, EPOLL_CTL_ADD, value, &event));
    EXPECT_EQ(ending(execute("takes_from_epoll", number(ep), "-1")), 5 << 3 | EPOLLIN);
    EXPECT_EQ(ending(child("takes_from_epoll", number(ep), "-1", NULL)), 5 << 3 | EPOLLIN);
}

// Nothing is new at first; then it writes by descriptor 2's number itself, which is.
ROLE(hears_of_edges)
{
    struct epoll_event event;
    const int ep = atoi(arguments[0]), to = atoi(arguments[1]);
    if (epoll_wait(ep, &event, 1, 0) != 0)
        return 1;
    if (write(to, "x", 1) != 1 || epoll_wait(ep, &event, 1, HANG_MS) != 1)
        return 2;
    return epoll_wait(ep, &event, 1, 0) == 0 ? 42 : 3;
}

// A pipe with a byte in it, of which an edge-triggered watch has told.
struct told {
    struct ends p;
    int ep;
};

static struct told told(void)
{
    const struct told t = {new_pipe(0), kept_epoll()};
    add(t.ep, t.p.r, EPOLLIN | EPOLLET);
    put(t.p.w, "x");
    EXPECT_EVENT(t.ep, t.p.r, EPOLLIN);
    return t;
}

ROLE(hears_of_edges_of_its_own)
{
    int p[2], ep = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    if (pipe(p) != 0 || epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &event) != 0)
        return 80;
    if (write(p[1], "x", 1) != 1 || epoll_wait(ep, &event, 1, 0) != 1)
        return 81;
    execl(options.self, options.self, "--child", "hears_of_edges", number(ep), number(p[1]), (char *)NULL);
    return 82;
}

CHECK(xepoll, epoll_edges_in_new_program, "an edge that was reported is not reported again in a new program, but the next one is")
{
    const struct told t = told();
    EXPECT_EQ(ending(child("hears_of_edges", number(t.ep), number(t.p.w), NULL)), 42);
    EXPECT_EQ(ending(child("hears_of_edges_of_its_own", NULL)), 42);
}

ROLE(modifies_in_epoll)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u32 = 6};
    const int ep = atoi(arguments[0]), fd = atoi(arguments[1]);
    if (epoll_wait(ep, &event, 1, 0) != 0)
        return 1;
    event.events = EPOLLIN | EPOLLONESHOT;
    event.data.u32 = 6;
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0 || errno != EEXIST)
        return 2;
    if (epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event) != 0)
        return 3;
    if (epoll_wait(ep, &event, 1, HANG_MS) != 1 || event.data.u32 != 6)
        return 4;
    if (epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL) != 0)
        return 5;
    return epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event) == -1 && errno == ENOENT ? 42 : 6;
}

CHECK(xepoll, epoll_modified_in_new_program, "a spent one-shot watch stays spent in a new program; it can be modified and deleted there")
{
    const struct ends p = new_pipe(0);
    const int ep = kept_epoll();
    add(ep, p.r, EPOLLIN | EPOLLONESHOT);
    put(p.w, "x");
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    EXPECT_EQ(ending(execute("modifies_in_epoll", number(ep), number(p.r))), 42);
}

CHECK(xepoll, epoll_nested_in_new_program, "nested instances go to a new program, duplicates of a descriptor stay one instance")
{
    const struct ends ready = new_pipe(0), p = new_pipe(0);
    const int inner = kept_epoll(), outer = kept_epoll(), copy = OK(dup(outer));
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 4};
    OK(epoll_ctl(inner, EPOLL_CTL_ADD, p.r, &event));
    event.data.u32 = 3;
    OK(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event));
    const pid_t pid = execute("takes_from_epoll", number(copy), number(ready.w));
    char byte;
    get(ready.r, &byte, 1);
    put(p.w, "x");
    EXPECT_EQ(ending(pid), 3 << 3 | EPOLLIN);
    EXPECT_EQ(ending(execute("takes_from_epoll", number(inner), "-1")), 4 << 3 | EPOLLIN);
}

CHECK(xepoll, epoll_of_closed_in_new_program, "what is closed by execve everywhere is watched no longer")
{
    const pid_t pid = fork();
    if (pid == 0) {
        const int value = eventfd(1, EFD_CLOEXEC), ep = epoll_create1(0);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = 5};
        char text[12];
        snprintf(text, sizeof text, "%d", ep);
        if (value < 0 || ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, value, &event) != 0)
            _exit(90);
        execl(options.self, options.self, "--child", "takes_from_epoll", text, "-1", (char *)NULL);
        _exit(91);
    }
    EXPECT_EQ(ending(note_child(OK(pid))), 96);
}

ROLE(has_no_epoll)
{
    struct epoll_event event;
    return epoll_wait(atoi(arguments[0]), &event, 1, 0) == -1 && errno == EBADF ? 42 : 1;
}

CHECK(xepoll, epoll_closed_on_exec, "an epoll descriptor with FD_CLOEXEC does not go to a new program")
{
    const int ep = new_epoll();
    OK(fcntl(ep, F_SETFD, FD_CLOEXEC));
    EXPECT_EQ(ending(execute("has_no_epoll", number(ep), NULL)), 42);
    OK(fcntl(ep, F_SETFD, 0));
    EXPECT_EQ(ending(execute("takes_from_epoll", number(ep), "-1")), 96);
}
