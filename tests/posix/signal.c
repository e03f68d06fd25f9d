// SPDX-License-Identifier: BSD-2-Clause
// Signals within a process: masks, handlers, who takes them, and what they interrupt.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "thread.h"

static volatile sig_atomic_t caught, caught_in;

static void catches(int number)
{
    caught = number;
    caught_in = (sig_atomic_t)syscall(SYS_gettid);
}

static void catch_with(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    OK(sigaction(number, &action, NULL));
    caught = caught_in = 0;
}

static sigset_t only(int number)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    return set;
}

static void block(int how, int number)
{
    const sigset_t set = only(number);
    OK(pthread_sigmask(how, &set, NULL));
}

CHECK(signal, raise_runs_handler, "raise runs the handler before it returns")
{
    catch_with(SIGUSR1, catches, 0);
    OK(raise(SIGUSR1));
    EXPECT_EQ(caught, SIGUSR1);
}

CHECK(signal, kill_self, "kill of oneself is delivered before it returns")
{
    catch_with(SIGUSR1, catches, 0);
    OK(kill(getpid(), SIGUSR1));
    EXPECT_EQ(caught, SIGUSR1);
    OK(kill(getpid(), 0));
    EXPECT_ERRNO(kill(getpid(), 65), EINVAL);
}

CHECK(signal, blocked_waits, "a blocked signal waits and is delivered when it is unblocked")
{
    catch_with(SIGUSR1, catches, 0);
    block(SIG_BLOCK, SIGUSR1);
    OK(raise(SIGUSR1));
    EXPECT_EQ(caught, 0);
    sigset_t waiting;
    OK(sigpending(&waiting));
    EXPECT(sigismember(&waiting, SIGUSR1));
    block(SIG_UNBLOCK, SIGUSR1);
    EXPECT_EQ(caught, SIGUSR1);
    OK(sigpending(&waiting));
    EXPECT(!sigismember(&waiting, SIGUSR1));
}

static volatile sig_atomic_t runs, depth, deepest;

// Raises its own signal again, the first time.
static void nests(int number)
{
    depth++;
    if (depth > deepest)
        deepest = depth;
    if (runs++ == 0)
        raise(number);
    depth--;
}

CHECK(signal, handler_blocks_own, "a handler's own signal is blocked while it runs, unless SA_NODEFER")
{
    runs = depth = deepest = 0;
    catch_with(SIGUSR1, nests, 0);
    OK(raise(SIGUSR1));
    EXPECT_EQ(runs, 2);
    EXPECT_EQ(deepest, 1);
    runs = depth = deepest = 0;
    catch_with(SIGUSR1, nests, SA_NODEFER);
    OK(raise(SIGUSR1));
    EXPECT_EQ(runs, 2);
    EXPECT_EQ(deepest, 2);
}

CHECK(signal, reset_handler, "SA_RESETHAND: the handler runs once")
{
    catch_with(SIGURG, catches, (int)SA_RESETHAND);
    OK(raise(SIGURG));
    EXPECT_EQ(caught, SIGURG);
    caught = 0;
    OK(raise(SIGURG));
    EXPECT_EQ(caught, 0);
}

static siginfo_t received;

static void keeps_info(int number, siginfo_t *info, void *context)
{
    caught = number;
    received = *info;
    (void)context;
}

CHECK(signal, siginfo, "SA_SIGINFO tells the number and the sender")
{
    struct sigaction action = {.sa_sigaction = keeps_info, .sa_flags = SA_SIGINFO};
    OK(sigaction(SIGUSR2, &action, NULL));
    memset(&received, 0, sizeof received);
    OK(raise(SIGUSR2));
    EXPECT_EQ(received.si_signo, SIGUSR2);
    EXPECT_EQ(received.si_code, SI_TKILL);
    EXPECT_EQ(received.si_pid, getpid());
}

CHECK(signal, sigaction_errors, "SIGKILL and SIGSTOP cannot be handled, numbers end at 64")
{
    struct sigaction action = {.sa_handler = catches};
    EXPECT_ERRNO(sigaction(SIGKILL, &action, NULL), EINVAL);
    EXPECT_ERRNO(sigaction(SIGSTOP, &action, NULL), EINVAL);
    EXPECT_ERRNO(sigaction(65, &action, NULL), EINVAL);
    EXPECT_ERRNO(sigaction(0, &action, NULL), EINVAL);
}

CHECK(signal, ignored_is_lost, "an ignored signal does not wait")
{
    catch_with(SIGUSR1, SIG_IGN, 0);
    OK(raise(SIGUSR1));
    catch_with(SIGUSR1, catches, 0);
    EXPECT_EQ(caught, 0);
}

// --- waiting for signals ----------------------------------------------------------------------

CHECK(signal, sigtimedwait_takes, "sigtimedwait takes a waiting signal without its handler")
{
    catch_with(SIGUSR1, catches, 0);
    block(SIG_BLOCK, SIGUSR1);
    OK(raise(SIGUSR1));
    const sigset_t set = only(SIGUSR1);
    siginfo_t info;
    const struct timespec none = {0};
    EXPECT_EQ(sigtimedwait(&set, &info, &none), SIGUSR1);
    EXPECT_EQ(info.si_signo, SIGUSR1);
    EXPECT_ERRNO(sigtimedwait(&set, &info, &none), EAGAIN);
    block(SIG_UNBLOCK, SIGUSR1);
    EXPECT_EQ(caught, 0);
}

static void *sends(void *number)
{
    await_blocked(0, getpid());
    kill(getpid(), (int)(intptr_t)number);
    return NULL;
}

CHECK(signal, sigwait_is_woken, "sigwait waits for a signal that another thread sends to the process")
{
    block(SIG_BLOCK, SIGUSR1);
    pthread_t thread = started(sends, (void *)SIGUSR1);
    const sigset_t set = only(SIGUSR1);
    int number = 0;
    EXPECT_EQ(sigwait(&set, &number), 0);
    EXPECT_EQ(number, SIGUSR1);
    joined(thread);
    block(SIG_UNBLOCK, SIGUSR1);
}

CHECK(signal, sigsuspend_swaps, "sigsuspend lets a blocked signal through, and the mask is the old one again")
{
    catch_with(SIGUSR1, catches, 0);
    block(SIG_BLOCK, SIGUSR1);
    OK(raise(SIGUSR1));
    sigset_t empty;
    sigemptyset(&empty);
    EXPECT_ERRNO(sigsuspend(&empty), EINTR);
    EXPECT_EQ(caught, SIGUSR1);
    caught = 0;
    OK(raise(SIGUSR1));
    EXPECT_EQ(caught, 0);
    block(SIG_UNBLOCK, SIGUSR1);
    EXPECT_EQ(caught, SIGUSR1);
}

// --- threads ----------------------------------------------------------------------------------

static sem_t gate;
static int identity;

static void *pauses(void *unused)
{
    (void)unused;
    identity = (int)syscall(SYS_gettid);
    sem_post(&gate);
    while (!caught)
        pause();
    return NULL;
}

CHECK(signal, pthread_kill_runs_there, "pthread_kill runs the handler in the thread that it names")
{
    catch_with(SIGUSR1, catches, 0);
    sem_init(&gate, 0, 0);
    pthread_t thread = started(pauses, NULL);
    sem_wait(&gate);
    // The thread may look at `caught` just before it pauses.
    while (!caught) {
        EXPECT_EQ(pthread_kill(thread, SIGUSR1), 0);
        sched_yield();
    }
    pthread_kill(thread, SIGUSR1);
    joined(thread);
    EXPECT_EQ(caught_in, identity);
}

static void *keeps_blocked(void *unused)
{
    (void)unused;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    const int inherited = sigismember(&mask, SIGUSR2);
    block(SIG_UNBLOCK, SIGUSR2);
    return (void *)(intptr_t)inherited;
}

CHECK(signal, mask_is_each_threads, "a thread inherits its creator's mask, and changes its own only")
{
    block(SIG_BLOCK, SIGUSR2);
    EXPECT_EQ((intptr_t)joined(started(keeps_blocked, NULL)), 1);
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    EXPECT(sigismember(&mask, SIGUSR2));
    block(SIG_UNBLOCK, SIGUSR2);
}

CHECK(signal, process_signal_finds_thread, "a signal to the process is taken by a thread that does not block it")
{
    catch_with(SIGUSR1, catches, 0);
    sem_init(&gate, 0, 0);
    pthread_t thread = started(pauses, NULL);
    sem_wait(&gate);
    block(SIG_BLOCK, SIGUSR1);
    while (!caught) {
        OK(kill(getpid(), SIGUSR1));
        sched_yield();
    }
    pthread_kill(thread, SIGUSR1);
    joined(thread);
    EXPECT_EQ(caught_in, identity);
    catch_with(SIGUSR1, SIG_IGN, 0);
    block(SIG_UNBLOCK, SIGUSR1);
}

// --- interrupting -----------------------------------------------------------------------------

struct interrupted {
    long result;
    int error;
    volatile int ended;
    long (*call)(void *);
    void *argument;
};

static void *makes_call(void *argument)
{
    struct interrupted *i = argument;
    sem_post(&gate);
    i->result = i->call(i->argument);
    i->error = errno;
    i->ended = 1;
    return NULL;
}

// The errno of a blocking call that a handler interrupts.
static int errno_after_signal(long (*call)(void *), void *argument)
{
    struct interrupted i = {.call = call, .argument = argument};
    catch_with(SIGUSR1, catches, 0);
    sem_init(&gate, 0, 0);
    pthread_t thread = started(makes_call, &i);
    sem_wait(&gate);
    // The first signals may come before the call; one that comes in it ends it.
    while (!i.ended) {
        EXPECT_EQ(pthread_kill(thread, SIGUSR1), 0);
        sched_yield();
    }
    joined(thread);
    EXPECT_EQ(caught, SIGUSR1);
    EXPECT_EQ(i.result, -1);
    return i.error;
}

static long in_epoll_wait(void *ep)
{
    struct epoll_event event;
    return epoll_wait((int)(intptr_t)ep, &event, 1, HANG_MS);
}

static long in_poll(void *unused)
{
    (void)unused;
    return poll(NULL, 0, HANG_MS);
}

static long in_select(void *unused)
{
    (void)unused;
    struct timeval time = {.tv_sec = HANG_MS / 1000};
    return select(0, NULL, NULL, NULL, &time);
}

static long in_read(void *fd)
{
    char byte;
    return read((int)(intptr_t)fd, &byte, 1);
}

static long in_nanosleep(void *unused)
{
    (void)unused;
    const struct timespec time = {.tv_sec = HANG_MS / 1000};
    return nanosleep(&time, NULL);
}

CHECK(signal, interrupts_epoll_wait, "a handler interrupts epoll_wait (trap 10)")
{
    EXPECT_EQ(errno_after_signal(in_epoll_wait, (void *)(intptr_t)new_epoll()), EINTR);
}

CHECK(signal, interrupts_poll, "a handler interrupts poll")
{
    EXPECT_EQ(errno_after_signal(in_poll, NULL), EINTR);
}

CHECK(signal, interrupts_select, "a handler interrupts select")
{
    EXPECT_EQ(errno_after_signal(in_select, NULL), EINTR);
}

CHECK(signal, interrupts_read, "a handler without SA_RESTART interrupts read")
{
    EXPECT_EQ(errno_after_signal(in_read, (void *)(intptr_t)new_pipe(0).r), EINTR);
}

CHECK(signal, interrupts_nanosleep, "a handler interrupts nanosleep")
{
    EXPECT_EQ(errno_after_signal(in_nanosleep, NULL), EINTR);
}
