// SPDX-License-Identifier: BSD-2-Clause
// FIFOs: who waits for whom at open, and what their ends see of one another, within a process and between processes.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file_helpers.h"
#include "harness.h"
#include "helpers.h"
#include "process.h"
#include "thread.h"

// A FIFO with this name in a new directory.
static void make_fifo(const char *path)
{
    in_new_directory();
    OK(mkfifo(path, 0644));
}

// Both ends, opened without waiting.
static struct ends open_both(const char *path)
{
    const int r = OK(open(path, O_RDONLY | O_NONBLOCK));
    return (struct ends){.r = r, .w = OK(open(path, O_WRONLY | O_NONBLOCK))};
}

// A child that opens the FIFO `f` with `flags` and ends with status `good` if that worked.
static pid_t opener(int flags, int good)
{
    const pid_t pid = fork();
    if (pid == 0)
        _exit(open("f", flags) < 0 ? errno : good);
    return note_child(OK(pid));
}

CHECK(fifo, made, "mkfifo and mknod make FIFOs, which stat as such")
{
    make_fifo("f");
    EXPECT_EQ(stat_of("f").st_mode & S_IFMT, S_IFIFO);
    EXPECT_EQ(stat_of("f").st_mode & 0777, 0644);
    EXPECT_ERRNO(mkfifo("f", 0600), EEXIST);
    OK(mknod("g", S_IFIFO | 0600, 0));
    EXPECT_EQ(stat_of("g").st_mode, S_IFIFO | 0600);
    const struct ends p = open_both("f");
    EXPECT_EQ(stat_of_fd(p.r).st_ino, stat_of("f").st_ino);
    EXPECT_EQ(stat_of_fd(p.w).st_mode, stat_of("f").st_mode);
    EXPECT_EQ(stat_of_fd(p.w).st_dev, stat_of("f").st_dev);
}

CHECK(fifo, within_a_process, "what is written to one descriptor of a FIFO is read from another")
{
    make_fifo("f");
    const struct ends p = open_both("f");
    put(p.w, "hello");
    int waiting = 0;
    OK(ioctl(p.r, FIONREAD, &waiting));
    EXPECT_EQ(waiting, 5);
    char got[6] = "";
    EXPECT_EQ(read(p.r, got, 5), 5);
    EXPECT(strcmp(got, "hello") == 0);
    EXPECT_ERRNO(read(p.r, got, 1), EAGAIN);
    EXPECT_ERRNO(lseek(p.r, 0, SEEK_CUR), ESPIPE);
    EXPECT_EQ(OK(fcntl(p.w, F_GETPIPE_SZ)), 65536);
    EXPECT_ERRNO(write(p.r, "x", 1), EBADF);
    EXPECT_ERRNO(read(p.w, got, 1), EBADF);
}

CHECK(fifo, writer_without_reader, "opening for writing without O_NONBLOCK's wait fails with ENXIO while nobody reads")
{
    make_fifo("f");
    EXPECT_ERRNO(open("f", O_WRONLY | O_NONBLOCK), ENXIO);
    const int r = OK(open("f", O_RDONLY | O_NONBLOCK));
    OK(close(OK(open("f", O_WRONLY | O_NONBLOCK))));
    OK(close(r));
    EXPECT_ERRNO(open("f", O_WRONLY | O_NONBLOCK), ENXIO);
}

CHECK(fifo, both_at_once, "O_RDWR waits for nobody, and is reader and writer")
{
    make_fifo("f");
    const int fd = OK(open("f", O_RDWR));
    EXPECT_EQ(ready_now(fd, POLLIN | POLLOUT), POLLOUT);
    put(fd, "to myself");
    EXPECT_EQ(ready_now(fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
    char got[10] = "";
    EXPECT_EQ(read(fd, got, 9), 9);
    EXPECT(strcmp(got, "to myself") == 0);
    // Nobody else has to wait either.
    OK(open("f", O_RDONLY));
    OK(open("f", O_WRONLY));
}

CHECK(fifo, reader_waits, "opening for reading waits for a writer in another process, and for writing for a reader")
{
    make_fifo("f");
    pid_t pid = opener(O_RDONLY, 200);
    const int w = OK(open("f", O_WRONLY));
    EXPECT_EQ(ending(pid), 200);
    OK(close(w));
    pid = opener(O_WRONLY, 201);
    OK(open("f", O_RDONLY));
    EXPECT_EQ(ending(pid), 201);
}

static void *opens_for_reading(void *path)
{
    const int fd = open(path, O_RDONLY);
    char got[4] = "";
    if (fd < 0 || read(fd, got, 3) != 3 || strcmp(got, "hi!") != 0)
        return NULL;
    return path;
}

CHECK(fifo, between_threads, "a thread that opens for reading waits for another one of its process to open for writing")
{
    make_fifo("f");
    pthread_t thread = started(opens_for_reading, "f");
    const int w = OK(open("f", O_WRONLY));
    put(w, "hi!");
    EXPECT(joined(thread) != NULL);
}

CHECK(fifo, partner_that_left, "who waits at open goes on even if the other one has closed already")
{
    make_fifo("f");
    for (int i = 0; i < 20; i++) {
        const pid_t pid = fork();
        if (pid == 0) {
            const int fd = open("f", O_WRONLY);
            _exit(fd < 0 || close(fd) != 0 ? errno : 7);
        }
        note_child(OK(pid));
        const int r = OK(open("f", O_RDONLY));
        char byte;
        EXPECT_EQ(read(r, &byte, 1), 0);
        OK(close(r));
        EXPECT_EQ(ending(pid), 7);
    }
}

static void noted(int number)
{
    (void)number;
}

CHECK(fifo, interrupted, "a signal's handler ends a waiting open with EINTR")
{
    make_fifo("f");
    const struct sigaction action = {.sa_handler = noted};
    OK(sigaction(SIGUSR1, &action, NULL));
    for (int flags = O_RDONLY; flags <= O_WRONLY; flags++) {
        const pid_t pid = opener(flags, 0);
        siginfo_t info = {0};
        while (OK(waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT)) == 0 && info.si_pid == 0) {
            OK(kill(pid, SIGUSR1));
            sched_yield();
        }
        EXPECT_EQ(ending(pid), EINTR);
    }
    // Neither was left behind as a reader or a writer.
    EXPECT_ERRNO(open("f", O_WRONLY | O_NONBLOCK), ENXIO);
}

CHECK(fifo, killed_while_waiting, "who is killed while it waits at open is a reader no longer")
{
    make_fifo("f");
    const pid_t pid = opener(O_RDONLY, 0);
    // As a reader that waits it lets writers in.
    int w;
    while ((w = open("f", O_WRONLY | O_NONBLOCK)) < 0)
        EXPECT_EQ(errno, ENXIO);
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EQ(await(w, POLLOUT) & POLLERR, POLLERR);
    OK(close(w));
    const pid_t other = opener(O_WRONLY, 0);
    const pid_t second = opener(O_WRONLY, 0);
    OK(kill(other, SIGKILL));
    EXPECT_EQ(ending(other), 1000 + SIGKILL);
    OK(open("f", O_RDONLY));
    EXPECT_EQ(ending(second), 0);
}

CHECK(fifo, no_end_before_a_writer, "a reader that waited for nobody sees no hang-up before the first writer has come; its read says end of file")
{
    make_fifo("f");
    const int r = OK(open("f", O_RDONLY | O_NONBLOCK));
    char byte;
    EXPECT_EQ(ready_now(r, POLLIN), 0);
    EXPECT_EQ(read(r, &byte, 1), 0);
    const int w = OK(open("f", O_WRONLY));
    EXPECT_EQ(ready_now(r, POLLIN), 0);
    EXPECT_ERRNO(read(r, &byte, 1), EAGAIN);
    OK(close(w));
    EXPECT_EQ(await(r, POLLIN), POLLHUP);
    EXPECT_EQ(read(r, &byte, 1), 0);
}

CHECK(fifo, writers_come_and_go, "hang-up goes when another writer comes, and comes back with its end")
{
    make_fifo("f");
    const int r = OK(open("f", O_RDONLY | O_NONBLOCK));
    const int ep = new_epoll();
    add(ep, r, EPOLLIN);
    for (int i = 0; i < 3; i++) {
        const int w = OK(open("f", O_WRONLY));
        EXPECT_IDLE(ep);
        put(w, "x");
        EXPECT_EVENT(ep, r, EPOLLIN);
        OK(close(w));
        EXPECT_EVENT(ep, r, EPOLLIN | EPOLLHUP);
        char byte;
        EXPECT_EQ(read(r, &byte, 1), 1);
        EXPECT_EVENT(ep, r, EPOLLHUP);
        EXPECT_EQ(read(r, &byte, 1), 0);
    }
}

CHECK(fifo, several_writers, "the end comes with the last of several writers")
{
    make_fifo("f");
    const struct ends p = open_both("f");
    const int other = OK(open("f", O_WRONLY));
    OK(close(p.w));
    EXPECT_EQ(ready_now(p.r, POLLIN), 0);
    put(other, "y");
    char byte;
    get(p.r, &byte, 1);
    OK(close(other));
    EXPECT_EQ(await(p.r, POLLIN), POLLHUP);
}

CHECK(fifo, readers_gone, "a writer whose readers are gone gets POLLERR and EPIPE, until one comes back")
{
    make_fifo("f");
    const struct ends p = open_both("f");
    OK(close(p.r));
    EXPECT_EQ(await(p.w, POLLOUT) & POLLERR, POLLERR);
    EXPECT_ERRNO(write(p.w, "x", 1), EPIPE);
    const int r = OK(open("f", O_RDONLY));
    EXPECT_EQ(ready_now(p.w, POLLOUT), POLLOUT);
    put(p.w, "again");
    char got[6] = "";
    get(r, got, 5);
    EXPECT(strcmp(got, "again") == 0);
}

CHECK(fifo, contents_end, "what is in a FIFO stays while anybody has it open, and ends with the last one")
{
    make_fifo("f");
    struct ends p = open_both("f");
    put(p.w, "kept");
    OK(close(p.r));
    const int r = OK(open("f", O_RDONLY));
    OK(close(p.w));
    char got[5] = "";
    EXPECT_EQ(read(r, got, 5), 4);
    EXPECT(strcmp(got, "kept") == 0);
    p.w = OK(open("f", O_WRONLY));
    put(p.w, "lost");
    OK(close(r));
    OK(close(p.w));
    p = open_both("f");
    EXPECT_ERRNO(read(p.r, got, 1), EAGAIN);
}

CHECK(fifo, unlinked, "an unlinked FIFO goes on for who has it open; a new one of its name is another")
{
    make_fifo("f");
    const struct ends p = open_both("f");
    const ino_t inode = stat_of("f").st_ino;
    OK(unlink("f"));
    EXPECT_EQ(stat_of_fd(p.r).st_nlink, 0);
    EXPECT_EQ(stat_of_fd(p.w).st_ino, inode);
    OK(mkfifo("f", 0600));
    EXPECT_ERRNO(open("f", O_WRONLY | O_NONBLOCK), ENXIO);
    put(p.w, "still");
    char got[6] = "";
    get(p.r, got, 5);
    EXPECT(strcmp(got, "still") == 0);
}

CHECK(fifo, by_other_names, "a FIFO's links are one FIFO")
{
    make_fifo("f");
    OK(link("f", "g"));
    OK(symlink("g", "s"));
    const int r = OK(open("f", O_RDONLY | O_NONBLOCK));
    OK(rename("g", "h"));
    const int w = OK(open("h", O_WRONLY | O_NONBLOCK));
    EXPECT_ERRNO(open("s", O_RDONLY | O_NONBLOCK), ENOENT);
    put(w, "l");
    char byte;
    get(r, &byte, 1);
}

CHECK(fifo, between_processes, "bytes go both ways between two programs by two FIFOs, blocking")
{
    make_fifo("f");
    OK(mkfifo("g", 0600));
    const pid_t pid = fork();
    if (pid == 0) {
        const int in = open("f", O_RDONLY), out = open("g", O_WRONLY);
        char buffer[4096];
        ssize_t n;
        while ((n = read(in, buffer, sizeof buffer)) > 0)
            if (write(out, buffer, n) != n)
                _exit(1);
        _exit(n == 0 ? 0 : 2);
    }
    note_child(OK(pid));
    const int out = OK(open("f", O_WRONLY)), in = OK(open("g", O_RDONLY));
    for (int i = 0; i < 50; i++) {
        char text[100], got[100];
        memset(text, 'a' + i % 26, sizeof text);
        EXPECT_EQ(write(out, text, sizeof text), sizeof text);
        get(in, got, sizeof got);
        EXPECT(memcmp(text, got, sizeof got) == 0);
    }
    OK(close(out));
    char byte;
    EXPECT_EQ(read(in, &byte, 1), 0);
    EXPECT_EQ(ending(pid), 0);
}

CHECK(fifo, opened_apart, "processes that open a FIFO each by itself share one, and a writer's death is the end")
{
    make_fifo("f");
    const pid_t pid = fork();
    if (pid == 0) {
        const int w = open("f", O_WRONLY);
        if (write(w, "from the child", 14) != 14)
            _exit(1);
        for (;;)
            pause();
    }
    note_child(OK(pid));
    const int r = OK(open("f", O_RDONLY));
    char got[15] = "";
    get(r, got, 14);
    EXPECT(strcmp(got, "from the child") == 0);
    EXPECT_EQ(ready_now(r, POLLIN), 0);
    OK(kill(pid, SIGKILL));
    EXPECT_EQ(await(r, POLLIN), POLLHUP);
    EXPECT_EQ(ending(pid), 1000 + SIGKILL);
}

CHECK(fifo, waits_and_fills, "select and poll tell of a full FIFO's room, also to who has it for reading and writing")
{
    make_fifo("f");
    const int both = OK(open("f", O_RDWR | O_NONBLOCK));
    EXPECT_EQ(fill(both), 65536);
    EXPECT_EQ(ready_now(both, POLLOUT), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        static char all[65536];
        const int r = open("f", O_RDONLY);
        _exit(r < 0 || read(r, all, sizeof all) != sizeof all);
    }
    note_child(OK(pid));
    fd_set set;
    FD_ZERO(&set);
    FD_SET(both, &set);
    struct timeval limit = {HANG_MS / 1000, 0};
    EXPECT_EQ(select(both + 1, NULL, &set, NULL, &limit), 1);
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EQ(ready_now(both, POLLIN | POLLOUT), POLLOUT);
}

CHECK(fifo, edges, "edge-triggered, each write to a FIFO is told once")
{
    make_fifo("f");
    const struct ends p = open_both("f");
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN | EPOLLET);
    EXPECT_IDLE(ep);
    for (int i = 0; i < 5; i++) {
        put(p.w, "e");
        EXPECT_EVENT(ep, p.r, EPOLLIN);
        EXPECT_IDLE(ep);
    }
}

CHECK(fifo, inherited, "a FIFO goes to programs that are started, and by exec")
{
    make_fifo("f");
    const struct ends p = open_both("f");
    OK(fcntl(p.r, F_SETFL, 0));
    OK(fcntl(p.w, F_SETFD, FD_CLOEXEC));
    posix_spawn_file_actions_t actions;
    extern char **environ;
    pid_t pid;
    struct ends back = new_pipe(O_CLOEXEC);
    EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
    EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, p.r, 0), 0);
    EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, back.w, 1), 0);
    EXPECT_EQ(spawn_with(&pid, &actions, NULL, environ, "echoes", NULL), 0);
    posix_spawn_file_actions_destroy(&actions);
    OK(close(p.r));
    OK(close(back.w));
    put(p.w, "through a FIFO");
    char got[15] = "";
    get(back.r, got, 14);
    EXPECT(strcmp(got, "through a FIFO") == 0);
    OK(close(p.w));
    EXPECT_EQ(read(back.r, got, 1), 0);
    EXPECT_EQ(ending(pid), 0);
}

CHECK(fifo, permissions, "a FIFO's permissions count, and opening one creates or truncates nothing")
{
    make_fifo("f");
    const int r = OK(open("f", O_RDONLY | O_NONBLOCK | O_CREAT | O_TRUNC, 0600));
    EXPECT_EQ(stat_of_fd(r).st_mode & S_IFMT, S_IFIFO);
    EXPECT_ERRNO(open("f", O_RDONLY | O_NONBLOCK | O_CREAT | O_EXCL, 0600), EEXIST);
    EXPECT_ERRNO(open("f", O_RDONLY | O_NONBLOCK | O_DIRECTORY), ENOTDIR);
    EXPECT_ERRNO(ftruncate(OK(open("f", O_WRONLY)), 0), EINVAL);
    EXPECT_ERRNO(fsync(r), EINVAL);
    const int path = OK(open("f", O_PATH));
    char byte;
    EXPECT_ERRNO(read(path, &byte, 1), EBADF);
}
