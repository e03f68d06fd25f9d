// SPDX-License-Identifier: BSD-2-Clause
// Steps with AF_UNIX and TCP.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "victim.h"

static char bytes[30000];

static int any_type(void)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    return types[chance(3)];
}

void step_pair(void)
{
    int pair[2];
    if (socketpair(AF_UNIX, any_type() | (chance(2) ? SOCK_NONBLOCK : 0), 0, pair))
        return;
    if (send(pair[0], bytes, chance(sizeof bytes), MSG_DONTWAIT) < 0)
        shutdown(pair[0], chance(3));
    recv(pair[1], bytes, chance(sizeof bytes), MSG_DONTWAIT);
    keep(pair[0]);
    keep(pair[1]);
}

static void send_rights(int to)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(3 * sizeof(int))];
    } control = {0};
    const int count = 1 + (int)chance(3);
    struct iovec part = {bytes, 1 + chance(200)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(count * sizeof(int));
    for (int i = 0; i < count; i++) {
        const int fd = kept();
        memcpy(CMSG_DATA(head) + i * sizeof fd, &fd, sizeof fd);
    }
    sendmsg(to, &message, MSG_DONTWAIT);
}

static void take_rights(int from)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(8 * sizeof(int))];
    } control;
    struct iovec part = {bytes, sizeof bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = sizeof control;
    if (recvmsg(from, &message, MSG_DONTWAIT) < 0)
        return;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; CMSG_LEN(at) < head->cmsg_len; at += sizeof(int)) {
            int fd;
            memcpy(&fd, CMSG_DATA(head) + at, sizeof fd);
            keep(fd);
        }
    }
}

void step_rights(void)
{
    int pair[2];
    if (chance(2)) {
        // To whoever has the other end, maybe in another process.
        if (chance(2))
            send_rights(kept());
        else
            take_rights(kept());
        return;
    }
    if (socketpair(AF_UNIX, any_type(), 0, pair))
        return;
    send_rights(pair[0]);
    if (chance(2))
        take_rights(pair[1]);
    keep(pair[0]);
    keep(pair[1]);
}

void step_names(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t length = sizeof name;
    if (chance(2)) {
        snprintf(name.sun_path, sizeof name.sun_path, "%s", name_of('s'));
    } else {
        // Abstract.
        const int n = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "k%u", chance(NAMES));
        length = offsetof(struct sockaddr_un, sun_path) + 1 + n;
    }
    const int fd = socket(AF_UNIX, any_type() | SOCK_NONBLOCK, 0);
    switch (chance(5)) {
    case 0:
    case 1:
        if (bind(fd, (struct sockaddr *)&name, length) == 0)
            listen(fd, (int)chance(4));
        break;
    case 2:
    case 3:
        if (connect(fd, (struct sockaddr *)&name, length) == 0) {
            send(fd, bytes, chance(500), MSG_DONTWAIT);
            if (chance(2))
                send_rights(fd);
        }
        break;
    default:
        sendto(fd, bytes, chance(500), MSG_DONTWAIT, (struct sockaddr *)&name, length);
        if (name.sun_path[0] && chance(2))
            unlink(name.sun_path);
    }
    const int listener = kept(), got = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (got >= 0) {
        take_rights(got);
        keep(got);
    }
    keep(fd);
}

// At ports where victims meet each other.
static void meet(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    place.sin_port = htons((uint16_t)(5000 + chance(NAMES)));
    if (chance(2))
        setsockopt(fd, SOL_SOCKET, chance(2) ? SO_REUSEADDR : SO_REUSEPORT, &on, sizeof on);
    if (chance(2)) {
        if (bind(fd, (struct sockaddr *)&place, sizeof place) == 0)
            listen(fd, (int)chance(4));
    } else {
        const struct linger at_once = {1, 0};
        if (chance(4) == 0)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        connect(fd, (struct sockaddr *)&place, sizeof place);
        send(fd, bytes, chance(sizeof bytes), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    const int got = accept4(kept(), NULL, NULL, SOCK_NONBLOCK);
    if (got >= 0) {
        recv(got, bytes, chance(sizeof bytes), MSG_DONTWAIT);
        send(got, bytes, chance(2000), MSG_DONTWAIT | MSG_NOSIGNAL);
        keep(got);
    }
    if (chance(3) == 0)
        shutdown(kept(), chance(3));
    keep(fd);
}

void step_tcp(void)
{
    if (chance(2)) {
        meet();
        return;
    }
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof any;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(fd, (struct sockaddr *)&any, sizeof any) || listen(fd, 4) ||
        getsockname(fd, (struct sockaddr *)&any, &length)) {
        close(fd);
        return;
    }
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(client, (struct sockaddr *)&any, sizeof any);
    send(client, bytes, chance(2000), MSG_DONTWAIT | MSG_NOSIGNAL);
    keep(accept4(fd, NULL, NULL, SOCK_NONBLOCK));
    keep(client);
    keep(fd);
}
