// SPDX-License-Identifier: BSD-2-Clause
// Several threads and the same sources: who is woken by what, and that nobody sleeps on.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "thread.h"

// What a thread waits on, and what it found.
struct waiter {
    int ep;
    uint32_t events;
    int fd;
    int count;
    int error;
};

// Whether the thread has come back, for one who makes no call.
static volatile bool told;

static void *waits_once(void *argument)
{
    struct waiter *w = argument;
    struct epoll_event event = {0};
    w->count = epoll_wait(w->ep, &event, 1, HANG_MS);
    w->error = errno;
    w->events = event.events;
    w->fd = event.data.fd;
    return NULL;
}

// Lets the other threads run until they wait; if one does not yet, the check still holds.
static void let_others_wait(void)
{
    usleep(5000);
}

CHECK(thread, epoll_woken_by_write, "epoll_wait in one thread is woken by a write in another")
{
    const int ep = new_epoll(), fd = new_eventfd(0);
    add(ep, fd, EPOLLIN);
    struct waiter w = {.ep = ep};
    pthread_t thread = started(waits_once, &w);
    let_others_wait();
    OK(eventfd_write(fd, 1));
    joined(thread);
    EXPECT_EQ(w.count, 1);
    EXPECT_EQ(w.fd, fd);
    EXPECT_EQ(w.events, EPOLLIN);
}

static void *polls(void *argument)
{
    struct waiter *w = argument;
    struct pollfd fd = {.fd = w->fd, .events = POLLIN};
    w->count = poll(&fd, 1, HANG_MS);
    w->events = (uint32_t)fd.revents;
    return NULL;
}

CHECK(thread, poll_woken_by_write, "poll in one thread is woken by a write in another")
{
    struct ends p = new_pipe(0);
    struct waiter w = {.fd = p.r};
    pthread_t thread = started(polls, &w);
    let_others_wait();
    put(p.w, "x");
    joined(thread);
    EXPECT_EQ(w.count, 1);
    EXPECT_EQ(w.events, POLLIN);
}

static void *selects(void *argument)
{
    struct waiter *w = argument;
    fd_set set;
    FD_ZERO(&set);
    FD_SET(w->fd, &set);
    struct timeval time = {.tv_sec = HANG_MS / 1000};
    w->count = select(w->fd + 1, &set, NULL, NULL, &time);
    w->events = FD_ISSET(w->fd, &set);
    return NULL;
}

CHECK(thread, select_woken_by_write, "select in one thread is woken by a write in another")
{
    struct ends p = new_pipe(0);
    struct waiter w = {.fd = p.r};
    pthread_t thread = started(selects, &w);
    let_others_wait();
    put(p.w, "x");
    joined(thread);
    EXPECT_EQ(w.count, 1);
    EXPECT_EQ(w.events, 1);
}

static void *reads_byte(void *argument)
{
    struct waiter *w = argument;
    char byte = 0;
    w->count = (int)read(w->fd, &byte, 1);
    w->events = (uint32_t)byte;
    return NULL;
}

CHECK(thread, read_woken_by_write, "a blocked read is woken by a write in another thread")
{
    struct ends p = new_pipe(0);
    struct waiter w = {.fd = p.r};
    pthread_t thread = started(reads_byte, &w);
    let_others_wait();
    put(p.w, "x");
    joined(thread);
    EXPECT_EQ(w.count, 1);
    EXPECT_EQ(w.events, 'x');
}

CHECK(thread, read_woken_by_close, "a blocked read ends when another thread closes the writing end")
{
    struct ends p = new_pipe(0);
    struct waiter w = {.fd = p.r};
    pthread_t thread = started(reads_byte, &w);
    let_others_wait();
    OK(close(p.w));
    joined(thread);
    EXPECT_EQ(w.count, 0);
}

#define LARGE (1 << 20)

static void *writes_much(void *fd)
{
    static char block[LARGE];
    return (void *)(intptr_t)write((int)(intptr_t)fd, block, sizeof block);
}

CHECK(thread, write_waits_for_reader, "a write larger than the pipe goes on as another thread reads")
{
    struct ends p = new_pipe(0);
    static char block[8192];
    pthread_t thread = started(writes_much, (void *)(intptr_t)p.w);
    for (size_t all = 0; all < LARGE;) {
        const ssize_t n = OK(read(p.r, block, sizeof block));
        EXPECT(n > 0);
        all += (size_t)n;
    }
    EXPECT_EQ((intptr_t)joined(thread), LARGE);
}

CHECK(thread, two_events_wake_two, "two events wake two threads that wait in one epoll instance (trap 4)")
{
    for (int round = 0; round < 50; round++) {
        const int ep = new_epoll();
        int fds[2];
        struct waiter w[2];
        pthread_t threads[2];
        for (int i = 0; i < 2; i++) {
            fds[i] = new_eventfd(0);
            add(ep, fds[i], EPOLLIN | EPOLLET);
            w[i] = (struct waiter){.ep = ep};
            threads[i] = started(waits_once, &w[i]);
        }
        if (round % 2)
            let_others_wait();
        OK(eventfd_write(fds[0], 1));
        OK(eventfd_write(fds[1], 1));
        for (int i = 0; i < 2; i++) {
            joined(threads[i]);
            EXPECT_EQ(w[i].count, 1);
        }
        EXPECT(w[0].fd != w[1].fd);
        for (int i = 0; i < 2; i++)
            OK(close(fds[i]));
        OK(close(ep));
    }
}

static void *waits_briefly(void *argument)
{
    struct waiter *w = argument;
    struct epoll_event event;
    w->count = epoll_wait(w->ep, &event, 1, 100);
    return NULL;
}

CHECK(thread, one_edge_wakes_one, "one edge is reported to one of the threads that wait for it (trap 4)")
{
    const int ep = new_epoll(), fd = new_eventfd(0);
    add(ep, fd, EPOLLIN | EPOLLET);
    struct waiter w[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        w[i] = (struct waiter){.ep = ep};
        threads[i] = started(waits_briefly, &w[i]);
    }
    let_others_wait();
    OK(eventfd_write(fd, 1));
    int all = 0;
    for (int i = 0; i < 3; i++) {
        joined(threads[i]);
        all += w[i].count;
    }
    EXPECT_EQ(all, 1);
}

CHECK(thread, level_stays_for_the_next, "what one thread leaves unread wakes the next that waits")
{
    const int ep = new_epoll(), fd = new_eventfd(0);
    add(ep, fd, EPOLLIN);
    struct waiter w[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        w[i] = (struct waiter){.ep = ep};
        threads[i] = started(waits_once, &w[i]);
    }
    let_others_wait();
    OK(eventfd_write(fd, 1));
    for (int i = 0; i < 2; i++) {
        joined(threads[i]);
        EXPECT_EQ(w[i].count, 1);
    }
}

CHECK(thread, add_wakes_waiter, "EPOLL_CTL_ADD of what is ready wakes a thread that waits")
{
    const int ep = new_epoll(), fd = new_eventfd(1);
    struct waiter w = {.ep = ep};
    pthread_t thread = started(waits_once, &w);
    let_others_wait();
    add(ep, fd, EPOLLIN);
    joined(thread);
    EXPECT_EQ(w.count, 1);
    EXPECT_EQ(w.fd, fd);
}

CHECK(thread, modify_wakes_waiter, "EPOLL_CTL_MOD that asks for what holds wakes a thread that waits (trap 2)")
{
    const int ep = new_epoll(), fd = new_eventfd(0);
    add(ep, fd, EPOLLIN);
    struct waiter w = {.ep = ep};
    pthread_t thread = started(waits_once, &w);
    let_others_wait();
    modify(ep, fd, EPOLLOUT);
    joined(thread);
    EXPECT_EQ(w.count, 1);
    EXPECT_EQ(w.events, EPOLLOUT);
}

CHECK(thread, close_while_waiting, "closing a watched file leaves a thread waiting, for other events too")
{
    const int ep = new_epoll(), gone = new_eventfd(0), fd = new_eventfd(0);
    add(ep, gone, EPOLLIN);
    add(ep, fd, EPOLLIN);
    struct waiter w = {.ep = ep};
    pthread_t thread = started(waits_once, &w);
    let_others_wait();
    OK(close(gone));
    OK(eventfd_write(fd, 1));
    joined(thread);
    EXPECT_EQ(w.count, 1);
    EXPECT_EQ(w.fd, fd);
}

// --- one-shot: each event goes to exactly one thread ------------------------------------------

enum { SHARED_FDS = 16, SHARED_THREADS = 4, SHARED_EVENTS = 400 };

static struct {
    int ep;
    int fds[SHARED_FDS];
    int busy[SHARED_FDS];
    int handled;
    int wrong;
} shared;

static void *handles_one_shots(void *unused)
{
    (void)unused;
    while (__atomic_load_n(&shared.handled, __ATOMIC_SEQ_CST) < SHARED_EVENTS) {
        struct epoll_event events[3];
        const int n = epoll_wait(shared.ep, events, 3, 20);
        for (int i = 0; i < n; i++) {
            const uint32_t at = events[i].data.u32;
            if (__atomic_exchange_n(&shared.busy[at], 1, __ATOMIC_SEQ_CST))
                shared.wrong = 1;
            eventfd_t value = 0;
            if (eventfd_read(shared.fds[at], &value) < 0)
                shared.wrong = 2;
            __atomic_fetch_add(&shared.handled, (int)value, __ATOMIC_SEQ_CST);
            __atomic_store_n(&shared.busy[at], 0, __ATOMIC_SEQ_CST);
            struct epoll_event again = {.events = EPOLLIN | EPOLLONESHOT, .data.u32 = at};
            if (epoll_ctl(shared.ep, EPOLL_CTL_MOD, shared.fds[at], &again) < 0)
                shared.wrong = 3;
        }
    }
    return NULL;
}

CHECK(thread, one_shot_is_for_one, "with EPOLLONESHOT a file is handled by one thread at a time, and no event is lost")
{
    memset(&shared, 0, sizeof shared);
    shared.ep = new_epoll();
    for (uint32_t i = 0; i < SHARED_FDS; i++) {
        shared.fds[i] = new_eventfd(0);
        struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u32 = i};
        OK(epoll_ctl(shared.ep, EPOLL_CTL_ADD, shared.fds[i], &event));
    }
    pthread_t threads[SHARED_THREADS];
    for (int i = 0; i < SHARED_THREADS; i++)
        threads[i] = started(handles_one_shots, NULL);
    for (int i = 0; i < SHARED_EVENTS; i++)
        OK(eventfd_write(shared.fds[i * 7 % SHARED_FDS], 1));
    for (int i = 0; i < SHARED_THREADS; i++)
        joined(threads[i]);
    EXPECT_EQ(shared.wrong, 0);
    EXPECT_EQ(shared.handled, SHARED_EVENTS);
}

CHECK(thread, exclusive_wakes_one, "EPOLLEXCLUSIVE: one of several instances that watch a file is woken (trap 15)")
{
    const int fd = new_eventfd(0);
    struct waiter w[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        w[i] = (struct waiter){.ep = new_epoll()};
        add(w[i].ep, fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET);
        threads[i] = started(waits_briefly, &w[i]);
    }
    let_others_wait();
    OK(eventfd_write(fd, 1));
    int all = 0;
    for (int i = 0; i < 4; i++) {
        joined(threads[i]);
        all += w[i].count;
    }
    EXPECT_EQ(all, 1);
}

// --- time, signals, connections ---------------------------------------------------------------

CHECK(thread, timerfd_wakes_thread, "a timer that one thread sets wakes another that waits for it")
{
    const int ep = new_epoll(), timer = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    add(ep, timer, EPOLLIN);
    struct waiter w = {.ep = ep};
    pthread_t thread = started(waits_once, &w);
    let_others_wait();
    struct itimerspec soon = {.it_value = timespec_of(MS(10))};
    OK(timerfd_settime(timer, 0, &soon, NULL));
    joined(thread);
    EXPECT_EQ(w.count, 1);
}

static void *waits_and_says(void *argument)
{
    waits_once(argument);
    told = true;
    return NULL;
}

CHECK(thread, timer_of_one_who_computes, "a timer that is set earlier than others wakes those who wait, though who set it makes no call meanwhile")
{
    const int ep = new_epoll(), timer = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    add(ep, timer, EPOLLIN);
    struct waiter w = {.ep = ep};
    told = false;
    pthread_t thread = started(waits_and_says, &w);
    let_others_wait();
    struct itimerspec soon = {.it_value = timespec_of(MS(10))};
    OK(timerfd_settime(timer, 0, &soon, NULL));
    // Far longer than the timer takes, and far shorter than HANG_MS.
    for (long i = 0; i < 2000000000 && !told; i++)
        ;
    EXPECT(told);
    joined(thread);
    EXPECT_EQ(w.count, 1);
}

static void *sleeps(void *ns)
{
    const struct timespec time = timespec_of((intptr_t)ns);
    const int64_t start = now_ns();
    nanosleep(&time, NULL);
    return (void *)(intptr_t)(now_ns() - start >= (intptr_t)ns);
}

CHECK(thread, sleeps_are_independent, "threads sleep each for its own time")
{
    pthread_t threads[5];
    for (int i = 0; i < 5; i++)
        threads[i] = started(sleeps, (void *)(MS(40) - i * MS(7)));
    for (int i = 0; i < 5; i++)
        EXPECT_EQ((intptr_t)joined(threads[i]), 1);
}

static void *accepts(void *listener)
{
    const int fd = accept((int)(intptr_t)listener, NULL, NULL);
    return (void *)(intptr_t)fd;
}

CHECK(thread, accept_in_threads, "threads that block in accept get a connection each")
{
    const int listener = new_listener(8);
    const int flags = OK(fcntl(listener, F_GETFL));
    OK(fcntl(listener, F_SETFL, flags & ~O_NONBLOCK));
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = started(accepts, (void *)(intptr_t)listener);
    let_others_wait();
    for (int i = 0; i < 3; i++)
        OK(connect_to(new_socket(0), port_of(listener)));
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = (int)(intptr_t)joined(threads[i]);
        EXPECT(fds[i] > 2);
    }
    EXPECT(fds[0] != fds[1] && fds[1] != fds[2] && fds[0] != fds[2]);
}
