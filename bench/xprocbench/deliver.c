// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "xprocbench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*
 * P producers; in each round the parent releases k of them, every one through
 * a pipe of its own, and each of those writes one event into its event pipe.
 * The round is over when the parent has learned of all k events and they have
 * been drained.  Rounds do not overlap, and the k move on from round to round
 * so that all producers take part.  Three ways to learn of the events:
 *
 *   direct    the parent itself waits, with one epoll, for the P pipes;
 *   broker    a broker process has the P pipes, and sends the parent one
 *             message for each event through a single pipe;
 *   brokerv   the same, but one write carries all the broker just collected;
 *   thread_per_source
 *             the parent has a thread for each pipe, blocked in read(), which
 *             puts the event into a ring and counts up an eventfd on which
 *             the main thread waits.
 *
 * The cost per event therefore contains one release: a write by the parent
 * and a read by the producer, and the switch to it.  That share is measured
 * alone by
 *
 *   release   k producers are released without sending an event and one more,
 *             the bell, is released and does; from this is taken what the
 *             bell alone costs.
 */
struct delivery {
	long  p;
	int  *release;			/* write ends                       */
	int  *source;			/* read ends                        */
	long  next;			/* whose turn it is                 */
	long  want, have;		/* sums of the producers' numbers   */
	int   epfd;			/* direct: watches the sources      */
	int   message;			/* broker: read end                 */
	int   bell;			/* thread_per_source: the eventfd   */
};

struct message {
	uint64_t id, events;
};

/* Word w sends an event through the w-th pipe, counted from one. */
void r_producer(long unused, long unused2)
{
	uint64_t word;

	(void)unused;
	(void)unused2;
	while (told(LIFE, &word))
		if (word != MUTE)
			put(ROLE_FD + (int)word - 1, 1);
}

static void muster(struct delivery *d, long p)
{
	int go[2], out[2];

	*d = (struct delivery){ .p = p };
	d->release = room((size_t)p, sizeof *d->release);
	d->source = room((size_t)p, sizeof *d->source);
	for (long i = 0; i < p; i++) {
		new_pipe(go);
		new_pipe(out);
		d->release[i] = go[1];
		d->source[i] = out[0];
		spawn("@producer", 0, 0, go[1], (int[]){ go[0], out[1] }, 2);
	}
}

static void muster_done(struct delivery *d)
{
	free(d->release);
	free(d->source);
}

static void release(struct delivery *d, long k, long among, uint64_t word)
{
	for (long i = 0; i < k; i++) {
		put(d->release[d->next], word);
		d->want += d->next;
		d->next = d->next + 1 < among ? d->next + 1 : 0;
	}
}

static void collect_direct(struct delivery *d, long k)
{
	struct epoll_event ev[MAX_READY];

	while (k > 0) {
		int r = await(d->epfd, ev);

		for (int i = 0; i < r; i++) {
			get(d->source[ev[i].data.u64]);
			d->have += (long)ev[i].data.u64;
		}
		k -= r;
	}
	expect("events", k, 0);
}

static void collect_messages(struct delivery *d, long k)
{
	struct message m[MAX_READY];

	while (k > 0) {
		long l = read(d->message, m, sizeof m);
		if (l <= 0)
			bad("read(message)", l);
		waits++;
		l /= (long)sizeof m[0];
		for (int i = 0; i < l; i++)
			d->have += (long)m[i].id;
		k -= l;
	}
	expect("events", k, 0);
}

void r_broker(long p, long coalesce)
{
	enum { MESSAGE = ROLE_FD, SOURCE };
	struct epoll_event ev[MAX_READY];
	struct message m[MAX_READY];
	int epfd = new_epoll();
	uint64_t word;

	watch(epfd, LIFE, (uint64_t)p);
	for (long i = 0; i < p; i++)
		watch(epfd, SOURCE + (int)i, (uint64_t)i);
	for (;;) {
		int r = await(epfd, ev);
		long len = r * (long)sizeof m[0];

		for (int i = 0; i < r; i++) {
			uint64_t id = ev[i].data.u64;

			/* The producers may be the first to go home. */
			if (id == (uint64_t)p ||
			    !told(SOURCE + (int)id, &word))
				return;
			m[i].id = id;
			m[i].events = ev[i].events;
			if (!coalesce)
				expect("write(message)",
				       write(MESSAGE, &m[i], sizeof m[i]),
				       sizeof m[i]);
		}
		if (coalesce)
			expect("write(message)",
			       write(MESSAGE, m, (size_t)len), len);
	}
}

static void hire_broker(struct delivery *d, int coalesce)
{
	int *fd = room((size_t)d->p + 2, sizeof *fd);
	int life[2], message[2];

	new_pipe(life);
	new_pipe(message);
	d->message = message[0];
	fd[0] = life[0];
	fd[1] = message[1];
	memcpy(fd + 2, d->source, (size_t)d->p * sizeof *fd);
	spawn("@broker", d->p, coalesce, life[1], fd, (int)d->p + 2);
	free(fd);
}

/* What the threads share.  Rounds do not overlap, so the ring cannot run
 * full if it has room for an event from each. */
static struct {
	pthread_mutex_t  lock;
	struct delivery *d;
	long            *slot, head, tail, size;
} ring = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *reader(void *arg)
{
	long id = (long)(intptr_t)arg;
	uint64_t word;

	while (told(ring.d->source[id], &word)) {
		pthread_mutex_lock(&ring.lock);
		ring.slot[ring.tail++ % ring.size] = id;
		pthread_mutex_unlock(&ring.lock);
		put(ring.d->bell, 1);
	}
	return NULL;
}

static void collect_ring(struct delivery *d, long k)
{
	while (k > 0) {
		long r = (long)get(d->bell);

		waits++;
		pthread_mutex_lock(&ring.lock);
		for (long i = 0; i < r; i++)
			d->have += ring.slot[ring.head++ % ring.size];
		pthread_mutex_unlock(&ring.lock);
		k -= r;
	}
	expect("events", k, 0);
}

static void hire_threads(struct delivery *d)
{
	pthread_attr_t small;

	d->bell = keep("eventfd", eventfd(0, EFD_CLOEXEC));
	ring.d = d;
	ring.size = d->p;
	ring.head = ring.tail = 0;
	ring.slot = room((size_t)d->p, sizeof *ring.slot);
	threads = room((size_t)d->p, sizeof *threads);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	for (nthreads = 0; nthreads < d->p; nthreads++) {
		int e = pthread_create(&threads[nthreads], &small, reader,
		                       (void *)(intptr_t)nthreads);
		if (e != 0)
			lack("pthread_create", e);
	}
	pthread_attr_destroy(&small);
}

/* How many are released in a round: 1, 16, and all; 0 if that is nothing new. */
static const char *const k_label[] = { "k1", "k16", "kall" };

static long k_for(int step, long p)
{
	return step == 0 ? 1 : step == 1 ? (p > 16 ? 16 : 0) : p > 1 ? p : 0;
}

static int rounds_for(long k)
{
	return k < 16 ? 32 : k < 64 ? 8 : 4;
}

enum { DIRECT, BROKER, BROKERV, THREADS };

static void deliver(const char *name, long p, int how)
{
	void (*collect)(struct delivery *, long) =
	    how == DIRECT ? collect_direct :
	    how == THREADS ? collect_ring : collect_messages;
	struct series s = { .n = 0 };
	struct delivery d;
	char full[64];

	muster(&d, p);
	if (how == DIRECT) {
		d.epfd = new_epoll();
		for (long i = 0; i < p; i++)
			watch(d.epfd, d.source[i], (uint64_t)i);
	} else if (how == THREADS) {
		hire_threads(&d);
	} else {
		hire_broker(&d, how == BROKERV);
	}
	/* Everybody runs once before anything is timed. */
	release(&d, p, p, 1);
	collect(&d, p);
	for (int step = 0; step < COUNT(k_label); step++) {
		long k = k_for(step, p);
		int rounds = rounds_for(k);

		if (k == 0)
			continue;
		for (int b = -1; b < opt_batches; b++) {
			struct batch t;

			begin(&t);
			for (int i = 0; i < rounds; i++) {
				release(&d, k, p, 1);
				collect(&d, k);
			}
			end(&t);
			expect("sum of the events", d.have, d.want);
			if (b >= 0)
				enter(&s, &t, (uint64_t)(rounds * k));
		}
		snprintf(full, sizeof full, "%s.%s", name, k_label[step]);
		report(full, p, "event", &s);
	}
	dismiss(0);
	muster_done(&d);
	if (how == THREADS)
		free(ring.slot);
}

void t_direct(const char *name, long p)  { deliver(name, p, DIRECT); }
void t_broker(const char *name, long p)  { deliver(name, p, BROKER); }
void t_brokerv(const char *name, long p) { deliver(name, p, BROKERV); }
void t_threads(const char *name, long p) { deliver(name, p, THREADS); }

void t_release(const char *name, long p)
{
	struct series s = { .n = 0 };
	struct delivery d;
	char full[64];

	muster(&d, p + 1);
	d.epfd = new_epoll();
	watch(d.epfd, d.source[p], (uint64_t)p);
	release(&d, p, p, MUTE);
	put(d.release[p], 1);
	collect_direct(&d, 1);
	for (int step = 0; step < COUNT(k_label); step++) {
		long k = k_for(step, p);
		int rounds = rounds_for(k);

		if (k == 0)
			continue;
		for (int b = -1; b < opt_batches; b++) {
			struct batch t, u;

			begin(&t);
			for (int i = 0; i < rounds; i++) {
				put(d.release[p], 1);
				collect_direct(&d, 1);
			}
			end(&t);
			MARK(MARK_TAKE_OFF);
			begin(&u);
			for (int i = 0; i < rounds; i++) {
				release(&d, k, p, MUTE);
				put(d.release[p], 1);
				collect_direct(&d, 1);
			}
			end(&u);
			u.t = u.t > t.t ? u.t - t.t + clock_cost : 0;
			u.switched -= t.switched;
			u.waited -= t.waited;
			if (b >= 0)
				enter(&s, &u, (uint64_t)(rounds * k));
		}
		snprintf(full, sizeof full, "%s.%s", name, k_label[step]);
		report(full, p, "release", &s);
	}
	dismiss(0);
	muster_done(&d);
}
