// SPDX-License-Identifier: BSD-2-Clause
// Host mode: threads and signals.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../posix/helpers.h"
#include "../posix/thread.h"

static void *start_read(void *end)
{
    char c = 0;
    const ssize_t n = read(*(int *)end, &c, 1);
    return (void *)(intptr_t)(n == 1 ? c : -1);
}

CHECK(threads, a_blocked_read, "a thread that blocks in read blocks no other, and wakes by its write")
{
    const struct ends p = new_pipe(0);
    int end = p.r;
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, 0, start_read, &end), 0);
    const int event = new_eventfd(1);
    EXPECT_EQ(ready_now(event, POLLIN), POLLIN);
    put(p.w, "x");
    void *got;
    EXPECT_EQ(pthread_join(thread, &got), 0);
    EXPECT_EQ((intptr_t)got, 'x');
}

static atomic_int reader;

static void *start_known_read(void *end)
{
    atomic_store(&reader, (int)syscall(SYS_gettid));
    return start_read(end);
}

// Until the thread sleeps in the call that it waits in: read(2) on Linux, ppoll(2) in host mode.
static void wait_until_it_blocks(void)
{
    char name[64], line[64];
    while (!atomic_load(&reader))
        sched_yield();
    snprintf(name, sizeof name, "/proc/self/task/%d/syscall", atomic_load(&reader));
    long number = -1;
    while (number != SYS_read && number != SYS_ppoll) {
        const int file = OK(open(name, O_RDONLY));
        const ssize_t n = read(file, line, sizeof line - 1);
        close(file);
        line[n > 0 ? n : 0] = 0;
        // "running" if it is on a processor.
        if (sscanf(line, "%ld", &number) != 1)
            number = -1;
        sched_yield();
    }
}

CHECK(threads, a_number_used_again, "a file that is closed under a reader goes on, and leaves its number's next file alone")
{
    const struct ends p = new_pipe(0);
    int end = p.r;
    pthread_t thread;
    atomic_store(&reader, 0);
    EXPECT_EQ(pthread_create(&thread, 0, start_known_read, &end), 0);
    wait_until_it_blocks();
    // In host mode the pipe is Linux's from here on.
    const pid_t child = OK(fork());
    if (child == 0)
        _exit(0);
    EXPECT_EQ(waitpid(child, 0, 0), child);
    close(p.r);
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    EXPECT_EQ(pair[0], p.r);
    const int epoll = new_epoll();
    add(epoll, pair[0], EPOLLIN | EPOLLET);
    struct epoll_event event;
    EXPECT_EQ(epoll_wait(epoll, &event, 1, 0), 0);
    put(p.w, "x");
    void *got;
    EXPECT_EQ(pthread_join(thread, &got), 0);
    EXPECT_EQ((intptr_t)got, 'x');
    put(pair[1], "y");
    EXPECT_EQ(epoll_wait(epoll, &event, 1, 10000), 1);
    EXPECT_EQ(event.events, (uint32_t)EPOLLIN);
}

static int shared_epoll;
static atomic_int taken;

static void *start_wait(void *unused)
{
    struct epoll_event event;
    while (atomic_load(&taken) < 2000) {
        if (epoll_wait(shared_epoll, &event, 1, 10) == 1) {
            uint64_t value;
            if (read(event.data.fd, &value, 8) == 8)
                atomic_fetch_add(&taken, (int)value);
        }
    }
    return unused;
}

CHECK(threads, one_instance, "threads that wait in one instance take every event, none twice")
{
    enum { THREADS = 4, EVENTS = 5 };
    shared_epoll = new_epoll();
    atomic_store(&taken, 0);
    int events[EVENTS];
    for (int i = 0; i < EVENTS; i++) {
        events[i] = OK(eventfd(0, EFD_NONBLOCK));
        add(shared_epoll, events[i], EPOLLIN | EPOLLET);
    }
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        EXPECT_EQ(pthread_create(&threads[i], 0, start_wait, 0), 0);
    const uint64_t one = 1;
    for (int i = 0; i < 2000; i++)
        EXPECT_EQ(write(events[i % EVENTS], &one, 8), 8);
    for (int i = 0; i < THREADS; i++)
        EXPECT_EQ(pthread_join(threads[i], 0), 0);
    EXPECT_EQ(atomic_load(&taken), 2000);
}

static volatile sig_atomic_t handled;
static int self_pipe;

static void handle(int number)
{
    (void)number;
    handled++;
}

static void handle_by_pipe(int number)
{
    (void)number;
    const int before = errno;
    if (write(self_pipe, "s", 1) == 1)
        handled++;
    errno = before;
}

static void install(void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    OK(sigaction(SIGALRM, &action, 0));
    OK(sigaction(SIGUSR1, &action, 0));
    handled = 0;
}

static atomic_int over;

// Signals that come too early are sent again.
static void *start_signals(void *target)
{
    while (!atomic_load(&over)) {
        await_blocked(0, getpid());
        pthread_kill(*(pthread_t *)target, SIGUSR1);
    }
    return 0;
}

static void *start_signal(void *target)
{
    await_blocked(0, getpid());
    pthread_kill(*(pthread_t *)target, SIGUSR1);
    return 0;
}

CHECK(threads, a_signal_ends_a_wait, "a signal from another thread ends epoll_wait with EINTR")
{
    install(handle, SA_RESTART);
    const int ep = new_epoll();
    pthread_t me = pthread_self(), thread;
    atomic_store(&over, 0);
    EXPECT_EQ(pthread_create(&thread, 0, start_signals, &me), 0);
    struct epoll_event event;
    EXPECT_ERRNO(epoll_wait(ep, &event, 1, HANG_MS), EINTR);
    atomic_store(&over, 1);
    EXPECT_EQ(pthread_join(thread, 0), 0);
    EXPECT_AT_LEAST(handled, 1);
}

CHECK(threads, restart, "a read goes on after a handler with SA_RESTART, and ends with EINTR after another")
{
    const struct ends p = new_pipe(0);
    self_pipe = p.w;
    pthread_t me = pthread_self(), thread;
    char c;
    install(handle_by_pipe, SA_RESTART);
    EXPECT_EQ(pthread_create(&thread, 0, start_signal, &me), 0);
    EXPECT_EQ(read(p.r, &c, 1), 1);
    EXPECT_EQ(handled, 1);
    EXPECT_EQ(pthread_join(thread, 0), 0);
    struct sigaction now;
    OK(sigaction(SIGUSR1, 0, &now));
    EXPECT(now.sa_handler == handle_by_pipe);
    install(handle, 0);
    atomic_store(&over, 0);
    EXPECT_EQ(pthread_create(&thread, 0, start_signals, &me), 0);
    EXPECT_ERRNO(read(p.r, &c, 1), EINTR);
    atomic_store(&over, 1);
    EXPECT_EQ(pthread_join(thread, 0), 0);
}

CHECK(threads, cancel, "a thread that blocks in a read of ours can be cancelled")
{
    const struct ends p = new_pipe(0);
    int end = p.r;
    pthread_t thread;
    atomic_store(&reader, 0);
    EXPECT_EQ(pthread_create(&thread, 0, start_known_read, &end), 0);
    wait_until_it_blocks();
    EXPECT_EQ(pthread_cancel(thread), 0);
    void *got;
    EXPECT_EQ(pthread_join(thread, &got), 0);
    EXPECT(got == PTHREAD_CANCELED);
}

CHECK(threads, masks, "ppoll lets a blocked and pending signal in, in one step with waiting, and blocks it again")
{
    install(handle, 0);
    sigset_t blocked, none, now;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    OK(sigprocmask(SIG_BLOCK, &blocked, 0));
    OK(raise(SIGUSR1));
    const struct ends p = new_pipe(0);
    struct pollfd fd = {p.r, POLLIN, 0};
    EXPECT_EQ(handled, 0);
    EXPECT_EQ(poll(&fd, 1, 1), 0);
    EXPECT_EQ(handled, 0);
    EXPECT_ERRNO(ppoll(&fd, 1, 0, &none), EINTR);
    EXPECT_EQ(handled, 1);
    OK(sigprocmask(SIG_SETMASK, 0, &now));
    EXPECT_EQ(sigismember(&now, SIGUSR1), 1);
    OK(sigprocmask(SIG_UNBLOCK, &blocked, 0));
}

CHECK(threads, a_storm, "a handler that writes into a pipe may come at any time")
{
    const struct ends p = new_pipe(0x800 /* O_NONBLOCK */);
    self_pipe = p.w;
    install(handle_by_pipe, SA_RESTART);
    const int ep = new_epoll(), event = new_eventfd(0);
    add(ep, p.r, EPOLLIN);
    add(ep, event, EPOLLIN | EPOLLET);
    const struct itimerval fast = {{0, 200}, {0, 200}}, off = {{0, 0}, {0, 0}};
    OK(setitimer(ITIMER_REAL, &fast, 0));
    long got = 0;
    const uint64_t one = 1;
    for (int i = 0; got < 1000; i++) {
        struct epoll_event found[2];
        if (write(event, &one, 8) != 8)
            fail(__FILE__, __LINE__, "the eventfd takes no more");
        const int n = epoll_wait(ep, found, 2, i % 2 ? -1 : 0);
        if (n < 0 && errno != EINTR)
            fail_errno(__FILE__, __LINE__, "epoll_wait", errno);
        char bytes[64];
        const ssize_t m = read(p.r, bytes, sizeof bytes);
        got += m > 0 ? m : 0;
    }
    OK(setitimer(ITIMER_REAL, &off, 0));
    char bytes[64];
    ssize_t m;
    while ((m = read(p.r, bytes, sizeof bytes)) > 0)
        got += m;
    EXPECT_EQ(got, handled);
}
