// SPDX-License-Identifier: BSD-2-Clause
// One client's connection. Its socket is watched for edges, so every path below either goes on
// until EAGAIN or says MORE: an edge that was seen and not used up does not come again.
#define _GNU_SOURCE
#include "connection.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "site.h"

// Reads and writes in one turn: enough for several requests, not enough to starve others.
#define SHARE 32

// What a client may send after its last answer until the connection is cut all the same.
#define THROW_AWAY_MAX (1 << 20)

void connection_start(struct connection *c, int fd)
{
    // All but the buffers, which are last and need no clearing.
    memset(c, 0, offsetof(struct connection, in));
    c->fd = fd;
    c->file = -1;
    c->phase = READING;
}

void connection_end(struct connection *c)
{
    if (c->file >= 0)
        close(c->file);
    close(c->fd);
    c->file = c->fd = -1;
}

// The time as HTTP wants it; made once a second.
static const char *date(void)
{
    static time_t made;
    static char text[64];
    const time_t now = time(NULL);
    if (now != made || !*text) {
        struct tm utc;
        made = now;
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &utc));
    }
    return text;
}

// Puts the answer's head into `out`; `extra` are whole header lines.
static void put_head(struct connection *c, int status, const char *type, uint64_t size,
                     const char *extra)
{
    const int n = snprintf(c->out, sizeof c->out,
                           "HTTP/1.1 %d %s\r\n"
                           "Server: posix-poll-httpd\r\n"
                           "Date: %s\r\n"
                           "Content-Type: %s\r\n"
                           "Content-Length: %llu\r\n"
                           "Connection: %s\r\n"
                           "%s\r\n",
                           status, reason(status), date(), type, (unsigned long long)size,
                           c->keep_alive ? "keep-alive" : "close", extra);
    c->out_from = 0;
    c->out_to = (size_t)n;
    c->left = 0;
    c->phase = SENDING;
}

// Answers with a short page that says what is wrong.
static void put_page(struct connection *c, const struct request *request, int status,
                     const char *extra)
{
    char page[256];
    const int size = snprintf(page, sizeof page,
                              "<!doctype html>\n<title>%d %s</title>\n<h1>%d %s</h1>\n", status,
                              reason(status), status, reason(status));
    put_head(c, status, "text/html; charset=utf-8", (uint64_t)size, extra);
    if (!request->head_only) {
        memcpy(c->out + c->out_to, page, (size_t)size);
        c->out_to += (size_t)size;
    }
}

// Fills `out` with the next part of the file. False if the file gave less than it promised.
static bool refill(struct connection *c)
{
    if (c->out_from == c->out_to)
        c->out_from = c->out_to = 0;
    while (c->left && c->out_to < sizeof c->out) {
        const size_t space = sizeof c->out - c->out_to;
        const size_t want = c->left < space ? (size_t)c->left : space;
        const ssize_t n = read(c->file, c->out + c->out_to, want);
        if (n <= 0)
            return false;
        c->out_to += (size_t)n;
        c->left -= (uint64_t)n;
    }
    if (!c->left && c->file >= 0) {
        close(c->file);
        c->file = -1;
    }
    return true;
}

// Starts the answer to a request that was understood. False if the connection must end.
static bool answer(struct connection *c, const struct request *request, const char *root)
{
    struct found found;
    if (!request->known_method) {
        put_page(c, request, 405, "Allow: GET, HEAD\r\n");
        return true;
    }
    const int status = site_find(root, request->path, &found);
    if (status == 301) {
        char location[sizeof found.location + 16];
        snprintf(location, sizeof location, "Location: %s\r\n", found.location);
        put_page(c, request, status, location);
        return true;
    }
    if (status != 200) {
        put_page(c, request, status, "");
        return true;
    }
    put_head(c, 200, found.type, found.size, "");
    if (request->head_only) {
        close(found.file);
        return true;
    }
    c->file = found.file;
    c->left = found.size;
    return refill(c);
}

enum step { GO_ON, BLOCKED, ENDED };

static enum step blocked_or_ended(void)
{
    if (errno == EINTR)
        return GO_ON;
    return errno == EAGAIN || errno == EWOULDBLOCK ? BLOCKED : ENDED;
}

// Takes the next request out of `in`, or reads more into it.
static enum step step_reading(struct connection *c, const char *root)
{
    static struct request request; // one thread; too large for a small stack
    size_t used;
    request.head_only = false;
    const int status = parse_request(c->in + c->in_from, c->in_to - c->in_from, &request, &used);
    if (status != INCOMPLETE) {
        c->progress = true;
        c->in_from += used;
        c->keep_alive = used && request.keep_alive && !request.has_body;
        if (status == 200)
            return answer(c, &request, root) ? GO_ON : ENDED;
        put_page(c, &request, status, "");
        return GO_ON;
    }

    if (c->in_from) {
        memmove(c->in, c->in + c->in_from, c->in_to - c->in_from);
        c->in_to -= c->in_from;
        c->in_from = 0;
    }
    const size_t space = sizeof c->in - c->in_to;
    const ssize_t n = read(c->fd, c->in + c->in_to, space);
    if (n < 0)
        return blocked_or_ended();
    if (n == 0)
        return ENDED;
    c->in_to += (size_t)n;
    return GO_ON;
}

// Sends what there is of the answer; when all is gone, the next request's turn.
static enum step step_sending(struct connection *c)
{
    if (c->out_from < c->out_to) {
        const ssize_t n =
            send(c->fd, c->out + c->out_from, c->out_to - c->out_from, MSG_NOSIGNAL);
        if (n < 0)
            return blocked_or_ended();
        c->out_from += (size_t)n;
        c->progress = true;
        return GO_ON;
    }
    if (c->left)
        return refill(c) ? GO_ON : ENDED;
    if (c->keep_alive) {
        c->phase = READING;
        return GO_ON;
    }
    // A close with input unread would reset the connection, and the client might lose the
    // answer: say that this was all, and wait for the client's end.
    shutdown(c->fd, SHUT_WR);
    c->phase = LEAVING;
    c->thrown_away = 0;
    return GO_ON;
}

static enum step step_leaving(struct connection *c)
{
    const ssize_t n = read(c->fd, c->in, sizeof c->in);
    if (n < 0)
        return blocked_or_ended();
    c->thrown_away += (size_t)n;
    return n == 0 || c->thrown_away > THROW_AWAY_MAX ? ENDED : GO_ON;
}

enum turn connection_turn(struct connection *c, const char *root)
{
    for (int i = 0; i < SHARE; i++) {
        enum step step = ENDED;
        switch (c->phase) {
        case READING: step = step_reading(c, root); break;
        case SENDING: step = step_sending(c); break;
        case LEAVING: step = step_leaving(c); break;
        }
        if (step == BLOCKED)
            return WAIT;
        if (step == ENDED)
            return FINISHED;
    }
    return MORE;
}
