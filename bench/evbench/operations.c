// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "evbench.h"

#include <stdio.h>

/* Write and read back, watched by nobody: what the cycles below cost before
 * any readiness interface is involved. */
void t_write_read(const char *name, long n)
{
	struct series s = { .n = 0 };

	for (int b = -1; b < opt_batches; b++) {
		struct batch t;

		begin(&t);
		for (int i = 0; i < 64; i++) {
			raise_source(&src[n]);
			drain_source(&src[n]);
		}
		end(&t);
		if (b >= 0)
			enter(&s, &t, 64);
	}
	report(name, n, "pair", &s);
}

/* Fill an epoll from empty to N, then close it with all N still in it. */
void t_fill(const char *name, long n)
{
	struct series fill = { .n = 0 }, drop = { .n = 0, .number = 1 };
	int batches = n > 1000 ? 3 : opt_batches;
	char other[64];

	for (int b = 0; b < batches; b++) {
		struct batch t;

		begin(&t);
		ep_watch(n, EPOLLIN);
		end(&t);
		enter(&fill, &t, (uint64_t)n);
		begin(&t);
		ep_close();
		end(&t);
		enter(&drop, &t, (uint64_t)n);
	}
	report(name, n, "fd", &fill);
	snprintf(other, sizeof other, "%s.close", name);
	report(other, n, "fd", &drop);
}

/* ADD, MOD and DEL of SPARE further sources while N are registered. */
void t_ctl(const char *name, long n)
{
	static const struct {
		const char *verb;
		int op;
		uint32_t events;
	} step[] = {
		{ "add", EPOLL_CTL_ADD, EPOLLIN           },
		{ "mod", EPOLL_CTL_MOD, EPOLLIN | EPOLLET },
		{ "del", EPOLL_CTL_DEL, 0                 },
	};
	struct series s[COUNT(step)] = { { .number = 0 }, { .number = 1 },
	                                 { .number = 2 } };
	char full[64];

	ep_watch(n, EPOLLIN);
	for (int b = -1; b < opt_batches; b++) {
		for (int v = 0; v < COUNT(step); v++) {
			int op = step[v].op;
			uint32_t events = step[v].events;
			struct batch t;

			begin(&t);
			for (long i = n; i < n + SPARE; i++)
				must_ctl(op, i, events);
			end(&t);
			if (b >= 0)
				enter(&s[v], &t, SPARE);
		}
	}
	for (int v = 0; v < COUNT(step); v++) {
		snprintf(full, sizeof full, "%s.%s", name, step[v].verb);
		report(full, n, "op", &s[v]);
	}
}

/* epoll_wait(timeout 0) that finds nothing. */
void t_wait_none(const char *name, long n)
{
	struct series s = { .n = 0 };
	struct epoll_event ev[MAX_READY];

	ep_watch(n, EPOLLIN);
	for (int b = -1; b < opt_batches; b++) {
		struct batch t;

		begin(&t);
		for (int i = 0; i < 64; i++)
			expect("epoll_wait",
			       epoll_wait(ep, ev, MAX_READY, 0), 0);
		end(&t);
		if (b >= 0)
			enter(&s, &t, 64);
	}
	report(name, n, "call", &s);
}

/* epoll_wait(timeout 0) that finds k level-triggered sources, which stay
 * ready from call to call. */
void t_wait_lt(const char *name, long n)
{
	struct series s = { .n = 0 };
	struct epoll_event ev[MAX_READY];
	char full[64];

	ep_watch(n, EPOLLIN);
	for (int r = 0; r < COUNT(ready_counts); r++) {
		int k = ready_counts[r];

		if (k > n)
			continue;
		for (int i = 0; i < k; i++)
			raise_source(&src[pick(i, k, n)]);
		for (int b = -1; b < opt_batches; b++) {
			struct batch t;

			begin(&t);
			for (int i = 0; i < 32; i++)
				expect("epoll_wait",
				       epoll_wait(ep, ev, MAX_READY, 0), k);
			end(&t);
			if (b >= 0)
				enter(&s, &t, 32u * (unsigned)k);
		}
		for (int i = 0; i < k; i++)
			drain_source(&src[pick(i, k, n)]);
		expect("epoll_wait", epoll_wait(ep, ev, MAX_READY, 0), 0);
		snprintf(full, sizeof full, "%s.k%d", name, k);
		report(full, n, "event", &s);
	}
}
