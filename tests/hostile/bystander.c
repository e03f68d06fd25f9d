// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("# bystander, line %d: %s does not hold (errno %d)\n", __LINE__, #condition,    \
                   errno);                                                                         \
            fflush(stdout);                                                                        \
            return __LINE__;                                                                       \
        }                                                                                          \
    } while (0)

static int talk(int to_child, int from_child, int ep, int n)
{
    uint64_t word = (uint64_t)n * 0x9e3779b97f4a7c15u, answer = 0;
    struct epoll_event event;
    MUST(write(to_child, &word, 8) == 8);
    MUST(epoll_wait(ep, &event, 1, 60000) == 1 && event.data.fd == from_child);
    MUST(read(from_child, &answer, 8) == 8);
    MUST(answer == ~word);
    return 0;
}

// A child that answers each word with its complement, by pipes or by a pair of sockets.
static int echo_child(int sockets)
{
    int there[2], back[2];
    if (sockets) {
        MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, there) == 0);
        back[0] = dup(there[1]);
        back[1] = dup(there[0]);
    } else {
        MUST(pipe(there) == 0 && pipe(back) == 0);
    }
    const pid_t pid = fork();
    if (pid < 0)
        for (int i = 0; i < 2; i++) {
            close(there[i]);
            close(back[i]);
        }
    MUST(pid >= 0);
    const int child_in = there[0], child_out = back[1], in = back[0], out = there[1];
    if (pid == 0) {
        uint64_t word;
        close(in);
        close(out);
        while (read(child_in, &word, 8) == 8) {
            word = ~word;
            if (write(child_out, &word, 8) != 8)
                _exit(9);
        }
        _exit(0);
    }
    close(child_in);
    close(child_out);
    const int ep = epoll_create1(EPOLL_CLOEXEC);
    MUST(ep >= 0);
    struct epoll_event event = {EPOLLIN, {.fd = in}};
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, in, &event) == 0);
    int wrong = 0;
    for (int i = 0; i < 20 && !wrong; i++)
        wrong = talk(out, in, ep, i);
    close(out);
    close(in);
    close(ep);
    MUST(wrong == 0);
    int status;
    MUST(waitpid(pid, &status, 0) == pid && status == 0);
    return 0;
}

static int use_file(int n)
{
    static char bytes[20000], back[sizeof bytes];
    char path[64];
    snprintf(path, sizeof path, "/tmp/bystander.%d.%d", getpid(), n);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7 + n);
    const int fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
    MUST(fd >= 0);
    MUST(write(fd, bytes, sizeof bytes) == sizeof bytes);
    MUST(pread(fd, back, sizeof back, 0) == sizeof back);
    MUST(memcmp(bytes, back, sizeof back) == 0);
    char *at = mmap(NULL, sizeof bytes, PROT_READ, MAP_SHARED, fd, 0);
    MUST(at != MAP_FAILED);
    MUST(memcmp(at, bytes, sizeof bytes) == 0);
    MUST(munmap(at, sizeof bytes) == 0);
    MUST(close(fd) == 0);
    MUST(unlink(path) == 0);
    return 0;
}

static void *adds(void *sum)
{
    for (int i = 0; i < 1000; i++)
        __atomic_add_fetch((int *)sum, 1, __ATOMIC_RELAXED);
    return NULL;
}

static int use_threads(void)
{
    pthread_t threads[3];
    int sum = 0;
    for (int i = 0; i < 3; i++)
        MUST(pthread_create(&threads[i], NULL, adds, &sum) == 0);
    for (int i = 0; i < 3; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    MUST(sum == 3000);
    return 0;
}

static int use_memory(void)
{
    const size_t size = 100000;
    unsigned char *block = malloc(size);
    MUST(block != NULL);
    for (size_t i = 0; i < size; i++)
        block[i] = (unsigned char)(i * 13);
    for (size_t i = 0; i < size; i++)
        MUST(block[i] == (unsigned char)(i * 13));
    free(block);
    return 0;
}

bool without_files;

int bystander(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        MUST(echo_child(i % 2) == 0);
        MUST(without_files || use_file(i) == 0);
        MUST(use_threads() == 0);
        MUST(use_memory() == 0);
        MUST(ending(start("nothing", "7")) == 7);
    }
    return 0;
}
