// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "things.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "victim.h"

extern char **environ;

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("things, line %d: %s does not hold (errno %d)\n", __LINE__, #condition, errno); \
            fflush(stdout);                                                                        \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

// What is shared with a peer: a pair of sockets.
static int pair[2];

static void send_rights(int to, const int *fds, int count)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(4 * sizeof(int))];
    } control = {0};
    struct iovec part = {"r", 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(head), fds, count * sizeof(int));
    MUST(sendmsg(to, &message, MSG_NOSIGNAL) == 1);
}

// Takes what comes with a message, and closes it; whether there was a message.
static bool take_rights(int from)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(4 * sizeof(int))];
    } control;
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = sizeof control;
    if (recvmsg(from, &message, 0) <= 0)
        return false;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head))
        for (size_t at = 0; CMSG_LEN(at) < head->cmsg_len; at += sizeof(int)) {
            int fd;
            memcpy(&fd, CMSG_DATA(head) + at, sizeof fd);
            close(fd);
        }
    return true;
}

// A child with the other end, which does its part until this process is no more.
static void with_peer(int type, void (*part)(void))
{
    MUST(socketpair(AF_UNIX, type, 0, pair) == 0);
    const pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        close(3);
        close(pair[0]);
        signal(SIGPIPE, SIG_IGN);
        part();
        _exit(0);
    }
    close(pair[1]);
    char byte;
    MUST(read(pair[0], &byte, 1) == 1);
}

static void told(void)
{
    MUST(write(pair[1], "g", 1) == 1);
}

static void take_all(void)
{
    told();
    while (take_rights(pair[1]))
        ;
}

static void answer_all(void)
{
    char bytes[64];
    ssize_t n;
    told();
    while ((n = read(pair[1], bytes, sizeof bytes)) > 0)
        if (write(pair[1], bytes, n) != n)
            break;
}

static void open_some(int fds[4])
{
    int p[2];
    MUST(pipe(p) == 0);
    fds[0] = p[0];
    fds[1] = p[1];
    fds[2] = eventfd(1, 0);
    fds[3] = open(PLACE "/some", O_CREAT | O_RDWR, 0600);
    MUST(fds[2] >= 0 && fds[3] >= 0);
}

static void give_some(void)
{
    int fds[4];
    told();
    open_some(fds);
    for (int i = 0; i < 3; i++)
        send_rights(pair[1], fds, 4);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    char byte;
    while (read(pair[1], &byte, 1) > 0)
        ;
}

static void prepare_sending(void)
{
    with_peer(SOCK_STREAM, take_all);
}

static void prepare_packets(void)
{
    with_peer(SOCK_SEQPACKET, take_all);
}

static void send_some(void)
{
    int fds[4];
    open_some(fds);
    send_rights(pair[0], fds, 4);
    send_rights(pair[0], fds + 2, 1);
}

static void prepare_taking(void)
{
    with_peer(SOCK_STREAM, give_some);
}

static void take_three(void)
{
    for (int i = 0; i < 3; i++)
        MUST(take_rights(pair[0]));
}

static void prepare_talk(void)
{
    with_peer(SOCK_STREAM, answer_all);
}

static void talk(void)
{
    char bytes[64] = "words";
    struct pollfd one = {pair[0], POLLIN, 0};
    for (int i = 0; i < 3; i++) {
        MUST(write(pair[0], bytes, sizeof bytes) == sizeof bytes);
        MUST(poll(&one, 1, -1) == 1);
        MUST(read(pair[0], bytes, sizeof bytes) == sizeof bytes);
    }
}

static void watch(void)
{
    struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLET, {.fd = 1}};
    const int ep = epoll_create1(0), copy = dup(pair[0]);
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, pair[0], &event) == 0);
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, copy, &event) == 0);
    MUST(epoll_wait(ep, &event, 1, -1) == 1);
    event.events = EPOLLIN;
    MUST(epoll_ctl(ep, EPOLL_CTL_MOD, pair[0], &event) == 0);
    MUST(write(pair[0], "w", 1) == 1);
    MUST(epoll_wait(ep, &event, 1, -1) == 1);
    MUST(epoll_ctl(ep, EPOLL_CTL_DEL, copy, NULL) == 0);
    close(ep);
}

static void spawn_one(void)
{
    char *arguments[] = {self, "step", "nothing", NULL};
    pid_t pid;
    int status, fds[4];
    open_some(fds);
    MUST(posix_spawn(&pid, self, NULL, NULL, arguments, environ) == 0);
    MUST(waitpid(pid, &status, 0) == pid);
}

static void fork_one(void)
{
    int fds[4], status;
    open_some(fds);
    const pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0)
        _exit(7);
    const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    MUST(pidfd >= 0 && waitpid(pid, &status, 0) == pid);
}

static void become_another(void)
{
    char *arguments[] = {self, "step", "nothing", NULL};
    int fds[4];
    open_some(fds);
    execve(self, arguments, environ);
    MUST(false);
}

static void use_files(void)
{
    static const char bytes[5000];
    struct flock lock = {.l_type = F_WRLCK, .l_len = 5};
    const int fd = open(PLACE "/a", O_CREAT | O_RDWR, 0600);
    MUST(fd >= 0 && write(fd, bytes, sizeof bytes) == sizeof bytes);
    MUST(flock(fd, LOCK_EX) == 0 && fcntl(fd, F_OFD_SETLK, &lock) == 0 && fcntl(fd, F_SETLK, &lock) == -1);
    char *const at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    MUST(at != MAP_FAILED);
    at[6000] = 1;
    MUST(ftruncate(fd, 100) == 0 && rename(PLACE "/a", PLACE "/b") == 0);
    MUST(link(PLACE "/b", PLACE "/c") == 0 && unlink(PLACE "/b") == 0);
    MUST(mkdir(PLACE "/d", 0700) == 0 && symlink("c", PLACE "/d/e") == 0);
    MUST(munmap(at, 8192) == 0 && close(fd) == 0);
    MUST(unlink(PLACE "/c") == 0 && unlink(PLACE "/d/e") == 0 && rmdir(PLACE "/d") == 0);
}

static void watch_files(void)
{
    const int fd = inotify_init1(0), w = inotify_add_watch(fd, PLACE, IN_ALL_EVENTS);
    char bytes[400];
    MUST(w > 0 && mkfifo(PLACE "/p", 0600) == 0);
    const int both = open(PLACE "/p", O_RDWR);
    MUST(both >= 0 && write(both, "x", 1) == 1 && read(fd, bytes, sizeof bytes) > 0);
    MUST(unlink(PLACE "/p") == 0 && inotify_rm_watch(fd, w) == 0);
}

static void name_sockets(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = PLACE "/s"};
    const struct sockaddr *const to = (struct sockaddr *)&name;
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    MUST(bind(fd, to, sizeof name) == 0 && listen(fd, 2) == 0 && connect(client, to, sizeof name) == 0);
    const int got = accept(fd, NULL, NULL);
    MUST(got >= 0 && write(client, "x", 1) == 1 && shutdown(client, SHUT_WR) == 0);
    const int one = socket(AF_UNIX, SOCK_DGRAM, 0), other = socket(AF_UNIX, SOCK_DGRAM, 0);
    strcpy(name.sun_path, PLACE "/t");
    MUST(bind(one, to, sizeof name) == 0 && sendto(other, "x", 1, 0, to, sizeof name) == 1);
    MUST(connect(other, to, sizeof name) == 0);
    MUST(unlink(PLACE "/t") == 0 && unlink(PLACE "/s") == 0);
}

// What a peer listens or receives at.
static struct sockaddr_in place = {.sin_family = AF_INET};

static int at_any_port(int type)
{
    socklen_t length = sizeof place;
    const int fd = socket(AF_INET, type, 0);
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    place.sin_port = 0;
    MUST(bind(fd, (struct sockaddr *)&place, sizeof place) == 0);
    MUST(getsockname(fd, (struct sockaddr *)&place, &length) == 0);
    return fd;
}

static int theirs;

// Takes connections, until the pair says that there will be no more.
static void serve(void)
{
    struct pollfd fds[2] = {{pair[1], POLLIN, 0}, {theirs, POLLIN, 0}};
    told();
    while (poll(fds, 2, -1) > 0 && !fds[0].revents) {
        char bytes[64];
        const int got = accept(theirs, NULL, NULL);
        while (read(got, bytes, sizeof bytes) > 0)
            ;
        close(got);
    }
}

static void prepare_tcp(void)
{
    theirs = at_any_port(SOCK_STREAM);
    MUST(listen(theirs, 4) == 0);
    with_peer(SOCK_STREAM, serve);
    close(theirs);
}

static void use_tcp(void)
{
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    MUST(connect(client, (struct sockaddr *)&place, sizeof place) == 0);
    MUST(write(client, "hello", 5) == 5 && shutdown(client, SHUT_WR) == 0);
    const int fd = at_any_port(SOCK_STREAM);
    MUST(listen(fd, 4) == 0);
    const int own = socket(AF_INET, SOCK_STREAM, 0);
    MUST(connect(own, (struct sockaddr *)&place, sizeof place) == 0);
    const int got = accept(fd, NULL, NULL);
    MUST(got >= 0 && write(own, "x", 1) == 1);
    const pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0)
        _exit(7);
    close(fd);
    MUST(waitpid(pid, NULL, 0) == pid);
}

static void receive_all(void)
{
    struct pollfd fds[2] = {{pair[1], POLLIN, 0}, {theirs, POLLIN, 0}};
    told();
    while (poll(fds, 2, -1) > 0 && !fds[0].revents) {
        char bytes[64];
        recv(theirs, bytes, sizeof bytes, MSG_DONTWAIT);
    }
}

static void prepare_udp(void)
{
    theirs = at_any_port(SOCK_DGRAM);
    with_peer(SOCK_STREAM, receive_all);
    close(theirs);
}

static void use_udp(void)
{
    const struct sockaddr_in to = place;
    const int fd = at_any_port(SOCK_DGRAM);
    MUST(sendto(fd, "one", 3, 0, (struct sockaddr *)&to, sizeof to) == 3);
    MUST(connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && send(fd, "two", 3, 0) == 3);
    MUST(close(fd) == 0);
}

static void *add(void *to)
{
    __atomic_add_fetch((int *)to, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void use_threads(void)
{
    const struct itimerspec soon = {{0, 0}, {0, 20000}};
    const struct timespec nap = {0, 1000};
    pthread_t threads[2];
    timer_t timer;
    int sum = 0;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGCONT};
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, add, &sum) == 0);
    MUST(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &soon, NULL) == 0);
    for (int i = 0; i < 2; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    MUST(sum == 2);
    nanosleep(&nap, NULL);
    timer_delete(timer);
}

static void share_a_lock(void)
{
    pthread_mutexattr_t attributes;
    pthread_mutex_t *const mutex = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(mutex != MAP_FAILED);
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(mutex, &attributes);
    pthread_mutex_lock(mutex);
    const pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        // Not for ever: musl forgets the mutex before it wakes who waits for it, on Linux as well, and an end in between wakes nobody.
        struct timespec limit;
        clock_gettime(CLOCK_REALTIME, &limit);
        limit.tv_sec++;
        const int error = pthread_mutex_timedlock(mutex, &limit);
        _exit(error == 0 || error == EOWNERDEAD || error == ETIMEDOUT ? 7 : 1);
    }
    sched_yield();
    pthread_mutex_unlock(mutex);
    MUST(waitpid(pid, NULL, 0) == pid);
}

const struct thing things[] = {
    {"spawn", NULL, spawn_one},
    {"fork", NULL, fork_one},
    {"exec", NULL, become_another},
    {"talk", prepare_talk, talk},
    {"watch", prepare_talk, watch},
    {"send-rights", prepare_sending, send_some},
    {"send-rights-in-packets", prepare_packets, send_some},
    {"take-rights", prepare_taking, take_three},
    {"files", NULL, use_files},
    {"watch-files", NULL, watch_files},
    {"names", NULL, name_sockets},
    {"tcp", prepare_tcp, use_tcp},
    {"udp", prepare_udp, use_udp},
    {"threads", NULL, use_threads},
    {"shared-lock", NULL, share_a_lock},
    {NULL, NULL, NULL},
};
