// SPDX-License-Identifier: BSD-2-Clause
// TCP on 127.0.0.1 between processes: who listens, who connects, who has it by fork, exec or a message, and what is left when one ends.
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

// Has another process had what is open?
static void fork_once(void)
{
    const pid_t pid = OK(fork());
    if (pid == 0)
        _exit(7);
    EXPECT_EQ(ending(note_child(pid)), 7);
}

int shared_listener(int backlog)
{
    const int listener = new_listener(backlog);
    fork_once();
    return listener;
}

struct link shared_link(void)
{
    const int listener = shared_listener(4);
    struct link l = {.client = new_socket(0)};
    OK(connect_to(l.client, port_of(listener)));
    set_nonblocking(l.client);
    l.server = accept_one(listener);
    OK(close(listener));
    return l;
}

static struct sockaddr_in address(in_addr_t ip, uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(ip)};
}

static int bind_to(int fd, in_addr_t ip, uint16_t port)
{
    const struct sockaddr_in to = address(ip, port);
    return bind(fd, (const struct sockaddr *)&to, sizeof to);
}

// A child with some descriptors as its 0, 1, ...
static pid_t child_with(const int *fds, int count, const char *role, const char *argument)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
    for (int i = 0; i < count; i++)
        EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, fds[i], i), 0);
    EXPECT_EQ(spawn_with(&pid, &actions, NULL, environ, role, argument, NULL), 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

// Sends back what comes by `fd` until it ends; 0 if all went well.
static int echo(int fd)
{
    char buffer[1 << 14];
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0)
        for (ssize_t done = 0, w; done < n; done += w)
            if ((w = write(fd, buffer + done, n - done)) < 0)
                return 1;
    return n < 0 ? 2 : 0;
}

// Listens, tells its port by descriptor 1, and serves so many connections one after the other.
ROLE(tcp_server)
{
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind_to(listener, INADDR_ANY, 0) || listen(listener, 8))
        return 10;
    const uint16_t port = port_of(listener);
    if (write(1, &port, sizeof port) != sizeof port)
        return 11;
    for (int left = atoi(arguments[0]); left > 0; left--) {
        const int fd = accept(listener, NULL, NULL);
        if (fd < 0 || echo(fd))
            return 12;
        close(fd);
    }
    return 0;
}

struct served {
    pid_t pid;
    uint16_t port;
};

static struct served serve(const char *role, const char *count)
{
    struct ends told = new_pipe(O_CLOEXEC);
    const int fds[2] = {told.r, told.w};
    struct served s = {.pid = child_with(fds, 2, role, count)};
    get(told.r, &s.port, sizeof s.port);
    return s;
}

CHECK(xtcp, echo, "a client connects to a server in another process; bytes go and come back; its close is the server's end of file")
{
    const struct served s = serve("tcp_server", "2");
    for (int round = 0; round < 2; round++) {
        const int fd = new_socket(SOCK_CLOEXEC);
        OK(connect_to(fd, s.port));
        for (int i = 0; i < 100; i++) {
            char text[32], got[32];
            const int n = snprintf(text, sizeof text, "message %d", i);
            EXPECT_EQ(write(fd, text, n), n);
            get(fd, got, n);
            EXPECT(memcmp(got, text, n) == 0);
        }
        OK(shutdown(fd, SHUT_WR));
        char byte;
        EXPECT_EQ(read(fd, &byte, 1), 0);
        OK(close(fd));
    }
    EXPECT_EQ(ending(s.pid), 0);
    EXPECT_ERRNO(connect_to(new_socket(0), s.port), ECONNREFUSED);
}

CHECK(xtcp, much_between_processes, "a million bytes go to another process and back while both block")
{
    const struct served s = serve("tcp_server", "1");
    const int fd = new_socket(SOCK_CLOEXEC);
    OK(connect_to(fd, s.port));
    const pid_t writer = note_child(OK(fork()));
    static unsigned char block[10000];
    if (writer == 0) {
        for (int i = 0; i < 100; i++) {
            memset(block, i, sizeof block);
            for (size_t done = 0; done < sizeof block;) {
                const ssize_t n = write(fd, block + done, sizeof block - done);
                if (n < 0)
                    _exit(1);
                done += n;
            }
        }
        _exit(shutdown(fd, SHUT_WR) ? 2 : 0);
    }
    for (int i = 0; i < 100; i++) {
        get(fd, block, sizeof block);
        for (size_t at = 0; at < sizeof block; at++)
            EXPECT_EQ(block[at], i);
    }
    EXPECT_EQ(read(fd, block, 1), 0);
    EXPECT_EQ(ending(writer), 0);
    EXPECT_EQ(ending(s.pid), 0);
}

CHECK(xtcp, names, "both ends know both addresses, and all ephemeral ports differ, whichever processes they are of")
{
    const int listener = shared_listener(8);
    struct sockaddr_in mine, theirs;
    socklen_t len = sizeof mine;
    int client[2];
    for (int i = 0; i < 2; i++) {
        client[i] = new_socket(0);
        OK(connect_to(client[i], port_of(listener)));
        const int server = accept_one(listener);
        OK(getsockname(client[i], (struct sockaddr *)&mine, &len));
        OK(getpeername(server, (struct sockaddr *)&theirs, &len));
        EXPECT_EQ(mine.sin_port, theirs.sin_port);
        EXPECT_EQ(ntohl(mine.sin_addr.s_addr), INADDR_LOOPBACK);
        EXPECT_EQ(theirs.sin_addr.s_addr, mine.sin_addr.s_addr);
        OK(getpeername(client[i], (struct sockaddr *)&theirs, &len));
        OK(getsockname(server, (struct sockaddr *)&mine, &len));
        EXPECT_EQ(ntohs(mine.sin_port), port_of(listener));
        EXPECT_EQ(mine.sin_port, theirs.sin_port);
        EXPECT_EQ(ntohl(mine.sin_addr.s_addr), INADDR_LOOPBACK);
    }
    const struct link own = new_link();
    EXPECT(port_of(client[0]) != port_of(client[1]));
    EXPECT(port_of(client[0]) != port_of(own.client));
    struct ends told = new_pipe(0);
    if (note_child(OK(fork())) == 0) {
        const struct link l = new_link();
        const uint16_t port = port_of(l.client);
        _exit(write(told.w, &port, sizeof port) != sizeof port);
    }
    uint16_t port;
    get(told.r, &port, sizeof port);
    EXPECT(port != port_of(own.client) && port != port_of(client[0]) && port != port_of(client[1]));
}

ROLE(binds)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (arguments[1])
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return bind_to(fd, INADDR_LOOPBACK, atoi(arguments[0])) ? errno : 0;
}

CHECK(xtcp, address_in_use, "a port that another process holds is EADDRINUSE, with SO_REUSEADDR if it listens; free when that one has ended")
{
    const int fd = new_socket(SOCK_CLOEXEC), on = 1;
    OK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    OK(bind_to(fd, INADDR_ANY, 0));
    char port[8];
    snprintf(port, sizeof port, "%d", port_of(fd));
    EXPECT_EQ(ending(child("binds", port, NULL)), EADDRINUSE);
    EXPECT_EQ(ending(child("binds", port, "reuse", NULL)), 0);
    OK(listen(fd, 1));
    EXPECT_EQ(ending(child("binds", port, "reuse", NULL)), EADDRINUSE);
    OK(close(fd));
    EXPECT_EQ(ending(child("binds", port, NULL)), 0);
    const struct served s = serve("tcp_server", "1");
    EXPECT_ERRNO(bind_to(new_socket(0), INADDR_LOOPBACK, s.port), EADDRINUSE);
    OK(kill(s.pid, SIGKILL));
    EXPECT_EQ(ending(s.pid), 1000 + SIGKILL);
    OK(bind_to(new_socket(0), INADDR_LOOPBACK, s.port));
}

CHECK(xtcp, nonblocking_connect, "a nonblocking connect to another process is done when the socket is writable; a refused one says so once")
{
    const struct served s = serve("tcp_server", "1");
    const int fd = new_socket(SOCK_NONBLOCK | SOCK_CLOEXEC), ep = new_epoll();
    EXPECT_ERRNO(connect_to(fd, s.port), EINPROGRESS);
    add(ep, fd, EPOLLIN | EPOLLOUT | EPOLLET);
    EXPECT_EVENT(ep, fd, EPOLLOUT);
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_ERROR), 0);
    put(fd, "x");
    char byte;
    get(fd, &byte, 1);
    OK(close(fd));
    EXPECT_EQ(ending(s.pid), 0);
    const int other = new_socket(SOCK_NONBLOCK);
    EXPECT_ERRNO(connect_to(other, s.port), EINPROGRESS);
    EXPECT_EQ(await(other, POLLOUT) & POLLERR, POLLERR);
    EXPECT_EQ(option_of(other, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
    EXPECT_EQ(option_of(other, SOL_SOCKET, SO_ERROR), 0);
}

CHECK(xtcp, edges, "edge-triggered: each write of another process is news, and so are its half close and its end")
{
    const struct link l = shared_link();
    struct ends go = new_pipe(0);
    const int ep = new_epoll();
    add(ep, l.client, EPOLLIN | EPOLLRDHUP | EPOLLET);
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        char step;
        close(l.client);
        close(go.w);
        while (read(go.r, &step, 1) == 1)
            if (step == 'w' ? write(l.server, "data", 4) != 4 : shutdown(l.server, SHUT_WR) != 0)
                _exit(1);
        _exit(0);
    }
    OK(close(l.server));
    EXPECT_IDLE(ep);
    for (int i = 0; i < 3; i++) {
        put(go.w, "w");
        EXPECT_EVENT(ep, l.client, EPOLLIN);
        EXPECT_IDLE(ep);
    }
    put(go.w, "s");
    EXPECT_EVENT(ep, l.client, EPOLLIN | EPOLLRDHUP);
    EXPECT_EQ(drain(l.client), 12);
    put(l.client, "heard");
    OK(close(go.w));
    // It leaves five bytes unread: a reset after the FIN.
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EVENT(ep, l.client, EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP);
    EXPECT_EQ(option_of(l.client, SOL_SOCKET, SO_ERROR), EPIPE);
}

CHECK(xtcp, full_then_edge_between_processes, "a writer that found no room is told by OUT when another process has read, and loses nothing")
{
    const struct link l = shared_link();
    const int ep = new_epoll();
    const size_t sent = fill(l.client);
    add(ep, l.client, EPOLLOUT | EPOLLET);
    EXPECT_IDLE(ep);
    struct ends go = new_pipe(0);
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        char byte;
        close(l.client);
        if (read(go.r, &byte, 1) != 1)
            _exit(1);
        get_pattern(l.server, sent);
        _exit(0);
    }
    put(go.w, "g");
    EXPECT_EVENT(ep, l.client, EPOLLOUT);
    EXPECT_EQ(ending(pid), 0);
    OK(close(l.server));
}

CHECK(xtcp, fork_of_connections, "after fork a close in one process does not end the other's connection; the last one does")
{
    const struct link l = shared_link();
    struct ends go = new_pipe(0);
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        char byte;
        close(l.client);
        close(go.w);
        const int ended = read(go.r, &byte, 1);
        _exit(ended == 0 && write(l.server, "child", 5) == 5 ? 0 : 1);
    }
    put(l.server, "parent");
    OK(close(l.server));
    char text[11];
    get(l.client, text, 6);
    EXPECT_EQ(ready_now(l.client, POLLIN | POLLRDHUP), 0);
    OK(close(go.w));
    get(l.client, text, 5);
    EXPECT(memcmp(text, "child", 5) == 0);
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EQ(await(l.client, POLLIN | POLLRDHUP), POLLIN | POLLRDHUP);
    EXPECT_EQ(read(l.client, text, 1), 0);
}

CHECK(xtcp, fork_of_own_connections, "a connection within a process, with bytes in both directions, is the child's as well")
{
    const struct link l = new_link();
    put(l.client, "to the server");
    put(l.server, "to the client");
    const int ep = new_epoll();
    add(ep, l.client, EPOLLIN | EPOLLET);
    EXPECT_EVENT(ep, l.client, EPOLLIN);
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        char text[13];
        get(l.server, text, 13);
        _exit(memcmp(text, "to the server", 13) != 0 || write(l.server, "!", 1) != 1);
    }
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EVENT(ep, l.client, EPOLLIN);
    char text[14];
    get(l.client, text, 14);
    EXPECT(memcmp(text, "to the client!", 14) == 0);
    EXPECT_EQ(drain(l.server), 0);
}

CHECK(xtcp, killed_holder, "a process that is killed leaves a FIN if it has read all, and a reset if it has not")
{
    for (int unread = 0; unread < 2; unread++) {
        const struct link l = shared_link();
        const pid_t pid = note_child(OK(fork()));
        if (pid == 0) {
            close(l.client);
            if (write(l.server, "up", 2) == 2)
                for (;;)
                    pause();
            _exit(1);
        }
        OK(close(l.server));
        char text[2];
        get(l.client, text, 2);
        if (unread)
            put(l.client, "never read");
        OK(kill(pid, SIGKILL));
        EXPECT_EQ(ending(pid), 1000 + SIGKILL);
        if (unread) {
            EXPECT_ERRNO(read(l.client, text, 1), ECONNRESET);
            EXPECT_EQ(ready_now(l.client, POLLIN), POLLIN | POLLHUP);
        } else {
            EXPECT_EQ(read(l.client, text, 1), 0);
            EXPECT_EQ(ready_now(l.client, POLLIN), POLLIN);
        }
    }
}
