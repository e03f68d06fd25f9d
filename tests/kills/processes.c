// SPDX-License-Identifier: BSD-2-Clause
// Steps with threads, signals and children.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "victim.h"

extern char **environ;

enum { MOST_THREADS = 4, MOST_CHILDREN = 3 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static volatile int counter, threads;
static pid_t children[MOST_CHILDREN];

static void *work(void *argument)
{
    set_seed((uintptr_t)argument);
    for (int i = chance(30); i > 0; i--) {
        pthread_mutex_lock(&mutex);
        counter++;
        if (chance(3) == 0)
            pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&mutex);
        if (chance(8) == 0)
            step_pipe();
        if (chance(8) == 0)
            step_events();
        if (chance(8) == 0)
            sched_yield();
    }
    __atomic_sub_fetch(&threads, 1, __ATOMIC_RELAXED);
    return NULL;
}

void step_threads(void)
{
    pthread_t thread;
    if (__atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED) > MOST_THREADS ||
        pthread_create(&thread, NULL, work, (void *)(uintptr_t)(1 + chance(1 << 30)))) {
        __atomic_sub_fetch(&threads, 1, __ATOMIC_RELAXED);
        return;
    }
    if (chance(2))
        pthread_join(thread, NULL);
    else
        pthread_detach(thread);
}

void step_futex(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_nsec += chance(100000);
    if (now.tv_nsec >= 1000000000)
        now = (struct timespec){now.tv_sec + 1, 0};
    pthread_mutex_lock(&mutex);
    if (chance(2))
        pthread_cond_timedwait(&condition, &mutex, &now);
    counter++;
    pthread_mutex_unlock(&mutex);
}

void step_signals(void)
{
    const int some[] = {SIGUSR1, SIGRTMIN, SIGALRM, SIGCONT, SIGSTOP};
    sigset_t set, old;
    const pid_t child = children[chance(MOST_CHILDREN)];
    const int signal = some[chance(5)];
    switch (chance(4)) {
    case 0:
        if (child > 0)
            kill(child, signal);
        break;
    case 1:
        raise(SIGUSR1);
        break;
    case 2: {
        const union sigval value = {.sival_int = 7};
        sigqueue(getpid(), SIGRTMIN, value);
        break;
    }
    default:
        sigfillset(&set);
        sigprocmask(SIG_BLOCK, &set, &old);
        raise(SIGUSR1);
        sigprocmask(SIG_SETMASK, &old, NULL);
    }
}

static pid_t start(int depth)
{
    char seed[24], generations[16];
    snprintf(seed, sizeof seed, "%u", chance(1 << 30));
    snprintf(generations, sizeof generations, "%d", depth);
    char *arguments[] = {self, "victim", seed, generations, NULL};
    pid_t pid;
    if (chance(2))
        return posix_spawn(&pid, self, NULL, NULL, arguments, environ) ? -1 : pid;
    const uint32_t own = chance(1 << 30);
    pid = fork();
    if (pid == 0) {
        if (chance(3) == 0)
            execve(self, arguments, environ);
        be_victim(own, depth);
    }
    return pid;
}

void step_child(int depth)
{
    pid_t *const place = &children[chance(MOST_CHILDREN)];
    if (*place > 0) {
        if (chance(2))
            keep((int)syscall(SYS_pidfd_open, *place, 0));
        if (chance(3) == 0)
            kill(*place, SIGKILL);
        if (waitpid(*place, NULL, chance(3) ? WNOHANG : 0) == *place)
            *place = 0;
    } else if (depth > 0 && chance(2)) {
        *place = start(depth - 1);
    } else if (chance(40) == 0) {
        // The same once more, with all that is kept.
        char seed[24], generations[16];
        snprintf(seed, sizeof seed, "%u", chance(1 << 30));
        snprintf(generations, sizeof generations, "%d", depth);
        char *arguments[] = {self, "victim", seed, generations, NULL};
        execve(self, arguments, environ);
    } else if (chance(40) == 0) {
        _exit(3);
    }
}
