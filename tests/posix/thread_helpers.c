// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include <string.h>

#include "harness.h"
#include "helpers.h"
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
