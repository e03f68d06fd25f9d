// SPDX-License-Identifier: BSD-2-Clause
// Descriptors: numbers, duplicates and flags.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helpers.h"

CHECK(fd, lowest_number, "a new descriptor has the lowest free number")
{
    int fds[4];
    for (int i = 0; i < 4; i++)
        fds[i] = new_eventfd(0);
    OK(close(fds[2]));
    OK(close(fds[0]));
    EXPECT_EQ(new_eventfd(0), fds[0]);
    EXPECT_EQ(new_eventfd(0), fds[2]);
    EXPECT_EQ(new_eventfd(0), fds[3] + 1);
    OK(close(fds[1]));
    EXPECT_EQ(dup(fds[3]), fds[1]);
}

CHECK(fd, closed, "calls on a closed descriptor are EBADF, a second close too")
{
    const int fd = new_eventfd(0);
    char c;
    OK(close(fd));
    EXPECT_ERRNO(close(fd), EBADF);
    EXPECT_ERRNO(read(fd, &c, 1), EBADF);
    EXPECT_ERRNO(write(fd, &c, 1), EBADF);
    EXPECT_ERRNO(dup(fd), EBADF);
    EXPECT_ERRNO(fcntl(fd, F_GETFD), EBADF);
    EXPECT_ERRNO(lseek(fd, 0, SEEK_CUR), EBADF);
    EXPECT_ERRNO(close(-1), EBADF);
    EXPECT_ERRNO(close(0x7fffffff), EBADF);
}

CHECK(fd, dup2, "dup2 closes its target, and does nothing for equal numbers")
{
    const struct ends p = new_pipe(O_NONBLOCK);
    const int fd = new_eventfd(0);
    EXPECT_EQ(dup2(fd, p.w), p.w);
    char c;
    EXPECT_EQ(read(p.r, &c, 1), 0);
    EXPECT_EQ(dup2(fd, fd), fd);
    EXPECT_ERRNO(dup2(100, 100), EBADF);
    EXPECT_ERRNO(dup2(100, fd), EBADF);
    EXPECT_EQ(ready_now(fd, POLLOUT), POLLOUT);
    EXPECT_ERRNO(dup2(fd, -1), EBADF);
}

CHECK(fd, dup3, "dup3 sets O_CLOEXEC and refuses equal numbers and other flags (EINVAL)")
{
    const int fd = new_eventfd(0);
    EXPECT_EQ(dup3(fd, 60, O_CLOEXEC), 60);
    EXPECT_EQ(fcntl(60, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(dup3(fd, 60, 0), 60);
    EXPECT_EQ(fcntl(60, F_GETFD), 0);
    EXPECT_ERRNO(dup3(fd, fd, 0), EINVAL);
    // By number: musl's function hides flags that it does not know.
    EXPECT_ERRNO(syscall(SYS_dup3, fd, 61, O_NONBLOCK), EINVAL);
}

CHECK(fd, duplicate_from, "F_DUPFD takes the lowest free number from a given one")
{
    const int fd = new_eventfd(0);
    EXPECT_EQ(fcntl(fd, F_DUPFD, 50), 50);
    EXPECT_EQ(fcntl(fd, F_DUPFD, 50), 51);
    EXPECT_EQ(fcntl(fd, F_DUPFD_CLOEXEC, 50), 52);
    EXPECT_EQ(fcntl(51, F_GETFD), 0);
    EXPECT_EQ(fcntl(52, F_GETFD), FD_CLOEXEC);
    EXPECT_ERRNO(fcntl(fd, F_DUPFD, -1), EINVAL);
}

CHECK(fd, close_on_exec, "FD_CLOEXEC belongs to the descriptor, not to the file")
{
    const int fd = new_eventfd(0);
    OK(fcntl(fd, F_SETFD, FD_CLOEXEC));
    const int copy = OK(dup(fd));
    EXPECT_EQ(fcntl(copy, F_GETFD), 0);
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    OK(fcntl(fd, F_SETFD, 0));
    EXPECT_EQ(fcntl(fd, F_GETFD), 0);
}

CHECK(fd, status_flags, "O_NONBLOCK belongs to the file: duplicates share it")
{
    const struct ends p = new_pipe(0);
    const int copy = OK(dup(p.r));
    set_nonblocking(copy);
    EXPECT_EQ(fcntl(p.r, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    char c;
    EXPECT_ERRNO(read(p.r, &c, 1), EAGAIN);
}

CHECK(fd, access_mode, "F_SETFL cannot change how a file was opened")
{
    const struct ends p = new_pipe(0);
    OK(fcntl(p.r, F_SETFL, O_RDWR | O_NONBLOCK));
    EXPECT_EQ(fcntl(p.r, F_GETFL) & O_ACCMODE, O_RDONLY);
    char c = 'a';
    EXPECT_ERRNO(write(p.r, &c, 1), EBADF);
}

CHECK(fd, unknown_command, "an unknown fcntl command is EINVAL, an unknown ioctl ENOTTY")
{
    const struct ends p = new_pipe(0);
    EXPECT_ERRNO(fcntl(p.r, 9999, 0), EINVAL);
    EXPECT_ERRNO(syscall(SYS_ioctl, p.r, 0x12345678, 0), ENOTTY);
}

CHECK(fd, unknown_call, "an unknown system call is ENOSYS")
{
    EXPECT_ERRNO(syscall(9999), ENOSYS);
}

CHECK(fd, process_number, "the process has a number, the same each time")
{
    EXPECT_AT_LEAST(getpid(), 1);
    EXPECT_EQ(getpid(), getpid());
}

CHECK(fd, open_and_close, "ten thousand descriptors opened and closed leave nothing behind")
{
    const int first = new_eventfd(0);
    for (int i = 0; i < 10000; i++) {
        EXPECT_EQ(new_eventfd(0), first + 1);
        OK(close(first + 1));
    }
}
