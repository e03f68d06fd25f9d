// SPDX-License-Identifier: BSD-2-Clause
// TCP on 127.0.0.1: how connections end: half closes, closes and resets.
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "helpers.h"

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

static int tcp_state(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    OK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
    EXPECT(len >= 104);
    return info.tcpi_state;
}

CHECK(tcp, info, "TCP_INFO tells the state of a socket: a half close from a close")
{
    const int idle = OK(socket(AF_INET, SOCK_STREAM, 0));
    EXPECT_EQ(tcp_state(idle), TCP_CLOSE);
    EXPECT_EQ(tcp_state(new_listener(1)), TCP_LISTEN);
    const struct link l = new_link();
    EXPECT_EQ(tcp_state(l.client), TCP_ESTABLISHED);
    EXPECT_EQ(tcp_state(l.server), TCP_ESTABLISHED);
    OK(shutdown(l.client, SHUT_WR));
    await(l.server, POLLRDHUP);
    // The acknowledgement of a FIN alone may be late.
    const int shut = tcp_state(l.client);
    EXPECT(shut == TCP_FIN_WAIT1 || shut == TCP_FIN_WAIT2);
    EXPECT_EQ(tcp_state(l.server), TCP_CLOSE_WAIT);
    OK(shutdown(l.server, SHUT_WR));
    await(l.client, POLLHUP);
    EXPECT_EQ(tcp_state(l.client), TCP_CLOSE);
    await(l.server, POLLHUP);
    EXPECT_EQ(tcp_state(l.server), TCP_CLOSE);
    uint8_t first = 0;
    socklen_t len = 1;
    OK(getsockopt(new_link().client, IPPROTO_TCP, TCP_INFO, &first, &len));
    EXPECT_EQ(first, TCP_ESTABLISHED);
    EXPECT_EQ(len, 1);
}
