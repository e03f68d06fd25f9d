// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "signal_calls.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.h"
#include "thread.h"

sem_t handled;
static sem_t begun;

void counts(int number)
{
    (void)number;
    sem_post(&handled);
}

void handle(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    OK(sigaction(number, &action, NULL));
}

static void *makes(void *argument)
{
    struct made *made = argument;
    made->tid = (pid_t)syscall(SYS_gettid);
    sem_post(&begun);
    made->result = made->call();
    made->error = errno;
    made->ended = 1;
    // Whoever waits for a handler that will not run any more.
    sem_post(&handled);
    return NULL;
}

pthread_t makes_in_thread(struct made *made)
{
    sem_init(&begun, 0, 0);
    sem_init(&handled, 0, 0);
    const pthread_t thread = started(makes, made);
    sem_wait(&begun);
    return thread;
}

void interrupt(pthread_t thread, const struct made *made, int number)
{
    await_blocked(0, made->tid);
    EXPECT_EQ(pthread_kill(thread, number), 0);
    while (sem_wait(&handled) != 0)
        ;
}

void expect_interrupted(long (*call)(void), int flags)
{
    struct made made = {.call = call};
    handle(SIGUSR1, counts, flags);
    pthread_t thread = makes_in_thread(&made);
    // The first may come before the call.
    while (!made.ended)
        interrupt(thread, &made, SIGUSR1);
    joined(thread);
    EXPECT_EQ(made.result, -1);
    EXPECT_EQ(made.error, EINTR);
}

void new_pair(int kind, int pair[2])
{
    OK(socketpair(AF_UNIX, kind, 0, pair));
}
