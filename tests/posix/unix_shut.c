// SPDX-License-Identifier: BSD-2-Clause
// shutdown(2) of AF_UNIX sockets that have no connection: listeners, named and nameless datagram sockets.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "process.h"
#include "thread.h"
#include "unix.h"

CHECK(unix, shut_listener, "who connects to a listener that was shut for reading is refused; accept says EINVAL")
{
    const int listener = unix_bound(SOCK_STREAM, "@posix-shut-a", 5);
    const int client = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    OK(shutdown(listener, SHUT_WR));
    EXPECT_EQ(ready_now(listener, POLLIN | POLLRDHUP), 0);
    EXPECT_EQ(unix_connect(client, "@posix-shut-a"), 0);
    EXPECT_EQ(await(listener, POLLIN), POLLIN);
    OK(shutdown(listener, SHUT_RD));
    EXPECT_EQ(ready_now(listener, POLLIN | POLLRDHUP), POLLIN | POLLRDHUP | POLLHUP);
    const int other = OK(socket(AF_UNIX, SOCK_STREAM, 0));
    EXPECT_ERRNO(unix_connect(other, "@posix-shut-a"), ECONNREFUSED);
    // What waited before is accepted.
    OK(accept(listener, NULL, NULL));
    EXPECT_ERRNO(accept(listener, NULL, NULL), EINVAL);
}

static void *accepts(void *listener)
{
    const int fd = accept(*(int *)listener, NULL, NULL);
    return fd < 0 && errno == EINVAL ? listener : NULL;
}

CHECK(unix, shut_wakes_accept, "shutdown ends another thread's accept")
{
    int listener = unix_bound(SOCK_SEQPACKET, "@posix-shut-b", 5);
    pthread_t thread = started(accepts, &listener);
    OK(shutdown(listener, SHUT_RDWR));
    EXPECT(joined(thread) == &listener);
}

CHECK(xunix, shut_by_child, "a listener that a child has shut is shut for its parent")
{
    const int listener = unix_bound(SOCK_STREAM, "@posix-shut-c", 5);
    const pid_t pid = fork();
    if (pid == 0)
        _exit(shutdown(listener, SHUT_RD) != 0);
    note_child(OK(pid));
    EXPECT_EQ(await(listener, POLLIN), POLLIN);
    EXPECT_ERRNO(accept(listener, NULL, NULL), EINVAL);
    EXPECT_EQ(ending(pid), 0);
}

CHECK(unix, shut_named, "to a named datagram socket that is shut for reading nobody sends (EPIPE); its read is the end")
{
    const int receiver = unix_bound(SOCK_DGRAM, "@posix-shut-d", -1);
    const int sender = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    OK(unix_connect(sender, "@posix-shut-d"));
    EXPECT_EQ(send(sender, "before", 6, 0), 6);
    OK(shutdown(receiver, SHUT_RD));
    EXPECT_ERRNO(send(sender, "x", 1, MSG_NOSIGNAL), EPIPE);
    char got[8];
    EXPECT_EQ(recv(receiver, got, sizeof got, 0), 6);
    EXPECT_EQ(recv(receiver, got, sizeof got, 0), 0);
    EXPECT_ERRNO(recv(receiver, got, sizeof got, MSG_DONTWAIT), EAGAIN);
    EXPECT_EQ(ready_now(receiver, POLLIN | POLLRDHUP), POLLIN | POLLRDHUP);
}

CHECK(unix, shut_sender, "a datagram socket that is shut for writing sends nothing (EPIPE)")
{
    unix_bound(SOCK_DGRAM, "@posix-shut-e", -1);
    const int sender = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    OK(unix_connect(sender, "@posix-shut-e"));
    OK(shutdown(sender, SHUT_WR));
    EXPECT_ERRNO(send(sender, "x", 1, MSG_NOSIGNAL), EPIPE);
    const struct unix_name to = unix_name("@posix-shut-e");
    EXPECT_ERRNO(sendto(sender, "x", 1, MSG_NOSIGNAL, (const struct sockaddr *)&to.address, to.len), EPIPE);
}

CHECK(unix, shut_idle, "an unconnected socket that is shut has nothing to wait for")
{
    const int d = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    EXPECT_EQ(ready_now(d, POLLIN | POLLRDHUP), 0);
    OK(shutdown(d, SHUT_RD));
    EXPECT_EQ(ready_now(d, POLLIN | POLLRDHUP), POLLIN | POLLRDHUP);
    char byte;
    EXPECT_EQ(recv(d, &byte, 1, 0), 0);
    OK(shutdown(d, SHUT_WR));
    EXPECT_EQ(ready_now(d, POLLIN | POLLRDHUP) & POLLHUP, POLLHUP);
}
