// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "udp.h"

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "helpers.h"

struct sockaddr_in in_address(uint32_t ip, uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(ip)};
}

int new_udp(int flags)
{
    return OK(socket(AF_INET, SOCK_DGRAM | flags, 0));
}

int bound_udp_at(uint32_t ip)
{
    const int fd = new_udp(SOCK_NONBLOCK);
    OK(bind(fd, AT(ip, 0)));
    return fd;
}

int bound_udp(void)
{
    return bound_udp_at(INADDR_LOOPBACK);
}

struct duo udp_pair(void)
{
    const struct duo duo = {bound_udp(), bound_udp()};
    OK(connect(duo.a, AT(INADDR_LOOPBACK, port_of(duo.b))));
    OK(connect(duo.b, AT(INADDR_LOOPBACK, port_of(duo.a))));
    return duo;
}

uint16_t unused_port(void)
{
    const int fd = bound_udp();
    const uint16_t port = port_of(fd);
    OK(close(fd));
    return port;
}

void say(int fd, const char *text, uint16_t port)
{
    EXPECT_EQ(sendto(fd, text, strlen(text), 0, AT(INADDR_LOOPBACK, port)), strlen(text));
}

uint16_t hear(int fd, const char *text)
{
    char buffer[256];
    struct sockaddr_in from = {0};
    socklen_t size = sizeof from;
    await(fd, POLLIN);
    const ssize_t n = OK(recvfrom(fd, buffer, sizeof buffer, MSG_DONTWAIT, (void *)&from, &size));
    EXPECT_EQ(n, strlen(text));
    EXPECT(memcmp(buffer, text, (size_t)n) == 0);
    EXPECT_EQ(size, sizeof from);
    EXPECT_EQ(from.sin_family, AF_INET);
    return ntohs(from.sin_port);
}

int heard_now(int fd)
{
    char buffer[256];
    const ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    return n < 0 ? -errno : (int)n;
}
