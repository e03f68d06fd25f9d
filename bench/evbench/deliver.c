// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "evbench.h"

#include <stdio.h>
#include <unistd.h>

/*
 * Delivery: a producer thread makes k of N sources ready, and a consumer
 * learns which ones.  Three ways:
 *
 *   direct    the consumer itself waits on the N sources and drains them;
 *   broker    a broker thread owns the sources, drains them, and sends the
 *             consumer one message per event through a pipe;
 *   brokerv   the same, but one pipe write carries all the broker just
 *             collected.
 *
 * The consumer starts each round by releasing the producer, so rounds do not
 * overlap, and that hand-over costs the same in all three.
 */
struct delivery {
	long n, k;
	int  epfd;			/* watches the sources, and stop[0]  */
	int  coalesce;
	int  release[2];		/* consumer to producer              */
	int  stop[2];			/* consumer to broker                */
	int  message[2];		/* broker to consumer                */
};

struct message {
	uint64_t id, events;
};

static void *producer(void *arg)
{
	struct delivery *d = arg;

	while (get(d->release[0]) != 0)
		for (long i = 0; i < d->k; i++)
			raise_source(&src[pick(i, d->k, d->n)]);
	return NULL;
}

static void *broker(void *arg)
{
	struct delivery *d = arg;
	struct epoll_event ev[MAX_READY];
	struct message m[MAX_READY];

	for (;;) {
		int r = epoll_wait(d->epfd, ev, MAX_READY, -1);

		if (r <= 0)
			bad("epoll_wait", r);
		for (int i = 0; i < r; i++) {
			uint64_t id = ev[i].data.u64;

			if (id == (uint64_t)d->n)
				return NULL;
			drain_source(&src[id]);
			m[i].id = id;
			m[i].events = ev[i].events;
			if (!d->coalesce)
				expect("write(message)",
				       write(d->message[1], &m[i],
				             sizeof m[i]), sizeof m[i]);
		}
		if (d->coalesce) {
			long len = r * (long)sizeof m[0];
			expect("write(message)",
			       write(d->message[1], m, (size_t)len), len);
		}
	}
}

static void deliver(const char *name, long n, int brokered, int coalesce)
{
	struct series s = { .n = 0 };
	struct epoll_event ev[MAX_READY];
	struct message m[MAX_READY];
	struct delivery d = { .n = n, .coalesce = coalesce };
	pthread_t maker, middle;
	char full[64];

	d.epfd = new_epoll();
	for (long i = 0; i < n; i++)
		watch(d.epfd, src[i].rfd, (uint64_t)i);
	for (int r = 0; r < COUNT(ready_counts); r++) {
		int rounds;

		d.k = ready_counts[r];
		if (d.k > n)
			continue;
		rounds = d.k < 16 ? 32 : 8;
		new_pipe(d.release);
		new_pipe(d.stop);
		new_pipe(d.message);
		start(&maker, producer, &d);
		if (brokered) {
			watch(d.epfd, d.stop[0], (uint64_t)n);
			start(&middle, broker, &d);
		}
		for (int b = -1; b < opt_batches; b++) {
			struct batch t;

			begin(&t);

			for (int i = 0; i < rounds; i++) {
				long got = 0;

				put(d.release[1], 1);
				while (got < d.k && brokered) {
					long l = read(d.message[0], m,
					              sizeof m);
					if (l <= 0)
						bad("read(message)", l);
					got += l / (long)sizeof m[0];
				}
				while (got < d.k) {
					int l = epoll_wait(d.epfd, ev,
					                   MAX_READY, -1);
					if (l <= 0)
						bad("epoll_wait", l);
					for (int j = 0; j < l; j++)
						drain_source(
						    &src[ev[j].data.u64]);
					got += l;
				}
				expect("events", got, d.k);
			}
			end(&t);
			if (b >= 0)
				enter(&s, &t, (unsigned)(rounds * d.k));
		}
		put(d.release[1], 0);
		pthread_join(maker, NULL);
		if (brokered) {
			put(d.stop[1], 1);
			pthread_join(middle, NULL);
		}
		close_pipe(d.release);
		close_pipe(d.stop);
		close_pipe(d.message);
		snprintf(full, sizeof full, "%s.k%ld", name, d.k);
		report(full, n, "event", &s);
	}
	close(d.epfd);
}

void t_direct(const char *name, long n)  { deliver(name, n, 0, 0); }
void t_broker(const char *name, long n)  { deliver(name, n, 1, 0); }
void t_brokerv(const char *name, long n) { deliver(name, n, 1, 1); }
