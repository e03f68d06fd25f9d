// SPDX-License-Identifier: BSD-2-Clause
/*
 * evloop - what one operation of an event loop costs, in one thread.
 *
 * The tests, their batches and the names of their rows are those of the Linux baseline
 * (BASELINE.md's evbench), so that the rows compare. Time is RDTSC: under QEMU's
 * -icount it counts guest instructions, kernel included, exactly.
 *
 * Prints: name TAB N TAB median TAB unit TAB minimum, all per operation in tenths.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <unistd.h>

enum { BATCHES = 31, SPARE = 16, MAX_READY = 64 };

struct series {
	uint64_t v[BATCHES];
	int n;
};

/* A source that can be made ready and drained by eight bytes. */
struct source {
	int rfd, wfd;
};

static uint64_t clock_cost;
static struct source *src;
static long n_src;
static char kind;

static inline uint64_t now(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static void must(const char *what, long got, long want)
{
	if (got == want)
		return;
	printf("fail\t%s returned %ld, not %ld: %m\n", what, got, want);
	exit(1);
}

static void sample(struct series *s, uint64_t ticks, uint64_t ops)
{
	ticks = ticks > clock_cost ? ticks - clock_cost : 0;
	s->v[s->n++] = (ticks * 10 + ops / 2) / ops;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void report(const char *test, int k, const char *unit, struct series *s)
{
	char suffix[16] = "";

	qsort(s->v, s->n, sizeof s->v[0], by_value);
	if (k)
		snprintf(suffix, sizeof suffix, ".k%d", k);
	printf("%s.%s%s\t%ld\t%llu.%llu\tinstructions/%s\t%llu.%llu\n",
	       kind == 'e' ? "eventfd" : "pipe", test, suffix, n_src,
	       (unsigned long long)s->v[s->n / 2] / 10, (unsigned long long)s->v[s->n / 2] % 10, unit,
	       (unsigned long long)s->v[0] / 10, (unsigned long long)s->v[0] % 10);
	s->n = 0;
}

static void make_ready(long i)
{
	uint64_t one = 1;

	must("write", write(src[i].wfd, &one, 8), 8);
}

static void drain(long i)
{
	uint64_t value;

	must("read", read(src[i].rfd, &value, 8), 8);
}

static void open_sources(long n)
{
	src = calloc(n + SPARE, sizeof *src);
	for (long i = 0; i < n + SPARE; i++) {
		int fd[2];

		if (kind == 'e')
			must("eventfd", (fd[0] = fd[1] = eventfd(0, EFD_NONBLOCK)) >= 0, 1);
		else
			must("pipe", pipe(fd), 0);
		src[i] = (struct source){ fd[0], fd[1] };
	}
	n_src = n;
}

static void close_sources(void)
{
	for (long i = 0; i < n_src + SPARE; i++) {
		close(src[i].rfd);
		if (src[i].wfd != src[i].rfd)
			close(src[i].wfd);
	}
	free(src);
}

/* The i-th of k sources, spread evenly over all. */
static long pick(long i, long k)
{
	return (i + 1) * n_src / k - 1;
}

static void ctl(int ep, int op, long i, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u64 = (uint64_t)i };

	must("epoll_ctl", epoll_ctl(ep, op, src[i].rfd, &ev), 0);
}

static int watch_all(uint32_t events)
{
	int ep = epoll_create1(0);

	must("epoll_create1", ep >= 0, 1);
	for (long i = 0; i < n_src; i++)
		ctl(ep, EPOLL_CTL_ADD, i, events);
	return ep;
}

static void write_read(void)
{
	struct series s = { .n = 0 };

	for (int b = 0; b < BATCHES; b++) {
		uint64_t t = now();

		for (int i = 0; i < 64; i++) {
			make_ready(n_src);
			drain(n_src);
		}
		sample(&s, now() - t, 64);
	}
	report("write_read", 0, "pair", &s);
}

static void epoll_ctls(void)
{
	static const char *const verb[] = { "epoll.ctl.add", "epoll.ctl.mod", "epoll.ctl.del" };
	struct series s[3] = { 0 };
	int ep = watch_all(EPOLLIN);

	for (int b = 0; b < BATCHES; b++) {
		uint64_t t[4];

		t[0] = now();
		for (long i = n_src; i < n_src + SPARE; i++)
			ctl(ep, EPOLL_CTL_ADD, i, EPOLLIN);
		t[1] = now();
		for (long i = n_src; i < n_src + SPARE; i++)
			ctl(ep, EPOLL_CTL_MOD, i, EPOLLIN | EPOLLET);
		t[2] = now();
		for (long i = n_src; i < n_src + SPARE; i++)
			ctl(ep, EPOLL_CTL_DEL, i, 0);
		t[3] = now();
		for (int v = 0; v < 3; v++)
			sample(&s[v], t[v + 1] - t[v], SPARE);
	}
	for (int v = 0; v < 3; v++)
		report(verb[v], 0, "op", &s[v]);
	close(ep);
}

static void wait_none(void)
{
	struct epoll_event ev[MAX_READY];
	struct series s = { .n = 0 };
	int ep = watch_all(EPOLLIN);

	for (int b = 0; b < BATCHES; b++) {
		uint64_t t = now();

		for (int i = 0; i < 64; i++)
			must("epoll_wait", epoll_wait(ep, ev, MAX_READY, 0), 0);
		sample(&s, now() - t, 64);
	}
	report("epoll.wait_none", 0, "call", &s);
	close(ep);
}

/* k level-triggered sources are ready and stay so. */
static void wait_level(int k)
{
	struct epoll_event ev[MAX_READY];
	struct series s = { .n = 0 };
	int ep;

	if (k > n_src)
		return;
	ep = watch_all(EPOLLIN);
	for (int i = 0; i < k; i++)
		make_ready(pick(i, k));
	for (int b = 0; b < BATCHES; b++) {
		uint64_t t = now();

		for (int i = 0; i < 32; i++)
			must("epoll_wait", epoll_wait(ep, ev, MAX_READY, 0), k);
		sample(&s, now() - t, 32 * k);
	}
	for (int i = 0; i < k; i++)
		drain(pick(i, k));
	report("epoll.wait_lt", k, "event", &s);
	close(ep);
}

/* The whole life of an event: made ready, waited for, drained (and re-armed if one-shot). */
static void cycle(const char *test, int k, uint32_t mode)
{
	struct epoll_event ev[MAX_READY];
	struct series s = { .n = 0 };
	int rounds = k < 16 ? 32 : 8, ep;

	if (k > n_src)
		return;
	ep = watch_all(EPOLLIN | mode);
	for (int b = 0; b < BATCHES; b++) {
		uint64_t t = now();

		for (int i = 0; i < rounds; i++) {
			for (int j = 0; j < k; j++)
				make_ready(pick(j, k));
			must("epoll_wait", epoll_wait(ep, ev, MAX_READY, 0), k);
			for (int j = 0; j < k; j++) {
				drain((long)ev[j].data.u64);
				if (mode & EPOLLONESHOT)
					ctl(ep, EPOLL_CTL_MOD, (long)ev[j].data.u64, EPOLLIN | mode);
			}
		}
		sample(&s, now() - t, rounds * k);
	}
	report(test, k, "event", &s);
	close(ep);
}

/* Nothing is ready; per call. */
static void poll_none(void)
{
	struct pollfd *fds = calloc(n_src, sizeof *fds);
	struct series s = { .n = 0 };

	for (long i = 0; i < n_src; i++)
		fds[i] = (struct pollfd){ .fd = src[i].rfd, .events = POLLIN };
	for (int b = 0; b < BATCHES; b++) {
		uint64_t t = now();

		for (int i = 0; i < 16; i++)
			must("poll", poll(fds, n_src, 0), 0);
		sample(&s, now() - t, 16);
	}
	report("poll.none", 0, "call", &s);
	free(fds);
}

static void select_none(void)
{
	struct series s = { .n = 0 };
	fd_set all, set;
	int max = 0;

	FD_ZERO(&all);
	for (long i = 0; i < n_src; i++) {
		if (src[i].rfd >= FD_SETSIZE)
			return;
		FD_SET(src[i].rfd, &all);
		max = src[i].rfd > max ? src[i].rfd : max;
	}
	for (int b = 0; b < BATCHES; b++) {
		uint64_t t = now();

		for (int i = 0; i < 16; i++) {
			struct timeval zero = { 0, 0 };

			set = all;
			must("select", select(max + 1, &set, NULL, NULL, &zero), 0);
		}
		sample(&s, now() - t, 16);
	}
	report("select.none", 0, "call", &s);
}

int main(int argc, char **argv)
{
	static const long sizes[] = { 1, 100, 10000 };
	long most = argc > 1 ? atol(argv[1]) : 10000;

	setvbuf(stdout, NULL, _IOLBF, 0);
	clock_cost = UINT64_MAX;
	for (int i = 0; i < 100; i++) {
		uint64_t a = now(), b = now();

		clock_cost = b - a < clock_cost ? b - a : clock_cost;
	}
	for (const char *k = "ep"; *k; k++) {
		for (int i = 0; i < 3; i++) {
			kind = *k;
			if (sizes[i] > most || (kind == 'p' && sizes[i] > 1000))
				continue;
			open_sources(sizes[i]);
			write_read();
			epoll_ctls();
			wait_none();
			wait_level(1);
			wait_level(64);
			cycle("epoll.cycle_lt", 1, 0);
			cycle("epoll.cycle_lt", 64, 0);
			cycle("epoll.cycle_et", 1, EPOLLET);
			cycle("epoll.cycle_1s", 1, EPOLLONESHOT);
			poll_none();
			select_none();
			close_sources();
		}
	}
	return 0;
}
