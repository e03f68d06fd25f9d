// SPDX-License-Identifier: BSD-2-Clause
// A thread that makes a blocking call, to be interrupted by signals.
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <sys/types.h>

// How often a call is interrupted that goes on each time.
enum { ROUNDS = 4 };

// A call that a thread makes, and what came of it.
struct made {
    long (*call)(void);
    long result;
    int error;
    pid_t tid;
    volatile int ended;
};

// Posted whenever a handler has run, and at the call's end.
extern sem_t handled;

// A handler that only says so.
void counts(int number);

void handle(int number, void (*handler)(int), int flags);

// The thread has begun; the call may not have.
pthread_t makes_in_thread(struct made *made);

// Sends a signal to the thread, once it is blocked, and waits until the handler has run.
void interrupt(pthread_t thread, const struct made *made, int number);

// Holds if a handler with these flags ends the call: EINTR.
void expect_interrupted(long (*call)(void), int flags);

// A connected pair of AF_UNIX: [0] to receive by, [1] to send by.
void new_pair(int kind, int pair[2]);
