// SPDX-License-Identifier: BSD-2-Clause
// flock(2): locks of whole files, which open file descriptions have.
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file_helpers.h"
#include "lock.h"
#include "process.h"

// Holds if somebody has a lock of the file that excludes an exclusive one; a shared one, if `shared` is 0.
static void expect_taken(const char *path, int shared)
{
    const int fd = open_again(path);
    EXPECT_ERRNO(flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    if (shared)
        OK(flock(fd, LOCK_SH | LOCK_NB));
    else
        EXPECT_ERRNO(flock(fd, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    OK(close(fd));
}

static void expect_free(const char *path)
{
    const int fd = open_again(path);
    OK(flock(fd, LOCK_EX | LOCK_NB));
    OK(close(fd));
}

CHECK(lock, flock_excludes, "an exclusive lock of one open file keeps out others, also in one process")
{
    const int fd = lock_file("f");
    OK(flock(fd, LOCK_EX));
    expect_taken("f", 0);
    OK(flock(fd, LOCK_EX | LOCK_NB));
    OK(flock(fd, LOCK_UN));
    expect_free("f");
    OK(flock(fd, LOCK_UN));
}

CHECK(lock, flock_shared, "any number of open files have a shared lock")
{
    const int fds[] = {lock_file("f"), open_again("f"), OK(open("f", O_RDONLY))};
    for (int i = 0; i < 3; i++)
        OK(flock(fds[i], LOCK_SH | LOCK_NB));
    expect_taken("f", 1);
    OK(flock(fds[0], LOCK_UN));
    OK(close(fds[1]));
    expect_taken("f", 1);
    OK(close(fds[2]));
    expect_free("f");
}

CHECK(lock, flock_needs_no_access, "a file that is open for reading can have an exclusive lock")
{
    OK(close(lock_file("f")));
    const int fd = OK(open("f", O_RDONLY));
    OK(flock(fd, LOCK_EX));
    expect_taken("f", 0);
}

CHECK(lock, flock_duplicates, "duplicates have one lock, which goes with the last of them")
{
    const int fd = lock_file("f"), copy = OK(dup(fd));
    OK(flock(fd, LOCK_EX));
    OK(flock(copy, LOCK_EX | LOCK_NB));
    OK(close(fd));
    expect_taken("f", 0);
    OK(close(copy));
    expect_free("f");
}

CHECK(lock, flock_unlock_by_duplicate, "a duplicate unlocks for all")
{
    const int fd = lock_file("f"), copy = OK(dup(fd));
    OK(flock(fd, LOCK_EX));
    OK(flock(copy, LOCK_UN));
    expect_free("f");
}

CHECK(lock, flock_other_opens_do_not_matter, "closing another open file of the same file changes nothing")
{
    const int fd = lock_file("f");
    OK(flock(fd, LOCK_EX));
    OK(close(open_again("f")));
    expect_taken("f", 0);
}

CHECK(lock, flock_changes_kind, "a lock changes its kind; if it cannot, it is lost")
{
    const int a = lock_file("f"), b = open_again("f");
    OK(flock(a, LOCK_EX));
    OK(flock(a, LOCK_SH | LOCK_NB));
    OK(flock(b, LOCK_SH | LOCK_NB));
    EXPECT_ERRNO(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    OK(flock(b, LOCK_EX | LOCK_NB));
}

CHECK(lock, flock_bad_arguments, "bad fds and operations are refused")
{
    const int fd = lock_file("f");
    EXPECT_ERRNO(flock(-1, LOCK_EX), EBADF);
    EXPECT_ERRNO(flock(fd, 0), EINVAL);
    EXPECT_ERRNO(flock(fd, LOCK_SH | LOCK_EX | LOCK_UN), EINVAL);
    EXPECT_ERRNO(flock(fd, LOCK_NB), EINVAL);
    EXPECT_ERRNO(flock(OK(open("f", O_PATH)), LOCK_EX), EBADF);
}

CHECK(lock, flock_of_directory, "a directory is locked as a file is")
{
    in_new_directory();
    const int a = OK(open(".", O_RDONLY)), b = OK(open(".", O_RDONLY | O_DIRECTORY));
    OK(flock(a, LOCK_EX));
    EXPECT_ERRNO(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    OK(flock(a, LOCK_UN));
    OK(flock(b, LOCK_SH | LOCK_NB));
}

CHECK(lock, flock_by_all_names, "a lock is the file's, whatever its name; also one without")
{
    const int fd = lock_file("f");
    OK(link("f", "g"));
    OK(flock(fd, LOCK_EX));
    expect_taken("g", 0);
    const int other = open_again("f");
    OK(unlink("f"));
    OK(unlink("g"));
    EXPECT_ERRNO(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    OK(flock(fd, LOCK_UN));
    OK(flock(other, LOCK_SH | LOCK_NB));
}

CHECK(lock, flock_after_fork, "a child has its parent's lock, which lasts as long as either has the file")
{
    const int fd = lock_file("f");
    const struct ends go = new_pipe(0);
    OK(flock(fd, LOCK_EX));
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        char byte;
        close(go.w);
        _exit(flock(fd, LOCK_EX | LOCK_NB) != 0 || read(go.r, &byte, 1) != 1);
    }
    OK(close(fd));
    expect_taken("f", 0);
    put(go.w, "x");
    EXPECT_EQ(ending(pid), 0);
    expect_free("f");
}

CHECK(lock, flock_child_unlocks, "a child unlocks for its parent, too")
{
    const int fd = lock_file("f");
    OK(flock(fd, LOCK_EX));
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0)
        _exit(flock(fd, LOCK_UN) != 0);
    EXPECT_EQ(ending(pid), 0);
    expect_free("f");
}

ROLE(holds_until_told)
{
    char byte;
    (void)!write(atoi(arguments[1]), "r", 1);
    return read(atoi(arguments[0]), &byte, 1) != 1;
}

// Starts a program that has this process's fds, and is there until `go` is written to.
static pid_t holder(struct ends go, struct ends ready)
{
    char in[16], out[16], byte;
    snprintf(in, sizeof in, "%d", go.r);
    snprintf(out, sizeof out, "%d", ready.w);
    const pid_t pid = child("holds_until_told", in, out, NULL);
    get(ready.r, &byte, 1);
    return pid;
}

CHECK(lock, flock_in_another_program, "a program that is started has the lock with the fd")
{
    const int fd = lock_file("f");
    const struct ends go = new_pipe(0), ready = new_pipe(0);
    OK(flock(fd, LOCK_EX));
    const pid_t pid = holder(go, ready);
    OK(close(fd));
    expect_taken("f", 0);
    put(go.w, "x");
    EXPECT_EQ(ending(pid), 0);
    expect_free("f");
}

CHECK(lock, flock_not_in_another_program, "without the fd (FD_CLOEXEC) it has no lock")
{
    const int fd = lock_file("f");
    OK(fcntl(fd, F_SETFD, FD_CLOEXEC));
    const struct ends go = new_pipe(0), ready = new_pipe(0);
    OK(flock(fd, LOCK_EX));
    const pid_t pid = holder(go, ready);
    OK(close(fd));
    expect_free("f");
    put(go.w, "x");
    EXPECT_EQ(ending(pid), 0);
}

CHECK(lock, flock_waits, "a process that waits for a lock gets it when it is free, not before")
{
    const int fd = lock_file("f");
    const struct ends ready = new_pipe(0);
    OK(flock(fd, LOCK_EX));
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        char byte = 0;
        const int own = open("f", O_RDWR);
        if (write(ready.w, "r", 1) != 1 || flock(own, LOCK_EX) != 0)
            _exit(1);
        _exit(pread(own, &byte, 1, 0) == 1 && byte == 'x' ? 0 : 2);
    }
    char byte;
    get(ready.r, &byte, 1);
    sched_yield();
    put(fd, "x");
    // The child has the description, too.
    OK(flock(fd, LOCK_UN));
    EXPECT_EQ(ending(pid), 0);
}

CHECK(lock, flock_passes_on, "processes that wait get a lock one after the other: none is forgotten")
{
    enum { CHILDREN = 8, ROUNDS = 20 };
    OK(close(lock_file("f")));
    write_file("f", "0000");
    pid_t pids[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        pids[i] = note_child(OK(fork()));
        if (pids[i])
            continue;
        const int fd = open("f", O_RDWR);
        for (int round = 0; round < ROUNDS; round++) {
            char text[16] = "";
            if (flock(fd, LOCK_EX) != 0 || pread(fd, text, 4, 0) != 4)
                _exit(1);
            sched_yield();
            snprintf(text, sizeof text, "%04d", atoi(text) + 1);
            if (pwrite(fd, text, 4, 0) != 4 || flock(fd, LOCK_UN) != 0)
                _exit(2);
        }
        _exit(0);
    }
    for (int i = 0; i < CHILDREN; i++)
        EXPECT_EQ(ending(pids[i]), 0);
    expect_file("f", "0160");
}

CHECK(lock, flock_of_killed_process, "a lock of a process that is killed is free, and whoever waits gets it")
{
    const int fd = lock_file("f");
    const struct ends ready = new_pipe(0);
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        const int own = open("f", O_RDWR);
        if (flock(own, LOCK_EX) != 0 || write(ready.w, "r", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    char byte;
    get(ready.r, &byte, 1);
    EXPECT_ERRNO(flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    const pid_t killer = note_child(OK(fork()));
    if (killer == 0) {
        sched_yield();
        _exit(kill(pid, SIGKILL) != 0);
    }
    OK(flock(fd, LOCK_EX));
    EXPECT_EQ(ending(pid), 1000 + SIGKILL);
    EXPECT_EQ(ending(killer), 0);
}

CHECK(lock, flock_interrupted, "a handler interrupts the wait")
{
    const int fd = lock_file("f"), other = open_again("f");
    OK(flock(fd, LOCK_EX));
    ring();
    EXPECT_ERRNO(flock(other, LOCK_SH), EINTR);
    stop_ringing();
    OK(flock(fd, LOCK_UN));
    OK(flock(other, LOCK_SH | LOCK_NB));
}

CHECK(lock, flock_and_fcntl, "locks of flock and of fcntl know nothing of each other")
{
    const int fd = lock_file("f");
    OK(flock(fd, LOCK_EX));
    EXPECT_FREE("f", 0);
    OK(record(fd, F_SETLK, F_WRLCK, 0, 0));
    EXPECT_LOCKED("f", 5, F_WRLCK, 0, 0, getpid());
    OK(flock(fd, LOCK_UN));
    EXPECT_LOCKED("f", 5, F_WRLCK, 0, 0, getpid());
    expect_free("f");
}
