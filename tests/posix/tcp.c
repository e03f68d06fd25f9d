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

CHECK(tcp, half_close, "after SHUT_WR the peer reads to the end and can still answer")
{
    const struct link l = new_link();
    char c;
    put(l.client, "q");
    OK(shutdown(l.client, SHUT_WR));
    get(l.server, &c, 1);
    await(l.server, POLLIN);
    EXPECT_EQ(read(l.server, &c, 1), 0);
    EXPECT_EQ(ready_now(l.server, POLLOUT | POLLHUP), POLLOUT);
    put(l.server, "a");
    get(l.client, &c, 1);
    EXPECT(c == 'a');
    EXPECT_ERRNO(send(l.client, "b", 1, MSG_NOSIGNAL), EPIPE);
}

CHECK(tcp, rdhup_if_asked, "a peer's half close is RDHUP only to those who ask; HUP it is not")
{
    const struct link l = new_link();
    const int ep = new_epoll();
    add(ep, l.server, EPOLLIN);
    OK(shutdown(l.client, SHUT_WR));
    EXPECT_EVENT(ep, l.server, EPOLLIN);
    modify(ep, l.server, EPOLLRDHUP);
    EXPECT_EVENT(ep, l.server, EPOLLRDHUP);
    modify(ep, l.server, EPOLLIN | EPOLLRDHUP);
    EXPECT_EVENT(ep, l.server, EPOLLIN | EPOLLRDHUP);
    modify(ep, l.server, 0);
    EXPECT_IDLE(ep);
    EXPECT_EQ(ready_now(l.server, POLLRDHUP), POLLRDHUP);
}

CHECK(tcp, rdhup_is_an_edge, "a peer's half close is an edge even with data unread")
{
    const struct link l = new_link();
    const int ep = new_epoll();
    add(ep, l.server, EPOLLIN | EPOLLRDHUP | EPOLLET);
    put(l.client, "x");
    EXPECT_EVENT(ep, l.server, EPOLLIN);
    OK(shutdown(l.client, SHUT_WR));
    EXPECT_EVENT(ep, l.server, EPOLLIN | EPOLLRDHUP);
    EXPECT_IDLE(ep);
}

CHECK(tcp, hang_up, "HUP comes when both directions are shut")
{
    const struct link l = new_link();
    OK(shutdown(l.client, SHUT_WR));
    await(l.server, POLLIN);
    OK(shutdown(l.server, SHUT_WR));
    EXPECT_EQ(await(l.client, POLLHUP) & POLLHUP, POLLHUP);
    EXPECT_EQ(await(l.server, POLLHUP) & POLLHUP, POLLHUP);
    EXPECT_EQ(ready_now(l.server, 0), POLLHUP);
}

CHECK(tcp, shut_reading, "after SHUT_RD a read returns 0 and the socket is readable")
{
    const struct link l = new_link();
    char c;
    EXPECT_EQ(ready_now(l.client, POLLIN), 0);
    OK(shutdown(l.client, SHUT_RD));
    EXPECT_EQ(ready_now(l.client, POLLIN | POLLRDHUP), POLLIN | POLLRDHUP);
    EXPECT_EQ(read(l.client, &c, 1), 0);
    put(l.client, "x");
    get(l.server, &c, 1);
}

CHECK(tcp, close_is_end, "closing a socket whose data are read is end of file to the peer")
{
    const struct link l = new_link();
    char buffer[4];
    put(l.client, "abc");
    OK(close(l.client));
    get(l.server, buffer, 3);
    EXPECT_EQ(await(l.server, POLLIN), POLLIN);
    EXPECT_EQ(read(l.server, buffer, 4), 0);
    EXPECT_EQ(read(l.server, buffer, 4), 0);
}

CHECK(tcp, reset_by_unread, "closing a socket with unread data resets the connection")
{
    const struct link l = new_link();
    char c;
    put(l.client, "x");
    await(l.server, POLLIN);
    OK(close(l.server));
    EXPECT_EQ(await(l.client, POLLIN | POLLOUT), POLLIN | POLLOUT | POLLERR | POLLHUP);
    EXPECT_ERRNO(read(l.client, &c, 1), ECONNRESET);
    EXPECT_EQ(read(l.client, &c, 1), 0);
    EXPECT_ERRNO(send(l.client, "y", 1, MSG_NOSIGNAL), EPIPE);
}

CHECK(tcp, reset_by_linger, "closing with a linger time of zero resets the connection")
{
    const struct link l = new_link();
    const struct linger now = {.l_onoff = 1};
    OK(setsockopt(l.server, SOL_SOCKET, SO_LINGER, &now, sizeof now));
    OK(close(l.server));
    await(l.client, POLLIN);
    EXPECT_EQ(option_of(l.client, SOL_SOCKET, SO_ERROR), ECONNRESET);
    char c;
    EXPECT_EQ(read(l.client, &c, 1), 0);
}

CHECK(tcp, write_to_closed, "writing to a peer that has closed ends in a reset and EPIPE")
{
    const struct link l = new_link();
    OK(close(l.server));
    await(l.client, POLLIN);
    put(l.client, "x");
    EXPECT_EQ(await(l.client, POLLERR | POLLHUP) & POLLHUP, POLLHUP);
    ssize_t n = send(l.client, "y", 1, MSG_NOSIGNAL);
    EXPECT(n == -1 && (errno == EPIPE || errno == ECONNRESET));
    EXPECT_ERRNO(send(l.client, "z", 1, MSG_NOSIGNAL), EPIPE);
}

CHECK(tcp, listener_closed, "closing a listener resets connections that nobody accepted")
{
    const int listener = new_listener(4), client = new_socket(0);
    OK(connect_to(client, port_of(listener)));
    OK(close(listener));
    EXPECT_EQ(await(client, POLLIN) & (POLLERR | POLLHUP), POLLERR | POLLHUP);
    EXPECT_EQ(option_of(client, SOL_SOCKET, SO_ERROR), ECONNRESET);
}

CHECK(tcp, backlog_survives, "what a client sent before it closed is there for a late accept")
{
    const int listener = new_listener(4), client = new_socket(0);
    char buffer[4];
    OK(connect_to(client, port_of(listener)));
    put(client, "late");
    OK(close(client));
    const int server = accept_one(listener);
    get(server, buffer, 4);
    EXPECT(memcmp(buffer, "late", 4) == 0);
    await(server, POLLIN);
    EXPECT_EQ(read(server, buffer, 4), 0);
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

CHECK(tcp, shared_by_dup, "a connection stays open until its last descriptor is closed")
{
    const struct link l = new_link();
    const int copy = OK(dup(l.client));
    char c;
    OK(close(l.client));
    EXPECT_EQ(ready_now(l.server, POLLIN), 0);
    put(copy, "x");
    get(l.server, &c, 1);
    OK(close(copy));
    await(l.server, POLLIN);
    EXPECT_EQ(read(l.server, &c, 1), 0);
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
