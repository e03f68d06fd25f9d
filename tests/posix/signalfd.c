// SPDX-License-Identifier: BSD-2-Clause
// signalfd: what is read, when it is ready and for whom, and what becomes of it in other programs.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "process.h"
#include "thread.h"

static sigset_t set_of(int a, int b)
{
    sigset_t set;
    sigemptyset(&set);
    if (a)
        sigaddset(&set, a);
    if (b)
        sigaddset(&set, b);
    return set;
}

// Blocks two signals (0: none), of which none waits, and takes both into a signalfd.
static int blocked_fd(int a, int b, int flags)
{
    const sigset_t set = set_of(a, b);
    OK(sigprocmask(SIG_BLOCK, &set, NULL));
    const struct timespec none = {0};
    while (sigtimedwait(&set, NULL, &none) > 0)
        ;
    return OK(signalfd(-1, &set, flags));
}

// As the other checks want to find it: nothing waits, nothing is blocked.
static void unblock(int a, int b)
{
    const sigset_t set = set_of(a, b);
    const struct timespec none = {0};
    while (sigtimedwait(&set, NULL, &none) > 0)
        ;
    OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
}

static struct signalfd_siginfo taken(int fd)
{
    struct signalfd_siginfo info;
    memset(&info, 0xff, sizeof info);
    EXPECT_EQ(read(fd, &info, sizeof info), (ssize_t)sizeof info);
    return info;
}

CHECK(signalfd, read_takes, "a read takes a blocked signal: it waits no longer")
{
    const int fd = blocked_fd(SIGUSR1, 0, SFD_NONBLOCK);
    char buffer[sizeof(struct signalfd_siginfo)];
    EXPECT_ERRNO(read(fd, buffer, sizeof buffer), EAGAIN);
    OK(kill(getpid(), SIGUSR1));
    const struct signalfd_siginfo info = taken(fd);
    EXPECT_EQ(info.ssi_signo, SIGUSR1);
    EXPECT_EQ(info.ssi_errno, 0);
    EXPECT_EQ(info.ssi_code, SI_USER);
    EXPECT_EQ(info.ssi_pid, getpid());
    EXPECT_EQ(info.ssi_uid, getuid());
    EXPECT_EQ(info.ssi_status, 0);
    EXPECT_EQ(info.ssi_int, 0);
    sigset_t waiting;
    OK(sigpending(&waiting));
    EXPECT(!sigismember(&waiting, SIGUSR1));
    EXPECT_ERRNO(read(fd, buffer, sizeof buffer), EAGAIN);
    unblock(SIGUSR1, 0);
}

CHECK(signalfd, raise_is_tkill, "a signal of raise says SI_TKILL")
{
    const int fd = blocked_fd(SIGUSR1, 0, SFD_NONBLOCK);
    OK(raise(SIGUSR1));
    EXPECT_EQ(taken(fd).ssi_code, SI_TKILL);
    unblock(SIGUSR1, 0);
}

CHECK(signalfd, errors, "EINVAL for flags, sizes and other files, EBADF, EFAULT")
{
    const sigset_t set = set_of(SIGUSR1, 0);
    const int fd = OK(signalfd(-1, &set, 0));
    EXPECT_ERRNO(signalfd(-1, &set, 1), EINVAL);
    EXPECT_ERRNO(signalfd(fd, &set, 1), EINVAL);
    EXPECT_ERRNO(syscall(SYS_signalfd4, -1, &set, 4, 0), EINVAL);
    EXPECT_ERRNO(syscall(SYS_signalfd4, -1, &set, 16, 0), EINVAL);
    EXPECT_ERRNO(syscall(SYS_signalfd4, -1, NULL, 8, 0), EFAULT);
    EXPECT_ERRNO(signalfd(999, &set, 0), EBADF);
    EXPECT_ERRNO(signalfd(-2, &set, 0), EBADF);
    EXPECT_ERRNO(signalfd(new_eventfd(0), &set, 0), EINVAL);
    EXPECT_ERRNO(signalfd(new_epoll(), &set, 0), EINVAL);
}

CHECK(signalfd, short_read, "a read of less than one record is EINVAL, whether a signal waits or not")
{
    const int fd = blocked_fd(SIGUSR1, 0, SFD_NONBLOCK);
    char buffer[sizeof(struct signalfd_siginfo)];
    EXPECT_ERRNO(read(fd, buffer, sizeof buffer - 1), EINVAL);
    EXPECT_ERRNO(read(fd, buffer, 0), EINVAL);
    OK(kill(getpid(), SIGUSR1));
    EXPECT_ERRNO(read(fd, buffer, sizeof buffer - 1), EINVAL);
    EXPECT_EQ(taken(fd).ssi_signo, SIGUSR1);
    unblock(SIGUSR1, 0);
}

CHECK(signalfd, no_writing, "it cannot be written to")
{
    const sigset_t set = set_of(SIGUSR1, 0);
    const int fd = OK(signalfd(-1, &set, 0));
    EXPECT_ERRNO(write(fd, &set, sizeof set), EINVAL);
}

CHECK(signalfd, flags, "SFD_NONBLOCK and SFD_CLOEXEC are the fd's; without them it has neither")
{
    const sigset_t set = set_of(SIGUSR1, 0);
    const int with = OK(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    EXPECT_EQ(OK(fcntl(with, F_GETFL)) & (O_ACCMODE | O_NONBLOCK), O_RDWR | O_NONBLOCK);
    EXPECT_EQ(OK(fcntl(with, F_GETFD)), FD_CLOEXEC);
    const int without = OK(signalfd(-1, &set, 0));
    EXPECT_EQ(OK(fcntl(without, F_GETFL)) & O_NONBLOCK, 0);
    EXPECT_EQ(OK(fcntl(without, F_GETFD)), 0);
}

CHECK(signalfd, update_keeps_flags, "an update of the set returns the fd and leaves its flags alone")
{
    const sigset_t set = set_of(SIGUSR1, 0), other = set_of(SIGUSR2, 0);
    const int fd = OK(signalfd(-1, &set, SFD_NONBLOCK));
    EXPECT_EQ(signalfd(fd, &other, SFD_CLOEXEC), fd);
    EXPECT_EQ(OK(fcntl(fd, F_GETFL)) & O_NONBLOCK, O_NONBLOCK);
    EXPECT_EQ(OK(fcntl(fd, F_GETFD)), 0);
}

CHECK(signalfd, update_changes_set, "after an update the new set counts, also for signals that wait already")
{
    const int fd = blocked_fd(SIGUSR1, SIGUSR2, SFD_NONBLOCK);
    OK(kill(getpid(), SIGUSR2));
    const sigset_t first = set_of(SIGUSR1, 0), second = set_of(SIGUSR2, 0);
    OK(signalfd(fd, &first, 0));
    EXPECT_EQ(ready_now(fd, POLLIN), 0);
    char buffer[sizeof(struct signalfd_siginfo)];
    EXPECT_ERRNO(read(fd, buffer, sizeof buffer), EAGAIN);
    OK(signalfd(fd, &second, 0));
    EXPECT_EQ(ready_now(fd, POLLIN), POLLIN);
    EXPECT_EQ(taken(fd).ssi_signo, SIGUSR2);
    unblock(SIGUSR1, SIGUSR2);
}

CHECK(signalfd, unblockable_ignored, "SIGKILL and SIGSTOP in the set are ignored")
{
    const sigset_t set = set_of(SIGKILL, SIGSTOP);
    EXPECT_EQ(ready_now(OK(signalfd(-1, &set, 0)), POLLIN), 0);
}

CHECK(signalfd, lowest_first, "one read takes several signals, the lowest first")
{
    const int fd = blocked_fd(SIGUSR1, SIGTERM, SFD_NONBLOCK);
    OK(kill(getpid(), SIGTERM));
    OK(kill(getpid(), SIGUSR1));
    struct signalfd_siginfo infos[3];
    EXPECT_EQ(read(fd, infos, sizeof infos), (ssize_t)(2 * sizeof *infos));
    EXPECT_EQ(infos[0].ssi_signo, SIGUSR1);
    EXPECT_EQ(infos[1].ssi_signo, SIGTERM);
    unblock(SIGUSR1, SIGTERM);
}

CHECK(signalfd, whole_records, "a read takes whole records only, and leaves the rest")
{
    const int fd = blocked_fd(SIGUSR1, SIGTERM, SFD_NONBLOCK);
    OK(kill(getpid(), SIGTERM));
    OK(kill(getpid(), SIGUSR1));
    struct signalfd_siginfo infos[2];
    EXPECT_EQ(read(fd, infos, sizeof infos - 1), (ssize_t)sizeof *infos);
    EXPECT_EQ(taken(fd).ssi_signo, SIGTERM);
    unblock(SIGUSR1, SIGTERM);
}

CHECK(signalfd, standard_once, "a standard signal that waits already is not added")
{
    const int fd = blocked_fd(SIGUSR1, 0, SFD_NONBLOCK);
    OK(kill(getpid(), SIGUSR1));
    OK(kill(getpid(), SIGUSR1));
    struct signalfd_siginfo infos[2];
    EXPECT_EQ(read(fd, infos, sizeof infos), (ssize_t)sizeof *infos);
    unblock(SIGUSR1, 0);
}

CHECK(signalfd, real_time_queue, "real-time signals wait as often as sent, with their values in order")
{
    const int number = SIGRTMIN + 3;
    const int fd = blocked_fd(number, 0, SFD_NONBLOCK);
    for (int i = 1; i <= 3; i++)
        OK(sigqueue(getpid(), number, (union sigval){.sival_int = i * 7}));
    struct signalfd_siginfo infos[4];
    EXPECT_EQ(read(fd, infos, sizeof infos), (ssize_t)(3 * sizeof *infos));
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(infos[i].ssi_signo, number);
        EXPECT_EQ(infos[i].ssi_code, SI_QUEUE);
        EXPECT_EQ(infos[i].ssi_int, (i + 1) * 7);
        EXPECT_EQ(infos[i].ssi_pid, getpid());
    }
    unblock(number, 0);
}

CHECK(signalfd, own_before_process, "a signal to the thread comes before one to the process")
{
    const int fd = blocked_fd(SIGUSR1, SIGTERM, SFD_NONBLOCK);
    OK(kill(getpid(), SIGUSR1));
    OK(raise(SIGTERM));
    EXPECT_EQ(taken(fd).ssi_signo, SIGTERM);
    EXPECT_EQ(taken(fd).ssi_signo, SIGUSR1);
    unblock(SIGUSR1, SIGTERM);
}

static volatile sig_atomic_t caught;

static void catches(int number)
{
    caught = number;
}

CHECK(signalfd, unblocked_goes_to_handler, "a signal that is not blocked runs its handler, and is not read")
{
    const int fd = blocked_fd(SIGUSR1, 0, SFD_NONBLOCK);
    unblock(SIGUSR1, 0);
    struct sigaction action = {.sa_handler = catches};
    OK(sigaction(SIGUSR1, &action, NULL));
    caught = 0;
    OK(kill(getpid(), SIGUSR1));
    EXPECT_EQ(caught, SIGUSR1);
    EXPECT_EQ(ready_now(fd, POLLIN), 0);
}

CHECK(signalfd, ignored_and_blocked, "a signal that is blocked and ignored is read all the same")
{
    const int fd = blocked_fd(SIGUSR1, 0, SFD_NONBLOCK);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    OK(sigaction(SIGUSR1, &ignore, NULL));
    OK(kill(getpid(), SIGUSR1));
    EXPECT_EQ(taken(fd).ssi_signo, SIGUSR1);
    unblock(SIGUSR1, 0);
}

// --- readiness --------------------------------------------------------------------------------

CHECK(signalfd, ready_while_waiting, "POLLIN while a signal of the set waits, and nothing else")
{
    const int fd = blocked_fd(SIGUSR1, 0, 0);
    EXPECT_EQ(ready_now(fd, POLLIN | POLLOUT), 0);
    OK(kill(getpid(), SIGUSR1));
    EXPECT_EQ(ready_now(fd, POLLIN | POLLOUT), POLLIN);
    EXPECT_EQ(ready_now(fd, POLLIN | POLLOUT), POLLIN);
    taken(fd);
    EXPECT_EQ(ready_now(fd, POLLIN | POLLOUT), 0);
    unblock(SIGUSR1, 0);
}

CHECK(signalfd, taken_elsewhere, "it is not ready once sigtimedwait or another signalfd has taken the signal")
{
    const int fd = blocked_fd(SIGUSR1, 0, SFD_NONBLOCK);
    const sigset_t set = set_of(SIGUSR1, 0);
    const int other = OK(signalfd(-1, &set, SFD_NONBLOCK));
    OK(kill(getpid(), SIGUSR1));
    EXPECT_EQ(ready_now(fd, POLLIN), POLLIN);
    EXPECT_EQ(ready_now(other, POLLIN), POLLIN);
    taken(other);
    EXPECT_EQ(ready_now(fd, POLLIN), 0);
    OK(kill(getpid(), SIGUSR1));
    EXPECT_EQ(sigwaitinfo(&set, NULL), SIGUSR1);
    EXPECT_EQ(ready_now(fd, POLLIN), 0);
    unblock(SIGUSR1, 0);
}

CHECK(signalfd, select_sees, "select")
{
    const int fd = blocked_fd(SIGUSR1, 0, 0);
    OK(kill(getpid(), SIGUSR1));
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    struct timeval none = {0};
    EXPECT_EQ(select(fd + 1, &set, NULL, NULL, &none), 1);
    EXPECT(FD_ISSET(fd, &set));
    unblock(SIGUSR1, 0);
}

CHECK(signalfd, epoll_level, "epoll, level-triggered: reported until it is read")
{
    const int ep = new_epoll(), fd = blocked_fd(SIGUSR1, 0, 0);
    add(ep, fd, EPOLLIN);
    EXPECT_IDLE(ep);
    OK(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(ep, fd, EPOLLIN);
    EXPECT_EVENT(ep, fd, EPOLLIN);
    taken(fd);
    EXPECT_IDLE(ep);
    unblock(SIGUSR1, 0);
}

CHECK(signalfd, epoll_edge, "epoll, edge-triggered: once for each signal that begins to wait")
{
    const int ep = new_epoll(), fd = blocked_fd(SIGUSR1, SIGUSR2, 0);
    add(ep, fd, EPOLLIN | EPOLLET);
    OK(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(ep, fd, EPOLLIN);
    EXPECT_IDLE(ep);
    OK(kill(getpid(), SIGUSR1));
    EXPECT_IDLE(ep);
    OK(kill(getpid(), SIGUSR2));
    EXPECT_EVENT(ep, fd, EPOLLIN);
    EXPECT_IDLE(ep);
    unblock(SIGUSR1, SIGUSR2);
}

CHECK(signalfd, epoll_edge_of_others, "an edge comes with any signal while one of the set waits")
{
    const int ep = new_epoll(), fd = blocked_fd(SIGUSR1, 0, 0);
    add(ep, fd, EPOLLIN | EPOLLET);
    OK(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(ep, fd, EPOLLIN);
    const sigset_t other = set_of(SIGUSR2, 0);
    OK(sigprocmask(SIG_BLOCK, &other, NULL));
    OK(kill(getpid(), SIGUSR2));
    EXPECT_EVENT(ep, fd, EPOLLIN);
    EXPECT_IDLE(ep);
    unblock(SIGUSR1, SIGUSR2);
}

CHECK(signalfd, epoll_edge_of_update, "an update of the set is an edge if the new one waits")
{
    const int ep = new_epoll(), fd = blocked_fd(SIGUSR1, SIGUSR2, 0);
    const sigset_t first = set_of(SIGUSR1, 0), second = set_of(SIGUSR2, 0);
    OK(signalfd(fd, &first, 0));
    add(ep, fd, EPOLLIN | EPOLLET);
    OK(kill(getpid(), SIGUSR2));
    EXPECT_IDLE(ep);
    OK(signalfd(fd, &second, 0));
    EXPECT_EVENT(ep, fd, EPOLLIN);
    unblock(SIGUSR1, SIGUSR2);
}

CHECK(signalfd, epoll_one_shot, "one-shot: once, and again after a MOD")
{
    const int ep = new_epoll(), fd = blocked_fd(SIGUSR1, 0, 0);
    add(ep, fd, EPOLLIN | EPOLLONESHOT);
    OK(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(ep, fd, EPOLLIN);
    EXPECT_IDLE(ep);
    modify(ep, fd, EPOLLIN | EPOLLONESHOT);
    EXPECT_EVENT(ep, fd, EPOLLIN);
    unblock(SIGUSR1, 0);
}

CHECK(signalfd, nested, "an epoll instance in another tells of it")
{
    const int outer = new_epoll(), inner = new_epoll(), fd = blocked_fd(SIGUSR1, 0, 0);
    add(inner, fd, EPOLLIN);
    add(outer, inner, EPOLLIN);
    EXPECT_IDLE(outer);
    OK(kill(getpid(), SIGUSR1));
    EXPECT_EVENT(outer, inner, EPOLLIN);
    taken(fd);
    EXPECT_IDLE(outer);
    unblock(SIGUSR1, 0);
}

CHECK(signalfd, dup_shares, "a duplicate reads the same signals, and an update through it counts for both")
{
    const int fd = blocked_fd(SIGUSR1, SIGUSR2, SFD_NONBLOCK), copy = OK(dup(fd));
    const sigset_t second = set_of(SIGUSR2, 0);
    OK(signalfd(copy, &second, 0));
    OK(kill(getpid(), SIGUSR1));
    EXPECT_EQ(ready_now(fd, POLLIN), 0);
    OK(kill(getpid(), SIGUSR2));
    EXPECT_EQ(taken(fd).ssi_signo, SIGUSR2);
    unblock(SIGUSR1, SIGUSR2);
}

// --- threads ----------------------------------------------------------------------------------

static void *kills_process(void *number)
{
    kill(getpid(), (int)(intptr_t)number);
    return NULL;
}

CHECK(signalfd, blocking_read_is_woken, "a blocking read returns when another thread sends the signal")
{
    const int fd = blocked_fd(SIGUSR1, 0, 0);
    pthread_t thread = started(kills_process, (void *)SIGUSR1);
    EXPECT_EQ(taken(fd).ssi_signo, SIGUSR1);
    joined(thread);
    unblock(SIGUSR1, 0);
}

CHECK(signalfd, epoll_wait_is_woken, "so does epoll_wait")
{
    const int ep = new_epoll(), fd = blocked_fd(SIGUSR1, 0, 0);
    add(ep, fd, EPOLLIN);
    pthread_t thread = started(kills_process, (void *)SIGUSR1);
    EXPECT_EVENT(ep, fd, EPOLLIN);
    joined(thread);
    unblock(SIGUSR1, 0);
}

static void *polls(void *fd)
{
    return (void *)(intptr_t)ready_now((int)(intptr_t)fd, POLLIN);
}

CHECK(signalfd, of_the_asking_thread, "a signal to one thread is ready for that thread only")
{
    const int fd = blocked_fd(SIGUSR1, 0, SFD_NONBLOCK);
    OK(raise(SIGUSR1));
    EXPECT_EQ((intptr_t)joined(started(polls, (void *)(intptr_t)fd)), 0);
    EXPECT_EQ(ready_now(fd, POLLIN), POLLIN);
    taken(fd);
    OK(kill(getpid(), SIGUSR1));
    EXPECT_EQ((intptr_t)joined(started(polls, (void *)(intptr_t)fd)), POLLIN);
    unblock(SIGUSR1, 0);
}

static void *reads_one(void *fd)
{
    struct signalfd_siginfo info;
    if (read((int)(intptr_t)fd, &info, sizeof info) != (ssize_t)sizeof info)
        return NULL;
    return (void *)(intptr_t)info.ssi_signo;
}

CHECK(signalfd, thread_directed_wakes, "a blocking read takes a signal that is sent to its thread")
{
    const int fd = blocked_fd(SIGUSR1, 0, 0);
    pthread_t thread = started(reads_one, (void *)(intptr_t)fd);
    EXPECT_EQ(pthread_kill(thread, SIGUSR1), 0);
    EXPECT_EQ((intptr_t)joined(thread), SIGUSR1);
    unblock(SIGUSR1, 0);
}

// --- processes --------------------------------------------------------------------------------

ROLE(kills_parent)
{
    return kill(getppid(), atoi(arguments[0])) == 0 ? 0 : 1;
}

CHECK(signalfd, of_another_process, "epoll_wait tells of a signal that another process sends, and the read of its sender")
{
    const int ep = new_epoll(), fd = blocked_fd(SIGUSR1, 0, 0);
    add(ep, fd, EPOLLIN);
    const pid_t pid = child("kills_parent", "10", NULL);
    EXPECT_EVENT(ep, fd, EPOLLIN);
    const struct signalfd_siginfo info = taken(fd);
    EXPECT_EQ(info.ssi_signo, SIGUSR1);
    EXPECT_EQ(info.ssi_code, SI_USER);
    EXPECT_EQ(info.ssi_pid, pid);
    EXPECT_EQ(ending(pid), 0);
    unblock(SIGUSR1, 0);
}

ROLE(queues_to_parent)
{
    for (int i = 1; i <= 3; i++)
        if (sigqueue(getppid(), SIGRTMIN + 4, (union sigval){.sival_int = 100 + i}) != 0)
            return 1;
    return 0;
}

CHECK(signalfd, queued_by_another_process, "real-time signals of another process wait with their values")
{
    const int number = SIGRTMIN + 4;
    const int fd = blocked_fd(number, 0, 0);
    const pid_t pid = child("queues_to_parent", NULL);
    for (int i = 1; i <= 3; i++) {
        const struct signalfd_siginfo info = taken(fd);
        EXPECT_EQ(info.ssi_code, SI_QUEUE);
        EXPECT_EQ(info.ssi_pid, pid);
        EXPECT_EQ(info.ssi_int, 100 + i);
    }
    EXPECT_EQ(ending(pid), 0);
    unblock(number, 0);
}

ROLE(exits_7)
{
    return 7;
}

CHECK(signalfd, child_status, "SIGCHLD tells which child ended, and how")
{
    const int fd = blocked_fd(SIGCHLD, 0, 0);
    const pid_t pid = child("exits_7", NULL);
    const struct signalfd_siginfo info = taken(fd);
    EXPECT_EQ(info.ssi_signo, SIGCHLD);
    EXPECT_EQ(info.ssi_code, CLD_EXITED);
    EXPECT_EQ(info.ssi_pid, pid);
    EXPECT_EQ(info.ssi_status, 7);
    EXPECT_EQ(ending(pid), 7);
    unblock(SIGCHLD, 0);
}

CHECK(signalfd, fork_reads_own, "after fork the child's fd reads the child's signals, the parent's the parent's")
{
    const int fd = blocked_fd(SIGUSR1, 0, SFD_NONBLOCK);
    OK(kill(getpid(), SIGUSR1));
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        struct signalfd_siginfo info;
        if (read(fd, &info, sizeof info) != -1 || errno != EAGAIN)
            _exit(1);
        kill(getpid(), SIGUSR1);
        if (read(fd, &info, sizeof info) != (ssize_t)sizeof info)
            _exit(2);
        _exit(info.ssi_pid == (uint32_t)getpid() ? 0 : 3);
    }
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EQ(taken(fd).ssi_pid, getpid());
    unblock(SIGUSR1, 0);
}

ROLE(reads_signalfd)
{
    struct signalfd_siginfo info;
    const int fd = atoi(arguments[0]);
    kill(getpid(), SIGUSR1);
    if (read(fd, &info, sizeof info) != (ssize_t)sizeof info)
        return 1;
    return info.ssi_signo == SIGUSR1 ? 0 : 2;
}

ROLE(has_no_fd)
{
    return fcntl(atoi(arguments[0]), F_GETFD) == -1 && errno == EBADF ? 0 : 1;
}

CHECK(signalfd, exec_keeps, "a program that is started has the fd and reads its own signals, unless SFD_CLOEXEC")
{
    const int fd = blocked_fd(SIGUSR1, 0, SFD_NONBLOCK);
    char number[16];
    snprintf(number, sizeof number, "%d", fd);
    EXPECT_EQ(ending(child("reads_signalfd", number, NULL)), 0);
    const sigset_t set = set_of(SIGUSR1, 0);
    snprintf(number, sizeof number, "%d", OK(signalfd(-1, &set, SFD_CLOEXEC)));
    EXPECT_EQ(ending(child("has_no_fd", number, NULL)), 0);
    unblock(SIGUSR1, 0);
}
