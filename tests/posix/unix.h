// SPDX-License-Identifier: BSD-2-Clause
// What the checks of AF_UNIX have in common.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

// A pair of sockets; `moved`: one that another process has had too, so that here its state lies in shared memory.
void unix_pair(int s[2], int type, bool moved);

// A name of AF_UNIX, and its length: abstract if it begins with '@', which stands for a zero byte.
struct unix_name {
    struct sockaddr_un address;
    socklen_t len;
};
struct unix_name unix_name(const char *text);

// A socket bound to a name, which listens if `backlog` is not negative.
int unix_bound(int type, const char *name, int backlog);

// connect(2) to a name.
int unix_connect(int fd, const char *name);

// Sends one byte with descriptors; sendmsg's result.
ssize_t send_fds(int socket, const int *fds, int count);

// Receives one byte and at most `most` descriptors, whose number is returned; flags go to recvmsg, what it says of the message to *got.
int receive_fds(int socket, int *fds, int most, int flags, int *got);
