// SPDX-License-Identifier: BSD-2-Clause
// TCP on 127.0.0.1: both ends in this process, one thread.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "helpers.h"

CHECK(tcp, both_ways, "bytes go both ways, in order")
{
    const struct link l = new_link();
    char buffer[16] = {0};
    put(l.client, "hello ");
    put(l.client, "there");
    get(l.server, buffer, 11);
    EXPECT(strcmp(buffer, "hello there") == 0);
    put(l.server, "general");
    get(l.client, buffer, 7);
    EXPECT(memcmp(buffer, "general", 7) == 0);
}

CHECK(tcp, much, "a million bytes arrive intact")
{
    static unsigned char block[5000], back[5000];
    const struct link l = new_link();
    size_t sent = 0, got = 0;
    while (got < 1000000) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (unsigned char)((sent + i) % 253);
        const ssize_t out = sent < 1000000 ? write(l.client, block, sizeof block) : 0;
        EXPECT(out >= 0 || errno == EAGAIN);
        sent += out > 0 ? (size_t)out : 0;
        if (out <= 0)
            await(l.server, POLLIN);
        const ssize_t in = read(l.server, back, sizeof back);
        EXPECT(in > 0 || (in < 0 && errno == EAGAIN));
        for (ssize_t i = 0; i < in; i++)
            EXPECT_EQ(back[i], (got + (size_t)i) % 253);
        got += in > 0 ? (size_t)in : 0;
    }
    EXPECT_EQ(got, sent);
}

CHECK(tcp, connect_blocking, "a blocking connect to a listener succeeds before anybody accepts")
{
    const int listener = new_listener(4), client = new_socket(0);
    OK(connect_to(client, port_of(listener)));
    put(client, "early");
    char buffer[5];
    get(accept_one(listener), buffer, 5);
    EXPECT(memcmp(buffer, "early", 5) == 0);
}

CHECK(tcp, connect_nonblocking, "a nonblocking connect is done when the socket is writable")
{
    const int listener = new_listener(4), client = new_socket(SOCK_NONBLOCK);
    if (connect_to(client, port_of(listener)) == -1)
        EXPECT_EQ(errno, EINPROGRESS);
    EXPECT_EQ(await(client, POLLOUT), POLLOUT);
    EXPECT_EQ(option_of(client, SOL_SOCKET, SO_ERROR), 0);
    accept_one(listener);
}

CHECK(tcp, connect_edge, "a nonblocking connect that succeeds is an OUT edge")
{
    const int listener = new_listener(4), client = new_socket(SOCK_NONBLOCK), ep = new_epoll();
    connect_to(client, port_of(listener));
    add(ep, client, EPOLLIN | EPOLLOUT | EPOLLET);
    EXPECT_EVENT(ep, client, EPOLLOUT);
    EXPECT_IDLE(ep);
    put(accept_one(listener), "x");
    EXPECT_EVENT(ep, client, EPOLLIN | EPOLLOUT);
}

CHECK(tcp, refused, "connecting to a port without listener is ECONNREFUSED")
{
    const int listener = new_listener(4);
    const uint16_t port = port_of(listener);
    OK(close(listener));
    EXPECT_ERRNO(connect_to(new_socket(0), port), ECONNREFUSED);
}

CHECK(tcp, refused_nonblocking, "a refused nonblocking connect says so by ERR and SO_ERROR, once")
{
    const int listener = new_listener(4), client = new_socket(SOCK_NONBLOCK);
    const uint16_t port = port_of(listener);
    OK(close(listener));
    EXPECT_ERRNO(connect_to(client, port), EINPROGRESS);
    EXPECT_EQ(await(client, POLLOUT), POLLOUT | POLLERR | POLLHUP);
    EXPECT_EQ(option_of(client, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
    EXPECT_EQ(option_of(client, SOL_SOCKET, SO_ERROR), 0);
}

CHECK(tcp, connected_already, "connecting a connected or listening socket is EISCONN")
{
    const int listener = new_listener(4), client = new_socket(0);
    OK(connect_to(client, port_of(listener)));
    EXPECT_ERRNO(connect_to(client, port_of(listener)), EISCONN);
    EXPECT_ERRNO(connect_to(listener, port_of(listener)), EISCONN);
}

CHECK(tcp, accept_order, "connections are accepted in the order in which they came")
{
    const int listener = new_listener(8);
    int client[4];
    for (int i = 0; i < 4; i++) {
        client[i] = new_socket(0);
        OK(connect_to(client[i], port_of(listener)));
    }
    for (int i = 0; i < 4; i++) {
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        await(listener, POLLIN);
        OK(accept(listener, (struct sockaddr *)&peer, &size));
        EXPECT_EQ(size, sizeof peer);
        EXPECT_EQ(peer.sin_family, AF_INET);
        EXPECT_EQ(ntohl(peer.sin_addr.s_addr), INADDR_LOOPBACK);
        EXPECT_EQ(ntohs(peer.sin_port), port_of(client[i]));
    }
}

CHECK(tcp, listener_readiness, "a listener is readable while connections wait, never writable")
{
    const int listener = new_listener(8);
    EXPECT_EQ(ready_now(listener, POLLIN | POLLOUT), 0);
    EXPECT_ERRNO(accept(listener, NULL, NULL), EAGAIN);
    for (int i = 0; i < 2; i++)
        OK(connect_to(new_socket(0), port_of(listener)));
    EXPECT_EQ(await(listener, POLLIN | POLLOUT), POLLIN);
    accept_one(listener);
    EXPECT_EQ(await(listener, POLLIN | POLLOUT), POLLIN);
    accept_one(listener);
    EXPECT_EQ(ready_now(listener, POLLIN | POLLOUT), 0);
}

CHECK(tcp, listener_edges, "every connection is an edge at the listener, accepted or not")
{
    const int listener = new_listener(8), ep = new_epoll();
    add(ep, listener, EPOLLIN | EPOLLET);
    for (int i = 0; i < 3; i++) {
        OK(connect_to(new_socket(0), port_of(listener)));
        EXPECT_EVENT(ep, listener, EPOLLIN);
        EXPECT_IDLE(ep);
    }
}

CHECK(tcp, full, "a connection that nobody reads fills up: EAGAIN, not writable, nothing lost")
{
    const struct link l = new_link();
    const size_t size = fill(l.client);
    EXPECT_AT_LEAST(size, 4096);
    EXPECT_EQ(ready_now(l.client, POLLIN), 0);
    get_pattern(l.server, size);
    EXPECT_EQ(await(l.client, POLLOUT), POLLOUT);
}

CHECK(tcp, full_then_edge, "draining a full connection is an OUT edge for the writer")
{
    const struct link l = new_link();
    const int ep = new_epoll();
    add(ep, l.client, EPOLLOUT | EPOLLET);
    EXPECT_EVENT(ep, l.client, EPOLLOUT);
    // On Linux data move on to the receiver while one fills: full is when a wait finds no space.
    size_t size = 0;
    int found;
    do
        size += fill(l.client);
    while (wait_one(ep, &found, 50) != 0);
    unsigned char block[4096];
    for (size_t done = 0; done < size;) {
        await(l.server, POLLIN);
        done += (size_t)OK(read(l.server, block, sizeof block));
    }
    EXPECT_EVENT(ep, l.client, EPOLLOUT);
    put(l.client, "more");
}

CHECK(tcp, peek, "MSG_PEEK leaves what it shows")
{
    const struct link l = new_link();
    char buffer[4] = {0};
    put(l.client, "abc");
    await(l.server, POLLIN);
    EXPECT_EQ(recv(l.server, buffer, 2, MSG_PEEK), 2);
    EXPECT_EQ(recv(l.server, buffer, 4, MSG_PEEK), 3);
    EXPECT(memcmp(buffer, "abc", 3) == 0);
    EXPECT_EQ(read(l.server, buffer, 4), 3);
    EXPECT_ERRNO(recv(l.server, buffer, 4, MSG_PEEK), EAGAIN);
}

CHECK(tcp, dontwait, "MSG_DONTWAIT does not wait on a blocking socket")
{
    const int listener = new_listener(4), client = new_socket(0);
    char c;
    OK(connect_to(client, port_of(listener)));
    EXPECT_ERRNO(recv(client, &c, 1, MSG_DONTWAIT), EAGAIN);
    put(accept_one(listener), "x");
    await(client, POLLIN);
    EXPECT_EQ(recv(client, &c, 1, MSG_DONTWAIT), 1);
}

CHECK(tcp, waitall, "MSG_WAITALL gives all that was asked for when it is there")
{
    const int listener = new_listener(4), client = new_socket(0);
    char buffer[6];
    OK(connect_to(client, port_of(listener)));
    const int server = accept_one(listener);
    put(server, "abc");
    put(server, "def");
    EXPECT_EQ(recv(client, buffer, 6, MSG_WAITALL), 6);
    EXPECT(memcmp(buffer, "abcdef", 6) == 0);
    put(server, "gh");
    OK(close(server));
    EXPECT_EQ(recv(client, buffer, 6, MSG_WAITALL), 2);
}

CHECK(tcp, vectors, "writev gathers, readv scatters, sendmsg and recvmsg likewise")
{
    const struct link l = new_link();
    char a[2], b[8];
    struct iovec out[3] = {{"a", 1}, {"bc", 2}, {"def", 3}};
    struct iovec in[2] = {{a, sizeof a}, {b, sizeof b}};
    EXPECT_EQ(writev(l.client, out, 3), 6);
    await(l.server, POLLIN);
    EXPECT_EQ(readv(l.server, in, 2), 6);
    EXPECT(memcmp(a, "ab", 2) == 0 && memcmp(b, "cdef", 4) == 0);
    const struct msghdr outward = {.msg_iov = out, .msg_iovlen = 3};
    struct msghdr inward = {.msg_iov = in, .msg_iovlen = 2};
    EXPECT_EQ(sendmsg(l.server, &outward, MSG_NOSIGNAL), 6);
    await(l.client, POLLIN);
    EXPECT_EQ(recvmsg(l.client, &inward, 0), 6);
    EXPECT(memcmp(a, "ab", 2) == 0 && memcmp(b, "cdef", 4) == 0);
}

CHECK(tcp, bytes_waiting, "FIONREAD counts what can be read")
{
    const struct link l = new_link();
    int count = 77;
    OK(ioctl(l.server, FIONREAD, &count));
    EXPECT_EQ(count, 0);
    put(l.client, "abcde");
    await(l.server, POLLIN);
    OK(ioctl(l.server, FIONREAD, &count));
    EXPECT_EQ(count, 5);
}

CHECK(tcp, many, "a hundred connections open at once, each with its own data")
{
    enum { COUNT = 100 };
    static int client[COUNT], server[COUNT];
    const int listener = new_listener(128), ep = new_epoll();
    for (int i = 0; i < COUNT; i++) {
        client[i] = new_socket(0);
        OK(connect_to(client[i], port_of(listener)));
        server[i] = accept_one(listener);
        add(ep, server[i], EPOLLIN);
    }
    for (int i = 0; i < COUNT; i++)
        EXPECT_EQ(write(client[i], &client[i], sizeof client[i]), sizeof client[i]);
    for (int left = COUNT; left > 0;) {
        struct epoll_event events[16];
        const int count = OK(epoll_wait(ep, events, 16, HANG_MS));
        EXPECT_AT_LEAST(count, 1);
        for (int i = 0; i < count; i++, left--) {
            const int fd = (int)events[i].data.u64;
            int value = -1, expected = -2;
            get(fd, &value, sizeof value);
            for (int j = 0; j < COUNT; j++)
                if (server[j] == fd)
                    expected = client[j];
            EXPECT_EQ(value, expected);
        }
    }
    EXPECT_IDLE(ep);
}
