// SPDX-License-Identifier: BSD-2-Clause
// Threads and fork(2): the child has only the thread that forked, and can make others.
#define _GNU_SOURCE
#include <stdint.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "process.h"
#include "thread.h"

static void *waits_for_a_byte(void *fd)
{
    char byte;
    return (void *)(intptr_t)read((int)(intptr_t)fd, &byte, 1);
}

static void *answers(void *argument)
{
    return (void *)((intptr_t)argument + 1);
}

// Two threads, one after the other and at a time; 0 if both answer.
static int makes_threads(void)
{
    pthread_t some[2];
    for (intptr_t i = 0; i < 2; i++)
        if (pthread_create(&some[i], NULL, answers, (void *)(i + 10)))
            return 1;
    for (intptr_t i = 0; i < 2; i++) {
        void *answer;
        if (pthread_join(some[i], &answer) || (intptr_t)answer != i + 11)
            return 2;
    }
    return 0;
}

static void *forks(void *unused)
{
    (void)unused;
    const pid_t pid = fork();
    if (pid == 0)
        _exit(makes_threads());
    return (void *)(intptr_t)pid;
}

CHECK(thread, in_the_child_of_a_fork, "the child of a process with threads can make threads of its own")
{
    struct ends p = new_pipe(0);
    const pthread_t waiting = started(waits_for_a_byte, (void *)(intptr_t)p.r);
    const pid_t pid = fork();
    if (pid == 0)
        _exit(makes_threads());
    EXPECT_EQ(ending(note_child(OK(pid))), 0);
    put(p.w, "x");
    EXPECT_EQ((intptr_t)joined(waiting), 1);
}

CHECK(thread, fork_by_another, "so can the child that another thread than the first forks")
{
    const pid_t pid = (pid_t)(intptr_t)joined(started(forks, NULL));
    EXPECT_EQ(ending(note_child(OK(pid))), 0);
}
