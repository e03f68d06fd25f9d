// SPDX-License-Identifier: BSD-2-Clause
// inotify(7): what happens to files and directories that are watched.
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file_helpers.h"
#include "proc.h"
#include "process.h"

static int new_inotify(void)
{
    return OK(inotify_init1(IN_NONBLOCK));
}

// An event: the next one of an instance, of which as many are read at a time as there are.
struct event {
    int watch;
    uint32_t mask, cookie;
    char name[NAME_MAX + 1];
};

static char buffer[1 << 16];
static ssize_t filled, used;

static struct event next_event(int fd)
{
    if (used == filled) {
        filled = OK(read(fd, buffer, sizeof buffer));
        used = 0;
    }
    struct inotify_event head;
    memcpy(&head, buffer + used, sizeof head);
    struct event event = {head.wd, head.mask, head.cookie, ""};
    EXPECT_EQ(head.len % sizeof head, 0);
    if (head.len)
        snprintf(event.name, sizeof event.name, "%s", buffer + used + sizeof head);
    used += (ssize_t)(sizeof head + head.len);
    return event;
}

// Holds if the next event is of this watch, with these bits and this name.
#define EXPECT_NEXT(fd, watch_, mask_, name_)                                                      \
    do {                                                                                           \
        const struct event event_ = next_event(fd);                                                \
        EXPECT_EQ(event_.mask, (mask_));                                                           \
        EXPECT_EQ(event_.watch, (watch_));                                                         \
        if (strcmp(event_.name, (name_)) != 0)                                                     \
            fail(__FILE__, __LINE__, "the name is %s, not %s", event_.name, (name_));              \
    } while (0)

// Holds if there is no other.
#define EXPECT_NO_MORE(fd)                                                                         \
    do {                                                                                           \
        EXPECT_EQ(used, filled);                                                                   \
        EXPECT_ERRNO(read((fd), buffer, sizeof buffer), EAGAIN);                                   \
    } while (0)

// A new directory, watched.
static int watched_directory(int fd, uint32_t mask)
{
    filled = used = 0;
    in_new_directory();
    return OK(inotify_add_watch(fd, ".", mask));
}

CHECK(inotify, create_and_delete, "names that are made and removed")
{
    const int fd = new_inotify(), w = watched_directory(fd, IN_CREATE | IN_DELETE);
    OK(close(OK(open("f", O_CREAT | O_WRONLY, 0600))));
    OK(close(OK(open("f", O_CREAT | O_WRONLY, 0600))));
    OK(mkdir("d", 0700));
    OK(symlink("f", "s"));
    OK(link("f", "l"));
    OK(mkfifo("p", 0600));
    OK(unlink("f"));
    OK(rmdir("d"));
    EXPECT_NEXT(fd, w, IN_CREATE, "f");
    EXPECT_NEXT(fd, w, IN_CREATE | IN_ISDIR, "d");
    EXPECT_NEXT(fd, w, IN_CREATE, "s");
    EXPECT_NEXT(fd, w, IN_CREATE, "l");
    EXPECT_NEXT(fd, w, IN_CREATE, "p");
    EXPECT_NEXT(fd, w, IN_DELETE, "f");
    EXPECT_NEXT(fd, w, IN_DELETE | IN_ISDIR, "d");
    EXPECT_NO_MORE(fd);
}

CHECK(inotify, open_write_close, "a file that is opened, written and closed")
{
    const int fd = new_inotify();
    in_new_directory();
    write_file("f", "old");
    const int w = watched_directory(fd, 0x1 /* something */);
    OK(inotify_rm_watch(fd, w));
    EXPECT_NEXT(fd, w, IN_IGNORED, "");
    write_file("f", "old");
    const int d = OK(inotify_add_watch(fd, ".", IN_OPEN | IN_MODIFY | IN_CLOSE));
    const int file = OK(open("f", O_WRONLY));
    put(file, "x");
    put(file, "y");
    EXPECT_EQ(pwrite(file, "z", 1, 7), 1);
    OK(ftruncate(file, 2));
    OK(close(file));
    EXPECT_NEXT(fd, d, IN_OPEN, "f");
    // Four in a row that are alike are one.
    EXPECT_NEXT(fd, d, IN_MODIFY, "f");
    EXPECT_NEXT(fd, d, IN_CLOSE_WRITE, "f");
    EXPECT_NO_MORE(fd);
    OK(close(OK(open("f", O_RDONLY))));
    EXPECT_NEXT(fd, d, IN_OPEN, "f");
    EXPECT_NEXT(fd, d, IN_CLOSE_NOWRITE, "f");
    EXPECT_NO_MORE(fd);
}

CHECK(inotify, of_a_file, "a watch of the file itself has no names")
{
    const int fd = new_inotify();
    in_new_directory();
    filled = used = 0;
    write_file("f", "x");
    const int w = OK(inotify_add_watch(fd, "f", IN_ALL_EVENTS));
    const int file = OK(open("f", O_RDWR));
    char byte;
    EXPECT_EQ(read(file, &byte, 1), 1);
    put(file, "y");
    OK(close(file));
    EXPECT_NEXT(fd, w, IN_OPEN, "");
    EXPECT_NEXT(fd, w, IN_ACCESS, "");
    EXPECT_NEXT(fd, w, IN_MODIFY, "");
    EXPECT_NEXT(fd, w, IN_CLOSE_WRITE, "");
    EXPECT_NO_MORE(fd);
}

CHECK(inotify, one_close, "duplicates are closed with the last of them")
{
    const int fd = new_inotify();
    in_new_directory();
    filled = used = 0;
    write_file("f", "x");
    const int file = OK(open("f", O_RDONLY)), copy = OK(dup(file));
    const int w = OK(inotify_add_watch(fd, "f", IN_CLOSE));
    OK(close(file));
    EXPECT_NO_MORE(fd);
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0)
        _exit(close(copy) != 0);
    EXPECT_EQ(ending(pid), 0);
    EXPECT_NO_MORE(fd);
    OK(close(copy));
    EXPECT_NEXT(fd, w, IN_CLOSE_NOWRITE, "");
    EXPECT_NO_MORE(fd);
}

CHECK(inotify, attributes, "permissions, times and links")
{
    const int fd = new_inotify();
    in_new_directory();
    filled = used = 0;
    write_file("f", "x");
    const int d = OK(inotify_add_watch(fd, ".", IN_ATTRIB));
    OK(chmod("f", 0640));
    EXPECT_NEXT(fd, d, IN_ATTRIB, "f");
    const struct timeval times[2] = {{1, 0}, {2, 0}};
    OK(utimes("f", times));
    EXPECT_NEXT(fd, d, IN_ATTRIB, "f");
    OK(mkdir("d", 0700));
    OK(chmod("d", 0750));
    EXPECT_NEXT(fd, d, IN_ATTRIB | IN_ISDIR, "d");
    EXPECT_NO_MORE(fd);
}

CHECK(inotify, moves, "a move is two events with one cookie")
{
    const int fd = new_inotify();
    in_new_directory();
    filled = used = 0;
    OK(mkdir("a", 0700));
    OK(mkdir("b", 0700));
    write_file("a/f", "x");
    const int a = OK(inotify_add_watch(fd, "a", IN_MOVE)), b = OK(inotify_add_watch(fd, "b", IN_MOVE));
    const int f = OK(inotify_add_watch(fd, "a/f", IN_MOVE_SELF | IN_DELETE_SELF));
    OK(rename("a/f", "b/g"));
    const struct event from = next_event(fd), to = next_event(fd);
    EXPECT_EQ(from.watch, a);
    EXPECT_EQ(from.mask, IN_MOVED_FROM);
    EXPECT(strcmp(from.name, "f") == 0);
    EXPECT_EQ(to.watch, b);
    EXPECT_EQ(to.mask, IN_MOVED_TO);
    EXPECT(strcmp(to.name, "g") == 0);
    EXPECT(from.cookie != 0);
    EXPECT_EQ(from.cookie, to.cookie);
    EXPECT_NEXT(fd, f, IN_MOVE_SELF, "");
    EXPECT_NO_MORE(fd);
    OK(rename("b/g", "b/h"));
    const struct event again = next_event(fd);
    EXPECT_EQ(again.mask, IN_MOVED_FROM);
    EXPECT(again.cookie != from.cookie);
    EXPECT_NEXT(fd, b, IN_MOVED_TO, "h");
    EXPECT_NEXT(fd, f, IN_MOVE_SELF, "");
    EXPECT_NO_MORE(fd);
}

CHECK(inotify, moved_over, "what a move replaces is deleted")
{
    const int fd = new_inotify();
    in_new_directory();
    filled = used = 0;
    write_file("f", "x");
    write_file("g", "y");
    const int g = OK(inotify_add_watch(fd, "g", IN_DELETE_SELF));
    OK(rename("f", "g"));
    EXPECT_NEXT(fd, g, IN_DELETE_SELF, "");
    EXPECT_NEXT(fd, g, IN_IGNORED, "");
    EXPECT_NO_MORE(fd);
}

CHECK(inotify, end_of_a_file, "a file ends with its last name and its last fd, and the watch with it")
{
    const int fd = new_inotify();
    in_new_directory();
    filled = used = 0;
    write_file("f", "x");
    const int file = OK(open("f", O_RDONLY));
    const int w = OK(inotify_add_watch(fd, "f", IN_ATTRIB | IN_DELETE_SELF));
    OK(unlink("f"));
    EXPECT_NEXT(fd, w, IN_ATTRIB, "");
    EXPECT_NO_MORE(fd);
    OK(close(file));
    EXPECT_NEXT(fd, w, IN_DELETE_SELF, "");
    EXPECT_NEXT(fd, w, IN_IGNORED, "");
    EXPECT_NO_MORE(fd);
    EXPECT_ERRNO(inotify_rm_watch(fd, w), EINVAL);
}

CHECK(inotify, end_of_a_directory, "a directory that is removed")
{
    const int fd = new_inotify();
    in_new_directory();
    filled = used = 0;
    OK(mkdir("d", 0700));
    const int w = OK(inotify_add_watch(fd, "d", IN_DELETE_SELF | IN_ONLYDIR));
    OK(rmdir("d"));
    const struct event event = next_event(fd);
    EXPECT_EQ(event.watch, w);
    EXPECT_EQ(event.mask & ~(uint32_t)IN_ISDIR, IN_DELETE_SELF);
    EXPECT_NEXT(fd, w, IN_IGNORED, "");
    EXPECT_NO_MORE(fd);
}

CHECK(inotify, masks, "a watch of the same file is the same watch: its mask is replaced, or added to")
{
    const int fd = new_inotify(), w = watched_directory(fd, IN_CREATE);
    EXPECT_EQ(inotify_add_watch(fd, ".", IN_DELETE), w);
    write_file("f", "");
    EXPECT_NO_MORE(fd);
    EXPECT_EQ(inotify_add_watch(fd, ".", IN_CREATE | IN_MASK_ADD), w);
    write_file("g", "");
    OK(unlink("g"));
    EXPECT_NEXT(fd, w, IN_CREATE, "g");
    EXPECT_NEXT(fd, w, IN_DELETE, "g");
    EXPECT_NO_MORE(fd);
    EXPECT_ERRNO(inotify_add_watch(fd, ".", IN_CREATE | IN_MASK_CREATE), EEXIST);
}

CHECK(inotify, oneshot, "a watch for one event")
{
    const int fd = new_inotify(), w = watched_directory(fd, IN_CREATE | IN_ONESHOT);
    write_file("f", "");
    write_file("g", "");
    EXPECT_NEXT(fd, w, IN_CREATE, "f");
    EXPECT_NEXT(fd, w, IN_IGNORED, "");
    EXPECT_NO_MORE(fd);
    EXPECT_EQ(inotify_add_watch(fd, ".", IN_CREATE), w + 1);
}

CHECK(inotify, bad_arguments, "what cannot be watched is refused")
{
    in_new_directory();
    write_file("f", "");
    OK(symlink("f", "s"));
    const int fd = new_inotify(), other = new_eventfd(0);
    EXPECT_ERRNO(inotify_init1(1), EINVAL);
    EXPECT_ERRNO(inotify_add_watch(fd, ".", 0), EINVAL);
    EXPECT_ERRNO(inotify_add_watch(fd, "nothing", IN_CREATE), ENOENT);
    EXPECT_ERRNO(inotify_add_watch(fd, "f", IN_OPEN | IN_ONLYDIR), ENOTDIR);
    EXPECT_ERRNO(inotify_add_watch(-1, ".", IN_CREATE), EBADF);
    EXPECT_ERRNO(inotify_add_watch(other, ".", IN_CREATE), EINVAL);
    EXPECT_ERRNO(inotify_add_watch(fd, ".", IN_OPEN | IN_MASK_ADD | IN_MASK_CREATE), EINVAL);
    EXPECT_ERRNO(inotify_rm_watch(fd, 1), EINVAL);
    EXPECT_ERRNO(inotify_rm_watch(other, 1), EINVAL);
    const int s = OK(inotify_add_watch(fd, "s", IN_OPEN | IN_DONT_FOLLOW));
    EXPECT_EQ(OK(inotify_add_watch(fd, "s", IN_OPEN)), s + 1);
    EXPECT_EQ(OK(inotify_add_watch(fd, "f", IN_OPEN)), s + 1);
    EXPECT_ERRNO(write(fd, "x", 1), EBADF);
}

CHECK(inotify, reading, "whole events, as many as fit; FIONREAD counts them")
{
    const int fd = new_inotify();
    watched_directory(fd, IN_CREATE);
    write_file("a-name-of-sixteen", "");
    write_file("b", "");
    int waiting = 0;
    OK(ioctl(fd, FIONREAD, &waiting));
    EXPECT_EQ(waiting, 16 + 32 + 16 + 16);
    EXPECT_ERRNO(read(fd, buffer, 47), EINVAL);
    EXPECT_EQ(read(fd, buffer, 60), 48);
    EXPECT_EQ(read(fd, buffer, sizeof buffer), 32);
    OK(ioctl(fd, FIONREAD, &waiting));
    EXPECT_EQ(waiting, 0);
    EXPECT_ERRNO(read(fd, buffer, sizeof buffer), EAGAIN);
}

CHECK(inotify, many, "more events than one answer carries, in their order")
{
    enum { COUNT = 100 };
    const int fd = new_inotify(), w = watched_directory(fd, IN_CREATE);
    char name[16];
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "file-%d", i);
        OK(close(OK(open(name, O_CREAT | O_WRONLY, 0600))));
    }
    EXPECT_EQ(read(fd, buffer, sizeof buffer), COUNT * 32);
    used = 0;
    filled = COUNT * 32;
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "file-%d", i);
        EXPECT_NEXT(fd, w, IN_CREATE, name);
    }
    EXPECT_NO_MORE(fd);
}

CHECK(inotify, poll_and_epoll, "readable while events wait; each one is an edge")
{
    const int fd = new_inotify(), ep = new_epoll();
    watched_directory(fd, IN_CREATE);
    EXPECT_EQ(ready_now(fd, POLLIN | POLLOUT), 0);
    add(ep, fd, EPOLLIN | EPOLLET);
    EXPECT_IDLE(ep);
    write_file("f", "");
    EXPECT_EVENT(ep, fd, EPOLLIN);
    EXPECT_IDLE(ep);
    EXPECT_EQ(ready_now(fd, POLLIN), POLLIN);
    write_file("g", "");
    EXPECT_EVENT(ep, fd, EPOLLIN);
    EXPECT_EQ(read(fd, buffer, sizeof buffer), 64);
    EXPECT_IDLE(ep);
    EXPECT_EQ(ready_now(fd, POLLIN), 0);
}

CHECK(inotify, between_processes, "what another process does, to a process that sleeps in read")
{
    filled = used = 0;
    in_new_directory();
    const int fd = OK(inotify_init1(0)), w = OK(inotify_add_watch(fd, ".", IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE));
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        sched_yield();
        const int file = open("f", O_CREAT | O_WRONLY, 0600);
        _exit(file == -1 || write(file, "x", 1) != 1);
    }
    EXPECT_NEXT(fd, w, IN_CREATE, "f");
    EXPECT_NEXT(fd, w, IN_MODIFY, "f");
    // The child does not close: it ends.
    EXPECT_NEXT(fd, w, IN_CLOSE_WRITE, "f");
    EXPECT_EQ(ending(pid), 0);
}

CHECK(inotify, after_fork, "a child has the instance, too: what one reads the other does not")
{
    const int fd = new_inotify();
    watched_directory(fd, IN_CREATE | IN_DELETE);
    write_file("f", "");
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        const int first = read(fd, buffer, sizeof buffer) == 32;
        _exit(!first || unlink("f") != 0);
    }
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EQ(read(fd, buffer, sizeof buffer), 32);
    struct inotify_event head;
    memcpy(&head, buffer, sizeof head);
    EXPECT_EQ(head.mask, IN_DELETE);
}

ROLE(reads_an_event)
{
    return read(atoi(arguments[0]), buffer, sizeof buffer) == 32 ? 0 : 1;
}

CHECK(inotify, in_another_program, "a program that is started has it, with its watches")
{
    const int fd = new_inotify();
    watched_directory(fd, IN_CREATE);
    char number[16];
    snprintf(number, sizeof number, "%d", fd);
    write_file("f", "");
    EXPECT_EQ(ending(child("reads_an_event", number, NULL)), 0);
    EXPECT_ERRNO(read(fd, buffer, sizeof buffer), EAGAIN);
}

CHECK(inotify, overflow, "an instance that nobody reads says that events are lost")
{
    const long long most = atoll(text_of("/proc/sys/fs/inotify/max_queued_events", NULL));
    EXPECT_AT_LEAST(most, 16);
    const int fd = new_inotify(), w = watched_directory(fd, IN_ATTRIB);
    write_file("f", "");
    write_file("g", "");
    // Alternately, or they would be one.
    for (long long i = 0; i < most + 50; i++)
        OK(chmod(i % 2 ? "f" : "g", 0600));
    struct event event = next_event(fd);
    long long count = 0;
    for (; event.mask == IN_ATTRIB; event = next_event(fd), count++)
        EXPECT_EQ(event.watch, w);
    EXPECT_EQ(event.mask, IN_Q_OVERFLOW);
    EXPECT_EQ(event.watch, -1);
    EXPECT_AT_LEAST(count, most - 1);
    EXPECT_NO_MORE(fd);
    // It goes on.
    OK(chmod("f", 0644));
    EXPECT_NEXT(fd, w, IN_ATTRIB, "f");
}

CHECK(inotify, closed, "a closed instance watches nothing")
{
    in_new_directory();
    for (int i = 0; i < 300; i++) {
        const int fd = new_inotify();
        OK(inotify_add_watch(fd, ".", IN_ALL_EVENTS));
        OK(close(fd));
    }
    write_file("f", "x");
}

CHECK(inotify, two_instances, "each instance hears of it, each in its own way")
{
    const int a = new_inotify(), b = new_inotify();
    const int w = watched_directory(a, IN_CREATE), v = OK(inotify_add_watch(b, ".", IN_ALL_EVENTS));
    OK(close(OK(open("f", O_CREAT | O_WRONLY, 0600))));
    EXPECT_NEXT(a, w, IN_CREATE, "f");
    EXPECT_NO_MORE(a);
    EXPECT_NEXT(b, v, IN_CREATE, "f");
    EXPECT_NEXT(b, v, IN_OPEN, "f");
    EXPECT_NEXT(b, v, IN_CLOSE_WRITE, "f");
    EXPECT_NO_MORE(b);
}
