// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "process.h"
#include "thread.h"

pthread_t started(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    const int error = pthread_create(&thread, NULL, run, argument);
    if (error)
        fail_errno(__FILE__, __LINE__, "pthread_create", error);
    return thread;
}

void *joined(pthread_t thread)
{
    void *result;
    const int error = pthread_join(thread, &result);
    if (error)
        fail_errno(__FILE__, __LINE__, "pthread_join", error);
    return result;
}

struct timespec realtime_in(int64_t ns)
{
    struct timespec now;
    OK(clock_gettime(CLOCK_REALTIME, &now));
    return timespec_of(now.tv_sec * INT64_C(1000000000) + now.tv_nsec + ns);
}

void *uses_stack(void *bytes)
{
    char block[4096];
    memset(block, 1, sizeof block);
    const intptr_t left = (intptr_t)bytes - (intptr_t)sizeof block;
    intptr_t used = sizeof block;
    if (left > 0)
        used += (intptr_t)uses_stack((void *)left);
    // Looked at afterwards, so that the compiler cannot reuse the frame.
    return block[4095] == 1 ? (void *)used : NULL;
}

// The state in /proc's stat file: the letter behind the name in parentheses; 0: it is not there.
static char state_of(const char *path)
{
    char line[512];
    const int fd = open(path, O_RDONLY);
    if (fd < 0)
        return 0;
    const ssize_t n = read(fd, line, sizeof line - 1);
    close(fd);
    line[n > 0 ? n : 0] = 0;
    const char *end = strrchr(line, ')');
    return end && end[1] ? end[2] : 0;
}

void await_blocked(pid_t pid, pid_t tid)
{
    enum { TURNS = 50 };
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid ? pid : getpid(), tid);
    for (int turn = 0;; turn++) {
        const char state = state_of(path);
        // Z: it has ended. Our system tells what the process does, not each thread; but one that yields lets the others run until they block.
        if (state == 'S' || state == 'Z' || (turn >= TURNS && (state == 0 || on_sel4())))
            return;
        sched_yield();
    }
}
