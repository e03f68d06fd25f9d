// SPDX-License-Identifier: BSD-2-Clause
// Pairs of AF_UNIX sockets: streams, sequenced packets, datagrams. Each check is made of a pair in this process, and of one that has moved into
// memory that another process shared.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "helpers.h"
#include "process.h"
#include "unix.h"

// The check of one type, in this process and moved.
#define EACH(name_, text_)                                                                         \
    static void name_(int type, bool moved);                                                       \
    CHECK(unix, name_, text_)                                                                      \
    {                                                                                              \
        name_(SOCK_STREAM, false);                                                                 \
        name_(SOCK_SEQPACKET, false);                                                              \
        name_(SOCK_DGRAM, false);                                                                  \
    }                                                                                              \
    CHECK(xunix, name_##_moved, text_ ", in shared memory")                                        \
    {                                                                                              \
        name_(SOCK_STREAM, true);                                                                  \
        name_(SOCK_SEQPACKET, true);                                                               \
        name_(SOCK_DGRAM, true);                                                                   \
    }                                                                                              \
    static void name_(int type, bool moved)

static char large[212992];

EACH(boundaries, "packets keep their boundaries, a stream has none")
{
    int s[2];
    char got[16];
    unix_pair(s, type, moved);
    EXPECT_EQ(send(s[0], "abc", 3, 0), 3);
    EXPECT_EQ(write(s[0], "de", 2), 2);
    EXPECT_EQ(recv(s[1], got, sizeof got, 0), type == SOCK_STREAM ? 5 : 3);
    if (type != SOCK_STREAM)
        EXPECT_EQ(read(s[1], got, sizeof got), 2);
    EXPECT_ERRNO(recv(s[1], got, sizeof got, MSG_DONTWAIT), EAGAIN);
    OK(close(s[0]));
    OK(close(s[1]));
}

EACH(peek, "MSG_PEEK leaves what it shows, MSG_TRUNC tells a packet's length")
{
    int s[2];
    char got[16] = {0};
    unix_pair(s, type, moved);
    EXPECT_EQ(send(s[0], "abcdef", 6, 0), 6);
    EXPECT_EQ(recv(s[1], got, 3, MSG_PEEK), 3);
    EXPECT_EQ(recv(s[1], got, 3, MSG_PEEK | MSG_TRUNC), type == SOCK_STREAM ? 3 : 6);
    EXPECT_EQ(recv(s[1], got, sizeof got, 0), 6);
    EXPECT(memcmp(got, "abcdef", 6) == 0);
    OK(close(s[0]));
    OK(close(s[1]));
}

EACH(cut, "what a read has no room for is lost of a packet, told by MSG_TRUNC, and left of a stream")
{
    int s[2];
    char got[16];
    unix_pair(s, type, moved);
    EXPECT_EQ(send(s[0], "abcdef", 6, 0), 6);
    struct iovec parts[2] = {{got, 2}, {got + 2, 2}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2, .msg_flags = 0x77};
    EXPECT_EQ(recvmsg(s[1], &message, 0), 4);
    EXPECT(memcmp(got, "abcd", 4) == 0);
    EXPECT_EQ(message.msg_flags, type == SOCK_STREAM ? 0 : MSG_TRUNC);
    EXPECT_EQ(message.msg_namelen, 0);
    if (type == SOCK_STREAM)
        EXPECT_EQ(recv(s[1], got, sizeof got, 0), 2);
    EXPECT_ERRNO(recv(s[1], got, sizeof got, MSG_DONTWAIT), EAGAIN);
    OK(close(s[0]));
    OK(close(s[1]));
}

EACH(gathered, "a vectored write is one packet, and a vectored read takes one")
{
    int s[2];
    char got[16] = {0};
    unix_pair(s, type, moved);
    struct iovec out[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    EXPECT_EQ(writev(s[0], out, 3), 5);
    struct msghdr message = {.msg_iov = out, .msg_iovlen = 3};
    EXPECT_EQ(sendmsg(s[0], &message, MSG_EOR), 5);
    struct iovec in[2] = {{got, 1}, {got + 1, 9}};
    EXPECT_EQ(readv(s[1], in, 2), type == SOCK_STREAM ? 10 : 5);
    EXPECT(memcmp(got, "abcde", 5) == 0);
    OK(close(s[0]));
    OK(close(s[1]));
}

EACH(of_nothing, "an empty packet is one; of a stream nothing is sent")
{
    int s[2];
    char got[16];
    unix_pair(s, type, moved);
    EXPECT_EQ(send(s[0], "", 0, 0), 0);
    if (type == SOCK_STREAM) {
        EXPECT_ERRNO(recv(s[1], got, 0, MSG_DONTWAIT), EAGAIN);
    } else {
        EXPECT_EQ(ready_now(s[1], POLLIN), POLLIN);
        EXPECT_EQ(recv(s[1], got, sizeof got, MSG_DONTWAIT), 0);
        EXPECT_ERRNO(recv(s[1], got, sizeof got, MSG_DONTWAIT), EAGAIN);
        EXPECT_EQ(send(s[0], "abc", 3, 0), 3);
        EXPECT_EQ(read(s[1], got, 0), 0);
        EXPECT_EQ(recv(s[1], got, sizeof got, MSG_DONTWAIT), 3);
    }
    OK(close(s[0]));
    OK(close(s[1]));
}

EACH(largest, "the largest packet is 32 bytes less than the buffer; EMSGSIZE above")
{
    int s[2], size;
    socklen_t len = sizeof size;
    unix_pair(s, type, moved);
    OK(getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &size, &len));
    EXPECT_EQ(size, sizeof large);
    EXPECT_EQ(send(s[0], large, size - 32, MSG_DONTWAIT), size - 32);
    EXPECT_EQ(ready_now(s[0], POLLOUT), 0);
    EXPECT_EQ(recv(s[1], large, sizeof large, 0), size - 32);
    EXPECT_EQ(ready_now(s[0], POLLOUT), POLLOUT);
    if (type != SOCK_STREAM)
        EXPECT_ERRNO(send(s[0], large, size - 31, MSG_DONTWAIT), EMSGSIZE);
    OK(close(s[0]));
    OK(close(s[1]));
}

EACH(full, "a full one is EAGAIN, is writable again when it has been read, and lost nothing")
{
    int s[2], sent = 0, got = 0;
    unix_pair(s, type, moved);
    static char block[4096];
    for (;; sent++) {
        memset(block, sent, sizeof block);
        const ssize_t n = send(s[0], block, sizeof block, MSG_DONTWAIT);
        if (n != sizeof block) {
            if (n < 0)
                EXPECT_EQ(errno, EAGAIN);
            break;
        }
    }
    EXPECT_AT_LEAST(sent, 10);
    EXPECT_EQ(ready_now(s[0], POLLOUT), 0);
    for (; got < sent; got++) {
        EXPECT_EQ(recv(s[1], block, sizeof block, 0), sizeof block);
        EXPECT_EQ((unsigned char)block[17], (unsigned char)got);
    }
    while (recv(s[1], block, sizeof block, MSG_DONTWAIT) > 0)
        ;
    EXPECT_EQ(ready_now(s[0], POLLOUT), POLLOUT);
    OK(close(s[0]));
    OK(close(s[1]));
}

EACH(readiness, "poll, select and epoll tell the same of what comes and goes")
{
    int s[2];
    char got[4];
    unix_pair(s, type, moved);
    const int all = POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLWRNORM | POLLWRBAND;
    EXPECT_EQ(ready_now(s[1], all), POLLOUT | POLLWRNORM | POLLWRBAND);
    const int ep = new_epoll();
    add(ep, s[1], EPOLLIN);
    EXPECT_IDLE(ep);
    put(s[0], "x");
    EXPECT_EQ(ready_now(s[1], all), POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLWRBAND);
    EXPECT_EVENT(ep, s[1], EPOLLIN);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(s[1], &set);
    struct timeval none = {0};
    EXPECT_EQ(select(s[1] + 1, &set, NULL, NULL, &none), 1);
    EXPECT_EQ(recv(s[1], got, sizeof got, 0), 1);
    EXPECT_IDLE(ep);
    EXPECT_EQ(ready_now(s[1], POLLIN), 0);
    OK(close(ep));
    OK(close(s[0]));
    OK(close(s[1]));
}

EACH(edges_of_all, "each write is an edge to who watches the other end, and each read that makes room one to the writer")
{
    int s[2];
    char got[16];
    unix_pair(s, type, moved);
    const int ep = new_epoll();
    add(ep, s[1], EPOLLIN | EPOLLET);
    for (int i = 0; i < 3; i++) {
        put(s[0], "a");
        EXPECT_EVENT(ep, s[1], EPOLLIN);
        EXPECT_IDLE(ep);
    }
    add(ep, s[0], EPOLLOUT | EPOLLET);
    EXPECT_EVENT(ep, s[0], EPOLLOUT);
    EXPECT_IDLE(ep);
    EXPECT_EQ(recv(s[1], got, 1, 0), 1);
    EXPECT_EVENT(ep, s[0], EPOLLOUT);
    EXPECT_IDLE(ep);
    OK(close(ep));
    OK(close(s[0]));
    OK(close(s[1]));
}

EACH(closed, "what the other end does when one is closed")
{
    int s[2];
    char got[4];
    unix_pair(s, type, moved);
    put(s[1], "x");
    OK(close(s[1]));
    const int all = POLLIN | POLLOUT | POLLRDHUP;
    EXPECT_EQ(ready_now(s[0], all),
              type == SOCK_DGRAM ? POLLIN | POLLOUT : POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
    EXPECT_EQ(recv(s[0], got, sizeof got, MSG_DONTWAIT), 1);
    if (type == SOCK_DGRAM) {
        EXPECT_ERRNO(recv(s[0], got, sizeof got, MSG_DONTWAIT), EAGAIN);
        EXPECT_ERRNO(send(s[0], "y", 1, MSG_NOSIGNAL), ECONNREFUSED);
        EXPECT_ERRNO(send(s[0], "y", 1, MSG_NOSIGNAL), ENOTCONN);
    } else {
        EXPECT_EQ(recv(s[0], got, sizeof got, MSG_DONTWAIT), 0);
        EXPECT_ERRNO(send(s[0], "y", 1, MSG_NOSIGNAL), EPIPE);
    }
    OK(close(s[0]));
}

EACH(reset, "one closed with something unread is ECONNRESET to the other, once: of a stream after what it sent, of packets before; datagrams know no reset")
{
    int s[2];
    char got[4];
    unix_pair(s, type, moved);
    put(s[0], "unread");
    put(s[1], "last");
    OK(close(s[1]));
    const int error = type == SOCK_DGRAM ? 0 : POLLERR;
    EXPECT_EQ(ready_now(s[0], POLLIN) & (POLLIN | POLLERR), POLLIN | error);
    if (type == SOCK_SEQPACKET)
        EXPECT_ERRNO(recv(s[0], got, sizeof got, MSG_DONTWAIT | MSG_PEEK), ECONNRESET);
    EXPECT_EQ(recv(s[0], got, sizeof got, MSG_DONTWAIT), 4);
    if (type == SOCK_DGRAM) {
        EXPECT_ERRNO(recv(s[0], got, sizeof got, MSG_DONTWAIT), EAGAIN);
    } else {
        if (type == SOCK_STREAM)
            EXPECT_ERRNO(recv(s[0], got, sizeof got, MSG_DONTWAIT), ECONNRESET);
        EXPECT_EQ(recv(s[0], got, sizeof got, MSG_DONTWAIT), 0);
    }
    OK(close(s[0]));
}

EACH(error_option, "SO_ERROR takes the reset")
{
    int s[2], error = -1;
    char got[4];
    socklen_t len = sizeof error;
    unix_pair(s, type, moved);
    put(s[0], "unread");
    OK(close(s[1]));
    OK(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &error, &len));
    EXPECT_EQ(error, type == SOCK_DGRAM ? 0 : ECONNRESET);
    OK(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &error, &len));
    EXPECT_EQ(error, 0);
    if (type != SOCK_DGRAM)
        EXPECT_EQ(recv(s[0], got, sizeof got, MSG_DONTWAIT), 0);
    OK(close(s[0]));
}

EACH(shut_write, "after SHUT_WR nothing can be sent, the other reads to the end and can answer")
{
    int s[2];
    char got[4];
    unix_pair(s, type, moved);
    put(s[0], "x");
    OK(shutdown(s[0], SHUT_WR));
    EXPECT_ERRNO(send(s[0], "y", 1, MSG_NOSIGNAL), EPIPE);
    EXPECT_EQ(ready_now(s[0], POLLIN | POLLOUT | POLLRDHUP), POLLOUT);
    EXPECT_EQ(recv(s[1], got, sizeof got, MSG_DONTWAIT), 1);
    if (type == SOCK_DGRAM) {
        EXPECT_ERRNO(recv(s[1], got, sizeof got, MSG_DONTWAIT), EAGAIN);
    } else {
        EXPECT_EQ(ready_now(s[1], POLLIN | POLLRDHUP), POLLIN | POLLRDHUP);
        EXPECT_EQ(recv(s[1], got, sizeof got, MSG_DONTWAIT), 0);
    }
    put(s[1], "z");
    EXPECT_EQ(recv(s[0], got, sizeof got, MSG_DONTWAIT), 1);
    OK(close(s[0]));
    OK(close(s[1]));
}

EACH(shut_read, "after SHUT_RD the other end gets EPIPE, and what was there can still be read")
{
    int s[2];
    char got[4];
    unix_pair(s, type, moved);
    put(s[1], "x");
    OK(shutdown(s[0], SHUT_RD));
    EXPECT_ERRNO(send(s[1], "y", 1, MSG_NOSIGNAL), EPIPE);
    EXPECT_EQ(ready_now(s[0], POLLIN | POLLRDHUP), POLLIN | POLLRDHUP);
    EXPECT_EQ(recv(s[0], got, sizeof got, 0), 1);
    EXPECT_EQ(recv(s[0], got, sizeof got, 0), 0);
    OK(close(s[0]));
    OK(close(s[1]));
}

static volatile sig_atomic_t pipes;
static void count(int signal)
{
    (void)signal;
    pipes++;
}

EACH(sigpipe, "a stream's EPIPE comes with SIGPIPE unless MSG_NOSIGNAL is asked for; a packet's without")
{
    int s[2];
    unix_pair(s, type, moved);
    OK(shutdown(s[0], SHUT_WR));
    struct sigaction old, new = {.sa_handler = count};
    OK(sigaction(SIGPIPE, &new, &old));
    pipes = 0;
    EXPECT_ERRNO(send(s[0], "y", 1, MSG_NOSIGNAL), EPIPE);
    EXPECT_EQ(pipes, 0);
    EXPECT_ERRNO(write(s[0], "y", 1), EPIPE);
    OK(sigaction(SIGPIPE, &old, NULL));
    EXPECT_EQ(pipes, type == SOCK_STREAM);
    OK(close(s[0]));
    OK(close(s[1]));
}

EACH(options_of_pairs, "SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN and SO_PEERCRED of a pair; no options of TCP")
{
    int s[2], value = -1;
    socklen_t len = sizeof value;
    unix_pair(s, type, moved);
    OK(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &value, &len));
    EXPECT_EQ(value, type);
    OK(getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, &value, &len));
    EXPECT_EQ(value, AF_UNIX);
    OK(getsockopt(s[0], SOL_SOCKET, SO_PROTOCOL, &value, &len));
    EXPECT_EQ(value, 0);
    OK(getsockopt(s[0], SOL_SOCKET, SO_ACCEPTCONN, &value, &len));
    EXPECT_EQ(value, 0);
    struct ucred peer;
    len = sizeof peer;
    OK(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &peer, &len));
    EXPECT_EQ(peer.pid, getpid());
    EXPECT_EQ(peer.uid, getuid());
    len = sizeof value;
    EXPECT_ERRNO(getsockopt(s[0], IPPROTO_TCP, 1, &value, &len), EOPNOTSUPP);
    EXPECT_ERRNO(setsockopt(s[0], IPPROTO_TCP, 1, &value, len), EOPNOTSUPP);
    OK(close(s[0]));
    OK(close(s[1]));
}

EACH(unnamed, "the ends of a pair have no names")
{
    int s[2];
    char got[4];
    unix_pair(s, type, moved);
    struct sockaddr_un address;
    socklen_t len = sizeof address;
    OK(getsockname(s[0], (struct sockaddr *)&address, &len));
    EXPECT_EQ(len, sizeof address.sun_family);
    EXPECT_EQ(address.sun_family, AF_UNIX);
    len = sizeof address;
    OK(getpeername(s[0], (struct sockaddr *)&address, &len));
    EXPECT_EQ(len, sizeof address.sun_family);
    put(s[1], "x");
    len = sizeof address;
    EXPECT_EQ(recvfrom(s[0], got, sizeof got, 0, (struct sockaddr *)&address, &len), 1);
    EXPECT_EQ(len, 0);
    OK(close(s[0]));
    OK(close(s[1]));
}

EACH(waits_available, "FIONREAD is what waits: all of a connection, the first of datagrams")
{
    int s[2], n = -1;
    unix_pair(s, type, moved);
    OK(ioctl(s[1], FIONREAD, &n));
    EXPECT_EQ(n, 0);
    put(s[0], "abc");
    put(s[0], "de");
    OK(ioctl(s[1], FIONREAD, &n));
    EXPECT_EQ(n, type == SOCK_DGRAM ? 3 : 5);
    OK(close(s[0]));
    OK(close(s[1]));
}

EACH(receive_timeout, "SO_RCVTIMEO ends a wait with EAGAIN, not before its time")
{
    int s[2];
    char got[4];
    unix_pair(s, type, moved);
    const struct timeval time = {.tv_usec = 30000};
    OK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    const int64_t start = now_ns();
    EXPECT_ERRNO(recv(s[0], got, sizeof got, 0), EAGAIN);
    EXPECT_AT_LEAST(now_ns() - start, MS(30));
    OK(close(s[0]));
    OK(close(s[1]));
}

CHECK(unix, wait_for_all, "MSG_WAITALL waits until a stream has given all, or ends")
{
    int s[2];
    char got[8] = {0};
    unix_pair(s, SOCK_STREAM, false);
    put(s[0], "abc");
    put(s[0], "def");
    EXPECT_EQ(recv(s[1], got, 5, MSG_WAITALL), 5);
    put(s[0], "g");
    OK(shutdown(s[0], SHUT_WR));
    EXPECT_EQ(recv(s[1], got, sizeof got, MSG_WAITALL), 2);
    EXPECT(memcmp(got, "fg", 2) == 0);
}

CHECK(unix, types, "types and protocols that are none are refused as Linux refuses them")
{
    int s[2];
    EXPECT_ERRNO(socketpair(AF_UNIX, 4, 0, s), ESOCKTNOSUPPORT);
    EXPECT_ERRNO(socketpair(AF_UNIX, 77, 0, s), EINVAL);
    EXPECT_ERRNO(socketpair(AF_UNIX, SOCK_SEQPACKET, 5, s), EPROTONOSUPPORT);
    OK(socketpair(AF_UNIX, SOCK_RAW | SOCK_CLOEXEC, AF_UNIX, s));
    int type = 0;
    socklen_t len = sizeof type;
    OK(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &type, &len));
    EXPECT_EQ(type, SOCK_DGRAM);
    EXPECT_EQ(fcntl(s[1], F_GETFD), FD_CLOEXEC);
}

CHECK(unix, unconnected, "what an unconnected socket refuses, by its type")
{
    char c;
    const int stream = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    const int packet = OK(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    const int datagram = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    EXPECT_EQ(ready_now(stream, POLLIN | POLLOUT), POLLOUT | POLLHUP);
    EXPECT_EQ(ready_now(packet, POLLIN | POLLOUT), POLLOUT | POLLHUP);
    EXPECT_EQ(ready_now(datagram, POLLIN | POLLOUT), POLLOUT);
    EXPECT_ERRNO(recv(stream, &c, 1, MSG_DONTWAIT), EINVAL);
    EXPECT_ERRNO(recv(packet, &c, 1, MSG_DONTWAIT), ENOTCONN);
    EXPECT_ERRNO(recv(datagram, &c, 1, MSG_DONTWAIT), EAGAIN);
    EXPECT_ERRNO(send(stream, "x", 1, MSG_NOSIGNAL), ENOTCONN);
    EXPECT_ERRNO(send(packet, "x", 1, MSG_NOSIGNAL), ENOTCONN);
    EXPECT_ERRNO(send(datagram, "x", 1, MSG_NOSIGNAL), ENOTCONN);
    EXPECT_ERRNO(listen(stream, 1), EINVAL);
    EXPECT_ERRNO(listen(datagram, 1), EOPNOTSUPP);
    EXPECT_ERRNO(accept(stream, NULL, NULL), EINVAL);
    EXPECT_ERRNO(accept(datagram, NULL, NULL), EOPNOTSUPP);
}
