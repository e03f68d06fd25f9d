// SPDX-License-Identifier: BSD-2-Clause
// Open files that go with messages of AF_UNIX (SCM_RIGHTS), and who sent them (SCM_CREDENTIALS).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helpers.h"
#include "process.h"
#include "unix.h"

extern char **environ;

static int descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void passes(int type)
{
    int s[2], fds[2], got[2];
    char text[8] = {0};
    unix_pair(s, type, false);
    struct ends p = new_pipe(0);
    EXPECT_EQ(send_fds(s[0], &p.r, 1), 1);
    OK(close(p.r));
    put(p.w, "through");
    EXPECT_EQ(receive_fds(s[1], got, 2, 0, NULL), 1);
    EXPECT_EQ(fcntl(got[0], F_GETFD), 0);
    get(got[0], text, 7);
    EXPECT(strcmp(text, "through") == 0);
    OK(close(p.w));
    EXPECT_EQ(read(got[0], text, 1), 0);
    OK(close(got[0]));
    p = new_pipe(0);
    fds[0] = p.r;
    fds[1] = p.w;
    EXPECT_EQ(send_fds(s[1], fds, 2), 1);
    int flags;
    EXPECT_EQ(receive_fds(s[0], got, 2, MSG_CMSG_CLOEXEC, &flags), 2);
    EXPECT_EQ(flags, MSG_CMSG_CLOEXEC);
    EXPECT_EQ(fcntl(got[0], F_GETFD), FD_CLOEXEC);
    put(got[1], "x");
    get(p.r, text, 1);
    OK(close(got[0]));
    OK(close(got[1]));
    OK(close(p.r));
    OK(close(p.w));
    OK(close(s[0]));
    OK(close(s[1]));
}

CHECK(xunix, rights, "a pipe's ends go through a pair of each type and work at the other end")
{
    passes(SOCK_STREAM);
    passes(SOCK_SEQPACKET);
    passes(SOCK_DGRAM);
}

CHECK(xunix, rights_of_all_kinds, "an eventfd, a file with its position, a socket and a listener go through")
{
    int s[2], t[2], got[4];
    char text[8];
    unix_pair(s, SOCK_STREAM, false);
    unix_pair(t, SOCK_SEQPACKET, false);
    const int event = new_eventfd(0), file = OK(open(options.data, O_RDONLY));
    const int fds[4] = {event, file, t[0], OK(socket(AF_UNIX, SOCK_DGRAM, 0))};
    get(file, text, 3);
    EXPECT_EQ(send_fds(s[0], fds, 4), 1);
    EXPECT_EQ(receive_fds(s[1], got, 4, 0, NULL), 4);
    uint64_t count = 5;
    EXPECT_EQ(write(got[0], &count, sizeof count), sizeof count);
    EXPECT_EQ(read(event, &count, sizeof count), sizeof count);
    EXPECT_EQ(count, 5);
    EXPECT_EQ(lseek(got[1], 0, SEEK_CUR), 3);
    get(got[1], text, 2);
    EXPECT_EQ(lseek(file, 0, SEEK_CUR), 5);
    put(got[2], "packet");
    EXPECT_EQ(recv(t[1], text, sizeof text, 0), 6);
    int type = 0;
    socklen_t len = sizeof type;
    OK(getsockopt(got[3], SOL_SOCKET, SO_TYPE, &type, &len));
    EXPECT_EQ(type, SOCK_DGRAM);
}

CHECK(xunix, rights_of_epoll, "here an epoll instance is refused")
{
    int s[2];
    unix_pair(s, SOCK_STREAM, false);
    const int ep = new_epoll();
    if (!on_sel4())
        skip("Linux passes them");
    EXPECT_ERRNO(send_fds(s[0], &ep, 1), EINVAL);
    EXPECT_ERRNO(recv(s[1], &s, 1, MSG_DONTWAIT), EAGAIN);
}

CHECK(xunix, rights_refused, "a closed descriptor is EBADF, more than 253 EINVAL, and nothing is sent")
{
    int s[2], many[254];
    unix_pair(s, SOCK_STREAM, false);
    for (int i = 0; i < 254; i++)
        many[i] = s[0];
    const int closed = 200;
    EXPECT_ERRNO(send_fds(s[0], &closed, 1), EBADF);
    EXPECT_EQ(send_fds(s[0], many, 254), -1);
#ifdef __GLIBC__
    EXPECT_EQ(errno, EINVAL);
#else
    // musl does not take as much control data, and says so otherwise.
    EXPECT_EQ(errno, ENOMEM);
#endif
    EXPECT_ERRNO(recv(s[1], many, 1, MSG_DONTWAIT), EAGAIN);
}

CHECK(xunix, rights_cut, "descriptors for which there is no room are closed, and MSG_CTRUNC says so")
{
    int s[2], got[2], flags;
    char c;
    unix_pair(s, SOCK_STREAM, false);
    struct ends p = new_pipe(0);
    const int before = descriptors();
    const int fds[2] = {p.w, p.w};
    EXPECT_EQ(send_fds(s[0], fds, 2), 1);
    EXPECT_EQ(receive_fds(s[1], got, 1, 0, &flags), 1);
    EXPECT_EQ(flags, MSG_CTRUNC);
    EXPECT_EQ(descriptors(), before + 1);
    OK(close(got[0]));
    EXPECT_EQ(send_fds(s[0], fds, 2), 1);
    EXPECT_EQ(receive_fds(s[1], got, 0, 0, &flags), 0);
    EXPECT_EQ(flags, MSG_CTRUNC);
    EXPECT_EQ(send_fds(s[0], fds, 2), 1);
    EXPECT_EQ(read(s[1], &c, 1), 1);
    EXPECT_EQ(descriptors(), before);
    OK(close(p.w));
    EXPECT_EQ(read(p.r, &c, 1), 0);
}

CHECK(xunix, rights_end_a_read, "a stream's read ends with the bytes that rights came with")
{
    int s[2], got[1];
    char text[8];
    unix_pair(s, SOCK_STREAM, false);
    put(s[0], "ab");
    EXPECT_EQ(send_fds(s[0], &s[0], 1), 1);
    put(s[0], "cd");
    EXPECT_EQ(recv(s[1], text, sizeof text, 0), 3);
    EXPECT_EQ(recv(s[1], text, sizeof text, 0), 2);
    EXPECT_EQ(send_fds(s[0], &s[0], 1), 1);
    put(s[0], "cd");
    EXPECT_EQ(receive_fds(s[1], got, 1, 0, NULL), 1);
    EXPECT_EQ(recv(s[1], text, sizeof text, 0), 2);
}

CHECK(xunix, rights_on_their_way, "what is on its way stays open, and is closed when nobody can take it any longer")
{
    int s[2], t[2];
    char c;
    unix_pair(s, SOCK_DGRAM, false);
    struct ends p = new_pipe(0);
    EXPECT_EQ(send_fds(s[0], &p.w, 1), 1);
    OK(close(p.w));
    EXPECT_EQ(ready_now(p.r, POLLIN), 0);
    OK(close(s[0]));
    EXPECT_EQ(ready_now(p.r, POLLIN), 0);
    OK(close(s[1]));
    EXPECT_EQ(await(p.r, POLLIN) & POLLHUP, POLLHUP);
    EXPECT_EQ(read(p.r, &c, 1), 0);
    // One that carries itself, and what it carries besides. Linux collects them when a socket is closed or sent.
    p = new_pipe(0);
    unix_pair(t, SOCK_STREAM, false);
    const int fds[3] = {t[0], t[1], p.w};
    EXPECT_EQ(send_fds(t[0], fds, 3), 1);
    OK(close(t[0]));
    OK(close(t[1]));
    OK(close(p.w));
    unix_pair(t, SOCK_STREAM, false);
    OK(close(t[0]));
    OK(close(t[1]));
    EXPECT_EQ(await(p.r, POLLIN) & POLLHUP, POLLHUP);
}

ROLE(unix_receives)
{
    // Gets a descriptor by 0 and writes its argument there.
    int fd = -1;
    if (receive_fds(0, &fd, 1, 0, NULL) != 1)
        return 1;
    return write(fd, arguments[0], strlen(arguments[0])) < 0 ? 2 : 0;
}

static pid_t with_socket(int fd, const char *role, const char *argument)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
    EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, fd, 0), 0);
    EXPECT_EQ(spawn_with(&pid, &actions, NULL, environ, role, argument, NULL), 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

CHECK(xunix, rights_to_another, "a program that never had a pipe writes to it once it was sent the end")
{
    int s[2];
    char text[8] = {0};
    OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s));
    struct ends p = new_pipe(O_CLOEXEC);
    const pid_t pid = with_socket(s[1], "unix_receives", "thanks");
    OK(close(s[1]));
    EXPECT_EQ(send_fds(s[0], &p.w, 1), 1);
    OK(close(p.w));
    get(p.r, text, 6);
    EXPECT(strcmp(text, "thanks") == 0);
    EXPECT_EQ(read(p.r, text, 1), 0);
    EXPECT_EQ(ending(pid), 0);
}

ROLE(unix_ignores)
{
    // Says that it runs, and leaves what it is sent.
    if (write(0, "r", 1) != 1)
        return 1;
    pause();
    return 2;
}

CHECK(xunix, rights_to_one_that_dies, "what was sent to a program that is killed before it took it is closed")
{
    int s[2];
    char c;
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s));
    struct ends p = new_pipe(O_CLOEXEC);
    const pid_t pid = with_socket(s[1], "unix_ignores", NULL);
    OK(close(s[1]));
    get(s[0], &c, 1);
    EXPECT_EQ(send_fds(s[0], &p.w, 1), 1);
    OK(close(p.w));
    EXPECT_EQ(ready_now(p.r, POLLIN), 0);
    OK(kill(pid, SIGKILL));
    EXPECT_EQ(ending(pid), 1000 + SIGKILL);
    EXPECT_EQ(read(p.r, &c, 1), 0);
    EXPECT_ERRNO(read(s[0], &c, 1), ECONNRESET);
}

ROLE(unix_echoes)
{
    char buffer[8192];
    ssize_t n;
    while ((n = read(0, buffer, sizeof buffer)) > 0)
        if (write(0, buffer, n) != n)
            return 1;
    return n < 0 ? 2 : 0;
}

static void echoes(int type)
{
    int s[2];
    OK(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, s));
    const pid_t pid = with_socket(s[1], "unix_echoes", NULL);
    OK(close(s[1]));
    const int ep = new_epoll();
    add(ep, s[0], EPOLLIN);
    static char out[8192], in[8192];
    for (int i = 1; i < 300; i++) {
        const size_t size = (size_t)i * 27;
        memset(out, i, size);
        EXPECT_EQ(write(s[0], out, size), size);
        for (size_t got = 0; got < size;) {
            int which;
            EXPECT_EQ(wait_one(ep, &which, HANG_MS), EPOLLIN);
            const ssize_t n = OK(read(s[0], in + got, sizeof in - got));
            EXPECT(n > 0);
            got += n;
        }
        EXPECT(memcmp(in, out, size) == 0);
    }
    if (type == SOCK_DGRAM)
        OK(shutdown(s[0], SHUT_RDWR));
    OK(close(s[0]));
    if (type == SOCK_DGRAM)
        OK(kill(pid, SIGKILL));
    EXPECT_EQ(ending(pid), type == SOCK_DGRAM ? 1000 + SIGKILL : 0);
    OK(close(ep));
}

CHECK(xunix, echo, "a pair whose ends two programs have carries streams, packets and datagrams of all lengths, waited for by epoll")
{
    echoes(SOCK_STREAM);
    echoes(SOCK_SEQPACKET);
    echoes(SOCK_DGRAM);
}

CHECK(xunix, credentials, "SO_PASSCRED says who sent: here, this process, and a child of it")
{
    int s[2];
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    const int on = 1;
    OK(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    for (int round = 0; round < 2; round++) {
        pid_t pid = getpid();
        if (round == 0) {
            put(s[0], "x");
        } else {
            pid = OK(fork());
            if (pid == 0)
                _exit(write(s[0], "x", 1) != 1);
            EXPECT_EQ(ending(note_child(pid)), 0);
        }
        char c;
        union {
            struct cmsghdr head;
            char bytes[CMSG_SPACE(sizeof(struct ucred))];
        } control;
        struct iovec byte = {&c, 1};
        struct msghdr message = {.msg_iov = &byte,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof control};
        EXPECT_EQ(recvmsg(s[1], &message, 0), 1);
        EXPECT_EQ(message.msg_controllen, sizeof control);
        EXPECT_EQ(control.head.cmsg_type, SCM_CREDENTIALS);
        EXPECT_EQ(control.head.cmsg_len, CMSG_LEN(sizeof(struct ucred)));
        struct ucred who;
        memcpy(&who, CMSG_DATA(&control.head), sizeof who);
        EXPECT_EQ(who.pid, pid);
        EXPECT_EQ(who.uid, getuid());
        EXPECT_EQ(who.gid, getgid());
    }
}

CHECK(xunix, across_exec, "a pair outlives execve: what was in it is there for the new program")
{
    int s[2];
    char got[8] = {0};
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s));
    const pid_t pid = OK(fork());
    if (pid == 0) {
        if (dup2(s[1], 0) != 0)
            _exit(90);
        execl(options.self, options.self, "--child", "unix_echoes", (char *)NULL);
        _exit(91);
    }
    note_child(pid);
    put(s[0], "kept");
    OK(close(s[1]));
    get(s[0], got, 4);
    EXPECT(strcmp(got, "kept") == 0);
    OK(close(s[0]));
    EXPECT_EQ(ending(pid), 0);
}
