// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

int         opt_batches = 15;
const char *opt_filter;
int         opt_ns;
int         opt_switches;

int fails, skips;

uint64_t clock_cost;
uint64_t waits;

jmp_buf     bail;
pthread_t   main_thread;
const char *cur_name;
long        cur_n;
int         is_child;

int parse_list(char *text, long *v, int max)
{
	int n = 0;

	for (char *p = strtok(text, ","); p && n < max; p = strtok(NULL, ","))
		if ((v[n] = atol(p)) > 0)
			n++;
	return n;
}

/* ------------------------------------------------------------- results -- */

/* Context switches of the whole system so far, as Linux counts them. */
static uint64_t switches(void)
{
	static char text[1 << 17];
	size_t len = 0;
	ssize_t r;
	char *p;
	int fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	while (len < sizeof text - 1 &&
	       (r = read(fd, text + len, sizeof text - 1 - len)) > 0)
		len += (size_t)r;
	close(fd);
	text[len] = '\0';
	p = strstr(text, "\nctxt ");
	return p != NULL ? strtoull(p + 6, NULL, 10) : 0;
}

void begin_counts(struct batch *b)
{
	b->switched = opt_switches ? switches() : 0;
	b->waited = waits;
}

void end_counts(struct batch *b)
{
	b->waited = waits - b->waited;
	if (opt_switches)
		b->switched = switches() - b->switched;
}

void sample(struct series *s, uint64_t ticks, uint64_t ops, uint64_t clock_reads)
{
	uint64_t cost = clock_reads * clock_cost;

	ticks = ticks > cost ? ticks - cost : 0;
	if (s->n < MAX_BATCHES)
		s->v[s->n++] = (ticks * 10 + ops / 2) / ops;
}

void enter(struct series *s, const struct batch *b, uint64_t ops)
{
	switch (s->number) {
	case 0: MARK(MARK_ENTER); break;
	case 1: MARK(MARK_ENTER + 1); break;
	case 2: MARK(MARK_ENTER + 2); break;
	case 3: MARK(MARK_ENTER + 3); break;
	}
	sample(s, b->t, ops, 1);
	s->switched += b->switched;
	s->waited += b->waited;
	s->ops += ops;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

#define TENTHS(x) (unsigned long long)((x) / 10), (unsigned)((x) % 10)

/* A total as hundredths per operation. */
static void print_share(uint64_t total, uint64_t ops)
{
	uint64_t c = (total * 100 + ops / 2) / ops;
	printf("\t%llu.%02u", (unsigned long long)(c / 100), (unsigned)(c % 100));
}

void report(const char *name, long n, const char *per, struct series *s)
{
	uint64_t sum = 0;
	int number = s->number;

	if (s->n == 0)
		return;
	for (int i = 0; i < s->n; i++)
		sum += s->v[i];
	sum = (sum + (uint64_t)s->n / 2) / (uint64_t)s->n;
	qsort(s->v, (size_t)s->n, sizeof s->v[0], by_value);
	printf("%s\t%ld\t%llu.%u\t%s/%s\t%llu.%u\t%llu.%u\t%llu.%u\n", name, n,
	       TENTHS(s->v[s->n / 2]), opt_ns ? "ns" : "tick", per,
	       TENTHS(s->v[0]), TENTHS(s->v[s->n - 1]), TENTHS(sum));
	if (opt_switches && s->ops != 0) {
		printf("# switches, waits\t%s\t%ld", name, n);
		print_share(s->switched, s->ops);
		print_share(s->waited, s->ops);
		printf("\t/%s\n", per);
	}
	if (s->ops != 0) {
		printf("# ops\t%s\t%ld\t%llu\n", name, n, (unsigned long long)s->ops);
		switch (number) {
		case 0: MARK(MARK_ROW); break;
		case 1: MARK(MARK_ROW + 1); break;
		case 2: MARK(MARK_ROW + 2); break;
		case 3: MARK(MARK_ROW + 3); break;
		}
	}
	memset(s, 0, sizeof *s);
	s->number = number;
}

/*
 * Printing disturbs: a console may go on draining characters, by interrupt, long after
 * write() returned. Sleep a little so that it does so here and not inside the next
 * measurement.
 */
void settle(void)
{
	struct timespec ts = { 0, 20 * 1000 * 1000 };

	fflush(stdout);
	nanosleep(&ts, NULL);
}

#define CALIB_LOOPS 500000

void calibrate(void)
{
	struct series s = { .n = 0 };
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 100; i++) {
		uint64_t a = now(), b = now();
		if (b - a < best)
			best = b - a;
	}
	clock_cost = best;
	printf("clock\t1\t%llu.0\t%s/read\n", (unsigned long long)best,
	       opt_ns ? "ns" : "tick");

#if defined(__x86_64__)
	/* Exactly one million instructions, two to a turn. */
	for (int b = 0; b < opt_batches; b++) {
		uint64_t n = CALIB_LOOPS, t = now();
		__asm__ volatile(".p2align 4\n1:\tdec %0\n\tjnz 1b"
		                 : "+r"(n) : : "cc");
		sample(&s, now() - t, 1, 1);
	}
	report("calib.loop", 2 * CALIB_LOOPS, "loop", &s);

	/* A string instruction is one instruction to the processor, but an
	 * emulator may count every element that it moves. */
	static char from[4096], to[4096];
	for (int b = 0; b < opt_batches; b++) {
		char *d = to, *f = from;
		uint64_t n = sizeof to, t = now();
		__asm__ volatile("rep movsb"
		                 : "+D"(d), "+S"(f), "+c"(n) : : "memory");
		sample(&s, now() - t, 1, 1);
	}
	report("calib.repmovsb", sizeof to, "copy", &s);
#endif
	/* The cheapest call into the system that libc cannot answer alone. */
	for (int b = 0; b < opt_batches; b++) {
		struct batch t;

		begin(&t);
		for (int i = 0; i < 64; i++)
			(void)getppid();
		end(&t);
		enter(&s, &t, 64);
	}
	report("calib.getppid", 1, "call", &s);
	settle();
}

/* ------------------------------------------------- choosing and failing -- */

/*
 * A child or a helper thread can only give up altogether; for a child that is enough,
 * because the parent will see its end of a pipe or socket close.
 */
void bad(const char *what, long got)
{
	int e = errno;

	printf("%s\t%s\t%ld\t%s returned %ld (errno %d %s)\n",
	       is_child ? "# child" : "fail", cur_name, cur_n, what, got, e,
	       strerror(e));
	fflush(stdout);
	fails++;
	if (is_child || !pthread_equal(pthread_self(), main_thread))
		_exit(1);
	longjmp(bail, FAILED);
}

void skip(const char *name, long n, const char *why)
{
	printf("skip\t%s\t%ld\t%s\n", name, n, why);
	fflush(stdout);
	skips++;
}

void lack(const char *what, int e)
{
	char why[128];

	if (is_child) {
		/* A child cannot skip; its parent fails to hear from it. */
		errno = e;
		bad(what, -1);
	}
	snprintf(why, sizeof why, "%s: %s", what, strerror(e));
	skip(cur_name, cur_n, why);
	longjmp(bail, LACKING);
}

void *room(size_t count, size_t size)
{
	void *p = calloc(count, size);
	if (p == NULL)
		lack("calloc", errno);
	return p;
}

void raise_descriptor_limit(void)
{
	struct rlimit lim = { 32768, 32768 }, had;

	if (setrlimit(RLIMIT_NOFILE, &lim) < 0 &&
	    getrlimit(RLIMIT_NOFILE, &had) == 0) {
		printf("# descriptor limit is %ld\n", (long)had.rlim_max);
		had.rlim_cur = had.rlim_max;
		setrlimit(RLIMIT_NOFILE, &had);
	}
}
