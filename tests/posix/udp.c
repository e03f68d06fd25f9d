// SPDX-License-Identifier: BSD-2-Clause
// UDP: addresses, ports, datagrams and what is refused.
#define _GNU_SOURCE
#include "udp.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "helpers.h"

// What the largest datagram of IPv4 carries.
#define LARGEST 65507

static struct sockaddr_in name_of(int fd)
{
    struct sockaddr_in name = {0};
    socklen_t size = sizeof name;
    OK(getsockname(fd, (void *)&name, &size));
    EXPECT_EQ(size, sizeof name);
    return name;
}

static uint32_t ip_of(int fd)
{
    return ntohl(name_of(fd).sin_addr.s_addr);
}

static void reuse(int fd)
{
    const int one = 1;
    OK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
}

CHECK(udp, kinds, "SOCK_DGRAM takes protocol 0 and IPPROTO_UDP, and its options say so")
{
    EXPECT_ERRNO(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP), EPROTONOSUPPORT);
    const int fd = OK(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP));
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_DOMAIN), AF_INET);
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_UDP);
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_ACCEPTCONN), 0);
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_ERROR), 0);
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
    struct stat is;
    OK(fstat(fd, &is));
    EXPECT(S_ISSOCK(is.st_mode));
}

CHECK(udp, options, "buffers, timeouts and SO_BROADCAST are kept")
{
    const int fd = new_udp(0), on = 1, size = 10000;
    OK(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on));
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_BROADCAST), 1);
    OK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size));
    OK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_RCVBUF), 20000);
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_SNDBUF), 20000);
    const struct timeval time = {.tv_sec = 3};
    OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    struct timeval got = {0};
    socklen_t len = sizeof got;
    OK(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &got, &len));
    EXPECT_EQ(got.tv_sec, 3);
    EXPECT_ERRNO(setsockopt(fd, SOL_SOCKET, 9999, &on, sizeof on), ENOPROTOOPT);
}

CHECK(udp, names, "an unbound socket has no name; binding to port 0 chooses a port")
{
    const int fd = new_udp(0);
    EXPECT_EQ(ip_of(fd), 0);
    EXPECT_EQ(port_of(fd), 0);
    OK(bind(fd, AT(INADDR_LOOPBACK, 0)));
    EXPECT_EQ(ip_of(fd), INADDR_LOOPBACK);
    EXPECT(port_of(fd) >= 1024);
    EXPECT_ERRNO(bind(fd, AT(INADDR_LOOPBACK, 0)), EINVAL);
    const int other = bound_udp();
    EXPECT(port_of(other) != port_of(fd));
}

CHECK(udp, bind_errors, "bind refuses short addresses, other families and addresses that are not ours")
{
    const int fd = new_udp(0);
    const struct sockaddr_in at = in_address(INADDR_LOOPBACK, 0);
    EXPECT_ERRNO(bind(fd, (const void *)&at, sizeof at - 1), EINVAL);
    struct sockaddr_in other = at;
    other.sin_family = 77;
    EXPECT_ERRNO(bind(fd, (const void *)&other, sizeof other), EAFNOSUPPORT);
    EXPECT_ERRNO(bind(fd, AT(0x01020304, 0)), EADDRNOTAVAIL);
}

CHECK(udp, port_in_use, "a port that overlaps another socket's is EADDRINUSE; other addresses do not")
{
    const int first = bound_udp();
    const uint16_t port = port_of(first);
    EXPECT_ERRNO(bind(new_udp(0), AT(INADDR_LOOPBACK, port)), EADDRINUSE);
    EXPECT_ERRNO(bind(new_udp(0), AT(INADDR_ANY, port)), EADDRINUSE);
    OK(bind(new_udp(0), AT(INADDR_LOOPBACK + 1, port)));
    OK(close(first));
    OK(bind(new_udp(0), AT(INADDR_LOOPBACK, port)));
}

CHECK(udp, reuse_address, "SO_REUSEADDR lets sockets share a port if all have it; the last one receives")
{
    const int first = new_udp(SOCK_NONBLOCK), second = new_udp(SOCK_NONBLOCK), sender = new_udp(0);
    reuse(first);
    OK(bind(first, AT(INADDR_LOOPBACK, 0)));
    const uint16_t port = port_of(first);
    EXPECT_ERRNO(bind(second, AT(INADDR_LOOPBACK, port)), EADDRINUSE);
    reuse(second);
    OK(bind(second, AT(INADDR_LOOPBACK, port)));
    say(sender, "one", port);
    hear(second, "one");
    EXPECT_EQ(heard_now(first), -EAGAIN);
    OK(close(second));
    say(sender, "two", port);
    hear(first, "two");
}

CHECK(udp, more_specific, "of sockets that share a port the more specific address and peer receive")
{
    const int any = new_udp(SOCK_NONBLOCK), own = new_udp(SOCK_NONBLOCK);
    const int friend = new_udp(SOCK_NONBLOCK), sender = bound_udp(), stranger = bound_udp();
    reuse(any), reuse(own), reuse(friend);
    OK(bind(friend, AT(INADDR_LOOPBACK, 0)));
    const uint16_t port = port_of(friend);
    OK(connect(friend, AT(INADDR_LOOPBACK, port_of(sender))));
    OK(bind(own, AT(INADDR_LOOPBACK, port)));
    OK(bind(any, AT(INADDR_ANY, port)));
    say(sender, "known", port);
    hear(friend, "known");
    say(stranger, "unknown", port);
    hear(own, "unknown");
    EXPECT_EQ(sendto(sender, "x", 1, 0, AT(INADDR_LOOPBACK + 1, port)), 1);
    hear(any, "x");
    EXPECT_EQ(heard_now(friend), -EAGAIN);
    EXPECT_EQ(heard_now(own), -EAGAIN);
    EXPECT_EQ(heard_now(any), -EAGAIN);
}

CHECK(udp, there_and_back, "a datagram says where it came from, and the answer finds its way")
{
    const int server = bound_udp(), client = new_udp(SOCK_NONBLOCK);
    say(client, "question", port_of(server));
    EXPECT(port_of(client) != 0);
    EXPECT_EQ(ip_of(client), INADDR_ANY);
    const uint16_t port = hear(server, "question");
    EXPECT_EQ(port, port_of(client));
    say(server, "answer", port);
    EXPECT_EQ(hear(client, "answer"), port_of(server));
}

CHECK(udp, boundaries, "datagrams arrive one at a time and in order; none of them empty is the end")
{
    const struct duo d = udp_pair();
    put(d.a, "first");
    EXPECT_EQ(send(d.a, "", 0, 0), 0);
    put(d.a, "third");
    hear(d.b, "first");
    EXPECT_EQ(heard_now(d.b), 0);
    hear(d.b, "third");
    EXPECT_EQ(heard_now(d.b), -EAGAIN);
}

CHECK(udp, truncated, "what a receive has no room for is lost, and MSG_TRUNC tells")
{
    const struct duo d = udp_pair();
    char buffer[4];
    struct iovec piece = {buffer, sizeof buffer};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    put(d.a, "0123456789");
    put(d.a, "0123456789");
    put(d.a, "0123456789");
    put(d.a, "last");
    EXPECT_EQ(recv(d.b, buffer, sizeof buffer, 0), 4);
    EXPECT_EQ(recv(d.b, buffer, sizeof buffer, MSG_TRUNC), 10);
    EXPECT_EQ(recvmsg(d.b, &message, 0), 4);
    EXPECT_EQ(message.msg_flags, MSG_TRUNC);
    EXPECT_EQ(recvmsg(d.b, &message, 0), 4);
    EXPECT_EQ(message.msg_flags, 0);
    EXPECT_EQ(message.msg_namelen, 0);
}

CHECK(udp, peek, "MSG_PEEK leaves the datagram, its sender and its length")
{
    const int to = bound_udp(), from = bound_udp();
    say(from, "look twice", port_of(to));
    char buffer[4];
    struct sockaddr_in who = {0};
    socklen_t size = sizeof who;
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(recvfrom(to, buffer, 4, MSG_PEEK | MSG_TRUNC, (void *)&who, &size), 10);
        EXPECT_EQ(ntohs(who.sin_port), port_of(from));
        EXPECT(memcmp(buffer, "look", 4) == 0);
    }
    hear(to, "look twice");
    EXPECT_EQ(heard_now(to), -EAGAIN);
}

CHECK(udp, sizes, "datagrams of every size up to 65507 bytes arrive whole; beyond that is EMSGSIZE")
{
    const struct duo d = udp_pair();
    static char out[LARGEST + 1], in[LARGEST + 1];
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (char)(i % 251);
    static const size_t sizes[] = {0, 1, 7, 8, 9, 1471, 1472, 1473, 4095, 4097, 32768, LARGEST};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        EXPECT_EQ(send(d.a, out, sizes[i], 0), sizes[i]);
        await(d.b, POLLIN);
        memset(in, 0, sizes[i]);
        EXPECT_EQ(recv(d.b, in, sizeof in, 0), sizes[i]);
        EXPECT(memcmp(out, in, sizes[i]) == 0);
    }
    EXPECT_ERRNO(send(d.a, out, LARGEST + 1, 0), EMSGSIZE);
    EXPECT_EQ(heard_now(d.b), -EAGAIN);
}

CHECK(udp, vectors, "writev, readv, sendmsg and recvmsg gather and scatter one datagram")
{
    const struct duo d = udp_pair();
    char a[3], b[8];
    const struct iovec out[] = {{"ab", 2}, {"", 0}, {"cdef", 4}};
    const struct iovec in[] = {{a, sizeof a}, {b, sizeof b}};
    EXPECT_EQ(writev(d.a, out, 3), 6);
    await(d.b, POLLIN);
    EXPECT_EQ(readv(d.b, in, 2), 6);
    EXPECT(memcmp(a, "abc", 3) == 0 && memcmp(b, "def", 3) == 0);
    struct sockaddr_in who = {0}, to = in_address(INADDR_LOOPBACK, port_of(d.b));
    struct msghdr message = {
        .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = (void *)out, .msg_iovlen = 3};
    EXPECT_EQ(sendmsg(d.a, &message, 0), 6);
    await(d.b, POLLIN);
    message = (struct msghdr){
        .msg_name = &who, .msg_namelen = sizeof who, .msg_iov = (void *)in, .msg_iovlen = 2};
    EXPECT_EQ(recvmsg(d.b, &message, 0), 6);
    EXPECT_EQ(message.msg_namelen, sizeof who);
    EXPECT_EQ(ntohs(who.sin_port), port_of(d.a));
    EXPECT_EQ(ntohl(who.sin_addr.s_addr), INADDR_LOOPBACK);
}

CHECK(udp, many_at_once, "sendmmsg and recvmmsg move several datagrams, and stop where there are no more")
{
    const struct duo d = udp_pair();
    char in[4][8];
    struct iovec pieces[4];
    struct mmsghdr all[4] = {0};
    for (int i = 0; i < 4; i++) {
        pieces[i] = (struct iovec){"datagram", (size_t)i + 1};
        all[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
    }
    EXPECT_EQ(syscall(SYS_sendmmsg, d.a, all, 3, 0), 3);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(all[i].msg_len, i + 1);
    for (int i = 0; i < 4; i++)
        pieces[i] = (struct iovec){in[i], sizeof in[i]};
    await(d.b, POLLIN);
    EXPECT_EQ(syscall(SYS_recvmmsg, d.b, all, 4, MSG_DONTWAIT, NULL), 3);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(all[i].msg_len, i + 1);
    EXPECT_ERRNO(syscall(SYS_recvmmsg, d.b, all, 4, MSG_DONTWAIT, NULL), EAGAIN);
    put(d.a, "x");
    OK(fcntl(d.b, F_SETFL, 0));
    EXPECT_EQ(syscall(SYS_recvmmsg, d.b, all, 4, MSG_WAITFORONE, NULL), 1);
    const struct timespec wrong = {.tv_nsec = -1};
    EXPECT_ERRNO(syscall(SYS_recvmmsg, d.b, all, 4, 0, &wrong), EINVAL);
}

CHECK(udp, no_destination, "a send that is to nobody is EDESTADDRREQ, to port 0 EINVAL")
{
    const int fd = new_udp(0);
    EXPECT_ERRNO(send(fd, "x", 1, 0), EDESTADDRREQ);
    EXPECT_ERRNO(write(fd, "x", 1), EDESTADDRREQ);
    EXPECT_ERRNO(sendto(fd, "x", 1, 0, AT(INADDR_LOOPBACK, 0)), EINVAL);
    const struct sockaddr_in to = in_address(INADDR_LOOPBACK, 9);
    EXPECT_ERRNO(sendto(fd, "x", 1, 0, (const void *)&to, sizeof to - 1), EINVAL);
    struct sockaddr_in other = to;
    other.sin_family = 77;
    EXPECT_ERRNO(sendto(fd, "x", 1, 0, (const void *)&other, sizeof other), EAFNOSUPPORT);
    EXPECT_ERRNO(sendto(fd, "x", 1, MSG_OOB, AT(INADDR_LOOPBACK, 9)), EOPNOTSUPP);
}

CHECK(udp, no_connections, "listen and accept are EOPNOTSUPP, getpeername without a peer ENOTCONN")
{
    const int fd = bound_udp();
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    EXPECT_ERRNO(listen(fd, 1), EOPNOTSUPP);
    EXPECT_ERRNO(accept(fd, NULL, NULL), EOPNOTSUPP);
    EXPECT_ERRNO(getpeername(fd, (void *)&peer, &size), ENOTCONN);
}

CHECK(udp, connected, "connect chooses an own name, and says to whom sends go")
{
    const int to = bound_udp(), fd = new_udp(SOCK_NONBLOCK);
    OK(connect(fd, AT(INADDR_LOOPBACK, port_of(to))));
    EXPECT_EQ(ip_of(fd), INADDR_LOOPBACK);
    EXPECT(port_of(fd) != 0);
    struct sockaddr_in peer = {0};
    socklen_t size = sizeof peer;
    OK(getpeername(fd, (void *)&peer, &size));
    EXPECT_EQ(ntohs(peer.sin_port), port_of(to));
    EXPECT_EQ(ntohl(peer.sin_addr.s_addr), INADDR_LOOPBACK);
    put(fd, "by write");
    EXPECT_EQ(hear(to, "by write"), port_of(fd));
    const int other = bound_udp();
    say(fd, "elsewhere", port_of(other));
    hear(other, "elsewhere");
    EXPECT_EQ(heard_now(to), -EAGAIN);
}

CHECK(udp, connect_anywhere, "connecting to 0.0.0.0 means this machine")
{
    const int to = bound_udp(), fd = new_udp(0);
    OK(connect(fd, AT(INADDR_ANY, port_of(to))));
    struct sockaddr_in peer = {0};
    socklen_t size = sizeof peer;
    OK(getpeername(fd, (void *)&peer, &size));
    EXPECT_EQ(ntohl(peer.sin_addr.s_addr), INADDR_LOOPBACK);
    put(fd, "here");
    hear(to, "here");
}

CHECK(udp, filter, "a connected socket receives from its peer alone; what came before stays")
{
    const int fd = bound_udp(), peer = bound_udp(), stranger = bound_udp();
    say(stranger, "early", port_of(fd));
    await(fd, POLLIN);
    OK(connect(fd, AT(INADDR_LOOPBACK, port_of(peer))));
    say(stranger, "late", port_of(fd));
    say(peer, "mine", port_of(fd));
    hear(fd, "early");
    hear(fd, "mine");
    EXPECT_EQ(heard_now(fd), -EAGAIN);
}

CHECK(udp, connect_again, "another connect changes the peer, for receiving too")
{
    const int fd = bound_udp(), one = bound_udp(), two = bound_udp();
    OK(connect(fd, AT(INADDR_LOOPBACK, port_of(one))));
    say(one, "1", port_of(fd));
    hear(fd, "1");
    OK(connect(fd, AT(INADDR_LOOPBACK, port_of(two))));
    put(fd, "to two");
    hear(two, "to two");
    say(one, "no more", port_of(fd));
    EXPECT_EQ(heard_now(fd), -EAGAIN);
    say(two, "2", port_of(fd));
    hear(fd, "2");
}

CHECK(udp, disconnect, "connect with AF_UNSPEC ends a connection; a port that was bound stays")
{
    const int fd = new_udp(SOCK_NONBLOCK), peer = bound_udp(), other = bound_udp();
    const uint16_t port = unused_port();
    OK(bind(fd, AT(INADDR_LOOPBACK, port)));
    OK(connect(fd, AT(INADDR_LOOPBACK, port_of(peer))));
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    OK(connect(fd, &nobody, sizeof nobody));
    EXPECT_ERRNO(send(fd, "x", 1, 0), EDESTADDRREQ);
    EXPECT_EQ(port_of(fd), port);
    say(other, "hello", port);
    hear(fd, "hello");
}

CHECK(udp, disconnect_frees, "a port that nobody asked for is given up when the connection ends")
{
    const int fd = new_udp(SOCK_NONBLOCK), peer = bound_udp();
    OK(connect(fd, AT(INADDR_LOOPBACK, port_of(peer))));
    const uint16_t port = port_of(fd);
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    OK(connect(fd, &nobody, sizeof nobody));
    EXPECT_EQ(port_of(fd), 0);
    EXPECT_EQ(ip_of(fd), INADDR_ANY);
    OK(bind(new_udp(0), AT(INADDR_LOOPBACK, port)));
    OK(connect(fd, AT(INADDR_LOOPBACK, port_of(peer))));
    put(fd, "again");
    EXPECT_EQ(hear(peer, "again"), port_of(fd));
}

CHECK(udp, refused, "a connected socket hears that nobody has its peer's port, once, at the next call")
{
    const int fd = new_udp(SOCK_NONBLOCK);
    OK(connect(fd, AT(INADDR_LOOPBACK, unused_port())));
    put(fd, "anybody?");
    EXPECT_ERRNO(send(fd, "x", 1, 0), ECONNREFUSED);
    put(fd, "anybody?");
    EXPECT_EQ(heard_now(fd), -ECONNREFUSED);
    EXPECT_EQ(heard_now(fd), -EAGAIN);
    put(fd, "anybody?");
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_ERROR), 0);
}

CHECK(udp, not_refused, "an unconnected socket hears nothing of it")
{
    const int fd = new_udp(SOCK_NONBLOCK);
    const uint16_t port = unused_port();
    say(fd, "anybody?", port);
    say(fd, "anybody?", port);
    EXPECT_EQ(heard_now(fd), -EAGAIN);
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_ERROR), 0);
}

CHECK(udp, refused_by_filter, "a socket that is connected elsewhere is nobody to others")
{
    const int fd = bound_udp(), peer = bound_udp(), stranger = new_udp(SOCK_NONBLOCK);
    OK(connect(fd, AT(INADDR_LOOPBACK, port_of(peer))));
    OK(connect(stranger, AT(INADDR_LOOPBACK, port_of(fd))));
    put(stranger, "hello?");
    EXPECT_EQ(heard_now(stranger), -ECONNREFUSED);
}

CHECK(udp, reopened, "a peer that closes its socket and opens another at the port hears the next datagram")
{
    const int fd = new_udp(SOCK_NONBLOCK), first = bound_udp();
    const uint16_t port = port_of(first);
    OK(connect(fd, AT(INADDR_LOOPBACK, port)));
    put(fd, "one");
    hear(first, "one");
    OK(close(first));
    const int second = new_udp(SOCK_NONBLOCK);
    OK(bind(second, AT(INADDR_LOOPBACK, port)));
    put(fd, "two");
    hear(second, "two");
    EXPECT_EQ(heard_now(fd), -EAGAIN);
}

CHECK(udp, to_itself, "a socket can send to itself")
{
    const int fd = bound_udp();
    say(fd, "me", port_of(fd));
    EXPECT_EQ(hear(fd, "me"), port_of(fd));
}

CHECK(udp, any_address, "a socket of 0.0.0.0 receives what is sent to any address of 127.0.0.0/8")
{
    const int fd = bound_udp_at(INADDR_ANY), from = new_udp(0);
    say(from, "one", port_of(fd));
    hear(fd, "one");
    EXPECT_EQ(sendto(from, "two", 3, 0, AT(0x7f123456, port_of(fd))), 3);
    hear(fd, "two");
    const int narrow = bound_udp();
    EXPECT_EQ(sendto(from, "x", 1, 0, AT(0x7f123456, port_of(narrow))), 1);
    EXPECT_EQ(heard_now(narrow), -EAGAIN);
}

CHECK(udp, bytes_to_read, "FIONREAD tells the length of the next datagram alone")
{
    const struct duo d = udp_pair();
    int n = -1;
    OK(ioctl(d.b, FIONREAD, &n));
    EXPECT_EQ(n, 0);
    put(d.a, "four");
    put(d.a, "eleven more");
    await(d.b, POLLIN);
    OK(ioctl(d.b, FIONREAD, &n));
    EXPECT_EQ(n, 4);
    hear(d.b, "four");
    OK(ioctl(d.b, FIONREAD, &n));
    EXPECT_EQ(n, 11);
}

CHECK(udp, broadcast, "sending to everybody needs SO_BROADCAST")
{
    EXPECT_ERRNO(sendto(new_udp(0), "x", 1, 0, AT(INADDR_BROADCAST, 9)), EACCES);
    EXPECT_ERRNO(connect(new_udp(0), AT(INADDR_BROADCAST, 9)), EACCES);
}

CHECK(udp, overflow, "a full queue loses the newest, tells nobody, and works on")
{
    const struct duo d = udp_pair();
    static char block[8192];
    int received = 0;
    for (int i = 0; i < 200; i++) {
        memcpy(block, &i, sizeof i);
        EXPECT_EQ(send(d.a, block, sizeof block, 0), sizeof block);
    }
    for (;; received++) {
        const ssize_t n = recv(d.b, block, sizeof block, MSG_DONTWAIT);
        if (n < 0)
            break;
        int number;
        memcpy(&number, block, sizeof number);
        EXPECT_EQ(n, sizeof block);
        EXPECT_EQ(number, received);
    }
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_AT_LEAST(received, 5);
    EXPECT(received < 200);
    put(d.a, "after");
    hear(d.b, "after");
}

CHECK(udp, packet_info, "IP_PKTINFO tells to which address a datagram was sent")
{
    const int fd = bound_udp_at(INADDR_ANY), from = new_udp(0), on = 1;
    OK(setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on));
    EXPECT_EQ(sendto(from, "x", 1, 0, AT(0x7f000005, port_of(fd))), 1);
    await(fd, POLLIN);
    char byte;
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
    } control;
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    EXPECT_EQ(recvmsg(fd, &message, 0), 1);
    const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    EXPECT(head != NULL);
    EXPECT_EQ(head->cmsg_level, IPPROTO_IP);
    EXPECT_EQ(head->cmsg_type, IP_PKTINFO);
    struct in_pktinfo info;
    memcpy(&info, CMSG_DATA(head), sizeof info);
    EXPECT_EQ(ntohl(info.ipi_addr.s_addr), 0x7f000005);
    EXPECT_EQ(info.ipi_ifindex, 1);
    EXPECT_EQ(message.msg_controllen, sizeof control);
}

CHECK(udp, send_from, "IP_PKTINFO with a send chooses the address that it comes from")
{
    const int to = bound_udp(), fd = bound_udp_at(INADDR_ANY);
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
    } control = {0};
    control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo)),
                                    .cmsg_level = IPPROTO_IP,
                                    .cmsg_type = IP_PKTINFO};
    const struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(0x7f000009)};
    memcpy(CMSG_DATA(&control.head), &info, sizeof info);
    struct sockaddr_in at = in_address(INADDR_LOOPBACK, port_of(to)), from = {0};
    struct iovec piece = {"x", 1};
    struct msghdr message = {.msg_name = &at,
                             .msg_namelen = sizeof at,
                             .msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    EXPECT_EQ(sendmsg(fd, &message, 0), 1);
    await(to, POLLIN);
    char byte;
    socklen_t size = sizeof from;
    EXPECT_EQ(recvfrom(to, &byte, 1, 0, (void *)&from, &size), 1);
    EXPECT_EQ(ntohl(from.sin_addr.s_addr), 0x7f000009);
    EXPECT_EQ(ntohs(from.sin_port), port_of(fd));
}
