// SPDX-License-Identifier: BSD-2-Clause
// Blocking calls that go on after a handler with SA_RESTART: signal(7).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file_helpers.h"
#include "harness.h"
#include "helpers.h"
#include "process.h"
#include "signal_calls.h"
#include "thread.h"

// A blocking call on something, and what ends it.
struct blocking {
    long (*call)(void);
    void (*finish)(void);
};

static struct ends ends;
static int fd;
static unsigned word;
static pid_t waited;

// --- calls ------------------------------------------------------------------------------------

static long reads(void)
{
    char byte;
    return read(ends.r, &byte, 1);
}

static long reads_vector(void)
{
    char bytes[2];
    const struct iovec parts[2] = {{bytes, 1}, {bytes + 1, 1}};
    return readv(ends.r, parts, 2);
}

static void writes_a_byte(void)
{
    put(ends.w, "x");
}

static long writes(void)
{
    return write(ends.w, "x", 1);
}

static void empties(void)
{
    char bytes[65536];
    OK(read(ends.r, bytes, sizeof bytes));
}

static long receives(void)
{
    char byte;
    return recv(ends.r, &byte, 1, 0);
}

static long sends(void)
{
    return send(ends.w, "x", 1, 0);
}

static void receives_all(void)
{
    char bytes[4096];
    while (recv(ends.r, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
}

static long reads_number(void)
{
    uint64_t number;
    return read(fd, &number, sizeof number);
}

static void adds_one(void)
{
    const uint64_t one = 1;
    EXPECT_EQ(write(fd, &one, sizeof one), 8);
}

static long writes_one(void)
{
    const uint64_t one = 1;
    return write(fd, &one, sizeof one);
}

static long writes_most(void)
{
    const uint64_t most = UINT64_MAX - 1;
    return write(fd, &most, sizeof most);
}

static void takes_number(void)
{
    uint64_t number;
    EXPECT_EQ(read(fd, &number, sizeof number), 8);
}

static void sets_timer(void)
{
    const struct itimerspec soon = {.it_value = {.tv_nsec = 1}};
    OK(timerfd_settime(fd, 0, &soon, NULL));
}

static long reads_signal(void)
{
    struct signalfd_siginfo info;
    const ssize_t n = read(fd, &info, sizeof info);
    return n == sizeof info ? (long)info.ssi_signo : n;
}

static void sends_blocked(void)
{
    OK(kill(getpid(), SIGUSR2));
}

static long accepts(void)
{
    const int new = accept(fd, NULL, NULL);
    if (new >= 0)
        close(new);
    return new >= 0 ? 1 : -1;
}

static void connects(void)
{
    const uint16_t port = port_of(fd);
    OK(connect_to(new_socket(0), port));
}

static long waits(void)
{
    return wait4(waited, NULL, 0, NULL) == waited ? 1 : -1;
}

static long waits_by_id(void)
{
    siginfo_t info;
    return waitid(P_PID, (id_t)waited, &info, WEXITED) == 0 ? 1 : -1;
}

static void ends_child(void)
{
    OK(kill(waited, SIGKILL));
}

static long waits_for_word(void)
{
    return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void wakes(void)
{
    EXPECT_EQ(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
}

static int other;

static long locks(void)
{
    return flock(fd, LOCK_EX);
}

static void unlocks(void)
{
    OK(flock(other, LOCK_UN));
}

static long locks_bytes(void)
{
    struct flock bytes = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLKW, &bytes);
}

static void unlocks_bytes(void)
{
    struct flock bytes = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    OK(fcntl(other, F_OFD_SETLK, &bytes));
}

static long opens(void)
{
    const int new = open("fifo", O_RDONLY);
    if (new >= 0)
        close(new);
    return new >= 0 ? 1 : -1;
}

static void opens_other_side(void)
{
    OK(open("fifo", O_WRONLY));
}

// --- restarting -------------------------------------------------------------------------------

// The call goes on after handlers with SA_RESTART, until it can end.
static void restarts(struct blocking it, long expected)
{
    struct made made = {.call = it.call};
    handle(SIGUSR1, counts, SA_RESTART);
    pthread_t thread = makes_in_thread(&made);
    for (int i = 0; i < ROUNDS; i++)
        interrupt(thread, &made, SIGUSR1);
    await_blocked(0, made.tid);
    EXPECT_EQ(made.ended, 0);
    it.finish();
    joined(thread);
    EXPECT_EQ(made.result, expected);
}

static void both(struct blocking it, long expected)
{
    expect_interrupted(it.call, 0);
    restarts(it, expected);
}

CHECK(signal, restart_read, "SA_RESTART: read and readv of a pipe go on")
{
    ends = new_pipe(0);
    both((struct blocking){reads, writes_a_byte}, 1);
    both((struct blocking){reads_vector, writes_a_byte}, 1);
}

CHECK(signal, restart_write, "SA_RESTART: write to a full pipe goes on")
{
    ends = new_pipe(0);
    const int flags = fcntl(ends.w, F_GETFL);
    set_nonblocking(ends.w);
    fill(ends.w);
    OK(fcntl(ends.w, F_SETFL, flags));
    both((struct blocking){writes, empties}, 1);
}

static void make_pair(int kind)
{
    int pair[2];
    new_pair(kind, pair);
    ends = (struct ends){pair[0], pair[1]};
}

CHECK(signal, restart_socket, "SA_RESTART: recv and send of AF_UNIX go on")
{
    make_pair(SOCK_STREAM);
    both((struct blocking){receives, writes_a_byte}, 1);
    make_pair(SOCK_SEQPACKET);
    both((struct blocking){receives, writes_a_byte}, 1);
    make_pair(SOCK_STREAM);
    while (send(ends.w, "0123456789", 10, MSG_DONTWAIT) > 0)
        ;
    both((struct blocking){sends, receives_all}, 1);
}

CHECK(signal, restart_tcp, "SA_RESTART: recv of a TCP connection and accept go on")
{
    const struct link link = new_link();
    ends = (struct ends){link.server, link.client};
    OK(fcntl(ends.r, F_SETFL, 0));
    both((struct blocking){receives, writes_a_byte}, 1);
    fd = new_listener(4);
    OK(fcntl(fd, F_SETFL, 0));
    both((struct blocking){accepts, connects}, 1);
}

CHECK(signal, restart_eventfd, "SA_RESTART: read and write of an eventfd go on")
{
    fd = OK(eventfd(0, 0));
    both((struct blocking){reads_number, adds_one}, 8);
    const uint64_t most = UINT64_MAX - 1;
    EXPECT_EQ(write(fd, &most, sizeof most), 8);
    both((struct blocking){writes_one, takes_number}, 8);
    // There is room, but not for that much.
    both((struct blocking){writes_most, takes_number}, 8);
}

CHECK(signal, restart_timerfd, "SA_RESTART: read of a timerfd goes on")
{
    fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
    both((struct blocking){reads_number, sets_timer}, 8);
}

CHECK(signal, restart_signalfd, "SA_RESTART: read of a signalfd goes on")
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
    fd = OK(signalfd(-1, &set, 0));
    both((struct blocking){reads_signal, sends_blocked}, SIGUSR2);
    OK(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
}

ROLE(waits_to_be_killed)
{
    for (;;)
        pause();
    return 0;
}

CHECK(signal, restart_wait, "SA_RESTART: wait4 and waitid go on")
{
    waited = child("waits_to_be_killed", NULL);
    both((struct blocking){waits, ends_child}, 1);
    waited = child("waits_to_be_killed", NULL);
    both((struct blocking){waits_by_id, ends_child}, 1);
}

CHECK(signal, restart_futex, "SA_RESTART: a futex is waited for further, if there is no time limit")
{
    word = 0;
    both((struct blocking){waits_for_word, wakes}, 0);
}

CHECK(signal, restart_lock, "SA_RESTART: flock and F_OFD_SETLKW go on")
{
    in_new_directory();
    write_file("file", "x");
    fd = OK(open("file", O_RDWR));
    other = OK(open("file", O_RDWR));
    OK(flock(other, LOCK_EX));
    both((struct blocking){locks, unlocks}, 0);
    struct flock bytes = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    OK(fcntl(other, F_OFD_SETLK, &bytes));
    both((struct blocking){locks_bytes, unlocks_bytes}, 0);
}

CHECK(signal, restart_fifo, "SA_RESTART: the open of a FIFO goes on")
{
    in_new_directory();
    OK(mkfifo("fifo", 0600));
    both((struct blocking){opens, opens_other_side}, 1);
}

static sem_t semaphore;

static long waits_for_semaphore(void)
{
    return sem_wait(&semaphore);
}

static void posts(void)
{
    OK(sem_post(&semaphore));
}

CHECK(signal, restart_semaphore, "SA_RESTART: sem_wait goes on")
{
    OK(sem_init(&semaphore, 0, 0));
    both((struct blocking){waits_for_semaphore, posts}, 0);
}

// --- what a restarted call finds --------------------------------------------------------------

CHECK(signal, restart_of_two, "of two handlers one without SA_RESTART is enough to end a call")
{
    ends = new_pipe(0);
    struct made made = {.call = reads};
    handle(SIGUSR1, counts, SA_RESTART);
    handle(SIGUSR2, counts, 0);
    pthread_t thread = makes_in_thread(&made);
    for (int i = 0; !made.ended; i++)
        interrupt(thread, &made, i % 2 ? SIGUSR2 : SIGUSR1);
    joined(thread);
    EXPECT_EQ(made.error, EINTR);
}

static struct ends others;

static void replaces(int number)
{
    (void)number;
    dup2(others.r, ends.r);
    sem_post(&handled);
}

CHECK(signal, restart_looks_again, "a restarted read reads what its number is by then")
{
    ends = new_pipe(0);
    others = new_pipe(0);
    put(others.w, "y");
    struct made made = {.call = reads};
    handle(SIGUSR1, replaces, SA_RESTART);
    pthread_t thread = makes_in_thread(&made);
    interrupt(thread, &made, SIGUSR1);
    joined(thread);
    EXPECT_EQ(made.result, 1);
}

static sigjmp_buf out;

static void leaves(int number)
{
    (void)number;
    sem_post(&handled);
    siglongjmp(out, 1);
}

static long reads_and_leaves(void)
{
    if (sigsetjmp(out, 1) == 0)
        return reads();
    return 7;
}

CHECK(signal, restart_and_leave, "a handler may leave a call by siglongjmp, and nothing of the call is left behind")
{
    ends = new_pipe(0);
    struct made made = {.call = reads_and_leaves};
    handle(SIGUSR1, leaves, SA_RESTART);
    pthread_t thread = makes_in_thread(&made);
    interrupt(thread, &made, SIGUSR1);
    joined(thread);
    EXPECT_EQ(made.result, 7);
    OK(close(ends.r));
    handle(SIGPIPE, SIG_IGN, 0);
    EXPECT_ERRNO(write(ends.w, "x", 1), EPIPE);
}
