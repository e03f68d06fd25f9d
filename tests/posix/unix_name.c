// SPDX-License-Identifier: BSD-2-Clause
// AF_UNIX sockets with names: abstract ones, paths, chosen ones; listening, connecting, datagrams.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helpers.h"
#include "process.h"
#include "unix.h"

// A name that no other run of the tests has at the same time.
static const char *own_name(void)
{
    static char name[64];
    static int number;
    snprintf(name, sizeof name, "@posix-tests-%d-%d", (int)getpid(), number++);
    return name;
}

static void expect_name(const struct sockaddr_un *address, socklen_t len, const char *text)
{
    const struct unix_name name = unix_name(text);
    EXPECT_EQ(len, name.len);
    EXPECT(memcmp(address, &name.address, name.len) == 0);
}

static void connects(int type)
{
    const char *name = own_name();
    const int listener = unix_bound(type, name, 5);
    char got[8] = {0};
    EXPECT_EQ(ready_now(listener, POLLIN | POLLOUT), 0);
    const int client = OK(socket(AF_UNIX, type, 0));
    OK(unix_connect(client, name));
    EXPECT_EQ(ready_now(listener, POLLIN | POLLOUT), POLLIN);
    put(client, "early");
    struct sockaddr_un address;
    socklen_t len = sizeof address;
    const int server = OK(accept(listener, (struct sockaddr *)&address, &len));
    EXPECT_EQ(len, sizeof address.sun_family);
    EXPECT_EQ(ready_now(listener, POLLIN | POLLOUT), 0);
    get(server, got, 5);
    EXPECT(strcmp(got, "early") == 0);
    put(server, "back");
    get(client, got, 4);
    EXPECT(memcmp(got, "back", 4) == 0);
    len = sizeof address;
    OK(getsockname(server, (struct sockaddr *)&address, &len));
    expect_name(&address, len, name);
    len = sizeof address;
    OK(getpeername(client, (struct sockaddr *)&address, &len));
    expect_name(&address, len, name);
    len = sizeof address;
    OK(getsockname(client, (struct sockaddr *)&address, &len));
    EXPECT_EQ(len, sizeof address.sun_family);
    OK(close(server));
    EXPECT_EQ(read(client, got, 1), 0);
}

CHECK(unix, connect_stream, "a stream connects to an abstract name; what it sends before it is accepted arrives")
{
    connects(SOCK_STREAM);
}

CHECK(unix, connect_packets, "so does one of sequenced packets")
{
    connects(SOCK_SEQPACKET);
}

CHECK(unix, refusals, "connect refuses names that nobody has, sockets that do not listen, and abstract names of other types")
{
    const char *name = own_name();
    const int client = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    EXPECT_ERRNO(unix_connect(client, name), ECONNREFUSED);
    EXPECT_ERRNO(unix_connect(client, "no/such/path"), ENOENT);
    EXPECT_ERRNO(unix_connect(client, "no-such-path"), ENOENT);
    const int listener = unix_bound(SOCK_STREAM, name, -1);
    EXPECT_ERRNO(unix_connect(client, name), ECONNREFUSED);
    OK(listen(listener, 1));
    const int packets = OK(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    EXPECT_ERRNO(unix_connect(packets, name), ECONNREFUSED);
    const int datagrams = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    EXPECT_ERRNO(unix_connect(datagrams, name), ECONNREFUSED);
    OK(unix_connect(client, name));
    EXPECT_ERRNO(unix_connect(client, name), EISCONN);
    EXPECT_ERRNO(unix_connect(listener, name), EINVAL);
}

CHECK(unix, address_taken, "an abstract name is one socket's of its type until that is closed")
{
    const char *name = own_name();
    const struct unix_name taken = unix_name(name);
    const int first = unix_bound(SOCK_STREAM, name, 1);
    unix_bound(SOCK_DGRAM, name, -1);
    const int second = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    EXPECT_ERRNO(bind(second, (const struct sockaddr *)&taken.address, taken.len), EADDRINUSE);
    EXPECT_ERRNO(bind(first, (const struct sockaddr *)&taken.address, taken.len), EINVAL);
    OK(close(first));
    OK(bind(second, (const struct sockaddr *)&taken.address, taken.len));
}

CHECK(unix, malformed, "addresses that are too short, too long or another family's are EINVAL")
{
    struct unix_name name = unix_name(own_name());
    const int fd = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    const struct sockaddr *address = (const struct sockaddr *)&name.address;
    EXPECT_ERRNO(bind(fd, address, 1), EINVAL);
    EXPECT_ERRNO(bind(fd, address, sizeof name.address + 1), EINVAL);
    EXPECT_ERRNO(connect(fd, address, 2), EINVAL);
    name.address.sun_family = AF_INET;
    EXPECT_ERRNO(bind(fd, address, name.len), EINVAL);
    EXPECT_ERRNO(connect(fd, address, name.len), EINVAL);
}

CHECK(unix, chosen_name, "binding to no name chooses an abstract one of five hexadecimal digits")
{
    const int fd = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    OK(bind(fd, (struct sockaddr *)&address, sizeof address.sun_family));
    socklen_t len = sizeof address;
    OK(getsockname(fd, (struct sockaddr *)&address, &len));
    EXPECT_EQ(len, sizeof address.sun_family + 6);
    EXPECT_EQ(address.sun_path[0], 0);
    EXPECT_EQ(strspn(address.sun_path + 1, "0123456789abcdef") >= 5, 1);
}

CHECK(unix, path, "a path is there until it is unlinked; once its socket is closed connections are refused")
{
    const char *name = "posix-tests.sock";
    unlink(name);
    const struct unix_name taken = unix_name(name);
    const int probe = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    if (bind(probe, (const struct sockaddr *)&taken.address, taken.len) != 0 && errno == EROFS)
        skip("no writable directory");
    OK(close(probe));
    EXPECT_ERRNO(unix_connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), name), ECONNREFUSED);
    const int second = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    EXPECT_ERRNO(bind(second, (const struct sockaddr *)&taken.address, taken.len), EADDRINUSE);
    OK(unlink(name));
    EXPECT_ERRNO(unlink(name), ENOENT);
    const int listener = unix_bound(SOCK_STREAM, name, 1);
    const int client = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    EXPECT_ERRNO(unix_connect(OK(socket(AF_UNIX, SOCK_SEQPACKET, 0)), name), EPROTOTYPE);
    OK(unix_connect(client, name));
    struct sockaddr_un address;
    socklen_t len = sizeof address;
    OK(getpeername(client, (struct sockaddr *)&address, &len));
    expect_name(&address, len, name);
    OK(accept(listener, NULL, NULL));
    OK(unlink(name));
    EXPECT_ERRNO(unix_connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), name), ENOENT);
    EXPECT_ERRNO(unix_connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), "posix-tests.none/x"), ENOENT);
}

CHECK(unix, backlog, "one more than the backlog waits; then a connect that must not wait is EAGAIN")
{
    const char *name = own_name();
    const int listener = unix_bound(SOCK_STREAM, name, 1);
    for (int i = 0; i < 2; i++)
        OK(unix_connect(OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)), name));
    const int third = OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    EXPECT_ERRNO(unix_connect(third, name), EAGAIN);
    OK(accept(listener, NULL, NULL));
    OK(unix_connect(third, name));
}

CHECK(unix, listener_ends, "closing a listener resets who waits to be accepted")
{
    const char *name = own_name();
    char c;
    const int listener = unix_bound(SOCK_STREAM, name, 1);
    const int client = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    OK(unix_connect(client, name));
    OK(close(listener));
    EXPECT_EQ(ready_now(client, POLLIN) & (POLLIN | POLLHUP), POLLIN | POLLHUP);
    EXPECT_ERRNO(read(client, &c, 1), ECONNRESET);
    EXPECT_EQ(read(client, &c, 1), 0);
}

CHECK(unix, accept_nothing, "accept with nobody there is EAGAIN; the accepted socket has the flags that were asked for")
{
    const char *name = own_name();
    const int listener = unix_bound(SOCK_STREAM | SOCK_NONBLOCK, name, 1);
    int on = 0;
    socklen_t len = sizeof on;
    EXPECT_ERRNO(accept(listener, NULL, NULL), EAGAIN);
    OK(getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &on, &len));
    EXPECT_EQ(on, 1);
    OK(unix_connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), name));
    const int server = OK(accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
    EXPECT_EQ(fcntl(server, F_GETFD), FD_CLOEXEC);
    EXPECT(fcntl(server, F_GETFL) & O_NONBLOCK);
    struct ucred peer;
    len = sizeof peer;
    OK(getsockopt(server, SOL_SOCKET, SO_PEERCRED, &peer, &len));
    EXPECT_EQ(peer.pid, getpid());
}

CHECK(unix, accept_edges, "each connection is an edge to who watches the listener")
{
    const char *name = own_name();
    const int listener = unix_bound(SOCK_STREAM, name, 5);
    const int ep = new_epoll();
    add(ep, listener, EPOLLIN | EPOLLET);
    EXPECT_IDLE(ep);
    for (int i = 0; i < 3; i++) {
        OK(unix_connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), name));
        EXPECT_EVENT(ep, listener, EPOLLIN);
        EXPECT_IDLE(ep);
    }
}

CHECK(unix, client_name, "a client that is bound has a name for the server")
{
    const char *name = own_name();
    const int listener = unix_bound(SOCK_STREAM, name, 1);
    char own[80];
    snprintf(own, sizeof own, "%s-client", name);
    const int client = unix_bound(SOCK_STREAM, own, -1);
    OK(unix_connect(client, name));
    struct sockaddr_un address;
    socklen_t len = sizeof address;
    const int server = OK(accept(listener, (struct sockaddr *)&address, &len));
    expect_name(&address, len, own);
    len = 5;
    memset(&address, 0x55, sizeof address);
    OK(getpeername(server, (struct sockaddr *)&address, &len));
    EXPECT_EQ(len, unix_name(own).len);
    EXPECT_EQ(((unsigned char *)&address)[5], 0x55);
}

CHECK(unix, datagrams, "datagrams go to a name, with their sender's")
{
    char name[80], got[16] = {0};
    snprintf(name, sizeof name, "%s", own_name());
    const int server = unix_bound(SOCK_DGRAM, name, -1);
    char other[80];
    snprintf(other, sizeof other, "%s", own_name());
    const int client = unix_bound(SOCK_DGRAM, other, -1);
    const struct unix_name to = unix_name(name);
    EXPECT_EQ(sendto(client, "one", 3, 0, (const struct sockaddr *)&to.address, to.len), 3);
    EXPECT_EQ(ready_now(server, POLLIN), POLLIN);
    struct sockaddr_un from;
    socklen_t len = sizeof from;
    EXPECT_EQ(recvfrom(server, got, sizeof got, 0, (struct sockaddr *)&from, &len), 3);
    expect_name(&from, len, other);
    EXPECT_EQ(sendto(server, "back", 4, 0, (const struct sockaddr *)&from, len), 4);
    struct iovec part = {got, sizeof got};
    memset(&from, 0, sizeof from);
    struct msghdr message = {
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1};
    EXPECT_EQ(recvmsg(client, &message, 0), 4);
    expect_name(&from, message.msg_namelen, name);
    const int unnamed = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    EXPECT_EQ(sendto(unnamed, "x", 1, 0, (const struct sockaddr *)&to.address, to.len), 1);
    len = sizeof from;
    EXPECT_EQ(recvfrom(server, got, sizeof got, 0, (struct sockaddr *)&from, &len), 1);
    EXPECT_EQ(len, 0);
    OK(close(server));
    EXPECT_ERRNO(sendto(client, "x", 1, 0, (const struct sockaddr *)&to.address, to.len),
                 ECONNREFUSED);
}

CHECK(unix, datagrams_connected, "a connected datagram socket sends without a name, and hears when its peer is gone")
{
    char name[80], got[16];
    snprintf(name, sizeof name, "%s", own_name());
    const int server = unix_bound(SOCK_DGRAM, name, -1);
    const int client = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    OK(unix_connect(client, name));
    put(client, "abc");
    EXPECT_EQ(recv(server, got, sizeof got, 0), 3);
    struct sockaddr_un address;
    socklen_t len = sizeof address;
    OK(getpeername(client, (struct sockaddr *)&address, &len));
    expect_name(&address, len, name);
    OK(close(server));
    EXPECT_ERRNO(send(client, "x", 1, 0), ECONNREFUSED);
    EXPECT_ERRNO(send(client, "x", 1, 0), ENOTCONN);
    const struct sockaddr none = {.sa_family = AF_UNSPEC};
    OK(connect(client, &none, sizeof none));
    EXPECT_ERRNO(getpeername(client, (struct sockaddr *)&address, &len), ENOTCONN);
}

// --- between processes ------------------------------------------------------------------------

ROLE(unix_asks)
{
    // Connects to a name, says something, and wants it back in capitals.
    char got[8] = {0};
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || unix_connect(fd, arguments[0]) != 0)
        return 1;
    if (write(fd, "hello", 5) != 5 || read(fd, got, sizeof got) != 5)
        return 2;
    return memcmp(got, "HELLO", 5) != 0;
}

CHECK(xunix, serves, "other programs connect to a name, one after the other and at the same time; the server waits by epoll")
{
    enum { CLIENTS = 8 };
    const char *name = own_name();
    const int listener = unix_bound(SOCK_STREAM, name, CLIENTS);
    const int ep = new_epoll();
    add(ep, listener, EPOLLIN);
    pid_t clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = child("unix_asks", name, NULL);
    for (int served = 0; served < CLIENTS;) {
        struct epoll_event event;
        EXPECT_EQ(epoll_wait(ep, &event, 1, HANG_MS), 1);
        const int fd = (int)event.data.u64;
        if (fd == listener) {
            add(ep, OK(accept4(listener, NULL, NULL, SOCK_CLOEXEC)), EPOLLIN);
            continue;
        }
        char text[16];
        const ssize_t n = OK(read(fd, text, sizeof text));
        if (n == 0) {
            OK(close(fd));
            served++;
            continue;
        }
        for (ssize_t i = 0; i < n; i++)
            text[i] -= 'a' - 'A';
        EXPECT_EQ(write(fd, text, n), n);
    }
    for (int i = 0; i < CLIENTS; i++)
        EXPECT_EQ(ending(clients[i]), 0);
}

ROLE(unix_accepts)
{
    // Accepts by the listener that is descriptor 0 and answers with its argument.
    const int fd = accept(0, NULL, NULL);
    if (fd < 0)
        return 1;
    return write(fd, arguments[0], 1) == 1 ? 0 : 2;
}

CHECK(xunix, listener_is_shared, "workers share a listener that they inherited: each connection is one's")
{
    const char *name = own_name();
    const int listener = unix_bound(SOCK_STREAM, name, 5);
    pid_t workers[3];
    for (int i = 0; i < 3; i++) {
        const char letter[2] = {(char)('a' + i)};
        posix_spawn_file_actions_t actions;
        EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
        EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, listener, 0), 0);
        extern char **environ;
        EXPECT_EQ(spawn_with(&workers[i], &actions, NULL, environ, "unix_accepts", letter, NULL), 0);
        posix_spawn_file_actions_destroy(&actions);
    }
    OK(close(listener));
    int seen = 0;
    for (int i = 0; i < 3; i++) {
        char c;
        const int fd = OK(socket(AF_UNIX, SOCK_STREAM, 0));
        OK(unix_connect(fd, name));
        get(fd, &c, 1);
        seen |= 1 << (c - 'a');
    }
    EXPECT_EQ(seen, 7);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(ending(workers[i]), 0);
    EXPECT_ERRNO(unix_connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), name), ECONNREFUSED);
}

ROLE(unix_logs)
{
    const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    const struct unix_name to = unix_name(arguments[0]);
    for (int i = 0; i < 2000; i++)
        if (sendto(fd, &i, sizeof i, 0, (const struct sockaddr *)&to.address, to.len) != sizeof i)
            return 1;
    return 0;
}

CHECK(xunix, many_datagrams, "a sender of datagrams blocks while the receiver's queue is full; none is lost, their order is kept")
{
    const char *name = own_name();
    const int server = unix_bound(SOCK_DGRAM, name, -1);
    const pid_t first = child("unix_logs", name, NULL), second = child("unix_logs", name, NULL);
    long sum = 0;
    for (int i = 0; i < 4000; i++) {
        int got = -1;
        EXPECT_EQ(recv(server, &got, sizeof got, 0), sizeof got);
        sum += got;
    }
    EXPECT_EQ(sum, 2L * 2000 * 1999 / 2);
    EXPECT_EQ(ending(first), 0);
    EXPECT_EQ(ending(second), 0);
}

ROLE(unix_dies)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (unix_connect(fd, arguments[0]) != 0)
        return 1;
    pause();
    return 2;
}

CHECK(xunix, peer_is_killed, "a peer that is killed is end of file and HUP")
{
    const char *name = own_name();
    const int listener = unix_bound(SOCK_STREAM, name, 1);
    const pid_t pid = child("unix_dies", name, NULL);
    const int fd = OK(accept(listener, NULL, NULL));
    struct ucred peer;
    socklen_t len = sizeof peer;
    OK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len));
    EXPECT_EQ(peer.pid, pid);
    const int ep = new_epoll();
    add(ep, fd, EPOLLIN | EPOLLRDHUP);
    EXPECT_IDLE(ep);
    OK(kill(pid, SIGKILL));
    int which;
    EXPECT_EQ(wait_one(ep, &which, HANG_MS), EPOLLIN | EPOLLRDHUP | EPOLLHUP);
    char c;
    EXPECT_EQ(read(fd, &c, 1), 0);
}
