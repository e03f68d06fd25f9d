// SPDX-License-Identifier: BSD-2-Clause
// Locks of ranges of bytes: fcntl(2) and lockf(3).
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file_helpers.h"
#include "lock.h"
#include "process.h"

CHECK(lock, range, "another process is told of a lock, and refused")
{
    const int fd = lock_file("f");
    OK(record(fd, F_SETLK, F_WRLCK, 10, 5));
    EXPECT_LOCKED("f", 12, F_WRLCK, 10, 5, getpid());
    EXPECT_FREE("f", 9);
    EXPECT_FREE("f", 15);
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        if (record(fd, F_SETLK, F_RDLCK, 14, 1) != -1 || (errno != EAGAIN && errno != EACCES))
            _exit(1);
        _exit(record(fd, F_SETLK, F_WRLCK, 15, 0) != 0);
    }
    EXPECT_EQ(ending(pid), 0);
    OK(record(fd, F_SETLK, F_UNLCK, 10, 5));
    EXPECT_FREE("f", 12);
}

CHECK(lock, range_of_own_process, "a process does not exclude itself, by whichever fd")
{
    const int fd = lock_file("f"), other = open_again("f");
    OK(record(fd, F_SETLK, F_WRLCK, 0, 10));
    OK(record(other, F_SETLK, F_RDLCK, 5, 10));
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 3, .l_len = 9};
    OK(fcntl(fd, F_GETLK, &lock));
    EXPECT_EQ(lock.l_type, F_UNLCK);
    // Nothing else changes.
    EXPECT_EQ(lock.l_start, 3);
    EXPECT_EQ(lock.l_len, 9);
    EXPECT_LOCKED("f", 4, F_WRLCK, 0, 5, getpid());
    EXPECT_LOCKED("f", 5, F_RDLCK, 5, 10, getpid());
}

CHECK(lock, ranges_split, "unlocking the middle leaves both ends")
{
    const int fd = lock_file("f");
    OK(record(fd, F_SETLK, F_WRLCK, 0, 100));
    OK(record(fd, F_SETLK, F_UNLCK, 40, 20));
    EXPECT_LOCKED("f", 0, F_WRLCK, 0, 40, getpid());
    EXPECT_FREE("f", 40);
    EXPECT_FREE("f", 59);
    EXPECT_LOCKED("f", 60, F_WRLCK, 60, 40, getpid());
}

CHECK(lock, ranges_join, "neighbours of one kind become one")
{
    const int fd = lock_file("f");
    OK(record(fd, F_SETLK, F_WRLCK, 0, 10));
    OK(record(fd, F_SETLK, F_WRLCK, 20, 10));
    EXPECT_LOCKED("f", 25, F_WRLCK, 20, 10, getpid());
    OK(record(fd, F_SETLK, F_WRLCK, 10, 10));
    EXPECT_LOCKED("f", 15, F_WRLCK, 0, 30, getpid());
    OK(record(fd, F_SETLK, F_RDLCK, 5, 5));
    EXPECT_LOCKED("f", 0, F_WRLCK, 0, 5, getpid());
    EXPECT_LOCKED("f", 7, F_RDLCK, 5, 5, getpid());
    EXPECT_LOCKED("f", 10, F_WRLCK, 10, 20, getpid());
}

CHECK(lock, range_to_the_end, "a length of 0 means all that comes, however the file grows")
{
    const int fd = lock_file("f");
    OK(record(fd, F_SETLK, F_WRLCK, 100, 0));
    EXPECT_FREE("f", 99);
    EXPECT_LOCKED("f", INT64_MAX, F_WRLCK, 100, 0, getpid());
    OK(record(fd, F_SETLK, F_UNLCK, 200, 0));
    EXPECT_LOCKED("f", 150, F_WRLCK, 100, 100, getpid());
}

CHECK(lock, range_from_elsewhere, "ranges count from the position, from the end, and backwards")
{
    const int fd = lock_file("f");
    put(fd, "0123456789");
    OK(lseek(fd, 4, SEEK_SET));
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = 1, .l_len = 2};
    OK(fcntl(fd, F_SETLK, &lock));
    EXPECT_LOCKED("f", 5, F_WRLCK, 5, 2, getpid());
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = 0, .l_len = -2};
    OK(fcntl(fd, F_SETLK, &lock));
    EXPECT_LOCKED("f", 9, F_WRLCK, 8, 2, getpid());
    lock = (struct flock){.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    OK(fcntl(fd, F_SETLK, &lock));
    EXPECT_FREE("f", 5);
}

CHECK(lock, range_errors, "ranges and kinds that make no sense are refused")
{
    const int fd = lock_file("f");
    struct flock lock = {.l_type = F_WRLCK, .l_whence = 9};
    EXPECT_ERRNO(fcntl(fd, F_SETLK, &lock), EINVAL);
    lock = (struct flock){.l_type = 17, .l_whence = SEEK_SET};
    EXPECT_ERRNO(fcntl(fd, F_SETLK, &lock), EINVAL);
    lock = (struct flock){.l_type = F_UNLCK, .l_whence = SEEK_SET};
    EXPECT_ERRNO(fcntl(fd, F_GETLK, &lock), EINVAL);
    EXPECT_ERRNO(record(fd, F_SETLK, F_WRLCK, -1, 1), EINVAL);
    EXPECT_ERRNO(record(fd, F_SETLK, F_WRLCK, 3, -4), EINVAL);
    EXPECT_ERRNO(record(fd, F_SETLK, F_WRLCK, INT64_MAX, 2), EOVERFLOW);
    EXPECT_ERRNO(record(-1, F_SETLK, F_WRLCK, 0, 0), EBADF);
    OK(record(fd, F_SETLK, F_WRLCK, INT64_MAX, 1));
}

CHECK(lock, range_needs_access, "locking for reading needs reading, for writing writing")
{
    OK(close(lock_file("f")));
    const int r = OK(open("f", O_RDONLY)), w = OK(open("f", O_WRONLY));
    EXPECT_ERRNO(record(r, F_SETLK, F_WRLCK, 0, 0), EBADF);
    EXPECT_ERRNO(record(w, F_SETLK, F_RDLCK, 0, 0), EBADF);
    OK(record(r, F_SETLK, F_RDLCK, 0, 1));
    OK(record(w, F_SETLK, F_WRLCK, 1, 1));
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    OK(fcntl(r, F_GETLK, &lock));
    EXPECT_ERRNO(record(OK(open("f", O_PATH)), F_SETLK, F_RDLCK, 0, 0), EBADF);
}

CHECK(lock, ranges_shared, "locks for reading do not exclude each other")
{
    const int fd = lock_file("f");
    OK(record(fd, F_SETLK, F_RDLCK, 0, 10));
    EXPECT_EQ(seen_by_other("f", F_RDLCK, 0, 10).l_type, F_UNLCK);
    EXPECT_LOCKED("f", 3, F_RDLCK, 0, 10, getpid());
}

CHECK(lock, any_close_unlocks, "closing any fd of the file gives up all of the process's locks of it")
{
    const int fd = lock_file("f"), other = open_again("f");
    OK(record(fd, F_SETLK, F_WRLCK, 0, 1));
    OK(record(other, F_SETLK, F_WRLCK, 5, 1));
    OK(close(other));
    EXPECT_FREE("f", 0);
    EXPECT_FREE("f", 5);
    OK(record(fd, F_SETLK, F_WRLCK, 0, 1));
    OK(close(OK(dup(fd))));
    EXPECT_FREE("f", 0);
    OK(record(fd, F_SETLK, F_WRLCK, 0, 1));
    OK(dup2(OK(open("/dev/null", O_RDONLY)), fd));
    EXPECT_FREE("f", 0);
}

CHECK(lock, other_files_close, "closing another file changes nothing")
{
    const int fd = lock_file("f");
    write_file("g", "x");
    OK(record(fd, F_SETLK, F_WRLCK, 0, 1));
    OK(close(open_again("g")));
    EXPECT_LOCKED("f", 0, F_WRLCK, 0, 1, getpid());
}

CHECK(lock, not_the_childs, "a child has none of its parent's locks, and takes none away by closing")
{
    const int fd = lock_file("f");
    OK(record(fd, F_SETLK, F_WRLCK, 0, 1));
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        const int refused = record(fd, F_SETLK, F_WRLCK, 0, 1) == -1;
        close(fd);
        _exit(!refused);
    }
    EXPECT_EQ(ending(pid), 0);
    EXPECT_LOCKED("f", 0, F_WRLCK, 0, 1, getpid());
}

CHECK(lock, end_unlocks, "a process's locks end with it")
{
    const int fd = lock_file("f");
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0)
        _exit(record(fd, F_SETLK, F_WRLCK, 0, 1) != 0);
    EXPECT_EQ(ending(pid), 0);
    OK(record(fd, F_SETLK, F_WRLCK, 0, 0));
}

ROLE(ready_until_told)
{
    char byte;
    (void)!write(atoi(arguments[1]), "r", 1);
    return read(atoi(arguments[0]), &byte, 1) != 1;
}

// A child that locks byte 0 of the file by `fd`, and goes on as another program; it is there until `go` is written to.
static pid_t locks_and_executes(int fd, struct ends go, struct ends ready)
{
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        char in[16], out[16];
        snprintf(in, sizeof in, "%d", go.r);
        snprintf(out, sizeof out, "%d", ready.w);
        if (record(fd, F_SETLK, F_WRLCK, 0, 1) != 0)
            _exit(1);
        execl(options.self, options.self, "--child", "ready_until_told", in, out, NULL);
        _exit(2);
    }
    char byte;
    get(ready.r, &byte, 1);
    return pid;
}

CHECK(lock, exec_keeps, "a process keeps its locks when it goes on as another program")
{
    const int fd = lock_file("f");
    const struct ends go = new_pipe(0), ready = new_pipe(0);
    const pid_t pid = locks_and_executes(fd, go, ready);
    EXPECT_LOCKED("f", 0, F_WRLCK, 0, 1, pid);
    put(go.w, "x");
    EXPECT_EQ(ending(pid), 0);
    EXPECT_FREE("f", 0);
}

CHECK(lock, exec_closes, "exec closes what is FD_CLOEXEC, and that gives up the locks")
{
    const int fd = lock_file("f");
    OK(fcntl(fd, F_SETFD, FD_CLOEXEC));
    const struct ends go = new_pipe(0), ready = new_pipe(0);
    const pid_t pid = locks_and_executes(fd, go, ready);
    EXPECT_FREE("f", 0);
    put(go.w, "x");
    EXPECT_EQ(ending(pid), 0);
}

CHECK(lock, range_waits, "a process that waits for a range gets it when all of it is free")
{
    const int fd = lock_file("f");
    const struct ends ready = new_pipe(0);
    OK(record(fd, F_SETLK, F_WRLCK, 0, 10));
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        char byte = 0;
        if (write(ready.w, "r", 1) != 1 || record(fd, F_SETLKW, F_WRLCK, 5, 10) != 0)
            _exit(1);
        _exit(pread(fd, &byte, 1, 0) == 1 && byte == 'x' ? 0 : 2);
    }
    char byte;
    get(ready.r, &byte, 1);
    // Not what the child needs.
    OK(record(fd, F_SETLK, F_UNLCK, 0, 6));
    sched_yield();
    put(fd, "x");
    OK(record(fd, F_SETLK, F_UNLCK, 6, 4));
    EXPECT_EQ(ending(pid), 0);
}

CHECK(lock, reader_waits, "who waits to read gets it when the writer becomes a reader")
{
    const int fd = lock_file("f");
    const struct ends ready = new_pipe(0);
    OK(record(fd, F_SETLK, F_WRLCK, 0, 0));
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0)
        _exit(write(ready.w, "r", 1) != 1 || record(fd, F_SETLKW, F_RDLCK, 3, 1) != 0);
    char byte;
    get(ready.r, &byte, 1);
    sched_yield();
    OK(record(fd, F_SETLK, F_RDLCK, 0, 0));
    EXPECT_EQ(ending(pid), 0);
}

CHECK(lock, killed_holder, "a range of a process that is killed goes to who waits")
{
    const int fd = lock_file("f");
    const struct ends ready = new_pipe(0);
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        for (int i = 0; i < 50; i++)
            if (record(fd, F_SETLK, F_WRLCK, 2 * i, 1) != 0)
                _exit(1);
        (void)!write(ready.w, "r", 1);
        for (;;)
            pause();
    }
    char byte;
    get(ready.r, &byte, 1);
    const pid_t killer = note_child(OK(fork()));
    if (killer == 0) {
        sched_yield();
        _exit(kill(pid, SIGKILL) != 0);
    }
    OK(record(fd, F_SETLKW, F_WRLCK, 0, 0));
    EXPECT_EQ(ending(pid), 1000 + SIGKILL);
    EXPECT_EQ(ending(killer), 0);
}

CHECK(lock, killed_waiter, "a process that is killed while it waits leaves nothing behind")
{
    const int fd = lock_file("f");
    const struct ends ready = new_pipe(0);
    OK(record(fd, F_SETLK, F_WRLCK, 0, 1));
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        if (record(fd, F_SETLK, F_WRLCK, 1, 1) == 0)
            (void)!write(ready.w, "r", 1);
        _exit(record(fd, F_SETLKW, F_WRLCK, 0, 1) == 0);
    }
    char byte;
    get(ready.r, &byte, 1);
    sched_yield();
    OK(kill(pid, SIGKILL));
    EXPECT_EQ(ending(pid), 1000 + SIGKILL);
    // Whoever waited for that process would wait for itself, if it were still there.
    OK(record(fd, F_SETLKW, F_WRLCK, 1, 1));
    OK(record(fd, F_SETLK, F_UNLCK, 0, 0));
    EXPECT_FREE("f", 0);
}

CHECK(lock, range_interrupted, "a handler interrupts the wait for a range")
{
    const int fd = lock_file("f");
    const struct ends ready = new_pipe(0), go = new_pipe(0);
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        char byte;
        if (record(fd, F_SETLK, F_WRLCK, 0, 1) != 0 || write(ready.w, "r", 1) != 1)
            _exit(1);
        _exit(read(go.r, &byte, 1) != 1);
    }
    char byte;
    get(ready.r, &byte, 1);
    ring();
    EXPECT_ERRNO(record(fd, F_SETLKW, F_WRLCK, 0, 1), EINTR);
    stop_ringing();
    put(go.w, "x");
    EXPECT_EQ(ending(pid), 0);
}

CHECK(lock, deadlock, "of two processes that wait for each other one is told")
{
    const int fd = lock_file("f");
    const struct ends ready = new_pipe(0);
    OK(record(fd, F_SETLK, F_WRLCK, 0, 1));
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        if (record(fd, F_SETLK, F_WRLCK, 1, 1) != 0 || write(ready.w, "r", 1) != 1)
            _exit(1);
        if (record(fd, F_SETLKW, F_WRLCK, 0, 1) == 0)
            _exit(3);
        _exit(errno == EDEADLK ? 4 : 2);
    }
    char byte;
    get(ready.r, &byte, 1);
    if (record(fd, F_SETLKW, F_WRLCK, 1, 1) == 0) {
        EXPECT_EQ(ending(pid), 4);
    } else {
        EXPECT_EQ(errno, EDEADLK);
        OK(record(fd, F_SETLK, F_UNLCK, 0, 1));
        EXPECT_EQ(ending(pid), 3);
    }
}

CHECK(lock, lockf, "lockf locks from the position on")
{
    const int fd = lock_file("f");
    OK(lseek(fd, 10, SEEK_SET));
    OK(lockf(fd, F_TLOCK, 5));
    EXPECT_LOCKED("f", 12, F_WRLCK, 10, 5, getpid());
    OK(lockf(fd, F_TEST, 5));
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        const int test = lockf(fd, F_TEST, 5) == -1 && (errno == EACCES || errno == EAGAIN);
        const int lock = lockf(fd, F_TLOCK, -11) == -1;
        _exit(!test || !lock || lockf(fd, F_LOCK, -10) != 0);
    }
    EXPECT_EQ(ending(pid), 0);
    OK(lockf(fd, F_ULOCK, 0));
    EXPECT_FREE("f", 12);
}

// --- open file descriptions -------------------------------------------------------------------

CHECK(lock, description, "a lock of an open file description keeps out others of the same process")
{
    const int fd = lock_file("f"), other = open_again("f");
    OK(record(fd, F_OFD_SETLK, F_WRLCK, 0, 10));
    EXPECT_ERRNO(record(other, F_OFD_SETLK, F_RDLCK, 9, 1), EAGAIN);
    EXPECT_ERRNO(record(fd, F_SETLK, F_RDLCK, 9, 1), EAGAIN);
    OK(record(OK(dup(fd)), F_OFD_SETLK, F_RDLCK, 9, 1));
    EXPECT_LOCKED("f", 3, F_WRLCK, 0, 9, -1);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 9, .l_len = 1};
    OK(fcntl(other, F_OFD_GETLK, &lock));
    EXPECT_EQ(lock.l_type, F_RDLCK);
    EXPECT_EQ(lock.l_pid, -1);
    OK(record(fd, F_OFD_SETLK, F_UNLCK, 0, 0));
    EXPECT_FREE("f", 3);
}

CHECK(lock, description_and_process, "locks of processes and of descriptions exclude each other")
{
    const int fd = lock_file("f");
    OK(record(fd, F_SETLK, F_WRLCK, 0, 1));
    EXPECT_ERRNO(record(fd, F_OFD_SETLK, F_WRLCK, 0, 1), EAGAIN);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    OK(fcntl(fd, F_OFD_GETLK, &lock));
    EXPECT_EQ(lock.l_type, F_WRLCK);
    EXPECT_EQ(lock.l_pid, getpid());
}

CHECK(lock, description_closes, "such a lock goes with the last duplicate, and with nothing else")
{
    const int fd = lock_file("f"), copy = OK(dup(fd));
    OK(record(fd, F_OFD_SETLK, F_WRLCK, 0, 0));
    OK(close(open_again("f")));
    OK(close(fd));
    EXPECT_LOCKED("f", 0, F_WRLCK, 0, 0, -1);
    OK(close(copy));
    EXPECT_FREE("f", 0);
}

CHECK(lock, description_after_fork, "a child has it, too")
{
    const int fd = lock_file("f");
    OK(record(fd, F_OFD_SETLK, F_WRLCK, 0, 0));
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0)
        _exit(record(fd, F_OFD_SETLK, F_UNLCK, 0, 5) != 0);
    EXPECT_EQ(ending(pid), 0);
    EXPECT_FREE("f", 4);
    EXPECT_LOCKED("f", 5, F_WRLCK, 5, 0, -1);
}

CHECK(lock, description_pid, "l_pid must be 0")
{
    const int fd = lock_file("f");
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_pid = 1};
    EXPECT_ERRNO(fcntl(fd, F_OFD_SETLK, &lock), EINVAL);
}

static int waiter_fd;

static void *waits(void *unused)
{
    (void)unused;
    return (void *)(intptr_t)record(waiter_fd, F_OFD_SETLKW, F_WRLCK, 0, 1);
}

CHECK(lock, description_waits, "a thread waits for a description's lock that another thread of its process gives up")
{
    const int fd = lock_file("f");
    waiter_fd = open_again("f");
    OK(record(fd, F_OFD_SETLK, F_WRLCK, 0, 0));
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(pthread_create(&threads[i], NULL, waits, NULL), 0);
    sched_yield();
    OK(record(fd, F_OFD_SETLK, F_UNLCK, 0, 0));
    for (int i = 0; i < 3; i++) {
        void *result;
        EXPECT_EQ(pthread_join(threads[i], &result), 0);
        EXPECT_EQ((intptr_t)result, 0);
    }
    EXPECT_ERRNO(record(fd, F_OFD_SETLK, F_WRLCK, 0, 1), EAGAIN);
}
