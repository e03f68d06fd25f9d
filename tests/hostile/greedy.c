// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hostile.h"

static void more_files(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

// Each takes one more of its kind: 0, or an errno.
static int more_memory(int n)
{
    // In pieces that get smaller as memory does.
    static size_t piece = 1 << 20;
    (void)n;
    for (;;) {
        char *at = mmap(NULL, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at != MAP_FAILED) {
            at[0] = 1;
            return 0;
        }
        if (piece == 4096)
            return errno;
        piece /= 2;
    }
}

static int more_reservations(int n)
{
    // Every other page, so that each is one for itself.
    void *const at = (void *)(0x1000000000 + (uintptr_t)n * 8192);
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    return mmap(at, 4096, PROT_NONE, flags, -1, 0) == MAP_FAILED ? errno : 0;
}

static int more_channels(int n)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const int length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "greedy.%d.%d", getpid(), n);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return errno;
    const socklen_t size = offsetof(struct sockaddr_un, sun_path) + 1 + length;
    return bind(fd, (struct sockaddr *)&name, size) ? errno : 0;
}

static void *waits(void *unused)
{
    for (;;)
        pause();
    return unused;
}

static int more_threads(int n)
{
    (void)n;
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 16384);
    return pthread_create(&thread, &attributes, waits, NULL);
}

static int more_inodes(int n)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/greedy/%d", n);
    return mkdir(path, 0700) ? errno : 0;
}

static int more_links(int n)
{
    char path[280], target[600];
    memset(target, 'x', sizeof target - 1);
    target[sizeof target - 1] = 0;
    // Long names, of long symbolic links and of one file.
    snprintf(path, sizeof path, "/tmp/greedy/%0240d", n);
    if (n == 0)
        return mknod(path, S_IFREG | 0600, 0) ? errno : 0;
    char first[280];
    snprintf(first, sizeof first, "/tmp/greedy/%0240d", 0);
    const int made = n % 2 ? symlink(target, path) : link(first, path);
    return made ? errno : 0;
}

static int more_bytes(int n)
{
    static int fd = -1;
    static const char block[65536];
    if (n == 0)
        fd = open("/tmp/greedy/bytes", O_CREAT | O_WRONLY, 0600);
    // What is written in part is written.
    return write(fd, block, sizeof block) > 0 ? 0 : errno;
}

static const struct kind {
    const char *name;
    int (*more)(int n);
    // The errno that fits.
    int stops[3];
} kinds[] = {
    {"memory", more_memory, {ENOMEM}},
    {"reservations", more_reservations, {ENOMEM}},
    {"channels", more_channels, {ENFILE, ENOMEM}},
    {"threads", more_threads, {EAGAIN, ENOMEM}},
    {"inodes", more_inodes, {ENOSPC}},
    {"links", more_links, {ENOSPC, EMLINK}},
    {"bytes", more_bytes, {ENOSPC, ENOMEM}},
};

int greedy(const char *what)
{
    more_files();
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct kind *const kind = &kinds[i];
        if (strcmp(kind->name, what))
            continue;
        int n = 0, error;
        while (!(error = kind->more(n)))
            n++;
        printf("# %s: %d, then %s\n", what, n, strerror(error));
        fflush(stdout);
        for (int stop = 0; stop < 3; stop++) {
            if (kind->stops[stop] != error)
                continue;
            if (write(3, "x", 1) != 1)
                return 3;
            for (;;)
                pause();
        }
        return 4;
    }
    return 5;
}
