// SPDX-License-Identifier: BSD-2-Clause
/* What the parts of evbench know of each other. */
#ifndef EVBENCH_H
#define EVBENCH_H

#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "../measure/measure.h"

enum {
	SPARE   = 16,		/* sources kept outside the set of N        */
	HIGH_FD = 11000,	/* write ends of pipes are moved above this */
};

/* How many sources are made ready. */
static const int ready_counts[] = { 1, 16, 64 };

/* -------------------------------------------------------------- sources -- */

/*
 * A source is a descriptor that can be made readable and drained again: an eventfd, or the
 * read end of a pipe. Both take and give eight bytes, so the same two functions serve for
 * either.
 */
struct source {
	int rfd, wfd;
};

extern struct source *src;		/* those of the present tests        */

int  open_sources(char kind, long n);
void close_sources(void);

static inline void raise_source(const struct source *s)
{
	uint64_t one = 1;
	expect("write(source)", write(s->wfd, &one, 8), 8);
}

static inline void drain_source(const struct source *s)
{
	uint64_t v;
	expect("read(source)", read(s->rfd, &v, 8), 8);
}

/* The i-th of k sources, spread evenly over the first n. */
static inline long pick(long i, long k, long n)
{
	return (i + 1) * n / k - 1;
}

/* Calls per batch for the interfaces whose cost grows with N. */
static inline int linear_ops(long n)
{
	return n >= 10000 ? 2 : n >= 1000 ? 4 : 32;
}

/* ---------------------------------------------------------------- epoll -- */

extern int ep;				/* the epoll under test              */

void ep_watch(long n, uint32_t events);
void ep_close(void);

static inline void must_ctl(int op, long i, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u64 = (uint64_t)i };
	expect("epoll_ctl", epoll_ctl(ep, op, src[i].rfd, &ev), 0);
}

/* ---------------------------------------------------- tests with threads -- */

void start(pthread_t *t, void *(*fn)(void *), void *arg);
int  new_epoll(void);
void watch(int epfd, int fd, uint64_t id);
void new_pipe(int fd[2]);
void close_pipe(int fd[2]);

static inline void put(int fd, uint64_t word)
{
	expect("write", write(fd, &word, 8), 8);
}

static inline uint64_t get(int fd)
{
	uint64_t word;
	expect("read", read(fd, &word, 8), 8);
	return word;
}

/* ---------------------------------------------------------------- tests -- */

/* Each with its name, and N watched sources or connections. */
typedef void test_fn(const char *name, long n);

test_fn t_write_read, t_fill, t_ctl, t_wait_none, t_wait_lt;
test_fn t_cycle_lt, t_cycle_et, t_cycle_1s, t_steps_et, t_rearm;
test_fn t_poll, t_select;
test_fn t_pp_read, t_pp_epoll, t_pp_poll;
test_fn t_direct, t_broker, t_brokerv;
test_fn t_tcp, t_unix;

#endif
