// SPDX-License-Identifier: BSD-2-Clause
// What the suite udp-* runs in the guest: `udp echo PORT` answers datagrams, `udp names NAME...` looks names up by /etc/resolv.conf.
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

// Answers each datagram with itself, whoever sent it, until one says "end".
static int echo(const char *port)
{
    static char buffer[2048];
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), ep = epoll_create1(0);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))}, from;
    if (fd < 0 || bind(fd, (void *)&own, sizeof own) != 0)
        return 10;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) != 0)
        return 11;
    for (;;) {
        if (epoll_wait(ep, &event, 1, -1) != 1)
            return 12;
        for (;;) {
            socklen_t size = sizeof from;
            const ssize_t n = recvfrom(fd, buffer, sizeof buffer, 0, (void *)&from, &size);
            if (n < 0)
                break;
            if (sendto(fd, buffer, (size_t)n, 0, (void *)&from, size) != n)
                return 13;
            if (n == 3 && memcmp(buffer, "end", 3) == 0)
                return 0;
        }
    }
}

static int names(char **all)
{
    for (; *all; all++) {
        const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
        struct addrinfo *found;
        const int error = getaddrinfo(*all, "80", &hints, &found);
        if (error != 0) {
            printf("%s: %s\n", *all, error == EAI_NONAME ? "nobody" : gai_strerror(error));
            continue;
        }
        printf("%s:", *all);
        for (; found; found = found->ai_next) {
            char text[64];
            const struct sockaddr_in *at = (void *)found->ai_addr;
            printf(" %s", inet_ntop(AF_INET, &at->sin_addr, text, sizeof text));
        }
        printf("\n");
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "echo") == 0)
        return echo(argv[2]);
    if (argc > 2 && strcmp(argv[1], "names") == 0)
        return names(argv + 2);
    return 2;
}
