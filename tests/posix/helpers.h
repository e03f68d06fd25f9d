// SPDX-License-Identifier: BSD-2-Clause
// What most checks need: time, pipes, watches and TCP connections, each in one word.
#pragma once

#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

#include "harness.h"

// Monotonic time in nanoseconds.
int64_t now_ns(void);
#define MS(n) ((int64_t)(n) * 1000000)

// The same span as a timespec.
struct timespec timespec_of(int64_t ns);

// --- one descriptor ---------------------------------------------------------------------------

// What poll(2) reports of `fd` now.
short ready_now(int fd, short interest);

// Waits until poll(2) reports any of `interest` and returns what it reports.
short await(int fd, short interest);

// Writes all of a string, or fails the check.
void put(int fd, const char *text);

// Reads exactly `size` bytes, waiting for them, or fails the check.
void get(int fd, void *buffer, size_t size);

// Reads what is there without waiting; returns how many bytes that was.
size_t drain(int fd);

// Writes blocks of a counted pattern until EAGAIN; returns how many bytes that took.
size_t fill(int fd);

// Reads `size` bytes of that pattern, waiting for them, and fails unless it is intact.
void get_pattern(int fd, size_t size);

void set_nonblocking(int fd);

// --- pipes ------------------------------------------------------------------------------------

struct ends {
    int r, w;
};

// A pipe; `flags` as for pipe2.
struct ends new_pipe(int flags);

// A nonblocking eventfd.
int new_eventfd(unsigned value);

// --- epoll ------------------------------------------------------------------------------------

int new_epoll(void);

// Add or modify a watch whose data is the descriptor's number.
void add(int ep, int fd, uint32_t interest);
void modify(int ep, int fd, uint32_t interest);
void unwatch(int ep, int fd);

// epoll_wait for one event: its bits, and its data in *fd; 0 when there was none in time.
uint32_t wait_one(int ep, int *fd, int timeout_ms);

// epoll_wait's count, with no time to wait.
int wait_now(int ep, struct epoll_event *events, int max);

// Holds if exactly one event is reported, for `fd_` and with exactly these bits.
#define EXPECT_EVENT(ep, fd_, bits)                                                                \
    do {                                                                                           \
        int found_ = -1;                                                                           \
        EXPECT_EQ(wait_one((ep), &found_, HANG_MS), (bits));                                       \
        EXPECT_EQ(found_, (fd_));                                                                  \
    } while (0)

// Holds if nothing is reported.
#define EXPECT_IDLE(ep)                                                                            \
    do {                                                                                           \
        struct epoll_event one_;                                                                   \
        EXPECT_EQ(wait_now((ep), &one_, 1), 0);                                                    \
    } while (0)

// --- TCP on 127.0.0.1 -------------------------------------------------------------------------

// A stream socket; `flags` may be SOCK_NONBLOCK and SOCK_CLOEXEC.
int new_socket(int flags);

// A nonblocking listener on a free port.
int new_listener(int backlog);

// A socket's own port.
uint16_t port_of(int fd);

// Connects to a port of 127.0.0.1: what connect returned.
int connect_to(int fd, uint16_t port);

// Waits for a connection and accepts it, nonblocking.
int accept_one(int listener);

// A connection; both ends are nonblocking.
struct link {
    int client, server;
};
struct link new_link(void);

// An integer socket option.
int option_of(int fd, int level, int name);
