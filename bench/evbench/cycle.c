// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "evbench.h"

#include <stdio.h>

/*
 * The whole life of an event in one thread: make k sources ready, collect
 * them with one epoll_wait, drain each, and re-arm each if one-shot.
 */
static void cycle(const char *name, long n, uint32_t mode)
{
	struct series s = { .n = 0 };
	struct epoll_event ev[MAX_READY];
	char full[64];

	ep_watch(n, EPOLLIN | mode);
	for (int r = 0; r < COUNT(ready_counts); r++) {
		int k = ready_counts[r], rounds = k < 16 ? 32 : 8;

		if (k > n)
			continue;
		for (int b = -1; b < opt_batches; b++) {
			struct batch t;

			begin(&t);
			for (int i = 0; i < rounds; i++) {
				for (int j = 0; j < k; j++)
					raise_source(&src[pick(j, k, n)]);
				expect("epoll_wait",
				       epoll_wait(ep, ev, MAX_READY, 0), k);
				for (int j = 0; j < k; j++) {
					long id = (long)ev[j].data.u64;
					drain_source(&src[id]);
					if (mode & EPOLLONESHOT)
						must_ctl(EPOLL_CTL_MOD, id,
						         EPOLLIN | mode);
				}
			}
			end(&t);
			if (b >= 0)
				enter(&s, &t, (unsigned)(rounds * k));
		}
		expect("epoll_wait", epoll_wait(ep, ev, MAX_READY, 0), 0);
		snprintf(full, sizeof full, "%s.k%d", name, k);
		report(full, n, "event", &s);
	}
}

void t_cycle_lt(const char *name, long n) { cycle(name, n, 0); }
void t_cycle_et(const char *name, long n) { cycle(name, n, EPOLLET); }
void t_cycle_1s(const char *name, long n)
{
	cycle(name, n, EPOLLONESHOT);
}

/* The three steps of the edge-triggered cycle, k = 1, timed apart: who pays
 * for the notification, the writer or the waiter? */
void t_steps_et(const char *name, long n)
{
	static const char *const step[] = { "raise", "wait", "drain" };
	struct series s[3] = { 0 };	/* by sample(): three readings in a turn */
	struct epoll_event ev[MAX_READY];
	const struct source *one = &src[n - 1];
	char full[64];

	ep_watch(n, EPOLLIN | EPOLLET);
	for (int b = -1; b < opt_batches; b++) {
		uint64_t sum[3] = { 0 }, t[4];

		for (int i = 0; i < 32; i++) {
			t[0] = now();
			raise_source(one);
			t[1] = now();
			expect("epoll_wait",
			       epoll_wait(ep, ev, MAX_READY, 0), 1);
			t[2] = now();
			drain_source(one);
			t[3] = now();
			for (int v = 0; v < 3; v++)
				sum[v] += t[v + 1] - t[v];
		}
		for (int v = 0; v < 3 && b >= 0; v++)
			sample(&s[v], sum[v], 32, 32);
	}
	for (int v = 0; v < 3; v++) {
		snprintf(full, sizeof full, "%s.%s", name, step[v]);
		report(full, n, "call", &s[v]);
	}
}

/* A one-shot source that never stops being ready: collect it, re-arm it. */
void t_rearm(const char *name, long n)
{
	struct series s = { .n = 0 };
	struct epoll_event ev[MAX_READY];

	ep_watch(n, EPOLLIN | EPOLLONESHOT);
	raise_source(&src[n - 1]);
	for (int b = -1; b < opt_batches; b++) {
		struct batch t;

		begin(&t);
		for (int i = 0; i < 32; i++) {
			expect("epoll_wait",
			       epoll_wait(ep, ev, MAX_READY, 0), 1);
			must_ctl(EPOLL_CTL_MOD, n - 1,
			         EPOLLIN | EPOLLONESHOT);
		}
		end(&t);
		if (b >= 0)
			enter(&s, &t, 32);
	}
	drain_source(&src[n - 1]);
	report(name, n, "event", &s);
}
