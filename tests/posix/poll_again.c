// SPDX-License-Identifier: BSD-2-Clause
// poll and select of the same descriptors over and over: what an implementation that remembers them must not miss.
#define _GNU_SOURCE
#include <poll.h>
#include <string.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helpers.h"
#include "process.h"

enum { COUNT = 5 };

static void take(int fd, size_t size)
{
    char bytes[8];
    get(fd, bytes, size);
}

// Pipes and what polls them; in other processes too, or in this one alone.
struct sources {
    struct ends pipe[COUNT];
    struct pollfd set[COUNT];
    struct ends hold;
};

static struct sources new_sources(int shared)
{
    struct sources s;
    s.hold = new_pipe(0);
    for (int i = 0; i < COUNT; i++) {
        s.pipe[i] = new_pipe(0);
        s.set[i] = (struct pollfd){.fd = s.pipe[i].r, .events = POLLIN};
    }
    if (!shared)
        return s;
    const pid_t pid = fork();
    if (pid == 0) {
        // Holds all pipes until its parent ends.
        char byte;
        close(s.hold.w);
        (void)!read(s.hold.r, &byte, 1);
        _exit(0);
    }
    note_child(OK(pid));
    return s;
}

static void dismiss(struct sources *s, int shared)
{
    close(s->hold.w);
    if (shared)
        EXPECT(wait(NULL) > 0);
}

// Nothing is ready: a wait that ends by its timeout.
static void wait_in_vain(struct sources *s)
{
    EXPECT_EQ(poll(s->set, COUNT, 1), 0);
    for (int i = 0; i < COUNT; i++)
        EXPECT_EQ(s->set[i].revents, 0);
}

// Just the descriptors of `ready` (a bit each) are readable.
static void ready_are(struct sources *s, int timeout, unsigned ready)
{
    for (int i = 0; i < COUNT; i++)
        s->set[i].revents = 0x7fff;
    EXPECT_EQ(poll(s->set, COUNT, timeout), __builtin_popcount(ready));
    for (int i = 0; i < COUNT; i++)
        EXPECT_EQ(s->set[i].revents, ready >> i & 1 ? POLLIN : 0);
}

static void levels(int shared)
{
    struct sources s = new_sources(shared);
    for (int round = 0; round < 3; round++) {
        wait_in_vain(&s);
        put(s.pipe[2].w, "ab");
        ready_are(&s, -1, 1 << 2);
        // The level holds until all is read.
        ready_are(&s, -1, 1 << 2);
        take(s.pipe[2].r, 1);
        ready_are(&s, 0, 1 << 2);
        put(s.pipe[4].w, "c");
        put(s.pipe[0].w, "d");
        ready_are(&s, -1, 1 | 1 << 2 | 1 << 4);
        take(s.pipe[2].r, 1);
        ready_are(&s, 0, 1 | 1 << 4);
        take(s.pipe[4].r, 1);
        take(s.pipe[0].r, 1);
        ready_are(&s, 0, 0);
    }
    close(s.pipe[1].w);
    if (!shared) {
        EXPECT_EQ(poll(s.set, COUNT, -1), 1);
        EXPECT_EQ(s.set[1].revents, POLLHUP);
    }
    dismiss(&s, shared);
}

CHECK(poll, again_levels, "the same descriptors again: each is reported while it is readable, and no longer") { levels(0); }

CHECK(poll, again_levels_shared, "the same, of pipes that two processes have") { levels(1); }

CHECK(poll, again_between, "what happens while nobody polls is reported")
{
    struct sources s = new_sources(1);
    wait_in_vain(&s);
    put(s.pipe[3].w, "a");
    take(s.pipe[3].r, 1);
    put(s.pipe[1].w, "b");
    ready_are(&s, -1, 1 << 1);
    take(s.pipe[1].r, 1);
    put(s.pipe[1].w, "c");
    ready_are(&s, -1, 1 << 1);
    take(s.pipe[1].r, 1);
    wait_in_vain(&s);
    dismiss(&s, 1);
}

CHECK(poll, again_closed, "a descriptor closed since the last call is NVAL, one opened in its place is another")
{
    struct sources s = new_sources(0);
    wait_in_vain(&s);
    const int fd = s.set[3].fd;
    close(fd);
    EXPECT_EQ(poll(s.set, COUNT, -1), 1);
    EXPECT_EQ(s.set[3].revents, POLLNVAL);
    const struct ends other = new_pipe(0);
    EXPECT_EQ(dup2(other.r, fd), fd);
    wait_in_vain(&s);
    put(other.w, "a");
    ready_are(&s, -1, 1 << 3);
    take(fd, 1);
    wait_in_vain(&s);
    // Over one that is open.
    const struct ends third = new_pipe(0);
    put(third.w, "b");
    EXPECT_EQ(dup2(third.r, fd), fd);
    ready_are(&s, -1, 1 << 3);
    dismiss(&s, 0);
}

CHECK(poll, again_changed, "other events, another order or another number of entries is another question")
{
    struct sources s = new_sources(0);
    wait_in_vain(&s);
    put(s.pipe[4].w, "a");
    EXPECT_EQ(poll(s.set, COUNT - 1, 0), 0);
    s.set[4].events = 0;
    EXPECT_EQ(poll(s.set, COUNT, 0), 0);
    EXPECT_EQ(poll(s.set, COUNT, 1), 0);
    s.set[4].events = POLLIN;
    const struct pollfd first = s.set[0];
    s.set[0] = s.set[4];
    s.set[4] = first;
    ready_are(&s, -1, 1);
    s.set[0].fd = -s.set[0].fd;
    EXPECT_EQ(poll(s.set, COUNT, 1), 0);
    put(s.pipe[0].w, "b");
    ready_are(&s, -1, 1 << 4);
    // One descriptor twice.
    s.set[0].fd = s.set[4].fd;
    ready_are(&s, -1, 1 | 1 << 4);
    take(s.pipe[0].r, 1);
    wait_in_vain(&s);
    wait_in_vain(&s);
    put(s.pipe[0].w, "c");
    ready_are(&s, -1, 1 | 1 << 4);
    dismiss(&s, 0);
}

CHECK(poll, again_after_fork, "a child polls what its parent polled, and each has its own answer")
{
    struct sources s = new_sources(1);
    wait_in_vain(&s);
    const pid_t pid = fork();
    if (pid == 0) {
        const int nothing = poll(s.set, COUNT, 1);
        put(s.pipe[2].w, "a");
        const int one = poll(s.set, COUNT, -1);
        _exit(nothing == 0 && one == 1 && s.set[2].revents == POLLIN ? 42 : 1);
    }
    ready_are(&s, -1, 1 << 2);
    EXPECT_EQ(ending(note_child(OK(pid))), 42);
    take(s.pipe[2].r, 1);
    wait_in_vain(&s);
    dismiss(&s, 1);
}

CHECK(poll, again_between_reads, "a blocking read between two polls disturbs neither")
{
    struct sources s = new_sources(1);
    for (int i = 0; i < 3; i++) {
        wait_in_vain(&s);
        const pid_t pid = fork();
        if (pid == 0) {
            put(s.pipe[4].w, "x");
            put(s.pipe[1].w, "y");
            _exit(0);
        }
        take(s.pipe[4].r, 1);
        ready_are(&s, -1, 1 << 1);
        take(s.pipe[1].r, 1);
        EXPECT_EQ(ending(note_child(OK(pid))), 0);
    }
    dismiss(&s, 1);
}

// select of the readers: which are ready, as bits; -1 for ever.
static unsigned selected(struct sources *s, int milliseconds)
{
    fd_set set;
    unsigned ready = 0;
    int last = 0;
    FD_ZERO(&set);
    for (int i = 0; i < COUNT; i++) {
        FD_SET(s->pipe[i].r, &set);
        last = s->pipe[i].r > last ? s->pipe[i].r : last;
    }
    struct timeval timeout = {.tv_usec = milliseconds * 1000};
    const int n = select(last + 1, &set, NULL, NULL, milliseconds < 0 ? NULL : &timeout);
    for (int i = 0; i < COUNT; i++)
        ready |= (unsigned)FD_ISSET(s->pipe[i].r, &set) << i;
    EXPECT_EQ(n, __builtin_popcount(ready));
    return ready;
}

CHECK(select, again, "the same sets again: each descriptor is reported while it is readable, and no longer")
{
    for (int shared = 0; shared < 2; shared++) {
        struct sources s = new_sources(shared);
        for (int round = 0; round < 3; round++) {
            EXPECT_EQ(selected(&s, 1), 0);
            put(s.pipe[2].w, "a");
            EXPECT_EQ(selected(&s, -1), 1 << 2);
            EXPECT_EQ(selected(&s, -1), 1 << 2);
            put(s.pipe[4].w, "b");
            take(s.pipe[2].r, 1);
            EXPECT_EQ(selected(&s, 0), 1 << 4);
            // As poll has it, in between.
            ready_are(&s, -1, 1 << 4);
            take(s.pipe[4].r, 1);
        }
        dismiss(&s, shared);
    }
}
