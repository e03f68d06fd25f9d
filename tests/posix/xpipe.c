// SPDX-License-Identifier: BSD-2-Clause
// What two processes have open in common: pipes, eventfds, files' positions; how one sees the other's end.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "process.h"

extern char **environ;

// A child in a role that finds `in` as descriptor 0 and `out` as 1; -1: nothing.
static pid_t piped(int in, int out, const char *role, const char *argument)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
    if (in >= 0)
        EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, in, 0), 0);
    if (out >= 0)
        EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, out, 1), 0);
    EXPECT_EQ(spawn_with(&pid, &actions, NULL, environ, role, argument, NULL), 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

// Two pipes to and from a child.
struct dialogue {
    pid_t pid;
    int to, from;
};

static struct dialogue talk(const char *role, const char *argument)
{
    struct ends there = new_pipe(O_CLOEXEC), back = new_pipe(O_CLOEXEC);
    const struct dialogue d = {piped(there.r, back.w, role, argument), there.w, back.r};
    OK(close(there.r));
    OK(close(back.w));
    return d;
}

ROLE(echoes)
{
    char buffer[1 << 16];
    ssize_t n;
    while ((n = read(0, buffer, sizeof buffer)) > 0)
        for (ssize_t done = 0; done < n;) {
            const ssize_t w = write(1, buffer + done, n - done);
            if (w < 0)
                return 1;
            done += w;
        }
    return n < 0 ? 2 : 0;
}

CHECK(xpipe, echo, "bytes go to another process and come back, in both blocking directions")
{
    const struct dialogue d = talk("echoes", NULL);
    for (int i = 0; i < 100; i++) {
        char text[32], got[32];
        const int n = snprintf(text, sizeof text, "message %d", i);
        EXPECT_EQ(write(d.to, text, n), n);
        get(d.from, got, n);
        EXPECT(memcmp(got, text, n) == 0);
    }
    OK(close(d.to));
    char byte;
    EXPECT_EQ(read(d.from, &byte, 1), 0);
    EXPECT_EQ(ending(d.pid), 0);
}

ROLE(counts)
{
    // Reads until the end; its exit status is the number of bytes, in blocks of 64 KiB.
    static char buffer[1 << 16];
    long sum = 0;
    ssize_t n;
    while ((n = read(0, buffer, sizeof buffer)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            if ((unsigned char)buffer[i] != (unsigned char)((sum + i) * 31 >> 3))
                return 255;
        sum += n;
    }
    return n < 0 ? 254 : sum >> 16;
}

CHECK(xpipe, more_than_it_holds, "a writer blocks while the pipe is full and goes on as the other process reads; every byte arrives")
{
    struct ends p = new_pipe(O_CLOEXEC);
    const pid_t pid = piped(p.r, -1, "counts", NULL);
    OK(close(p.r));
    static char block[100000];
    long sum = 0;
    while (sum < 20L << 16) {
        const size_t left = (20L << 16) - sum, n = left < sizeof block ? left : sizeof block;
        for (size_t i = 0; i < n; i++)
            block[i] = (char)((sum + i) * 31 >> 3);
        EXPECT_EQ(write(p.w, block, n), n);
        sum += n;
    }
    OK(close(p.w));
    EXPECT_EQ(ending(pid), 20);
}

CHECK(xpipe, what_was_in_it, "what was written before the other process had the pipe is read by it")
{
    struct ends p = new_pipe(O_CLOEXEC);
    struct ends back = new_pipe(O_CLOEXEC);
    put(p.w, "written early");
    const pid_t pid = piped(p.r, back.w, "echoes", NULL);
    OK(close(back.w));
    put(p.w, ", and late");
    char got[24] = "";
    get(back.r, got, 23);
    EXPECT(strcmp(got, "written early, and late") == 0);
    OK(close(p.w));
    EXPECT_EQ(ending(pid), 0);
}

CHECK(xpipe, end_of_file_by_exit, "a reader sees the end when the only writer exits, and when it is killed")
{
    for (int killed = 0; killed < 2; killed++) {
        struct ends p = new_pipe(O_CLOEXEC);
        const pid_t pid = piped(-1, p.w, killed ? "sleeps" : "exits", "3");
        OK(close(p.w));
        if (killed) {
            EXPECT_EQ(ready_now(p.r, POLLIN), 0);
            OK(kill(pid, SIGKILL));
        }
        EXPECT_EQ(await(p.r, POLLIN), POLLHUP);
        char byte;
        EXPECT_EQ(read(p.r, &byte, 1), 0);
        EXPECT_EQ(ending(pid), killed ? 1000 + SIGKILL : 3);
    }
}

CHECK(xpipe, broken_by_exit, "a writer gets POLLERR and EPIPE when the only reader has ended")
{
    struct ends p = new_pipe(O_CLOEXEC);
    const pid_t pid = piped(p.r, -1, "exits", "0");
    OK(close(p.r));
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EQ(await(p.w, POLLOUT) & POLLERR, POLLERR);
    EXPECT_ERRNO(write(p.w, "x", 1), EPIPE);
}

CHECK(xpipe, both_ends_count, "an end stays open while any process has it")
{
    struct ends p = new_pipe(O_CLOEXEC);
    const pid_t first = piped(-1, p.w, "sleeps", NULL);
    const pid_t second = piped(-1, p.w, "sleeps", NULL);
    OK(close(p.w));
    OK(kill(first, SIGKILL));
    EXPECT_EQ(ending(first), 1000 + SIGKILL);
    EXPECT_EQ(ready_now(p.r, POLLIN), 0);
    OK(kill(second, SIGKILL));
    EXPECT_EQ(await(p.r, POLLIN), POLLHUP);
    EXPECT_EQ(ending(second), 1000 + SIGKILL);
}

CHECK(xpipe, epoll_across, "epoll tells of another process's write, and of each write if edge-triggered")
{
    const struct dialogue d = talk("echoes", NULL);
    const int epoll = OK(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = 7};
    OK(epoll_ctl(epoll, EPOLL_CTL_ADD, d.from, &event));
    EXPECT_EQ(epoll_wait(epoll, &event, 1, 0), 0);
    for (int i = 0; i < 20; i++) {
        // Never read: every write is an edge.
        put(d.to, "x");
        EXPECT_EQ(epoll_wait(epoll, &event, 1, HANG_MS), 1);
        EXPECT_EQ(event.events, EPOLLIN);
        EXPECT_EQ(event.data.u32, 7);
        EXPECT_EQ(epoll_wait(epoll, &event, 1, 0), 0);
    }
    OK(close(d.to));
    EXPECT_EQ(epoll_wait(epoll, &event, 1, HANG_MS), 1);
    EXPECT_EQ(event.events & EPOLLHUP, EPOLLHUP);
    EXPECT_EQ(ending(d.pid), 0);
}

CHECK(xpipe, watch_before_sharing, "a watch that was there before another process had the pipe goes on")
{
    struct ends p = new_pipe(O_CLOEXEC);
    const int epoll = OK(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 9};
    OK(epoll_ctl(epoll, EPOLL_CTL_ADD, p.r, &event));
    struct ends go = new_pipe(O_CLOEXEC);
    const pid_t pid = piped(go.r, p.w, "echoes", NULL);
    EXPECT_EQ(epoll_wait(epoll, &event, 1, 0), 0);
    put(go.w, "hello");
    EXPECT_EQ(epoll_wait(epoll, &event, 1, HANG_MS), 1);
    EXPECT_EQ(event.data.u32, 9);
    char got[5];
    get(p.r, got, 5);
    OK(close(go.w));
    OK(close(go.r));
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EQ(ready_now(p.r, POLLIN), 0);
}

CHECK(xpipe, writable_again, "POLLOUT comes back when another process has read")
{
    struct ends p = new_pipe(O_CLOEXEC | O_NONBLOCK);
    struct ends go = new_pipe(O_CLOEXEC);
    const pid_t pid = fork();
    if (pid == 0) {
        char byte;
        close(go.w);
        if (read(go.r, &byte, 1) != 1)
            _exit(1);
        static char all[1 << 16];
        _exit(read(p.r, all, sizeof all) == sizeof all ? 0 : 2);
    }
    note_child(OK(pid));
    EXPECT_EQ(fill(p.w), 1 << 16);
    EXPECT_EQ(ready_now(p.w, POLLOUT), 0);
    put(go.w, "g");
    EXPECT_EQ(await(p.w, POLLOUT), POLLOUT);
    EXPECT_EQ(ending(pid), 0);
}

CHECK(xpipe, whole_small_writes, "writes of up to PIPE_BUF bytes from several processes are not mixed")
{
    enum { WRITERS = 4, LINES = 64, SIZE = 500 };
    struct ends p = new_pipe(O_CLOEXEC);
    for (int i = 0; i < WRITERS; i++) {
        const pid_t pid = fork();
        if (pid == 0) {
            char line[SIZE];
            memset(line, 'a' + i, sizeof line);
            for (int n = 0; n < LINES; n++)
                if (write(p.w, line, sizeof line) != sizeof line)
                    _exit(1);
            _exit(0);
        }
        note_child(OK(pid));
    }
    OK(close(p.w));
    int count[WRITERS] = {0};
    for (int n = 0; n < WRITERS * LINES; n++) {
        char line[SIZE];
        get(p.r, line, sizeof line);
        for (int i = 1; i < SIZE; i++)
            EXPECT_EQ(line[i], line[0]);
        count[line[0] - 'a']++;
    }
    for (int i = 0; i < WRITERS; i++)
        EXPECT_EQ(count[i], LINES);
    char byte;
    EXPECT_EQ(read(p.r, &byte, 1), 0);
}

CHECK(xpipe, through_two_programs, "bytes pass through a chain of programs, as a shell's pipeline has them")
{
    struct ends first = new_pipe(O_CLOEXEC), second = new_pipe(O_CLOEXEC), third = new_pipe(O_CLOEXEC);
    const pid_t a = piped(first.r, second.w, "echoes", NULL);
    const pid_t b = piped(second.r, third.w, "echoes", NULL);
    OK(close(first.r));
    OK(close(second.r));
    OK(close(second.w));
    OK(close(third.w));
    put(first.w, "down the line");
    OK(close(first.w));
    char got[14] = "";
    get(third.r, got, 13);
    EXPECT(strcmp(got, "down the line") == 0);
    EXPECT_EQ(read(third.r, got, 1), 0);
    EXPECT_EQ(ending(a), 0);
    EXPECT_EQ(ending(b), 0);
}

CHECK(xpipe, fork_and_both_ends, "after fork parent and child have both ends")
{
    struct ends p = new_pipe(0);
    const pid_t pid = fork();
    if (pid == 0) {
        char got[4];
        _exit(write(p.w, "kid!", 4) == 4 && read(p.r, got, 4) == 4 ? got[0] : 1);
    }
    note_child(OK(pid));
    EXPECT_EQ(ending(pid), 'k');
    put(p.w, "own");
    char got[3];
    get(p.r, got, 3);
    OK(close(p.w));
    EXPECT_EQ(await(p.r, POLLIN), POLLHUP);
}

CHECK(xpipe, across_exec, "pipes stay open across execve")
{
    struct ends p = new_pipe(0);
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(p.r, 0);
        close(p.w);
        execl(options.self, "x", "--child", "counts", (char *)NULL);
        _exit(99);
    }
    note_child(OK(pid));
    OK(close(p.r));
    static char block[1 << 16];
    for (int i = 0; i < 1 << 16; i++)
        block[i] = (char)(i * 31 >> 3);
    EXPECT_EQ(write(p.w, block, sizeof block), sizeof block);
    OK(close(p.w));
    EXPECT_EQ(ending(pid), 1);
}

CHECK(xpipe, epoll_after_fork, "an epoll descriptor works in the child of a fork, for what parent and child share")
{
    struct ends p = new_pipe(O_CLOEXEC);
    struct ends local = new_pipe(O_CLOEXEC);
    const int epoll = OK(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 3};
    OK(epoll_ctl(epoll, EPOLL_CTL_ADD, p.r, &event));
    event.data.u32 = 4;
    OK(epoll_ctl(epoll, EPOLL_CTL_ADD, local.r, &event));
    const pid_t pid = fork();
    if (pid == 0) {
        char byte;
        if (epoll_wait(epoll, &event, 1, HANG_MS) != 1 || event.data.u32 != 3)
            _exit(1);
        if (read(p.r, &byte, 1) != 1)
            _exit(2);
        if (write(local.w, "x", 1) != 1 || epoll_wait(epoll, &event, 1, HANG_MS) != 1)
            _exit(3);
        _exit(event.data.u32);
    }
    note_child(OK(pid));
    put(p.w, "x");
    EXPECT_EQ(ending(pid), 4);
}

CHECK(xpipe, poll_waits, "poll in one process sleeps until another writes")
{
    struct ends p = new_pipe(O_CLOEXEC), back = new_pipe(O_CLOEXEC);
    const pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 50; i++) {
            struct pollfd fd = {p.r, POLLIN, 0};
            char byte;
            if (poll(&fd, 1, HANG_MS) != 1 || fd.revents != POLLIN || read(p.r, &byte, 1) != 1 ||
                write(back.w, &byte, 1) != 1)
                _exit(1);
        }
        _exit(0);
    }
    note_child(OK(pid));
    for (int i = 0; i < 50; i++) {
        put(p.w, "p");
        EXPECT_EQ(await(back.r, POLLIN), POLLIN);
        char byte;
        get(back.r, &byte, 1);
    }
    EXPECT_EQ(ending(pid), 0);
}

CHECK(xpipe, eventfd_across, "an eventfd counts what both processes add, and wakes either")
{
    const int fd = OK(eventfd(2, EFD_NONBLOCK)), back = OK(eventfd(0, 0));
    const pid_t pid = fork();
    if (pid == 0) {
        uint64_t value = 40;
        if (write(fd, &value, 8) != 8)
            _exit(1);
        // Blocks until the parent answers.
        if (read(back, &value, 8) != 8)
            _exit(2);
        _exit(value);
    }
    note_child(OK(pid));
    uint64_t value = 0, sum = 0;
    while (sum < 42) {
        EXPECT_EQ(await(fd, POLLIN), POLLIN);
        EXPECT_EQ(read(fd, &value, 8), 8);
        sum += value;
    }
    EXPECT_EQ(sum, 42);
    EXPECT_ERRNO(read(fd, &value, 8), EAGAIN);
    value = 17;
    EXPECT_EQ(write(back, &value, 8), 8);
    EXPECT_EQ(ending(pid), 17);
}

CHECK(xpipe, file_position, "a file's position is one for all processes that have it by inheritance")
{
    char all[25] = "", part[9] = "";
    const int whole = OK(open(options.data, O_RDONLY));
    get(whole, all, 24);
    const int fd = OK(open(options.data, O_RDONLY));
    get(fd, part, 8);
    EXPECT(memcmp(part, all, 8) == 0);
    memcpy(part, all + 8, 8);
    char number[8];
    snprintf(number, sizeof number, "%d", fd);
    EXPECT_EQ(ending(child("reads_from", number, part, NULL)), 0);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 16);
    get(fd, part, 8);
    EXPECT(memcmp(part, all + 16, 8) == 0);
    EXPECT_EQ(lseek(whole, 0, SEEK_CUR), 24);
}

CHECK(xpipe, orphans, "a child whose parent ends gets another parent")
{
    struct ends p = new_pipe(O_CLOEXEC);
    const pid_t pid = fork();
    if (pid == 0) {
        const pid_t parent = getpid();
        if (fork() == 0) {
            // The parent ends as soon as it is told so, and then there is another one.
            pid_t now;
            while ((now = getppid()) == parent)
                sched_yield();
            _exit(write(p.w, &now, sizeof now) != sizeof now);
        }
        _exit(0);
    }
    note_child(OK(pid));
    OK(close(p.w));
    EXPECT_EQ(ending(pid), 0);
    pid_t now = 0;
    get(p.r, &now, sizeof now);
    EXPECT(now != pid);
    EXPECT(now > 0);
    // On our system this process is init, which gets them.
    if (on_sel4() && getpid() == 1) {
        EXPECT_EQ(now, 1);
        OK(wait(NULL));
    }
}

CHECK(xpipe, nothing_is_lost, "children that die with pipes full, watched and in use leave as much memory as before")
{
    long long before = 0;
    for (int i = 0; i < 40; i++) {
        struct ends p = new_pipe(O_CLOEXEC), back = new_pipe(O_CLOEXEC);
        const pid_t pid = piped(p.r, back.w, i % 2 ? "echoes" : "sleeps", NULL);
        OK(close(p.r));
        OK(close(back.w));
        set_nonblocking(p.w);
        fill(p.w);
        if (i % 2)
            await(back.r, POLLIN);
        OK(kill(pid, SIGKILL));
        EXPECT_EQ(ending(pid), 1000 + SIGKILL);
        OK(close(p.w));
        OK(close(back.r));
        struct sysinfo info;
        OK(sysinfo(&info));
        // The first rounds fill caches.
        if (i == 8)
            before = info.freeram;
        if (i > 8 && on_sel4())
            EXPECT_EQ(info.freeram, before);
    }
}
