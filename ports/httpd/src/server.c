// SPDX-License-Identifier: BSD-2-Clause
// The server: one thread, one epoll instance, all connections.
//
// Connections are watched for edges, once and for both directions, so that serving one takes no
// epoll_ctl but the first; only who had his share and has more to do is modified to the same
// interest, which reports him again after the others. The listener is watched for its level, and
// not at all while there are as many connections as allowed: the rest waits in its backlog.
#define _GNU_SOURCE
#include "server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "connection.h"

#define BACKLOG 512
#define EVENTS 64

// How long a client may take to end a connection on which all is said.
#define LEAVING_MS 2000

// How long to let the listener rest after a failure that time may heal.
#define REST_MS 100

// A list in which everybody waits equally long: the first to time out is the oldest.
struct list {
    struct connection *oldest, *newest;
};

struct server {
    const struct settings *settings;
    int epoll, listener;
    bool listening;
    int64_t rest_until; // 0, or when to listen again
    unsigned count;
    struct list working; // READING or SENDING
    struct list leaving;
    struct connection *unused; // linked by `newer`
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void append(struct list *list, struct connection *c)
{
    c->older = list->newest;
    c->newer = NULL;
    *(list->newest ? &list->newest->newer : &list->oldest) = c;
    list->newest = c;
}

static void take_out(struct list *list, struct connection *c)
{
    *(c->older ? &c->older->newer : &list->oldest) = c->newer;
    *(c->newer ? &c->newer->older : &list->newest) = c->older;
}

static bool watch(struct server *s, int operation, int fd, uint32_t interest, void *data)
{
    struct epoll_event event = {.events = interest, .data.ptr = data};
    return epoll_ctl(s->epoll, operation, fd, &event) == 0;
}

// Listens or not; data of the listener's events is NULL.
static void set_listening(struct server *s, bool on)
{
    if (s->listening != on && watch(s, EPOLL_CTL_MOD, s->listener, on ? EPOLLIN : 0, NULL))
        s->listening = on;
}

static struct list *list_of(struct server *s, const struct connection *c)
{
    return c->phase == LEAVING ? &s->leaving : &s->working;
}

static void wait_in_list(struct server *s, struct connection *c, int64_t now)
{
    c->deadline = now + (c->phase == LEAVING ? LEAVING_MS : (int64_t)s->settings->timeout * 1000);
    append(list_of(s, c), c);
}

static void drop(struct server *s, struct connection *c)
{
    connection_end(c);
    c->newer = s->unused;
    s->unused = c;
    s->count--;
    if (!s->rest_until)
        set_listening(s, true);
}

// Gives a connection its turn, and its place in the lists by what came of it.
static void take_turn(struct server *s, struct connection *c, int64_t now)
{
    struct list *const before = list_of(s, c);
    c->progress = false;
    const enum turn turn = connection_turn(c, s->settings->root);
    if (turn == FINISHED ||
        (turn == MORE && !watch(s, EPOLL_CTL_MOD, c->fd, EPOLLIN | EPOLLOUT | EPOLLET, c))) {
        take_out(before, c);
        drop(s, c);
    } else if (c->progress || list_of(s, c) != before) {
        take_out(before, c);
        wait_in_list(s, c, now);
    }
}

static void start(struct server *s, int fd, int64_t now)
{
    const int one = 1;
    struct connection *c = s->unused;
    if (c)
        s->unused = c->newer;
    else
        c = malloc(sizeof *c);
    // Answers go out whole: waiting for more to send would only delay them.
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (!c || !watch(s, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLET, c)) {
        fprintf(stderr, "httpd: a connection is refused: %s\n", strerror(errno));
        close(fd);
        if (c) {
            c->newer = s->unused;
            s->unused = c;
        }
        return;
    }
    connection_start(c, fd);
    s->count++;
    wait_in_list(s, c, now);
}

static void accept_all(struct server *s, int64_t now)
{
    // As many as a turn's events: others first.
    for (int i = 0; i < EVENTS; i++) {
        if (s->count >= s->settings->connections) {
            set_listening(s, false);
            return;
        }
        const int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            start(s, fd, now);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            // Nothing to accept with. The level would be reported again at once, for ever.
            set_listening(s, false);
            s->rest_until = now + REST_MS;
            return;
        }
        // Everything else is one client's failure, not the listener's.
    }
}

static void drop_late(struct server *s, struct list *list, int64_t now)
{
    while (list->oldest && list->oldest->deadline <= now) {
        struct connection *c = list->oldest;
        take_out(list, c);
        drop(s, c);
    }
}

// Milliseconds until the next deadline, -1 if there is none.
static int timeout(const struct server *s, int64_t now)
{
    int64_t next = INT64_MAX;
    if (s->working.oldest && s->working.oldest->deadline < next)
        next = s->working.oldest->deadline;
    if (s->leaving.oldest && s->leaving.oldest->deadline < next)
        next = s->leaving.oldest->deadline;
    if (s->rest_until && s->rest_until < next)
        next = s->rest_until;
    if (next == INT64_MAX)
        return -1;
    return next <= now ? 0 : (int)(next - now);
}

static int listen_on(uint16_t port)
{
    const int one = 1;
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_ANY),
    };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    const int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &size);
    return ntohs(address.sin_port);
}

int serve(const struct settings *settings)
{
    struct server s = {.settings = settings, .listening = true};
    struct epoll_event events[EVENTS];

    signal(SIGPIPE, SIG_IGN);
    s.listener = listen_on(settings->port);
    if (s.listener < 0) {
        fprintf(stderr, "httpd: cannot listen on port %u: %s\n", settings->port, strerror(errno));
        return 1;
    }
    s.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s.epoll < 0 || !watch(&s, EPOLL_CTL_ADD, s.listener, EPOLLIN, NULL)) {
        fprintf(stderr, "httpd: cannot wait for connections: %s\n", strerror(errno));
        return 1;
    }
    printf("httpd: serving %s on port %u\n", settings->root, port_of(s.listener));
    fflush(stdout);

    for (;;) {
        const int count = epoll_wait(s.epoll, events, EVENTS, timeout(&s, now_ms()));
        if (count < 0 && errno != EINTR) {
            fprintf(stderr, "httpd: cannot wait any more: %s\n", strerror(errno));
            return 1;
        }
        const int64_t now = now_ms();
        for (int i = 0; i < count; i++) {
            // An event's connection cannot be gone: in this loop each drops only itself.
            if (events[i].data.ptr)
                take_turn(&s, events[i].data.ptr, now);
            else
                accept_all(&s, now);
        }
        drop_late(&s, &s.working, now);
        drop_late(&s, &s.leaving, now);
        if (s.rest_until && s.rest_until <= now) {
            s.rest_until = 0;
            set_listening(&s, true);
        }
    }
}
