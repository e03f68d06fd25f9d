// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "process.h"
#include "unix.h"

void unix_pair(int s[2], int type, bool moved)
{
    OK(socketpair(AF_UNIX, type, 0, s));
    if (moved) {
        const pid_t pid = OK(fork());
        if (pid == 0)
            _exit(7);
        EXPECT_EQ(ending(note_child(pid)), 7);
    }
}

struct unix_name unix_name(const char *text)
{
    struct unix_name name = {.address.sun_family = AF_UNIX};
    const size_t n = strlen(text);
    memcpy(name.address.sun_path, text, n);
    name.len = offsetof(struct sockaddr_un, sun_path) + n;
    if (*text == '@')
        name.address.sun_path[0] = 0;
    else
        name.len++;
    return name;
}

int unix_bound(int type, const char *text, int backlog)
{
    const struct unix_name name = unix_name(text);
    const int fd = OK(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    OK(bind(fd, (const struct sockaddr *)&name.address, name.len));
    if (backlog >= 0)
        OK(listen(fd, backlog));
    return fd;
}

int unix_connect(int fd, const char *text)
{
    const struct unix_name name = unix_name(text);
    return connect(fd, (const struct sockaddr *)&name.address, name.len);
}

ssize_t send_fds(int socket, const int *fds, int count)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(300 * sizeof(int))];
    } control = {0};
    struct iovec byte = {"f", 1};
    struct msghdr message = {.msg_iov = &byte,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    control.head.cmsg_len = CMSG_LEN(count * sizeof(int));
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    memcpy(CMSG_DATA(&control.head), fds, count * sizeof(int));
    return sendmsg(socket, &message, 0);
}

int receive_fds(int socket, int *fds, int most, int flags, int *got)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(300 * sizeof(int))];
    } control = {0};
    char c;
    struct iovec byte = {&c, 1};
    struct msghdr message = {.msg_iov = &byte,
                             .msg_iovlen = 1,
                             .msg_control = most ? &control : NULL,
                             .msg_controllen = most ? CMSG_LEN(most * sizeof(int)) : 0};
    EXPECT_EQ(recvmsg(socket, &message, flags), 1);
    if (got)
        *got = message.msg_flags;
    if (message.msg_controllen < sizeof(struct cmsghdr))
        return 0;
    EXPECT_EQ(control.head.cmsg_level, SOL_SOCKET);
    EXPECT_EQ(control.head.cmsg_type, SCM_RIGHTS);
    const int count = (control.head.cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(&control.head), count * sizeof(int));
    return count;
}
