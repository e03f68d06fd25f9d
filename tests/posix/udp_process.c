// SPDX-License-Identifier: BSD-2-Clause
// UDP between processes, and sockets that several have.
#define _GNU_SOURCE
#include "udp.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

#include "helpers.h"
#include "process.h"

static const char *number(int n)
{
    static char text[4][12];
    static int next;
    char *where = text[next++ % 4];
    snprintf(where, sizeof text[0], "%d", n);
    return where;
}

// Answers each datagram with itself until an empty one comes. Its port goes to descriptor argument 0.
ROLE(udp_echo)
{
    const int fd = socket(AF_INET, SOCK_DGRAM, 0), told = atoi(arguments[0]);
    struct sockaddr_in own = in_address(INADDR_LOOPBACK, 0), from;
    if (bind(fd, (void *)&own, sizeof own) != 0)
        return 1;
    const uint16_t port = port_of(fd);
    if (write(told, &port, sizeof port) != sizeof port)
        return 2;
    static char buffer[65536];
    for (;;) {
        socklen_t size = sizeof from;
        const ssize_t n = recvfrom(fd, buffer, sizeof buffer, 0, (void *)&from, &size);
        if (n < 0)
            return 3;
        if (sendto(fd, buffer, (size_t)n, 0, (void *)&from, size) != n)
            return 4;
        if (n == 0)
            return 0;
    }
}

// A process that echoes, and its port.
static uint16_t echo_in_child(pid_t *pid)
{
    const struct ends p = new_pipe(0);
    *pid = child("udp_echo", number(p.w), NULL);
    uint16_t port;
    get(p.r, &port, sizeof port);
    return port;
}

CHECK(udp, between_processes, "datagrams of all sizes go to another process and back")
{
    pid_t pid;
    const uint16_t port = echo_in_child(&pid);
    const int fd = new_udp(0);
    static char out[65507], in[65507];
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (char)(i % 251);
    for (size_t size = 1; size <= sizeof out; size = size * 3 + 1) {
        EXPECT_EQ(sendto(fd, out, size, 0, AT(INADDR_LOOPBACK, port)), size);
        struct sockaddr_in from;
        socklen_t len = sizeof from;
        await(fd, POLLIN);
        EXPECT_EQ(recvfrom(fd, in, sizeof in, 0, (void *)&from, &len), size);
        EXPECT_EQ(ntohs(from.sin_port), port);
        EXPECT(memcmp(in, out, size) == 0);
    }
    EXPECT_EQ(sendto(fd, "", 0, 0, AT(INADDR_LOOPBACK, port)), 0);
    EXPECT_EQ(ending(pid), 0);
}

CHECK(udp, edges_between_processes, "an edge-triggered watch hears of each answer of another process")
{
    pid_t pid;
    const uint16_t port = echo_in_child(&pid);
    const int fd = new_udp(SOCK_NONBLOCK), ep = new_epoll();
    OK(connect(fd, AT(INADDR_LOOPBACK, port)));
    add(ep, fd, EPOLLIN | EPOLLET);
    for (int i = 0; i < 50; i++) {
        put(fd, "ping");
        EXPECT_EVENT(ep, fd, EPOLLIN);
    }
    for (int i = 0; i < 50; i++)
        hear(fd, "ping");
    EXPECT_EQ(send(fd, "", 0, 0), 0);
    EXPECT_EQ(ending(pid), 0);
}

CHECK(udp, taken_by_another, "a port of another process's is EADDRINUSE, until that process ends")
{
    pid_t pid;
    const uint16_t port = echo_in_child(&pid);
    EXPECT_ERRNO(bind(new_udp(0), AT(INADDR_LOOPBACK, port)), EADDRINUSE);
    EXPECT_ERRNO(bind(new_udp(0), AT(INADDR_ANY, port)), EADDRINUSE);
    OK(kill(pid, SIGKILL));
    EXPECT_EQ(ending(pid), 1000 + SIGKILL);
    OK(bind(new_udp(0), AT(INADDR_LOOPBACK, port)));
}

CHECK(udp, refused_after_death, "who is connected to a process that ended is refused")
{
    pid_t pid;
    const uint16_t port = echo_in_child(&pid);
    const int fd = new_udp(SOCK_NONBLOCK);
    OK(connect(fd, AT(INADDR_LOOPBACK, port)));
    put(fd, "there?");
    hear(fd, "there?");
    OK(kill(pid, SIGKILL));
    EXPECT_EQ(ending(pid), 1000 + SIGKILL);
    put(fd, "there?");
    EXPECT_EQ(heard_now(fd), -ECONNREFUSED);
}

CHECK(udp, forked, "after fork parent and child have the socket, with its name, peer and queue")
{
    const struct duo d = udp_pair();
    put(d.a, "one");
    await(d.b, POLLIN);
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        char buffer[8];
        if (recv(d.b, buffer, sizeof buffer, 0) != 3 || port_of(d.b) == 0)
            _exit(1);
        _exit(send(d.b, "from child", 10, 0) == 10 ? 7 : 2);
    }
    EXPECT_EQ(ending(pid), 7);
    hear(d.a, "from child");
    EXPECT_EQ(heard_now(d.b), -EAGAIN);
    put(d.a, "two");
    hear(d.b, "two");
}

CHECK(udp, forked_unbound, "what one process binds after fork is bound in the other")
{
    const int fd = new_udp(SOCK_NONBLOCK);
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0)
        _exit(bind(fd, AT(INADDR_LOOPBACK, 0)) == 0 ? 0 : 1);
    EXPECT_EQ(ending(pid), 0);
    EXPECT(port_of(fd) != 0);
    say(new_udp(0), "hello", port_of(fd));
    hear(fd, "hello");
}

// Receives one datagram by the descriptor of argument 0 and answers to its sender.
ROLE(udp_answer)
{
    const int fd = atoi(arguments[0]);
    char buffer[64];
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    const ssize_t n = recvfrom(fd, buffer, sizeof buffer, 0, (void *)&from, &size);
    return n > 0 && sendto(fd, buffer, (size_t)n, 0, (void *)&from, size) == n ? 5 : 1;
}

CHECK(udp, across_exec, "a program that is started has the socket under its number")
{
    const int fd = bound_udp(), client = bound_udp();
    OK(fcntl(fd, F_SETFL, 0));
    const pid_t pid = child("udp_answer", number(fd), NULL);
    say(client, "to the child", port_of(fd));
    EXPECT_EQ(hear(client, "to the child"), port_of(fd));
    EXPECT_EQ(ending(pid), 5);
}

CHECK(udp, passed, "a socket that is passed by SCM_RIGHTS receives and sends")
{
    int pair[2];
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    const struct duo d = udp_pair();
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
                          .cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.head), &d.b, sizeof(int));
    char byte = 'x';
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    EXPECT_EQ(sendmsg(pair[0], &message, 0), 1);
    OK(close(d.b));
    put(d.a, "in between");
    EXPECT_EQ(recvmsg(pair[1], &message, 0), 1);
    int passed;
    memcpy(&passed, CMSG_DATA(&control.head), sizeof passed);
    hear(passed, "in between");
    put(passed, "back");
    hear(d.a, "back");
}
