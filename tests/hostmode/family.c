// SPDX-License-Identifier: BSD-2-Clause
// Host mode: what a child, another program or a message has of our pipes and eventfds.
#define _GNU_SOURCE
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../posix/helpers.h"

// Runs `child` in a child; its status must be 0.
#define IN_CHILD(...)                                                                              \
    ({                                                                                             \
        const pid_t pid_ = OK(fork());                                                             \
        if (!pid_) {                                                                               \
            __VA_ARGS__;                                                                           \
            _exit(0);                                                                              \
        }                                                                                          \
        pid_;                                                                                      \
    })

static void reap(pid_t pid)
{
    int status;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
}

CHECK(family, pipe_contents, "what a pipe holds is there for the child, after the writer closed too")
{
    const struct ends p = new_pipe(0);
    put(p.w, "before");
    OK(close(p.w));
    reap(IN_CHILD({
        char text[16];
        if (read(p.r, text, sizeof text) != 6 || memcmp(text, "before", 6) || read(p.r, text, 1) != 0)
            _exit(1);
    }));
}

CHECK(family, both_ways, "parent and child talk by pipes, with end of file when the last writer ends")
{
    const struct ends down = new_pipe(0), up = new_pipe(0);
    const pid_t pid = IN_CHILD({
        char c;
        close(down.w);
        while (read(down.r, &c, 1) == 1)
            if (write(up.w, &c, 1) != 1)
                _exit(1);
    });
    OK(close(down.r));
    OK(close(up.w));
    for (int i = 0; i < 100; i++) {
        char c;
        put(down.w, "x");
        get(up.r, &c, 1);
        EXPECT_EQ(c, 'x');
    }
    EXPECT_EQ(ready_now(up.r, POLLIN), 0);
    OK(close(down.w));
    reap(pid);
    EXPECT_EQ(await(up.r, POLLIN), POLLHUP);
}

CHECK(family, watches_stay, "an epoll watch of a pipe hears of what a child writes")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN);
    EXPECT_IDLE(ep);
    const pid_t pid = IN_CHILD(write(p.w, "x", 1));
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    reap(pid);
    char c;
    get(p.r, &c, 1);
    EXPECT_IDLE(ep);
    put(p.w, "y");
    EXPECT_EVENT(ep, p.r, EPOLLIN);
}

CHECK(family, eventfd, "an eventfd is one counter for parent and child")
{
    const int event = new_eventfd(3), ep = new_epoll();
    add(ep, event, EPOLLIN);
    reap(IN_CHILD({
        uint64_t value;
        if (read(event, &value, 8) != 8 || value != 3)
            _exit(1);
        value = 5;
        write(event, &value, 8);
    }));
    EXPECT_EVENT(ep, event, EPOLLIN);
    uint64_t value;
    EXPECT_EQ(read(event, &value, 8), 8);
    EXPECT_EQ(value, 5);
}

CHECK(family, epoll_in_child, "a child goes on with the epoll instance that it inherited")
{
    int pair[2];
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    const int event = new_eventfd(0), ep = new_epoll();
    add(ep, event, EPOLLIN);
    add(ep, pair[0], EPOLLIN);
    reap(IN_CHILD({
        struct epoll_event found;
        if (write(pair[1], "x", 1) != 1 || epoll_wait(ep, &found, 1, HANG_MS) != 1 || found.data.fd != pair[0])
            _exit(1);
    }));
}

CHECK(family, other_programs, "cat between two pipes, by posix_spawn")
{
    const struct ends in = new_pipe(0), out = new_pipe(0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in.r, 0);
    posix_spawn_file_actions_adddup2(&actions, out.w, 1);
    const int all[] = {in.r, in.w, out.r, out.w};
    for (int i = 0; i < 4; i++)
        posix_spawn_file_actions_addclose(&actions, all[i]);
    put(in.w, "early ");
    char *const arguments[] = {"cat", 0}, *const environment[] = {0};
    pid_t pid;
    EXPECT_EQ(posix_spawn(&pid, "/bin/cat", &actions, 0, arguments, environment), 0);
    OK(close(in.r));
    OK(close(out.w));
    put(in.w, "late");
    OK(close(in.w));
    char text[16] = "";
    get(out.r, text, 10);
    EXPECT_EQ(memcmp(text, "early late", 10), 0);
    EXPECT_EQ(read(out.r, text, 1), 0);
    reap(pid);
    EXPECT(posix_spawn(&pid, "/nowhere/at/all", 0, 0, arguments, environment) == ENOENT);
}

CHECK(family, passed_on, "a pipe's end sent in a message is the same pipe")
{
    int pair[2];
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    const struct ends p = new_pipe(0);
    put(p.w, "in it");
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char byte = 'x';
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
    struct cmsghdr *const rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &p.r, sizeof(int));
    EXPECT_EQ(sendmsg(pair[0], &message, 0), 1);
    EXPECT_EQ(recvmsg(pair[1], &message, 0), 1);
    int got;
    memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof got);
    EXPECT(got != p.r);
    char text[8];
    get(got, text, 5);
    EXPECT_EQ(memcmp(text, "in it", 5), 0);
    put(p.w, "more");
    EXPECT_EQ(await(got, POLLIN), POLLIN);
    get(p.r, text, 4);
}
