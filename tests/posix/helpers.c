// SPDX-License-Identifier: BSD-2-Clause
// What most checks need: time, pipes, watches and TCP connections, each in one word.
#define _GNU_SOURCE
#include "helpers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int64_t now_ns(void)
{
    struct timespec t;
    OK(clock_gettime(CLOCK_MONOTONIC, &t));
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct timespec timespec_of(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

short ready_now(int fd, short interest)
{
    struct pollfd p = {.fd = fd, .events = interest, .revents = -1};
    const int count = OK(poll(&p, 1, 0));
    EXPECT_EQ(count, p.revents != 0);
    return p.revents;
}

short await(int fd, short interest)
{
    struct pollfd p = {.fd = fd, .events = interest};
    if (OK(poll(&p, 1, HANG_MS)) == 0)
        fail(__FILE__, __LINE__, "descriptor %d: none of 0x%x came in %d ms", fd, interest,
             HANG_MS);
    return p.revents;
}

void put(int fd, const char *text)
{
    EXPECT_EQ(write(fd, text, strlen(text)), strlen(text));
}

void get(int fd, void *buffer, size_t size)
{
    for (size_t done = 0; done < size;) {
        await(fd, POLLIN);
        const ssize_t n = OK(read(fd, (char *)buffer + done, size - done));
        if (n == 0)
            fail(__FILE__, __LINE__, "end of file after %zu of %zu bytes", done, size);
        done += (size_t)n;
    }
}

size_t drain(int fd)
{
    char buffer[4096];
    size_t total = 0;
    while (ready_now(fd, POLLIN) & POLLIN) {
        const ssize_t n = OK(read(fd, buffer, sizeof buffer));
        if (n == 0)
            break;
        total += (size_t)n;
    }
    return total;
}

// Byte `i` of the pattern: its period is no power of two, so a block out of place shows.
static unsigned char pattern(size_t i)
{
    return (unsigned char)(i % 251);
}

size_t fill(int fd)
{
    unsigned char block[4096];
    size_t total = 0;
    for (;;) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = pattern(total + i);
        const ssize_t n = write(fd, block, sizeof block);
        if (n < 0) {
            EXPECT(errno == EAGAIN);
            return total;
        }
        total += (size_t)n;
    }
}

void get_pattern(int fd, size_t size)
{
    unsigned char block[4096];
    for (size_t done = 0; done < size;) {
        const size_t want = size - done < sizeof block ? size - done : sizeof block;
        await(fd, POLLIN);
        const ssize_t n = OK(read(fd, block, want));
        if (n == 0)
            fail(__FILE__, __LINE__, "end of file after %zu of %zu bytes", done, size);
        for (size_t i = 0; i < (size_t)n; i++)
            if (block[i] != pattern(done + i))
                fail(__FILE__, __LINE__, "byte %zu of %zu is wrong", done + i, size);
        done += (size_t)n;
    }
}

void set_nonblocking(int fd)
{
    OK(fcntl(fd, F_SETFL, OK(fcntl(fd, F_GETFL)) | O_NONBLOCK));
}

struct ends new_pipe(int flags)
{
    int fds[2];
    OK(pipe2(fds, flags));
    return (struct ends){.r = fds[0], .w = fds[1]};
}

int new_eventfd(unsigned value)
{
    return OK(eventfd(value, EFD_NONBLOCK));
}

int new_epoll(void)
{
    return OK(epoll_create1(EPOLL_CLOEXEC));
}

static void control(int ep, int operation, int fd, uint32_t interest)
{
    struct epoll_event event = {.events = interest, .data.u64 = (uint64_t)(unsigned)fd};
    OK(epoll_ctl(ep, operation, fd, &event));
}

void add(int ep, int fd, uint32_t interest)
{
    control(ep, EPOLL_CTL_ADD, fd, interest);
}

void modify(int ep, int fd, uint32_t interest)
{
    control(ep, EPOLL_CTL_MOD, fd, interest);
}

void unwatch(int ep, int fd)
{
    control(ep, EPOLL_CTL_DEL, fd, 0);
}

uint32_t wait_one(int ep, int *fd, int timeout_ms)
{
    struct epoll_event events[2];
    const int count = OK(epoll_wait(ep, events, 2, timeout_ms));
    if (count == 0)
        return 0;
    if (count > 1)
        fail(__FILE__, __LINE__, "two events (descriptors %d and %d) instead of one",
             (int)events[0].data.u64, (int)events[1].data.u64);
    *fd = (int)events[0].data.u64;
    return events[0].events;
}

int wait_now(int ep, struct epoll_event *events, int max)
{
    return OK(epoll_wait(ep, events, max, 0));
}

int new_socket(int flags)
{
    return OK(socket(AF_INET, SOCK_STREAM | flags, 0));
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

int new_listener(int backlog)
{
    const int fd = new_socket(SOCK_NONBLOCK);
    const struct sockaddr_in address = loopback(0);
    OK(bind(fd, (const struct sockaddr *)&address, sizeof address));
    OK(listen(fd, backlog));
    return fd;
}

uint16_t port_of(int fd)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    OK(getsockname(fd, (struct sockaddr *)&address, &size));
    EXPECT_EQ(size, sizeof address);
    EXPECT_EQ(address.sin_family, AF_INET);
    return ntohs(address.sin_port);
}

int connect_to(int fd, uint16_t port)
{
    const struct sockaddr_in address = loopback(port);
    return connect(fd, (const struct sockaddr *)&address, sizeof address);
}

int accept_one(int listener)
{
    await(listener, POLLIN);
    return OK(accept4(listener, NULL, NULL, SOCK_NONBLOCK));
}

struct link new_link(void)
{
    const int listener = new_listener(4);
    struct link link = {.client = new_socket(0)};
    OK(connect_to(link.client, port_of(listener)));
    set_nonblocking(link.client);
    link.server = accept_one(listener);
    OK(close(listener));
    return link;
}

int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    OK(getsockopt(fd, level, name, &value, &size));
    EXPECT_EQ(size, sizeof value);
    return value;
}
