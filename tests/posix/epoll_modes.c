// SPDX-License-Identifier: BSD-2-Clause
// epoll: when a watch reports: level, edge, one-shot, and what EPOLL_CTL_MOD does to them.
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "helpers.h"

CHECK(epoll, level_until_drained, "a level watch reports until all is read")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN);
    EXPECT_IDLE(ep);
    put(p.w, "ab");
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    char c;
    get(p.r, &c, 1);
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    get(p.r, &c, 1);
    EXPECT_IDLE(ep);
}

CHECK(epoll, level_out, "a level watch reports OUT as long as there is space")
{
    const struct ends p = new_pipe(O_NONBLOCK);
    const int ep = new_epoll();
    add(ep, p.w, EPOLLOUT);
    EXPECT_EVENT(ep, p.w, EPOLLOUT);
    EXPECT_EVENT(ep, p.w, EPOLLOUT);
    fill(p.w);
    EXPECT_IDLE(ep);
    drain(p.r);
    EXPECT_EVENT(ep, p.w, EPOLLOUT);
}

CHECK(epoll, edge_once, "an edge is reported once")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN | EPOLLET);
    put(p.w, "a");
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    EXPECT_IDLE(ep);
}

CHECK(epoll, edge_per_write, "every write is an edge, drained or not")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN | EPOLLET);
    for (int i = 0; i < 3; i++) {
        put(p.w, "a");
        EXPECT_EVENT(ep, p.r, EPOLLIN);
        EXPECT_IDLE(ep);
    }
}

CHECK(epoll, edge_per_write_eventfd, "every eventfd write is an edge, read or not")
{
    const int fd = new_eventfd(0);
    const int ep = new_epoll();
    const uint64_t one = 1;
    add(ep, fd, EPOLLIN | EPOLLET);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(write(fd, &one, 8), 8);
        EXPECT_EVENT(ep, fd, EPOLLIN);
        EXPECT_IDLE(ep);
    }
}

CHECK(epoll, edge_per_write_tcp, "every arrival on a connection is an edge, read or not")
{
    const struct link l = new_link();
    const int ep = new_epoll();
    add(ep, l.server, EPOLLIN | EPOLLET);
    for (int i = 0; i < 3; i++) {
        put(l.client, "a");
        EXPECT_EVENT(ep, l.server, EPOLLIN);
        EXPECT_IDLE(ep);
    }
}

CHECK(epoll, edges_coalesce, "edges that nobody collected are one event")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN | EPOLLET);
    put(p.w, "a");
    put(p.w, "b");
    put(p.w, "c");
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    EXPECT_IDLE(ep);
}

CHECK(epoll, edge_not_by_reading, "reading a part is no edge")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    char c;
    add(ep, p.r, EPOLLIN | EPOLLET);
    put(p.w, "ab");
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    get(p.r, &c, 1);
    EXPECT_IDLE(ep);
}

CHECK(epoll, edge_at_add, "adding a watch on what is ready already is an edge")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    put(p.w, "a");
    add(ep, p.r, EPOLLIN | EPOLLET);
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    EXPECT_IDLE(ep);
}

CHECK(epoll, edge_out, "an edge watch reports OUT once, and again when a full pipe is drained")
{
    const struct ends p = new_pipe(O_NONBLOCK);
    const int ep = new_epoll();
    add(ep, p.w, EPOLLOUT | EPOLLET);
    EXPECT_EVENT(ep, p.w, EPOLLOUT);
    EXPECT_IDLE(ep);
    fill(p.w);
    EXPECT_IDLE(ep);
    drain(p.r);
    EXPECT_EVENT(ep, p.w, EPOLLOUT);
    EXPECT_IDLE(ep);
}

CHECK(epoll, edge_of_hang_up, "closing the other end is an edge even with data unread")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN | EPOLLET);
    put(p.w, "a");
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    OK(close(p.w));
    EXPECT_EVENT(ep, p.r, EPOLLIN | EPOLLHUP);
    EXPECT_IDLE(ep);
}

CHECK(epoll, edges_of_two, "edges of two sources are both reported, each once")
{
    const struct ends a = new_pipe(0), b = new_pipe(0);
    const int ep = new_epoll();
    struct epoll_event events[4];
    add(ep, a.r, EPOLLIN | EPOLLET);
    add(ep, b.r, EPOLLIN | EPOLLET);
    put(a.w, "a");
    put(b.w, "b");
    EXPECT_EQ(wait_now(ep, events, 4), 2);
    EXPECT(events[0].data.u64 != events[1].data.u64);
    put(b.w, "b");
    EXPECT_EVENT(ep, b.r, EPOLLIN);
}

CHECK(epoll, not_stale, "what was read before the wait is not reported")
{
    const struct ends p = new_pipe(0), q = new_pipe(0);
    const int ep = new_epoll();
    char c;
    add(ep, p.r, EPOLLIN);
    add(ep, q.r, EPOLLIN | EPOLLET);
    put(p.w, "a");
    put(q.w, "a");
    get(p.r, &c, 1);
    get(q.r, &c, 1);
    EXPECT_IDLE(ep);
    put(q.w, "b");
    EXPECT_EVENT(ep, q.r, EPOLLIN);
}

CHECK(epoll, one_shot, "a one-shot watch reports once, then is silent whatever comes")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN | EPOLLONESHOT);
    put(p.w, "a");
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    EXPECT_IDLE(ep);
    put(p.w, "b");
    EXPECT_IDLE(ep);
}

CHECK(epoll, one_shot_silent_on_hang_up, "a spent one-shot watch does not even report HUP")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN | EPOLLONESHOT);
    put(p.w, "a");
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    OK(close(p.w));
    EXPECT_IDLE(ep);
}

CHECK(epoll, one_shot_rearmed, "MOD arms a spent one-shot watch and reports what is ready at once")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN | EPOLLONESHOT);
    put(p.w, "a");
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    EXPECT_IDLE(ep);
    modify(ep, p.r, EPOLLIN | EPOLLONESHOT);
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    EXPECT_IDLE(ep);
    drain(p.r);
    modify(ep, p.r, EPOLLIN | EPOLLONESHOT);
    EXPECT_IDLE(ep);
    put(p.w, "b");
    EXPECT_EVENT(ep, p.r, EPOLLIN);
}

CHECK(epoll, one_shot_still_added, "a spent one-shot watch is still there")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN | EPOLLONESHOT);
    put(p.w, "a");
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    struct epoll_event event = {.events = EPOLLIN};
    EXPECT_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, p.r, &event), EEXIST);
    unwatch(ep, p.r);
    add(ep, p.r, EPOLLIN);
    EXPECT_EVENT(ep, p.r, EPOLLIN);
}

CHECK(epoll, one_shot_edge, "one-shot and edge go together")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN | EPOLLET | EPOLLONESHOT);
    put(p.w, "a");
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    put(p.w, "b");
    EXPECT_IDLE(ep);
    modify(ep, p.r, EPOLLIN | EPOLLET | EPOLLONESHOT);
    EXPECT_EVENT(ep, p.r, EPOLLIN);
}

CHECK(epoll, mod_same_mask, "MOD with the same mask re-arms an edge watch at once")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN | EPOLLET);
    put(p.w, "a");
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    EXPECT_IDLE(ep);
    modify(ep, p.r, EPOLLIN | EPOLLET);
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    EXPECT_IDLE(ep);
}

CHECK(epoll, mod_new_mask, "MOD to another mask looks at the source at once")
{
    const struct link l = new_link();
    const int ep = new_epoll();
    add(ep, l.client, EPOLLIN);
    EXPECT_IDLE(ep);
    modify(ep, l.client, EPOLLIN | EPOLLOUT);
    EXPECT_EVENT(ep, l.client, EPOLLOUT);
    modify(ep, l.client, EPOLLIN);
    EXPECT_IDLE(ep);
}

CHECK(epoll, mod_before_collecting, "MOD withdraws an event that nobody collected")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN);
    put(p.w, "a");
    modify(ep, p.r, 0);
    EXPECT_IDLE(ep);
    modify(ep, p.r, EPOLLIN);
    EXPECT_EVENT(ep, p.r, EPOLLIN);
}

CHECK(epoll, mod_edge_to_level, "MOD from edge to level and back takes effect")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN | EPOLLET);
    put(p.w, "a");
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    EXPECT_IDLE(ep);
    modify(ep, p.r, EPOLLIN);
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    modify(ep, p.r, EPOLLIN | EPOLLET);
    EXPECT_EVENT(ep, p.r, EPOLLIN);
    EXPECT_IDLE(ep);
}

CHECK(epoll, mod_data, "MOD changes the data that is reported")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN);
    put(p.w, "a");
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x1122334455667788};
    OK(epoll_ctl(ep, EPOLL_CTL_MOD, p.r, &event));
    EXPECT_EQ(wait_now(ep, &event, 1), 1);
    EXPECT_EQ(event.data.u64, 0x1122334455667788);
}

CHECK(epoll, hang_up_unasked, "HUP is reported unasked, without IN when nothing is left to read")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.r, 0);
    put(p.w, "a");
    EXPECT_IDLE(ep);
    OK(close(p.w));
    EXPECT_EVENT(ep, p.r, EPOLLHUP);
    modify(ep, p.r, EPOLLIN);
    EXPECT_EVENT(ep, p.r, EPOLLIN | EPOLLHUP);
    drain(p.r);
    EXPECT_EVENT(ep, p.r, EPOLLHUP);
}

CHECK(epoll, error_unasked, "ERR is reported unasked to a writer whose reader is gone")
{
    const struct ends p = new_pipe(0);
    const int ep = new_epoll();
    add(ep, p.w, 0);
    EXPECT_IDLE(ep);
    OK(close(p.r));
    EXPECT_EVENT(ep, p.w, EPOLLERR);
    modify(ep, p.w, EPOLLOUT);
    EXPECT_EVENT(ep, p.w, EPOLLOUT | EPOLLERR);
}

CHECK(epoll, only_what_is_asked, "nothing that was not asked for is reported")
{
    const int fd = new_eventfd(1);
    const int ep = new_epoll();
    add(ep, fd, EPOLLIN);
    EXPECT_EVENT(ep, fd, EPOLLIN);
    modify(ep, fd, EPOLLOUT);
    EXPECT_EVENT(ep, fd, EPOLLOUT);
    modify(ep, fd, EPOLLPRI | EPOLLRDHUP);
    EXPECT_IDLE(ep);
}

CHECK(epoll, both_directions, "two directions that are ready are one event")
{
    const int fd = new_eventfd(1);
    const int ep = new_epoll();
    add(ep, fd, EPOLLIN | EPOLLOUT);
    EXPECT_EVENT(ep, fd, EPOLLIN | EPOLLOUT);
}
