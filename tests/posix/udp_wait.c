// SPDX-License-Identifier: BSD-2-Clause
// UDP: waiting, by poll, select, epoll and blocking calls; shutdown.
#define _GNU_SOURCE
#include "udp.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#include "helpers.h"

#define ALL (POLLIN | POLLPRI | POLLOUT | POLLRDHUP | POLLRDNORM | POLLRDBAND | POLLWRNORM | POLLWRBAND)
#define WRITABLE (POLLOUT | POLLWRNORM | POLLWRBAND)
#define READABLE (POLLIN | POLLRDNORM)

CHECK(udp, new_ready, "an unbound socket is writable and nothing else")
{
    EXPECT_EQ(ready_now(new_udp(0), ALL), WRITABLE);
}

CHECK(udp, level, "a datagram is readable until it is read, also an empty one")
{
    const struct duo d = udp_pair();
    EXPECT_EQ(ready_now(d.b, ALL), WRITABLE);
    EXPECT_EQ(send(d.a, "", 0, 0), 0);
    await(d.b, POLLIN);
    EXPECT_EQ(ready_now(d.b, ALL), WRITABLE | READABLE);
    EXPECT_EQ(heard_now(d.b), 0);
    EXPECT_EQ(ready_now(d.b, ALL), WRITABLE);
}

CHECK(udp, error_ready, "a refusal is an error event until somebody takes it")
{
    const int fd = new_udp(SOCK_NONBLOCK);
    OK(connect(fd, AT(INADDR_LOOPBACK, unused_port())));
    const int ep = new_epoll();
    add(ep, fd, EPOLLIN);
    put(fd, "anybody?");
    EXPECT_EVENT(ep, fd, EPOLLERR);
    EXPECT_EQ(ready_now(fd, ALL), WRITABLE | POLLERR);
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
    EXPECT_EQ(ready_now(fd, ALL), WRITABLE);
    EXPECT_IDLE(ep);
}

CHECK(udp, error_first, "a pending error comes before datagrams that wait")
{
    const int peer = bound_udp(), fd = bound_udp();
    OK(connect(fd, AT(INADDR_LOOPBACK, port_of(peer))));
    say(peer, "still here", port_of(fd));
    await(fd, POLLIN);
    OK(close(peer));
    put(fd, "anybody?");
    EXPECT_EQ(ready_now(fd, ALL), WRITABLE | READABLE | POLLERR);
    EXPECT_EQ(heard_now(fd), -ECONNREFUSED);
    EXPECT_EQ(heard_now(fd), 10);
}

CHECK(udp, selected, "select tells of datagrams and of room")
{
    const struct duo d = udp_pair();
    fd_set r, w;
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_SET(d.b, &r);
    FD_SET(d.b, &w);
    struct timeval none = {0};
    EXPECT_EQ(select(d.b + 1, &r, &w, NULL, &none), 1);
    EXPECT(!FD_ISSET(d.b, &r) && FD_ISSET(d.b, &w));
    put(d.a, "x");
    await(d.b, POLLIN);
    FD_SET(d.b, &r);
    EXPECT_EQ(select(d.b + 1, &r, NULL, NULL, NULL), 1);
    EXPECT(FD_ISSET(d.b, &r));
}

CHECK(udp, edge_per_datagram, "an edge-triggered watch hears of each datagram, whether the last was read or not")
{
    const struct duo d = udp_pair();
    const int ep = new_epoll();
    add(ep, d.b, EPOLLIN | EPOLLET);
    EXPECT_IDLE(ep);
    for (int i = 0; i < 3; i++) {
        put(d.a, "x");
        EXPECT_EVENT(ep, d.b, EPOLLIN);
        EXPECT_IDLE(ep);
    }
    EXPECT_EQ(heard_now(d.b), 1);
    EXPECT_IDLE(ep);
}

CHECK(udp, edge_of_room, "a datagram that has left is news of room to its sender")
{
    const struct duo d = udp_pair();
    const int ep = new_epoll();
    add(ep, d.a, EPOLLOUT | EPOLLET);
    EXPECT_EVENT(ep, d.a, EPOLLOUT);
    EXPECT_IDLE(ep);
    put(d.a, "x");
    EXPECT_EVENT(ep, d.a, EPOLLOUT);
    EXPECT_IDLE(ep);
}

CHECK(udp, one_shot, "a one-shot watch tells once, until it is modified")
{
    const struct duo d = udp_pair();
    const int ep = new_epoll();
    add(ep, d.b, EPOLLIN | EPOLLONESHOT);
    put(d.a, "x");
    EXPECT_EVENT(ep, d.b, EPOLLIN);
    put(d.a, "x");
    EXPECT_IDLE(ep);
    modify(ep, d.b, EPOLLIN | EPOLLONESHOT);
    EXPECT_EVENT(ep, d.b, EPOLLIN);
}

CHECK(udp, watched_before_bind, "a watch that is older than the socket's name hears of its datagrams")
{
    const int fd = new_udp(SOCK_NONBLOCK), ep = new_epoll();
    add(ep, fd, EPOLLIN);
    OK(bind(fd, AT(INADDR_LOOPBACK, 0)));
    EXPECT_IDLE(ep);
    say(new_udp(0), "x", port_of(fd));
    EXPECT_EVENT(ep, fd, EPOLLIN);
}

CHECK(udp, watched_across_connections, "a watch outlives connections and the ports that came with them")
{
    const int fd = new_udp(SOCK_NONBLOCK), peer = bound_udp(), ep = new_epoll();
    add(ep, fd, EPOLLIN);
    for (int i = 0; i < 3; i++) {
        OK(connect(fd, AT(INADDR_LOOPBACK, port_of(peer))));
        say(peer, "x", port_of(fd));
        EXPECT_EVENT(ep, fd, EPOLLIN);
        hear(fd, "x");
        const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
        OK(connect(fd, &nobody, sizeof nobody));
        EXPECT_IDLE(ep);
    }
}

struct later {
    int fd;
    uint16_t port;
};

static void *send_later(void *argument)
{
    const struct later *what = argument;
    const struct timespec time = timespec_of(MS(20));
    nanosleep(&time, NULL);
    const struct sockaddr_in to = in_address(INADDR_LOOPBACK, what->port);
    sendto(what->fd, "woken", 5, 0, (const void *)&to, sizeof to);
    return NULL;
}

// Starts a thread that sends a datagram to `fd` in a while.
static pthread_t wake_later(struct later *what, int fd)
{
    *what = (struct later){new_udp(0), port_of(fd)};
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, send_later, what), 0);
    return thread;
}

CHECK(udp, blocking, "a receive waits for a datagram that another thread sends")
{
    const int fd = bound_udp();
    OK(fcntl(fd, F_SETFL, 0));
    struct later what;
    char buffer[16];
    const pthread_t one = wake_later(&what, fd);
    EXPECT_EQ(recv(fd, buffer, sizeof buffer, 0), 5);
    pthread_join(one, NULL);
    const pthread_t two = wake_later(&what, fd);
    EXPECT_EQ(read(fd, buffer, sizeof buffer), 5);
    pthread_join(two, NULL);
}

CHECK(udp, waits, "poll and epoll_wait sleep until a datagram comes")
{
    const int fd = bound_udp(), ep = new_epoll();
    add(ep, fd, EPOLLIN);
    struct later what;
    const pthread_t one = wake_later(&what, fd);
    EXPECT_EVENT(ep, fd, EPOLLIN);
    pthread_join(one, NULL);
    hear(fd, "woken");
    const pthread_t two = wake_later(&what, fd);
    EXPECT_EQ(await(fd, POLLIN), POLLIN);
    pthread_join(two, NULL);
    hear(fd, "woken");
}

CHECK(udp, receive_timeout, "SO_RCVTIMEO ends a receive with EAGAIN, and not early")
{
    const int fd = bound_udp();
    OK(fcntl(fd, F_SETFL, 0));
    const struct timeval time = {.tv_usec = 30000};
    OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    const int64_t start = now_ns();
    char byte;
    EXPECT_ERRNO(recv(fd, &byte, 1, 0), EAGAIN);
    EXPECT_AT_LEAST(now_ns() - start, MS(30));
}

CHECK(udp, dont_wait, "MSG_DONTWAIT does not wait on a blocking socket")
{
    const int fd = bound_udp();
    OK(fcntl(fd, F_SETFL, 0));
    EXPECT_EQ(heard_now(fd), -EAGAIN);
}

CHECK(udp, shut_unconnected, "shutdown of an unconnected socket is ENOTCONN, and has its effect all the same")
{
    const int fd = bound_udp();
    EXPECT_ERRNO(shutdown(fd, 9), EINVAL);
    EXPECT_ERRNO(shutdown(fd, SHUT_RDWR), ENOTCONN);
    EXPECT_EQ(ready_now(fd, ALL), WRITABLE | READABLE | POLLRDHUP | POLLHUP);
}

CHECK(udp, shut_read, "after SHUT_RD what came can be read, then a blocking receive is the end, another EAGAIN")
{
    const struct duo d = udp_pair();
    put(d.a, "before");
    await(d.b, POLLIN);
    OK(shutdown(d.b, SHUT_RD));
    EXPECT_EQ(ready_now(d.b, ALL), WRITABLE | READABLE | POLLRDHUP);
    put(d.a, "after");
    hear(d.b, "before");
    hear(d.b, "after");
    EXPECT_EQ(heard_now(d.b), -EAGAIN);
    OK(fcntl(d.b, F_SETFL, 0));
    char byte;
    EXPECT_EQ(recv(d.b, &byte, 1, 0), 0);
    EXPECT_EQ(ready_now(d.b, ALL), WRITABLE | READABLE | POLLRDHUP);
}

CHECK(udp, shut_write, "after SHUT_WR a send is EPIPE without a signal, and the peer is not told")
{
    const struct duo d = udp_pair();
    OK(shutdown(d.a, SHUT_WR));
    signal(SIGPIPE, SIG_DFL);
    EXPECT_ERRNO(send(d.a, "x", 1, 0), EPIPE);
    EXPECT_ERRNO(write(d.a, "x", 1), EPIPE);
    signal(SIGPIPE, SIG_IGN);
    EXPECT_EQ(ready_now(d.b, ALL), WRITABLE);
    put(d.b, "still");
    hear(d.a, "still");
}

CHECK(udp, wakes_on_shutdown, "a watch hears of a shutdown")
{
    const struct duo d = udp_pair();
    const int ep = new_epoll();
    add(ep, d.a, EPOLLIN | EPOLLRDHUP | EPOLLET);
    EXPECT_IDLE(ep);
    OK(shutdown(d.a, SHUT_RDWR));
    EXPECT_EVENT(ep, d.a, EPOLLIN | EPOLLRDHUP | EPOLLHUP);
}
