// SPDX-License-Identifier: BSD-2-Clause
// Status flags belong to the open file (open(2)): all processes that have it by inheritance or by a message see them change.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "file_helpers.h"
#include "harness.h"
#include "helpers.h"
#include "process.h"
#include "udp.h"
#include "unix.h"

static int flags_of(int fd)
{
    return OK(fcntl(fd, F_GETFL)) & (O_NONBLOCK | O_APPEND);
}

// Lets a child of fork set these flags; the parent looks afterwards.
static void child_sets(int fd, int flags)
{
    const pid_t pid = fork();
    if (pid == 0)
        _exit(fcntl(fd, F_SETFL, flags) != 0);
    EXPECT_EQ(ending(note_child(OK(pid))), 0);
}

CHECK(xflags, pipe, "O_NONBLOCK that a child sets on a pipe holds for the parent, of that end alone")
{
    const struct ends p = new_pipe(0);
    child_sets(p.r, O_NONBLOCK);
    EXPECT_EQ(flags_of(p.r), O_NONBLOCK);
    EXPECT_EQ(flags_of(p.w), 0);
    char byte;
    EXPECT_ERRNO(read(p.r, &byte, 1), EAGAIN);
    const int off = 0;
    OK(ioctl(p.r, FIONBIO, &off));
    child_sets(p.w, O_NONBLOCK);
    EXPECT_EQ(flags_of(p.r), 0);
    EXPECT_EQ(fill(p.w), 65536);
}

CHECK(xflags, parent, "what the parent sets after fork holds for the child")
{
    const struct ends p = new_pipe(0), go = new_pipe(0);
    const pid_t pid = fork();
    if (pid == 0) {
        char byte;
        if (read(go.r, &byte, 1) != 1)
            _exit(1);
        _exit(read(p.r, &byte, 1) == -1 && errno == EAGAIN ? 0 : 2);
    }
    note_child(OK(pid));
    set_nonblocking(p.r);
    put(go.w, "g");
    EXPECT_EQ(ending(pid), 0);
}

CHECK(xflags, kinds, "flags of eventfds, sockets and the standard output are shared as well")
{
    int s[2];
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    const int event = OK(eventfd(0, 0)), own = OK(dup(1)), before = OK(fcntl(1, F_GETFL));
    const int fds[] = {s[0], s[1], event, own};
    for (int i = 0; i < 4; i++) {
        child_sets(fds[i], O_NONBLOCK);
        EXPECT_EQ(OK(fcntl(fds[i], F_GETFL)) & O_NONBLOCK, O_NONBLOCK);
    }
    EXPECT_EQ(OK(fcntl(1, F_GETFL)) & O_NONBLOCK, O_NONBLOCK);
    OK(fcntl(1, F_SETFL, before));
    EXPECT_EQ(OK(fcntl(own, F_GETFL)), before);
    uint64_t value;
    EXPECT_ERRNO(read(event, &value, 8), EAGAIN);
    char byte;
    EXPECT_ERRNO(read(s[1], &byte, 1), EAGAIN);
}

CHECK(xflags, append, "O_APPEND of a file is shared; another open of the file has flags of its own")
{
    in_new_directory();
    write_file("f", "0123");
    const int fd = OK(open("f", O_RDWR)), other = OK(open("f", O_RDWR));
    child_sets(fd, O_APPEND);
    EXPECT_EQ(flags_of(fd), O_APPEND);
    EXPECT_EQ(flags_of(other), 0);
    put(fd, "end");
    expect_file("f", "0123end");
    put(other, "x");
    expect_file("f", "x123end");
    child_sets(fd, 0);
    OK(lseek(fd, 1, SEEK_SET));
    put(fd, "y");
    expect_file("f", "xy23end");
}

ROLE(sets_nonblocking)
{
    return fcntl(atoi(arguments[0]), F_SETFL, O_NONBLOCK) != 0;
}

CHECK(xflags, programs, "a program that was started shares the flags, too, and one that follows it by exec")
{
    const struct ends p = new_pipe(0);
    char number[12];
    snprintf(number, sizeof number, "%d", p.r);
    EXPECT_EQ(ending(child("sets_nonblocking", number, NULL)), 0);
    EXPECT_EQ(flags_of(p.r), O_NONBLOCK);
    OK(fcntl(p.r, F_SETFL, 0));
    const pid_t pid = fork();
    if (pid == 0) {
        execl(options.self, "x", "--child", "sets_nonblocking", number, (char *)NULL);
        _exit(99);
    }
    EXPECT_EQ(ending(note_child(OK(pid))), 0);
    EXPECT_EQ(flags_of(p.r), O_NONBLOCK);
}

CHECK(xflags, by_message, "who gets an open file by a message shares its flags")
{
    int s[2], got;
    unix_pair(s, SOCK_STREAM, false);
    const struct ends p = new_pipe(0);
    const pid_t pid = fork();
    if (pid == 0) {
        close(p.r);
        if (receive_fds(s[1], &got, 1, 0, NULL) != 1)
            _exit(1);
        _exit(fcntl(got, F_SETFL, O_NONBLOCK) != 0);
    }
    note_child(OK(pid));
    EXPECT_EQ(send_fds(s[0], &p.r, 1), 1);
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EQ(flags_of(p.r), O_NONBLOCK);
}

CHECK(xflags, packets, "O_DIRECT of a pipe is one of these flags")
{
    const struct ends p = new_pipe(O_NONBLOCK);
    child_sets(p.w, O_NONBLOCK | O_DIRECT);
    EXPECT_EQ(OK(fcntl(p.w, F_GETFL)) & O_DIRECT, O_DIRECT);
    put(p.w, "one");
    put(p.w, "two");
    char got[8] = "";
    EXPECT_EQ(read(p.r, got, 8), 3);
    EXPECT(strcmp(got, "one") == 0);
}

CHECK(xflags, more_kinds, "flags of FIFOs, UDP sockets, listening AF_UNIX sockets, signalfds and pidfds are shared, too")
{
    in_new_directory();
    OK(mkfifo("f", 0600));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    const int fifo = OK(open("f", O_RDWR)), other = OK(open("f", O_RDWR)), udp = new_udp(0);
    const int listener = OK(socket(AF_UNIX, SOCK_STREAM, 0)), signals = OK(signalfd(-1, &set, 0));
    const struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "s"};
    OK(bind(listener, (const void *)&name, sizeof name));
    OK(listen(listener, 1));
    const int process = OK((int)syscall(434 /* pidfd_open, which musl does not have */, getpid(), 0));
    const int fds[] = {fifo, udp, listener, signals, process};
    for (int i = 0; i < 5; i++) {
        child_sets(fds[i], O_NONBLOCK);
        EXPECT_EQ(flags_of(fds[i]), O_NONBLOCK);
    }
    EXPECT_EQ(flags_of(other), 0);
    struct signalfd_siginfo info;
    char byte;
    EXPECT_ERRNO(read(fifo, &byte, 1), EAGAIN);
    EXPECT_ERRNO(recv(udp, &byte, 1, 0), EAGAIN);
    EXPECT_ERRNO(accept(listener, NULL, NULL), EAGAIN);
    EXPECT_ERRNO(read(signals, &info, sizeof info), EAGAIN);
    char number[12];
    snprintf(number, sizeof number, "%d", fifo);
    OK(fcntl(fifo, F_SETFL, 0));
    EXPECT_EQ(ending(child("sets_nonblocking", number, NULL)), 0);
    EXPECT_EQ(flags_of(fifo), O_NONBLOCK);
    EXPECT_EQ(flags_of(other), 0);
}

// Gives a signalfd another set.
static int set_signals(int fd, int signal)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    return signalfd(fd, &set, 0);
}

ROLE(sets_signals)
{
    return set_signals(atoi(arguments[0]), atoi(arguments[1])) < 0;
}

CHECK(xflags, signals, "the set of a signalfd is the open file's: what another process makes it holds here")
{
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    OK(sigprocmask(SIG_BLOCK, &set, &before));
    const int fd = OK(signalfd(-1, &set, 0));
    EXPECT_EQ(set_signals(fd, SIGUSR1), fd);
    OK(kill(getpid(), SIGUSR2));
    EXPECT_EQ(ready_now(fd, POLLIN), 0);
    const pid_t pid = fork();
    if (pid == 0)
        _exit(set_signals(fd, SIGUSR2) != fd);
    EXPECT_EQ(ending(note_child(OK(pid))), 0);
    EXPECT_EQ(ready_now(fd, POLLIN), POLLIN);
    struct signalfd_siginfo info;
    EXPECT_EQ(read(fd, &info, sizeof info), sizeof info);
    EXPECT_EQ(info.ssi_signo, SIGUSR2);
    OK(kill(getpid(), SIGUSR1));
    EXPECT_EQ(ready_now(fd, POLLIN), 0);
    char number[12], name[12];
    snprintf(number, sizeof number, "%d", fd);
    snprintf(name, sizeof name, "%d", SIGUSR1);
    EXPECT_EQ(ending(child("sets_signals", number, name, NULL)), 0);
    EXPECT_EQ(read(fd, &info, sizeof info), sizeof info);
    EXPECT_EQ(info.ssi_signo, SIGUSR1);
    OK(sigprocmask(SIG_SETMASK, &before, NULL));
}

CHECK(xflags, tcp, "flags of TCP connections are shared, by fork and with a program that was started, of each end alone")
{
    const struct link l = new_link();
    char number[12], byte;
    OK(fcntl(l.client, F_SETFL, 0));
    OK(fcntl(l.server, F_SETFL, 0));
    child_sets(l.client, O_NONBLOCK);
    EXPECT_EQ(flags_of(l.client), O_NONBLOCK);
    EXPECT_EQ(flags_of(l.server), 0);
    EXPECT_ERRNO(read(l.client, &byte, 1), EAGAIN);
    snprintf(number, sizeof number, "%d", l.server);
    EXPECT_EQ(ending(child("sets_nonblocking", number, NULL)), 0);
    EXPECT_EQ(flags_of(l.server), O_NONBLOCK);
    // The end of one end is still seen at the other.
    OK(close(l.client));
    EXPECT_EQ(await(l.server, POLLIN) & POLLIN, POLLIN);
    EXPECT_EQ(read(l.server, &byte, 1), 0);
}
