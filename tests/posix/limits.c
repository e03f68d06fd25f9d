// SPDX-License-Identifier: BSD-2-Clause
// Resource limits: <https://man7.org/linux/man-pages/man2/getrlimit.2.html>. What can be exceeded is tried in a child that is nobody in particular: Linux
// exempts root from some.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "process.h"

// In a child: the line that found something else than it should.
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("# line %d: %s does not hold (errno %d)\n", __LINE__, #condition, errno);       \
            fflush(stdout);                                                                        \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)
#define MUST_FAIL(call, error) MUST((errno = 0, (call) == -1) && errno == (error))

static int in_child(int (*run)(void))
{
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && setuid(12345))
            _exit(99);
        _exit(run());
    }
    return ending(note_child(OK(pid)));
}

static int set_soft(int resource, rlim_t soft)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit))
        return -1;
    limit.rlim_cur = soft;
    return setrlimit(resource, &limit);
}

CHECK(limits, told_alike, "getrlimit and prlimit tell the same of each limit, and of no other")
{
    struct rlimit one, other;
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        OK(getrlimit(i, &one));
        OK(prlimit(0, i, NULL, &other));
        EXPECT_EQ(one.rlim_cur, other.rlim_cur);
        EXPECT_EQ(one.rlim_max, other.rlim_max);
        EXPECT(one.rlim_cur <= one.rlim_max);
    }
    EXPECT_ERRNO(prlimit(0, RLIM_NLIMITS, NULL, &other), EINVAL);
    EXPECT_ERRNO(prlimit(1 << 30, RLIMIT_CORE, NULL, &other), ESRCH);
}

static int sets(void)
{
    struct rlimit limit = {20, 10}, now;
    MUST_FAIL(setrlimit(RLIMIT_NOFILE, &limit), EINVAL);
    limit = (struct rlimit){10, 20};
    MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    MUST(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == 10 && now.rlim_max == 20);
    limit = (struct rlimit){20, 20};
    MUST(prlimit(0, RLIMIT_NOFILE, &limit, &now) == 0 && now.rlim_cur == 10);
    limit = (struct rlimit){20, 21};
    MUST_FAIL(setrlimit(RLIMIT_NOFILE, &limit), EPERM);
    return 0;
}

CHECK(limits, soft_and_hard, "the soft limit goes up to the hard one, and that only down")
{
    EXPECT_EQ(in_child(sets), 0);
}

ROLE(tells_its_limit)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) ? 255 : (int)limit.rlim_cur;
}

static int told_by_a_fork(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) ? 255 : (int)limit.rlim_cur;
}

CHECK(limits, inherited, "children have their parent's limits, by fork and by posix_spawn")
{
    struct rlimit limit;
    OK(getrlimit(RLIMIT_NOFILE, &limit));
    OK(set_soft(RLIMIT_NOFILE, 77));
    const int forked = in_child(told_by_a_fork), spawned = ending(child("tells_its_limit", NULL));
    OK(setrlimit(RLIMIT_NOFILE, &limit));
    EXPECT_EQ(forked, 77);
    EXPECT_EQ(spawned, 77);
}

// A listener of AF_UNIX, and how to reach it.
static int listener(struct sockaddr_un *name, socklen_t *length)
{
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    *length = sizeof name->sun_family;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(fd, (struct sockaddr *)name, *length) || listen(fd, 4))
        return -1;
    *length = sizeof *name;
    return getsockname(fd, (struct sockaddr *)name, length) ? -1 : fd;
}

static int runs_out_of_numbers(void)
{
    struct sockaddr_un name;
    socklen_t length;
    int pair[2];
    char byte = 0;
    sigset_t set;
    sigemptyset(&set);
    const int server = listener(&name, &length);
    const int client = socket(AF_UNIX, SOCK_STREAM, 0);
    MUST(server >= 0 && connect(client, (struct sockaddr *)&name, length) == 0);
    // Now every number below the limit is taken.
    const int next = dup(client);
    MUST(next > client);
    MUST(set_soft(RLIMIT_NOFILE, next + 1) == 0);
    MUST_FAIL(open("/dev/null", O_RDONLY), EMFILE);
    MUST_FAIL(open("/", O_RDONLY | O_DIRECTORY), EMFILE);
    MUST_FAIL(socket(AF_UNIX, SOCK_STREAM, 0), EMFILE);
    MUST_FAIL(socket(AF_INET, SOCK_STREAM, 0), EMFILE);
    MUST_FAIL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), EMFILE);
    MUST_FAIL(pipe(pair), EMFILE);
    MUST_FAIL(dup(client), EMFILE);
    MUST_FAIL(fcntl(client, F_DUPFD, 0), EMFILE);
    MUST_FAIL(fcntl(client, F_DUPFD, next + 1), EINVAL);
    MUST_FAIL(dup2(client, next + 1), EBADF);
    MUST_FAIL(eventfd(0, 0), EMFILE);
    MUST_FAIL(epoll_create1(0), EMFILE);
    MUST_FAIL(timerfd_create(CLOCK_MONOTONIC, 0), EMFILE);
    MUST_FAIL(signalfd(-1, &set, 0), EMFILE);
    // The connection stays in the queue.
    MUST_FAIL(accept(server, NULL, NULL), EMFILE);
    MUST_FAIL(accept(server, NULL, NULL), EMFILE);
    // With one number there is one; a pair has none.
    MUST(close(next) == 0);
    MUST_FAIL(pipe(pair), EMFILE);
    MUST_FAIL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), EMFILE);
    const int accepted = accept(server, NULL, NULL);
    MUST(accepted == next);
    MUST(write(client, "x", 1) == 1 && read(accepted, &byte, 1) == 1 && byte == 'x');
    MUST_FAIL(accept(server, NULL, NULL), EMFILE);
    return 0;
}

CHECK(limits, no_number_is_left, "every call that gives a number fails with EMFILE at the limit, takes nothing, and works again below it")
{
    EXPECT_EQ(in_child(runs_out_of_numbers), 0);
}

static int takes_no_rights(void)
{
    int pair[2], p[2];
    char byte = 'a';
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(p) == 0);
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = sizeof control;
    control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.head), &p[1], sizeof(int));
    MUST(sendmsg(pair[0], &message, 0) == 1);
    MUST(close(p[1]) == 0);
    MUST(dup(p[0]) == p[1]);
    MUST(set_soft(RLIMIT_NOFILE, p[1] + 1) == 0);
    memset(&control, 0, sizeof control);
    message.msg_controllen = sizeof control;
    MUST(recvmsg(pair[1], &message, 0) == 1 && byte == 'a');
    MUST(message.msg_flags & MSG_CTRUNC);
    // What there was no number for is closed: the pipe has no writer any longer.
    MUST(read(p[0], &byte, 1) == 0);
    return 0;
}

CHECK(limits, no_number_for_rights, "a file that comes by SCM_RIGHTS and finds no number is closed, and MSG_CTRUNC tells of it")
{
    EXPECT_EQ(in_child(takes_no_rights), 0);
}

static int opens_many(void)
{
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max < 100000 ? limit.rlim_max : 100000;
    MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    int fd, last = -1;
    while ((fd = eventfd(1, EFD_NONBLOCK)) >= 0)
        last = fd;
    MUST(errno == EMFILE);
    MUST((rlim_t)last == limit.rlim_cur - 1);
    uint64_t value;
    MUST(read(last, &value, 8) == 8 && value == 1);
    const int ep = last - 1;
    MUST(close(ep) == 0 && epoll_create1(0) == ep);
    struct epoll_event event = {EPOLLIN, {.fd = 5}};
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, last, &event) == 0);
    MUST(epoll_wait(ep, &event, 1, 0) == 0);
    MUST(write(last, &value, 8) == 8 && epoll_wait(ep, &event, 1, 0) == 1);
    return 0;
}

CHECK(limits, many_files, "as many files as the limit says, up to 100,000, are open at a time")
{
    EXPECT_EQ(in_child(opens_many), 0);
}

extern char **environ;

static int runs_out_of_processes(void)
{
    char *arguments[] = {options.self, NULL};
    pid_t pid;
    MUST(set_soft(RLIMIT_NPROC, 1) == 0);
    MUST_FAIL(fork(), EAGAIN);
    MUST(posix_spawn(&pid, options.self, NULL, NULL, arguments, environ) == EAGAIN);
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NPROC, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    MUST(setrlimit(RLIMIT_NPROC, &limit) == 0);
    pid = fork();
    if (pid == 0)
        _exit(5);
    int status;
    MUST(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5);
    return 0;
}

CHECK(limits, processes, "no process is made beyond RLIMIT_NPROC: EAGAIN")
{
    EXPECT_EQ(in_child(runs_out_of_processes), 0);
}

static void *map(size_t size, int protection)
{
    return mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int runs_out_of_addresses(void)
{
    MUST(set_soft(RLIMIT_AS, (rlim_t)2 << 30) == 0);
    MUST(map((size_t)3 << 30, PROT_NONE) == MAP_FAILED && errno == ENOMEM);
    MUST(malloc((size_t)3 << 30) == NULL && errno == ENOMEM);
    void *const some = map(16u << 20, PROT_READ | PROT_WRITE);
    MUST(some != MAP_FAILED);
    MUST(mremap(some, 16u << 20, (size_t)3 << 30, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
    MUST(munmap(some, 16u << 20) == 0);
    return 0;
}

CHECK(limits, addresses, "no memory is mapped beyond RLIMIT_AS: ENOMEM")
{
    EXPECT_EQ(in_child(runs_out_of_addresses), 0);
}

static int runs_out_of_data(void)
{
    // More than earlier checks have left, as a libc's memory for threads.
    MUST(set_soft(RLIMIT_DATA, 512u << 20) == 0);
    MUST(map(520u << 20, PROT_READ | PROT_WRITE) == MAP_FAILED && errno == ENOMEM);
    MUST(map(520u << 20, PROT_NONE) != MAP_FAILED);
    MUST(map(8u << 20, PROT_READ | PROT_WRITE) != MAP_FAILED);
    return 0;
}

CHECK(limits, data, "no memory of its own that it can write has a process beyond RLIMIT_DATA: ENOMEM")
{
    EXPECT_EQ(in_child(runs_out_of_data), 0);
}

static volatile int told;

static void is_told(int signal)
{
    (void)signal;
    told++;
}

static int writes_too_much(void)
{
    char path[] = "/tmp/limitsXXXXXX", bytes[600] = {0};
    const int fd = mkstemp(path);
    MUST(fd >= 0 && unlink(path) == 0);
    MUST(signal(SIGXFSZ, is_told) != SIG_ERR);
    MUST(set_soft(RLIMIT_FSIZE, 1000) == 0);
    MUST(write(fd, bytes, 600) == 600);
    MUST(write(fd, bytes, 600) == 400 && told == 0);
    MUST_FAIL(write(fd, bytes, 600), EFBIG);
    MUST(told == 1);
    MUST_FAIL(pwrite(fd, bytes, 1, 5000), EFBIG);
    MUST(told == 2);
    MUST_FAIL(ftruncate(fd, 1001), EFBIG);
    MUST(told == 3);
    MUST(pwrite(fd, bytes, 600, 0) == 600 && ftruncate(fd, 10) == 0 && told == 3);
    MUST(signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
    return pwrite(fd, bytes, 1, 1000) == -1 ? 2 : 3;
}

CHECK(limits, sizes_of_files, "no file becomes longer than RLIMIT_FSIZE: EFBIG, and SIGXFSZ, which ends the process")
{
    EXPECT_EQ(in_child(writes_too_much), 1000 + SIGXFSZ);
}
