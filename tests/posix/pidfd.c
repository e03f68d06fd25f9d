// SPDX-License-Identifier: BSD-2-Clause
// pidfds: a process as a descriptor. By number: musl 1.2.3 has no wrappers.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "process.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_send_signal 424
#define SYS_pidfd_open 434
#endif
#define BY_PIDFD ((idtype_t)3)

static int pidfd_open_(pid_t pid, unsigned flags)
{
    return (int)syscall(SYS_pidfd_open, pid, flags);
}

static int pidfd_kill(int fd, int number)
{
    return (int)syscall(SYS_pidfd_send_signal, fd, number, NULL, 0);
}

CHECK(pidfd, readable_at_the_end, "a pidfd becomes readable when its process ends, and stays so")
{
    const pid_t pid = child("sleeps", NULL);
    const int fd = OK(pidfd_open_(pid, 0));
    EXPECT_EQ(ready_now(fd, POLLIN), 0);
    OK(kill(pid, SIGKILL));
    EXPECT_EQ(await(fd, POLLIN), POLLIN);
    EXPECT_EQ(ending(pid), 1000 + SIGKILL);
    EXPECT_EQ(ready_now(fd, POLLIN) & POLLIN, POLLIN);
}

CHECK(pidfd, of_an_ended_process, "a pidfd of a child that has ended and was not waited for is readable at once")
{
    const pid_t pid = child("exits", "0", NULL);
    siginfo_t info;
    OK(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
    const int fd = OK(pidfd_open_(pid, 0));
    EXPECT_EQ(ready_now(fd, POLLIN), POLLIN);
    EXPECT_EQ(ending(pid), 0);
    EXPECT_ERRNO(pidfd_open_(pid, 0), ESRCH);
}

CHECK(pidfd, in_epoll, "epoll tells which of several processes ended, faults included")
{
    const int epoll = OK(epoll_create1(EPOLL_CLOEXEC));
    pid_t pids[3];
    for (unsigned i = 0; i < 3; i++) {
        pids[i] = child("sleeps", NULL);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        OK(epoll_ctl(epoll, EPOLL_CTL_ADD, OK(pidfd_open_(pids[i], 0)), &event));
    }
    struct epoll_event event;
    EXPECT_EQ(epoll_wait(epoll, &event, 1, 0), 0);
    OK(kill(pids[1], SIGSEGV));
    EXPECT_EQ(epoll_wait(epoll, &event, 1, HANG_MS), 1);
    EXPECT_EQ(event.data.u32, 1);
    EXPECT_EQ(ending(pids[1]), 1000 + SIGSEGV);
}

CHECK(pidfd, waited_for, "waitid takes a pidfd in place of an id")
{
    const pid_t pid = child("exits", "6", NULL);
    const int fd = OK(pidfd_open_(pid, 0));
    siginfo_t info;
    OK(waitid(BY_PIDFD, fd, &info, WEXITED));
    EXPECT_EQ(info.si_pid, pid);
    EXPECT_EQ(info.si_status, 6);
    EXPECT_ERRNO(waitid(BY_PIDFD, fd, &info, WEXITED), ECHILD);
    EXPECT_ERRNO(waitid(BY_PIDFD, 999, &info, WEXITED), EBADF);
    EXPECT_ERRNO(waitid(BY_PIDFD, OK(open("/dev/null", O_RDONLY)), &info, WEXITED), EBADF);
}

CHECK(pidfd, signalled, "pidfd_send_signal reaches the process, and nobody once that is gone")
{
    const pid_t pid = child("sleeps", NULL);
    const int fd = OK(pidfd_open_(pid, 0));
    OK(pidfd_kill(fd, 0));
    EXPECT_ERRNO(pidfd_kill(fd, 99), EINVAL);
    OK(pidfd_kill(fd, SIGTERM));
    EXPECT_EQ(ending(pid), 1000 + SIGTERM);
    EXPECT_ERRNO(pidfd_kill(fd, 0), ESRCH);
}

CHECK(pidfd, errors, "pidfd_open refuses flags, ids and processes that are none, and closes at exec")
{
    EXPECT_ERRNO(pidfd_open_(getpid(), 1), EINVAL);
    EXPECT_ERRNO(pidfd_open_(0, 0), EINVAL);
    EXPECT_ERRNO(pidfd_open_(-1, 0), EINVAL);
    EXPECT_ERRNO(pidfd_open_(1 << 22, 0), ESRCH);
    const int fd = OK(pidfd_open_(getpid(), 0));
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(ready_now(fd, POLLIN), 0);
    char byte;
    EXPECT_ERRNO(read(fd, &byte, 1), EINVAL);
}
