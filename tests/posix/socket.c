// SPDX-License-Identifier: BSD-2-Clause
// Sockets: addresses, options and errors of each call.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helpers.h"

static int bind_to(int fd, uint32_t address, uint16_t port)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(address),
    };
    return bind(fd, (const struct sockaddr *)&to, sizeof to);
}

static int switch_on(int fd, int level, int name)
{
    const int one = 1;
    return setsockopt(fd, level, name, &one, sizeof one);
}

CHECK(socket, kinds, "unknown families, types and protocols are refused, each with its errno")
{
    EXPECT_ERRNO(socket(12345, SOCK_STREAM, 0), EAFNOSUPPORT);
    EXPECT_ERRNO(socket(AF_INET, 15, 0), EINVAL);
    EXPECT_ERRNO(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
    OK(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP));
}

CHECK(socket, flags, "SOCK_NONBLOCK and SOCK_CLOEXEC take effect")
{
    const int plain = new_socket(0), flagged = new_socket(SOCK_NONBLOCK | SOCK_CLOEXEC);
    EXPECT_EQ(fcntl(plain, F_GETFD), 0);
    EXPECT_EQ(fcntl(plain, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(fcntl(flagged, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(fcntl(flagged, F_GETFL), O_RDWR | O_NONBLOCK);
}

CHECK(socket, nonblocking_by_ioctl, "FIONBIO switches O_NONBLOCK on and off")
{
    const int fd = new_socket(0);
    int on = 1, off = 0;
    OK(ioctl(fd, FIONBIO, &on));
    EXPECT_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    OK(ioctl(fd, FIONBIO, &off));
    EXPECT_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
}

CHECK(socket, accept_flags, "accept4 sets the flags it is given, accept inherits none")
{
    const int listener = new_listener(8);
    for (int i = 0; i < 2; i++)
        OK(connect_to(new_socket(0), port_of(listener)));
    await(listener, POLLIN);
    // By number: musl's function hides flags that it does not know.
    EXPECT_ERRNO(syscall(SYS_accept4, listener, NULL, NULL, 1), EINVAL);
    const int flagged = OK(accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
    await(listener, POLLIN);
    const int plain = OK(accept(listener, NULL, NULL));
    EXPECT_EQ(fcntl(flagged, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(fcntl(flagged, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    EXPECT_EQ(fcntl(plain, F_GETFD), 0);
    EXPECT_EQ(fcntl(plain, F_GETFL) & O_NONBLOCK, 0);
}

CHECK(socket, not_a_socket, "socket calls on another kind of file are ENOTSOCK, closed ones EBADF")
{
    const int other = new_eventfd(0);
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    EXPECT_ERRNO(listen(other, 1), ENOTSOCK);
    EXPECT_ERRNO(bind_to(other, INADDR_LOOPBACK, 0), ENOTSOCK);
    EXPECT_ERRNO(connect_to(other, 1), ENOTSOCK);
    EXPECT_ERRNO(accept(other, NULL, NULL), ENOTSOCK);
    EXPECT_ERRNO(shutdown(other, SHUT_WR), ENOTSOCK);
    EXPECT_ERRNO(send(other, "x", 1, 0), ENOTSOCK);
    EXPECT_ERRNO(getsockname(other, (struct sockaddr *)&address, &size), ENOTSOCK);
    EXPECT_ERRNO(listen(100, 1), EBADF);
    EXPECT_ERRNO(send(100, "x", 1, 0), EBADF);
}

CHECK(socket, not_connected, "a socket without connection: ENOTCONN, EPIPE, OUT and HUP")
{
    const int fd = new_socket(SOCK_NONBLOCK);
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    char c;
    EXPECT_ERRNO(read(fd, &c, 1), ENOTCONN);
    EXPECT_ERRNO(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
    EXPECT_ERRNO(shutdown(fd, SHUT_WR), ENOTCONN);
    EXPECT_ERRNO(getpeername(fd, (struct sockaddr *)&address, &size), ENOTCONN);
    EXPECT_EQ(ready_now(fd, POLLIN | POLLOUT), POLLOUT | POLLHUP);
}

CHECK(socket, not_listening, "accepting on a socket that does not listen is EINVAL")
{
    EXPECT_ERRNO(accept(new_socket(SOCK_NONBLOCK), NULL, NULL), EINVAL);
    EXPECT_ERRNO(accept(new_link().client, NULL, NULL), EINVAL);
}

CHECK(socket, listening_has_no_data, "reading a listener is ENOTCONN")
{
    char c;
    EXPECT_ERRNO(read(new_listener(1), &c, 1), ENOTCONN);
}

CHECK(socket, bind_any_port, "binding to port 0 chooses a port, a different one each time")
{
    const int a = new_socket(0), b = new_socket(0);
    EXPECT_EQ(port_of(a), 0);
    OK(bind_to(a, INADDR_LOOPBACK, 0));
    OK(bind_to(b, INADDR_LOOPBACK, 0));
    EXPECT(port_of(a) != 0 && port_of(b) != 0);
    EXPECT(port_of(a) != port_of(b));
}

CHECK(socket, bind_any_address, "a listener on any address is reached by 127.0.0.1")
{
    const int listener = new_socket(SOCK_NONBLOCK);
    OK(bind_to(listener, INADDR_ANY, 0));
    OK(listen(listener, 4));
    OK(connect_to(new_socket(0), port_of(listener)));
    const int server = accept_one(listener);
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    OK(getsockname(server, (struct sockaddr *)&address, &size));
    EXPECT_EQ(ntohl(address.sin_addr.s_addr), INADDR_LOOPBACK);
    EXPECT_EQ(ntohs(address.sin_port), port_of(listener));
}

CHECK(socket, bind_errors, "binding twice, to a foreign address or with a short one fails")
{
    const int fd = new_socket(0);
    const struct sockaddr_in address = {.sin_family = AF_INET};
    EXPECT_ERRNO(bind_to(fd, 0x08080808, 0), EADDRNOTAVAIL);
    EXPECT_ERRNO(bind(fd, (const struct sockaddr *)&address, 4), EINVAL);
    OK(bind_to(fd, INADDR_LOOPBACK, 0));
    EXPECT_ERRNO(bind_to(fd, INADDR_LOOPBACK, 0), EINVAL);
}

CHECK(socket, family_of_address, "an address of another family is EAFNOSUPPORT")
{
    const struct sockaddr_in address = {.sin_family = AF_INET6};
    const struct sockaddr *to = (const struct sockaddr *)&address;
    EXPECT_ERRNO(bind(new_socket(0), to, sizeof address), EAFNOSUPPORT);
    EXPECT_ERRNO(connect(new_socket(0), to, sizeof address), EAFNOSUPPORT);
}

CHECK(socket, port_in_use, "a port that somebody listens on is EADDRINUSE, with SO_REUSEADDR too")
{
    const int listener = new_listener(4), plain = new_socket(0), reusing = new_socket(0);
    EXPECT_ERRNO(bind_to(plain, INADDR_LOOPBACK, port_of(listener)), EADDRINUSE);
    OK(switch_on(reusing, SOL_SOCKET, SO_REUSEADDR));
    EXPECT_ERRNO(bind_to(reusing, INADDR_LOOPBACK, port_of(listener)), EADDRINUSE);
    OK(close(listener));
}

CHECK(socket, port_free_again, "with SO_REUSEADDR a server comes back while old connections linger")
{
    const int first = new_socket(SOCK_NONBLOCK), client = new_socket(0);
    OK(switch_on(first, SOL_SOCKET, SO_REUSEADDR));
    OK(bind_to(first, INADDR_LOOPBACK, 0));
    OK(listen(first, 4));
    const uint16_t port = port_of(first);
    OK(connect_to(client, port));
    OK(close(accept_one(first)));
    OK(close(first));
    await(client, POLLIN);
    OK(close(client));
    const int second = new_socket(SOCK_NONBLOCK);
    OK(switch_on(second, SOL_SOCKET, SO_REUSEADDR));
    OK(bind_to(second, INADDR_LOOPBACK, port));
    OK(listen(second, 4));
    OK(connect_to(new_socket(0), port));
    accept_one(second);
}

CHECK(socket, names, "both ends agree on their names")
{
    const struct link l = new_link();
    struct sockaddr_in mine, theirs;
    socklen_t size = sizeof mine;
    OK(getsockname(l.client, (struct sockaddr *)&mine, &size));
    EXPECT_EQ(size, sizeof mine);
    size = sizeof theirs;
    OK(getpeername(l.server, (struct sockaddr *)&theirs, &size));
    EXPECT_EQ(size, sizeof theirs);
    EXPECT_EQ(mine.sin_port, theirs.sin_port);
    EXPECT_EQ(mine.sin_addr.s_addr, theirs.sin_addr.s_addr);
    EXPECT_EQ(theirs.sin_family, AF_INET);
}

CHECK(socket, short_name_buffer, "a name is cut to the buffer, its full size returned")
{
    const struct link l = new_link();
    struct sockaddr_in name;
    memset(&name, 0x55, sizeof name);
    socklen_t size = 4;
    OK(getpeername(l.client, (struct sockaddr *)&name, &size));
    EXPECT_EQ(size, sizeof name);
    EXPECT_EQ(ntohs(name.sin_port), port_of(l.server));
    EXPECT_EQ(name.sin_addr.s_addr, 0x55555555);
}

CHECK(socket, switches, "SO_REUSEADDR, SO_KEEPALIVE and TCP_NODELAY keep what is set")
{
    const struct {
        int level, name;
    } switches[] = {
        {SOL_SOCKET, SO_REUSEADDR}, {SOL_SOCKET, SO_KEEPALIVE}, {IPPROTO_TCP, TCP_NODELAY}};
    const int fd = new_socket(0), zero = 0;
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
        EXPECT_EQ(option_of(fd, switches[i].level, switches[i].name), 0);
        OK(switch_on(fd, switches[i].level, switches[i].name));
        EXPECT_EQ(option_of(fd, switches[i].level, switches[i].name), 1);
        OK(setsockopt(fd, switches[i].level, switches[i].name, &zero, sizeof zero));
        EXPECT_EQ(option_of(fd, switches[i].level, switches[i].name), 0);
    }
}

CHECK(socket, facts, "SO_TYPE, SO_DOMAIN, SO_PROTOCOL and SO_ACCEPTCONN tell the truth")
{
    const int fd = new_socket(0);
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_DOMAIN), AF_INET);
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_ACCEPTCONN), 0);
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_ERROR), 0);
    EXPECT_EQ(option_of(new_listener(1), SOL_SOCKET, SO_ACCEPTCONN), 1);
    EXPECT_AT_LEAST(option_of(fd, SOL_SOCKET, SO_SNDBUF), 4096);
    EXPECT_AT_LEAST(option_of(fd, SOL_SOCKET, SO_RCVBUF), 4096);
}

CHECK(socket, option_errors, "unknown options are ENOPROTOOPT, short values EINVAL")
{
    const int fd = new_socket(0), value = 1;
    int got;
    socklen_t size = sizeof got;
    EXPECT_ERRNO(setsockopt(fd, SOL_SOCKET, 9999, &value, sizeof value), ENOPROTOOPT);
    EXPECT_ERRNO(getsockopt(fd, SOL_SOCKET, 9999, &got, &size), ENOPROTOOPT);
    EXPECT_ERRNO(setsockopt(fd, IPPROTO_TCP, 9999, &value, sizeof value), ENOPROTOOPT);
    EXPECT_ERRNO(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, 1), EINVAL);
    EXPECT_ERRNO(setsockopt(fd, SOL_SOCKET, SO_TYPE, &value, sizeof value), ENOPROTOOPT);
}

CHECK(socket, no_packet_options, "IP_OPTIONS is empty, of streams and of datagrams")
{
    char got[40];
    const int fds[] = {new_socket(0), OK(socket(AF_INET, SOCK_DGRAM, 0))};
    for (int i = 0; i < 2; i++) {
        socklen_t size = sizeof got;
        OK(getsockopt(fds[i], IPPROTO_IP, IP_OPTIONS, got, &size));
        EXPECT_EQ(size, 0);
    }
}

CHECK(socket, shutdown_argument, "shutdown knows three directions (EINVAL)")
{
    EXPECT_ERRNO(shutdown(new_link().client, 3), EINVAL);
}

CHECK(socket, no_seeking, "a socket cannot seek (ESPIPE)")
{
    char c;
    const struct link l = new_link();
    EXPECT_ERRNO(lseek(l.client, 0, SEEK_CUR), ESPIPE);
    EXPECT_ERRNO(pread(l.client, &c, 1, 0), ESPIPE);
}

CHECK(socket, kind, "fstat says that it is a socket")
{
    struct stat st;
    OK(fstat(new_socket(0), &st));
    EXPECT(S_ISSOCK(st.st_mode));
}

CHECK(unix, both_ways, "a pair of sockets carries bytes both ways")
{
    int s[2];
    char buffer[8] = {0};
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    put(s[0], "ping");
    get(s[1], buffer, 4);
    EXPECT(strcmp(buffer, "ping") == 0);
    put(s[1], "pong");
    get(s[0], buffer, 4);
    EXPECT(strcmp(buffer, "pong") == 0);
}

CHECK(unix, end_of_file, "closing one is end of file, RDHUP and HUP to the other, and EPIPE")
{
    int s[2];
    char c;
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
    EXPECT_EQ(ready_now(s[0], POLLIN | POLLOUT | POLLRDHUP), POLLOUT);
    put(s[1], "x");
    OK(close(s[1]));
    EXPECT_EQ(ready_now(s[0], POLLIN | POLLRDHUP), POLLIN | POLLRDHUP | POLLHUP);
    get(s[0], &c, 1);
    EXPECT_EQ(read(s[0], &c, 1), 0);
    EXPECT_ERRNO(send(s[0], "y", 1, MSG_NOSIGNAL), EPIPE);
}

CHECK(unix, half_close, "after SHUT_WR the other reads to the end and can still answer")
{
    int s[2];
    char c;
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
    OK(shutdown(s[0], SHUT_WR));
    EXPECT_EQ(ready_now(s[1], POLLIN | POLLOUT | POLLRDHUP), POLLIN | POLLOUT | POLLRDHUP);
    EXPECT_EQ(read(s[1], &c, 1), 0);
    put(s[1], "a");
    get(s[0], &c, 1);
    EXPECT_ERRNO(send(s[0], "b", 1, MSG_NOSIGNAL), EPIPE);
}

CHECK(unix, full, "a pair that nobody reads fills up and gives back every byte")
{
    int s[2];
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
    const size_t size = fill(s[0]);
    EXPECT_AT_LEAST(size, 4096);
    EXPECT_EQ(ready_now(s[0], POLLOUT), 0);
    get_pattern(s[1], size);
    EXPECT_EQ(ready_now(s[0], POLLOUT), POLLOUT);
}

CHECK(unix, edges, "every write is an edge to the other end, read or not")
{
    int s[2];
    const int ep = new_epoll();
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    add(ep, s[1], EPOLLIN | EPOLLET);
    for (int i = 0; i < 3; i++) {
        put(s[0], "a");
        EXPECT_EVENT(ep, s[1], EPOLLIN);
        EXPECT_IDLE(ep);
    }
}
