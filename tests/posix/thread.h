// SPDX-License-Identifier: BSD-2-Clause
// What checks with several threads need. Only the first thread may assert; others return what they found.
#pragma once

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

// A new thread, or the check fails.
pthread_t started(void *(*run)(void *), void *argument);

// Waits for its end; what it returned.
void *joined(pthread_t thread);

// CLOCK_REALTIME in so many nanoseconds.
struct timespec realtime_in(int64_t ns);

// A thread that uses that many bytes of its stack and returns their number.
void *uses_stack(void *bytes);

// Waits until a thread of this process (0) or of the child `pid` is blocked, by what /proc says, or lets it run until it is.
void await_blocked(pid_t pid, pid_t tid);
