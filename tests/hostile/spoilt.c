// SPDX-License-Identifier: BSD-2-Clause
// A process one of whose channels is shared with one that scribbles over it. Of each call it may get an error or wrong bytes, but no more bytes than it asked for and no errno that
// there is not; and each call comes back, at the latest when a signal comes, and when the other one has ended, without.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

enum { MOST = 12, ROUNDS = 400, AFTERWARDS = 150, WATCHDOG = 100, LAST_ERRNO = 133, ROOM = 3000 };

// What is shared; `ends`: of the first ones, which are this process's ends, the end is to be told once the other one is no more.
static int mine[MOST], theirs[MOST];
static unsigned count_mine, count_theirs, ends;
static int own_pipe[2], own_ep, own_pair[2];
static char bytes[ROOM + 64];
static const char *doing;

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("# spoilt, line %d: %s does not hold (errno %d, doing %s)\n", __LINE__,         \
                   #condition, errno, doing ? doing : "");                                         \
            fflush(stdout);                                                                        \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static void my(int fd)
{
    MUST(fd >= 0 && count_mine < MOST);
    mine[count_mine++] = fd;
}

static void their(int fd)
{
    MUST(fd >= 0 && count_theirs < MOST);
    theirs[count_theirs++] = fd;
}

static void both(int fd)
{
    my(fd);
    their(fd);
}

static void pair(int a, int b)
{
    my(a);
    their(b);
}

static void make_pipes(int flags)
{
    int p[2], q[2];
    MUST(pipe2(p, flags) == 0 && pipe2(q, flags) == 0);
    pair(p[0], p[1]);
    pair(q[1], q[0]);
    ends = 2;
}

static void make_pair(int type)
{
    int s[2];
    MUST(socketpair(AF_UNIX, type, 0, s) == 0);
    pair(s[0], s[1]);
    ends = type == SOCK_DGRAM ? 0 : 1;
}

static struct sockaddr_un abstract_name(socklen_t *length)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const int n = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "spoilt.%d", getpid());
    *length = offsetof(struct sockaddr_un, sun_path) + 1 + n;
    return name;
}

static void make_named(int type)
{
    socklen_t length;
    const struct sockaddr_un name = abstract_name(&length);
    const int fd = socket(AF_UNIX, type, 0), other = socket(AF_UNIX, type, 0);
    MUST(bind(fd, (const struct sockaddr *)&name, length) == 0);
    if (type == SOCK_STREAM) {
        MUST(listen(fd, 4) == 0);
        both(fd);
    } else {
        my(fd);
    }
    MUST(connect(other, (const struct sockaddr *)&name, length) == 0);
    their(other);
}

static struct sockaddr_in loopback(void)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

static void make_tcp(bool listener)
{
    struct sockaddr_in place = loopback();
    socklen_t length = sizeof place;
    const int fd = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    MUST(bind(fd, (struct sockaddr *)&place, sizeof place) == 0 && listen(fd, 4) == 0);
    MUST(getsockname(fd, (struct sockaddr *)&place, &length) == 0);
    MUST(connect(client, (struct sockaddr *)&place, sizeof place) == 0);
    if (listener) {
        both(fd);
        their(client);
        return;
    }
    pair(accept(fd, NULL, NULL), client);
    ends = 1;
    close(fd);
}

static void make_udp(void)
{
    struct sockaddr_in place = loopback(), other = loopback();
    socklen_t length = sizeof place;
    const int fd = socket(AF_INET, SOCK_DGRAM, 0), sender = socket(AF_INET, SOCK_DGRAM, 0);
    MUST(bind(fd, (struct sockaddr *)&place, sizeof place) == 0);
    MUST(bind(sender, (struct sockaddr *)&other, sizeof other) == 0);
    MUST(getsockname(fd, (struct sockaddr *)&place, &length) == 0);
    MUST(getsockname(sender, (struct sockaddr *)&other, &length) == 0);
    MUST(connect(sender, (struct sockaddr *)&place, sizeof place) == 0);
    MUST(connect(fd, (struct sockaddr *)&other, sizeof other) == 0);
    MUST(send(sender, "x", 1, 0) == 1);
    pair(fd, sender);
}

static void make_file(bool one_description)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/greedy/file.%d", getpid());
    const int fd = open(path, O_CREAT | O_RDWR, 0600);
    MUST(fd >= 0 && write(fd, bytes, sizeof bytes) == sizeof bytes);
    if (one_description)
        return both(fd);
    pair(fd, open(path, O_RDONLY));
}

static void make_fifo(void)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/greedy/fifo.%d", getpid());
    MUST(mkfifo(path, 0600) == 0);
    const int reader = open(path, O_RDONLY | O_NONBLOCK);
    pair(reader, open(path, O_WRONLY));
    fcntl(reader, F_SETFL, 0);
    ends = 1;
}

static void make_timer(void)
{
    const struct itimerspec often = {{0, 300000}, {0, 100000}};
    const int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    MUST(timerfd_settime(fd, 0, &often, NULL) == 0);
    both(fd);
}

static void make_inotify(void)
{
    const int fd = inotify_init1(0);
    MUST(inotify_add_watch(fd, "/tmp/greedy", IN_ALL_EVENTS) > 0);
    both(fd);
}

static int to_outside(int type)
{
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(outside_port)};
    place.sin_addr.s_addr = htonl(OUTSIDE);
    const int fd = socket(AF_INET, type, 0);
    MUST(connect(fd, (struct sockaddr *)&place, sizeof place) == 0);
    return fd;
}

static void make(const char *kind)
{
    if (!strncmp(kind, "pipe", 4)) make_pipes(0);
    else if (!strncmp(kind, "packets", 7)) make_pipes(O_DIRECT);
    else if (!strncmp(kind, "eventfd", 7)) both(eventfd(3, 0)), both(eventfd(3, EFD_SEMAPHORE));
    else if (!strncmp(kind, "timerfd", 7)) make_timer();
    else if (!strncmp(kind, "position", 8)) make_file(true);
    else if (!strncmp(kind, "file", 4)) make_file(false);
    else if (!strncmp(kind, "fifo", 4)) make_fifo();
    else if (!strncmp(kind, "stream", 6)) make_pair(SOCK_STREAM);
    else if (!strncmp(kind, "seqpacket", 9)) make_pair(SOCK_SEQPACKET);
    else if (!strncmp(kind, "datagrams", 9)) make_pair(SOCK_DGRAM);
    else if (!strncmp(kind, "named", 5)) make_named(SOCK_DGRAM);
    else if (!strncmp(kind, "listener", 8)) make_named(SOCK_STREAM);
    else if (!strncmp(kind, "tcp-listener", 12)) make_tcp(true);
    else if (!strncmp(kind, "tcp", 3)) make_tcp(false);
    else if (!strncmp(kind, "udp", 3)) make_udp();
    else if (!strncmp(kind, "pidfd", 5)) both((int)syscall(SYS_pidfd_open, getppid(), 0));
    else if (!strncmp(kind, "inotify", 7)) make_inotify();
    else if (!strncmp(kind, "outside-tcp", 11)) both(to_outside(SOCK_STREAM));
    else if (!strncmp(kind, "outside-udp", 11)) both(to_outside(SOCK_DGRAM));
    else MUST(!strncmp(kind, "slots", 5));
}

// A call's result: so many at most, or an errno that there is.
static ssize_t sane(const char *call, ssize_t n, ssize_t most)
{
    doing = call;
    MUST(n >= -1 && n <= most);
    MUST(n != -1 || (errno > 0 && errno <= LAST_ERRNO));
    return n;
}

#define DO(call, most) sane(#call, call, most)

static void send_rights(int to, int fd)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {bytes, 1 + chance(200)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = sizeof control;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    DO(sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL), 200);
}

static void take_rights(int from)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(8 * sizeof(int))];
    } control;
    struct sockaddr_storage name;
    struct iovec part = {bytes, ROOM};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = sizeof control;
    message.msg_name = &name;
    message.msg_namelen = sizeof name;
    if (DO(recvmsg(from, &message, MSG_DONTWAIT), ROOM) < 0)
        return;
    MUST(message.msg_controllen <= sizeof control && message.msg_namelen <= sizeof name);
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head))
        for (size_t at = 0; head->cmsg_type == SCM_RIGHTS && CMSG_LEN(at) < head->cmsg_len; at += sizeof(int)) {
            int fd;
            memcpy(&fd, CMSG_DATA(head) + at, sizeof fd);
            close(fd);
        }
}

static void wait_for(int fd)
{
    struct pollfd one = {fd, POLLIN | POLLOUT, 0};
    struct epoll_event event = {EPOLLIN | EPOLLOUT | (chance(2) ? EPOLLET : 0), {.fd = fd}};
    struct timeval soon = {0, 300};
    fd_set set;
    switch (chance(5)) {
    case 0: DO(poll(&one, 1, 1), 1); break;
    case 1:
        FD_ZERO(&set);
        FD_SET(fd, &set);
        DO(select(fd + 1, &set, NULL, NULL, &soon), 1);
        break;
    case 2: DO(epoll_ctl(own_ep, EPOLL_CTL_ADD, fd, &event), 0); break;
    case 3: DO(epoll_ctl(own_ep, chance(2) ? EPOLL_CTL_MOD : EPOLL_CTL_DEL, fd, &event), 0); break;
    default: DO(epoll_wait(own_ep, &event, 1, 1), 1);
    }
}

static void ask(int fd)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    struct stat stat;
    int n;
    switch (chance(6)) {
    case 0: DO(getsockname(fd, (struct sockaddr *)&name, &length), 0); break;
    case 1: DO(getpeername(fd, (struct sockaddr *)&name, &length), 0); break;
    case 2: DO(ioctl(fd, FIONREAD, &n), 0); break;
    case 3: DO(fstat(fd, &stat), 0); break;
    case 4:
        length = sizeof n;
        if (DO(getsockopt(fd, SOL_SOCKET, SO_ERROR, &n, &length), 0) == 0)
            MUST(n >= 0 && n <= LAST_ERRNO);
        break;
    default: fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) ^ (chance(3) ? O_NONBLOCK : O_APPEND));
    }
}

static void use_file(int fd)
{
    char *at;
    struct flock lock = {.l_type = F_WRLCK, .l_start = chance(100), .l_len = 10};
    switch (chance(7)) {
    case 0: DO(lseek(fd, chance(9000), SEEK_SET), 9000); break;
    case 1: DO(pread(fd, bytes, ROOM, chance(9000)), ROOM); break;
    case 2: DO(pwrite(fd, bytes, chance(ROOM), chance(9000)), ROOM); break;
    case 3: DO(ftruncate(fd, chance(9000)), 0); break;
    case 4:
        at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, chance(2) ? MAP_SHARED : MAP_PRIVATE, fd, 0);
        if (at != MAP_FAILED) {
            memset(at, 7, 8192);
            munmap(at, 8192);
        }
        break;
    case 5: DO(fcntl(fd, chance(2) ? F_SETLK : F_OFD_SETLK, &lock), 0); break;
    default: DO(flock(fd, LOCK_EX | LOCK_NB), 0);
    }
}

static void move_bytes(int fd)
{
    // Whoever reads must find the own pipe as it was.
    switch (chance(4)) {
    case 0: DO(splice(fd, NULL, own_pipe[1], NULL, ROOM, SPLICE_F_NONBLOCK), ROOM); break;
    case 1:
        DO(write(own_pipe[1], bytes, 10), 10);
        DO(splice(own_pipe[0], NULL, fd, NULL, 10, SPLICE_F_NONBLOCK), 10);
        break;
    case 2: DO(tee(fd, own_pipe[1], ROOM, SPLICE_F_NONBLOCK), ROOM); break;
    default: DO(sendfile(own_pair[0], fd, NULL, ROOM), ROOM);
    }
    DO(recv(own_pair[1], bytes, ROOM, MSG_DONTWAIT), ROOM);
    while (DO(read(own_pipe[0], bytes, ROOM), ROOM) == ROOM)
        ;
}

static void multiply(int fd)
{
    const struct itimerspec soon = {{0, 1000 * chance(9000)}, {0, 1000 * chance(900)}};
    struct itimerspec old;
    pid_t pid;
    int got;
    switch (chance(6)) {
    case 0:
        pid = fork();
        if (pid == 0) {
            fcntl(fd, F_SETFL, O_NONBLOCK);
            DO(read(fd, bytes, ROOM), ROOM);
            DO(send(fd, bytes, 10, MSG_DONTWAIT | MSG_NOSIGNAL), 10);
            _exit(7);
        }
        MUST(pid < 0 || ending(pid) == 7);
        break;
    case 1:
        send_rights(own_pair[0], fd);
        take_rights(own_pair[1]);
        break;
    case 2: close(dup(fd)); break;
    case 3: DO(timerfd_settime(fd, 0, &soon, NULL), 0); break;
    case 4: DO(timerfd_gettime(fd, &old), 0); break;
    default:
        got = (int)DO(accept4(fd, NULL, NULL, SOCK_NONBLOCK), 1 << 20);
        if (got >= 0) {
            DO(read(got, bytes, ROOM), ROOM);
            close(got);
        }
    }
}

static void use(int fd)
{
    static int shut;
    switch (chance(13)) {
    case 0:
    case 1: DO(read(fd, bytes, 1 + chance(ROOM)), ROOM); break;
    case 2:
    case 3: DO(write(fd, bytes, chance(4) ? chance(ROOM) : 8), ROOM); break;
    case 4: DO(recv(fd, bytes, chance(ROOM), chance(2) ? MSG_PEEK : MSG_DONTWAIT), ROOM); break;
    case 5: send_rights(fd, own_pipe[0]); break;
    case 6: take_rights(fd); break;
    case 7:
    case 8: wait_for(fd); break;
    case 9: ask(fd); break;
    case 10: use_file(fd); break;
    case 11: move_bytes(fd); break;
    default:
        if (chance(4))
            multiply(fd);
        else if (!shut && chance(40) == 0)
            shut = DO(shutdown(fd, (int)chance(3)), 0) == 0;
    }
}

static void nothing(int signal)
{
    (void)signal;
}

static void be_hurried(bool hurried)
{
    const struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval often = {{0, 2000}, {0, 2000}};
    if (!hurried)
        often = (struct itimerval){0};
    setitimer(ITIMER_REAL, &often, NULL);
}

// The scribbler: keeps nothing but its own ends.
_Noreturn static void scribbler(const char *kind, uint64_t seed)
{
    set_seed(seed + 1000);
    for (int fd = 0; fd < 64; fd++) {
        bool kept = false;
        for (unsigned i = 0; i < count_theirs; i++)
            kept |= theirs[i] == fd;
        if (!kept)
            close(fd);
    }
    if (!strncmp(kind, "slots", 5))
        for (int i = 0; i < 3; i++) {
            const int fd = to_outside(i == 2 ? SOCK_DGRAM : SOCK_STREAM);
            send(fd, bytes, 100, 0);
        }
    // 4: it found nothing that it shares, so nothing was tested.
    if (scribble_over_all(ROUNDS) < 2)
        _exit(4);
    switch (seed % 3) {
    case 0: _exit(0);
    case 1: kill(getpid(), SIGKILL); break;
    default: *(volatile int *)(uintptr_t)seed = 1;
    }
    _exit(5);
}

int spoilt(const char *kind, uint64_t seed)
{
    MUST(pipe2(own_pipe, O_NONBLOCK) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, own_pair) == 0);
    own_ep = epoll_create1(EPOLL_CLOEXEC);
    signal(SIGPIPE, SIG_IGN);
    make(kind);
    const pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0)
        scribbler(kind, seed);
    for (unsigned i = 0; i < count_theirs; i++) {
        bool kept = false;
        for (unsigned j = 0; j < count_mine; j++)
            kept |= mine[j] == theirs[i];
        if (!kept)
            close(theirs[i]);
    }
    be_hurried(true);
    int status = 0, steps = 0;
    for (bool ended = false; !ended || steps < AFTERWARDS; steps++) {
        if (count_mine)
            use(mine[chance(count_mine)]);
        if (!ended && waitpid(pid, &status, WNOHANG) == pid) {
            ended = true;
            steps = 0;
        }
        if (steps % 8 == 0)
            sched_yield();
    }
    be_hurried(false);
    MUST(!WIFEXITED(status) || WEXITSTATUS(status) == 0);
    signal(SIGALRM, SIG_DFL);
    alarm(WATCHDOG);
    // Everybody else is gone: there is an end.
    for (unsigned i = 0; i < ends; i++) {
        fcntl(mine[i], F_SETFL, 0);
        ssize_t n = 1;
        for (int turns = 0; n > 0; turns++) {
            MUST(turns < 100000);
            const bool writes = fcntl(mine[i], F_GETFL) & O_WRONLY;
            n = writes ? DO(write(mine[i], bytes, ROOM), ROOM) : DO(read(mine[i], bytes, ROOM), ROOM);
        }
    }
    return 0;
}
