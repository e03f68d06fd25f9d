// SPDX-License-Identifier: BSD-2-Clause
// TCP sockets that several processes have: listeners of several workers, programs that find a connection open, sockets in messages.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"
#include "unix.h"
#include "xtcp.h"

extern char **environ;

#define WORKERS 4

CHECK(xtcp, several_accept, "children that inherit a listener accept, each connection one of them; the parent's close ends nothing, the last one's refuses")
{
    const int listener = new_listener(16);
    const uint16_t port = port_of(listener);
    struct ends stop = new_pipe(0);
    for (int i = 0; i < WORKERS; i++)
        if (note_child(OK(fork())) == 0) {
            struct pollfd wait[2] = {{.fd = listener, .events = POLLIN}, {.fd = stop.r, .events = POLLIN}};
            close(stop.w);
            for (;;) {
                if (poll(wait, 2, HANG_MS) < 1)
                    _exit(1);
                if (wait[1].revents)
                    _exit(0);
                const int fd = accept(listener, NULL, NULL);
                if (fd < 0 && errno == EAGAIN)
                    continue;
                const char name = 'a' + i;
                if (fd < 0 || write(fd, &name, 1) != 1)
                    _exit(2);
                close(fd);
            }
        }
    OK(close(listener));
    for (int i = 0; i < 50; i++) {
        const int fd = new_socket(0);
        char name, more;
        OK(connect_to(fd, port));
        get(fd, &name, 1);
        EXPECT(name >= 'a' && name < 'a' + WORKERS);
        EXPECT_EQ(read(fd, &more, 1), 0);
        OK(close(fd));
    }
    OK(close(stop.w));
    for (int i = 0; i < WORKERS; i++) {
        int status;
        OK(wait(&status));
        EXPECT_EQ(status, 0);
    }
    EXPECT_ERRNO(connect_to(new_socket(0), port), ECONNREFUSED);
}

CHECK(xtcp, exclusive_workers, "workers that wait by EPOLLEXCLUSIVE answer every one of many connections that come at once")
{
    enum { CLIENTS = 40 };
    const int listener = new_listener(CLIENTS);
    struct ends stop = new_pipe(0);
    for (int i = 0; i < WORKERS; i++)
        if (note_child(OK(fork())) == 0) {
            const int ep = epoll_create1(0);
            struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = listener};
            struct epoll_event end = {.events = EPOLLIN, .data.fd = stop.r};
            close(stop.w);
            if (epoll_ctl(ep, EPOLL_CTL_ADD, listener, &event) || epoll_ctl(ep, EPOLL_CTL_ADD, stop.r, &end))
                _exit(1);
            for (;;) {
                struct epoll_event got;
                if (epoll_wait(ep, &got, 1, HANG_MS) != 1)
                    _exit(2);
                if (got.data.fd == stop.r)
                    _exit(0);
                if (got.data.fd != listener) {
                    char text[4];
                    const ssize_t n = read(got.data.fd, text, sizeof text);
                    if (n > 0 && write(got.data.fd, text, n) != n)
                        _exit(3);
                    if (n == 0)
                        close(got.data.fd);
                    continue;
                }
                const int fd = accept(listener, NULL, NULL);
                if (fd < 0 && errno == EAGAIN)
                    continue;
                event.events = EPOLLIN;
                event.data.fd = fd;
                if (fd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event))
                    _exit(4);
            }
        }
    int fds[CLIENTS];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < CLIENTS; i++) {
            fds[i] = new_socket(0);
            OK(connect_to(fds[i], port_of(listener)));
        }
        for (int i = 0; i < CLIENTS; i++) {
            const char text[2] = {'0' + round, '0' + i};
            EXPECT_EQ(write(fds[i], text, 2), 2);
        }
        for (int i = 0; i < CLIENTS; i++) {
            char text[2];
            get(fds[i], text, 2);
            EXPECT(text[0] == '0' + round && text[1] == '0' + i);
            OK(close(fds[i]));
        }
    }
    OK(close(stop.w));
    for (int i = 0; i < WORKERS; i++) {
        int status;
        OK(wait(&status));
        EXPECT_EQ(status, 0);
    }
}

CHECK(xtcp, many_children, "a dozen children, each with a copy of an epoll instance that it does not use, leave room for whoever waits")
{
    enum { CHILDREN = 12 };
    const struct link l = new_link();
    const int ep = new_epoll();
    char byte;
    add(ep, l.server, EPOLLIN);
    for (int i = 0; i < CHILDREN; i++)
        if (note_child(OK(fork())) == 0)
            for (;;)
                pause();
    const pid_t reader = note_child(OK(fork()));
    if (reader == 0) {
        OK(fcntl(l.server, F_SETFL, 0));
        _exit(read(l.server, &byte, 1) != 1 || byte != 'r' || write(l.server, "a", 1) != 1);
    }
    put(l.client, "r");
    get(l.client, &byte, 1);
    EXPECT_EQ(ending(reader), 0);
    put(l.client, "x");
    EXPECT_EVENT(ep, l.server, EPOLLIN);
}

CHECK(xtcp, waiting_when_forked, "connections that wait at a listener when its process forks are there for either, with what was sent")
{
    const int listener = new_listener(8);
    int client[2];
    for (int i = 0; i < 2; i++) {
        client[i] = new_socket(0);
        OK(connect_to(client[i], port_of(listener)));
        put(client[i], i ? "second" : "first!");
    }
    const pid_t pid = note_child(OK(fork()));
    char text[6];
    if (pid == 0) {
        const int fd = accept_one(listener);
        get(fd, text, 6);
        _exit(memcmp(text, "first!", 6) != 0 || write(fd, "ok", 2) != 2);
    }
    EXPECT_EQ(ending(pid), 0);
    get(client[0], text, 2);
    EXPECT_EQ(read(client[0], text, 1), 0);
    const int fd = accept_one(listener);
    get(fd, text, 6);
    EXPECT(memcmp(text, "second", 6) == 0);
    EXPECT_EQ(ready_now(listener, POLLIN), 0);
}

CHECK(xtcp, listener_killed, "when the last process with a listener is killed, connections that nobody accepted are reset")
{
    struct ends told = new_pipe(0);
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        const uint16_t port = port_of(new_listener(8));
        if (write(told.w, &port, sizeof port) == sizeof port)
            for (;;)
                pause();
        _exit(1);
    }
    uint16_t port;
    get(told.r, &port, sizeof port);
    const int fd = new_socket(0), ep = new_epoll();
    OK(connect_to(fd, port));
    add(ep, fd, EPOLLIN | EPOLLRDHUP);
    EXPECT_IDLE(ep);
    OK(kill(pid, SIGKILL));
    EXPECT_EQ(ending(pid), 1000 + SIGKILL);
    EXPECT_EVENT(ep, fd, EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP);
    char byte;
    EXPECT_ERRNO(read(fd, &byte, 1), ECONNRESET);
    EXPECT_ERRNO(connect_to(new_socket(0), port), ECONNREFUSED);
}

// Finds a connection as its standard input and output, as from inetd.
ROLE(inetd_upper)
{
    char c;
    struct sockaddr_in peer;
    socklen_t len = sizeof peer;
    if (getpeername(0, (struct sockaddr *)&peer, &len) || peer.sin_family != AF_INET)
        return 3;
    while (read(0, &c, 1) == 1) {
        c = c >= 'a' && c <= 'z' ? c - 32 : c;
        if (write(1, &c, 1) != 1)
            return 1;
    }
    return 0;
}

CHECK(xtcp, inetd, "a program that is started with a connection as its input and output serves it to the end")
{
    const struct link l = new_link();
    posix_spawn_file_actions_t actions;
    pid_t pid;
    // The child's blocks.
    OK(fcntl(l.server, F_SETFL, 0));
    EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
    EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, l.server, 0), 0);
    EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, l.server, 1), 0);
    EXPECT_EQ(posix_spawn_file_actions_addclose(&actions, l.server), 0);
    EXPECT_EQ(posix_spawn_file_actions_addclose(&actions, l.client), 0);
    EXPECT_EQ(spawn_with(&pid, &actions, NULL, environ, "inetd_upper", NULL), 0);
    posix_spawn_file_actions_destroy(&actions);
    OK(close(l.server));
    put(l.client, "hello");
    char text[5];
    get(l.client, text, 5);
    EXPECT(memcmp(text, "HELLO", 5) == 0);
    OK(shutdown(l.client, SHUT_WR));
    EXPECT_EQ(ending(pid), 0);
    await(l.client, POLLIN);
    EXPECT_EQ(read(l.client, text, 1), 0);
}

CHECK(xtcp, exec_keeps, "a connection and a listener without FD_CLOEXEC outlive execve, those with it are closed by it")
{
    const int listener = new_listener(4);
    const struct link l = new_link(), closed = new_link();
    OK(fcntl(closed.server, F_SETFD, FD_CLOEXEC));
    OK(fcntl(l.server, F_SETFL, 0));
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        close(l.client);
        close(closed.client);
        char connection[8], accepting[8];
        snprintf(connection, sizeof connection, "%d", l.server);
        snprintf(accepting, sizeof accepting, "%d", listener);
        execl(options.self, options.self, "--child", "after_exec", connection, accepting, NULL);
        _exit(1);
    }
    OK(close(l.server));
    OK(close(closed.server));
    OK(close(listener));
    char byte;
    await(closed.client, POLLIN);
    EXPECT_EQ(read(closed.client, &byte, 1), 0);
    uint16_t port;
    get(l.client, &port, sizeof port);
    const int fd = new_socket(0);
    OK(connect_to(fd, port));
    get(fd, &byte, 1);
    EXPECT_EQ(byte, 'e');
    EXPECT_EQ(ending(pid), 0);
}

ROLE(after_exec)
{
    const int connection = atoi(arguments[0]), listener = atoi(arguments[1]);
    const uint16_t port = port_of(listener);
    if (write(connection, &port, sizeof port) != sizeof port)
        return 2;
    struct pollfd wait = {.fd = listener, .events = POLLIN};
    if (poll(&wait, 1, HANG_MS) != 1)
        return 3;
    const int fd = accept(listener, NULL, NULL);
    return fd < 0 || write(fd, "e", 1) != 1 ? 4 : 0;
}

CHECK(xtcp, rights, "a listener and both ends of a connection go through SCM_RIGHTS to another process and work there")
{
    int s[2], got[3];
    const int listener = new_listener(4);
    const struct link l = new_link();
    const uint16_t port = port_of(listener);
    unix_pair(s, SOCK_STREAM, false);
    put(l.client, "on its way");
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        char text[10];
        close(listener);
        close(l.client);
        close(l.server);
        close(s[0]);
        if (receive_fds(s[1], got, 3, 0, NULL) != 3)
            _exit(1);
        get(got[1], text, 10);
        if (memcmp(text, "on its way", 10) != 0 || write(got[1], "back", 4) != 4)
            _exit(2);
        get(got[2], text, 4);
        const int fd = accept_one(got[0]);
        _exit(memcmp(text, "back", 4) != 0 || write(fd, "new", 3) != 3 ? 3 : 0);
    }
    OK(close(s[1]));
    const int fds[3] = {listener, l.server, l.client};
    EXPECT_EQ(send_fds(s[0], fds, 3), 1);
    for (int i = 0; i < 3; i++)
        OK(close(fds[i]));
    const int fd = new_socket(0);
    OK(connect_to(fd, port));
    char text[3];
    get(fd, text, 3);
    EXPECT(memcmp(text, "new", 3) == 0);
    EXPECT_EQ(ending(pid), 0);
    EXPECT_ERRNO(connect_to(new_socket(0), port), ECONNREFUSED);
}

CHECK(xtcp, rights_to_itself, "a connection that a process sends to itself is the same one")
{
    int s[2], got;
    const struct link l = new_link();
    unix_pair(s, SOCK_STREAM, false);
    EXPECT_EQ(send_fds(s[0], &l.server, 1), 1);
    OK(close(l.server));
    EXPECT_EQ(ready_now(l.client, POLLIN | POLLRDHUP), 0);
    EXPECT_EQ(receive_fds(s[1], &got, 1, 0, NULL), 1);
    put(got, "x");
    char byte;
    get(l.client, &byte, 1);
    OK(close(got));
    EXPECT_EQ(await(l.client, POLLIN | POLLRDHUP), POLLIN | POLLRDHUP);
}

CHECK(xtcp, reuse_port, "with SO_REUSEPORT two processes listen at one port, and every connection is taken by one of them")
{
    const int mine = new_socket(SOCK_NONBLOCK), on = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    OK(setsockopt(mine, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on));
    OK(bind(mine, (struct sockaddr *)&to, sizeof to));
    to.sin_port = htons(port_of(mine));
    OK(listen(mine, 64));
    EXPECT_ERRNO(bind(new_socket(0), (struct sockaddr *)&to, sizeof to), EADDRINUSE);
    struct ends told = new_pipe(0), stop = new_pipe(0);
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        close(mine);
        close(stop.w);
        const int own = socket(AF_INET, SOCK_STREAM, 0);
        if (setsockopt(own, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) || bind(own, (struct sockaddr *)&to, sizeof to) ||
            listen(own, 64) || write(told.w, "l", 1) != 1)
            _exit(1);
        struct pollfd wait[2] = {{.fd = own, .events = POLLIN}, {.fd = stop.r, .events = POLLIN}};
        for (;;) {
            if (poll(wait, 2, HANG_MS) < 1)
                _exit(2);
            if (!wait[0].revents)
                _exit(0);
            const int fd = accept(own, NULL, NULL);
            if (write(fd, "c", 1) != 1)
                _exit(3);
            close(fd);
        }
    }
    char who;
    get(told.r, &who, 1);
    int counts[2] = {0};
    for (int i = 0; i < 40; i++) {
        const int fd = new_socket(0);
        OK(connect_to(fd, port_of(mine)));
        struct pollfd wait[2] = {{.fd = fd, .events = POLLIN}, {.fd = mine, .events = POLLIN}};
        EXPECT_AT_LEAST(poll(wait, 2, HANG_MS), 1);
        if (wait[1].revents) {
            const int server = accept_one(mine);
            put(server, "p");
            OK(close(server));
        }
        get(fd, &who, 1);
        counts[who == 'c']++;
        OK(close(fd));
    }
    OK(close(stop.w));
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EQ(counts[0] + counts[1], 40);
    EXPECT_AT_LEAST(counts[0], 1);
    EXPECT_AT_LEAST(counts[1], 1);
}
