// SPDX-License-Identifier: BSD-2-Clause
/*
 * What evbench and xprocbench share: time, series, reports, and how a test ends.
 *
 * A row is measured as the median over many short batches:
 *
 *     begin(&batch); …work…; end(&batch); enter(&series, &batch, operations);
 *
 * and printed as
 *
 *     name <TAB> N <TAB> median <TAB> unit <TAB> min <TAB> max <TAB> mean
 *
 * The median leaves out what happens only now and then, such as a timer interrupt or an
 * allocator that fetches a page; the mean keeps it. Lines that start with '#' are
 * commentary; "skip" means that the system lacks what a test needs, "fail" that a call
 * returned something the test did not expect.
 *
 * Time is RDTSC: in an emulator that derives it from the number of guest instructions
 * (QEMU with -icount shift=0) the figures are instructions of everything that ran.
 */
#ifndef MEASURE_H
#define MEASURE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

enum {
	MAX_BATCHES = 201,	/* samples kept per measurement             */
	MAX_READY   = 64,	/* events taken by one epoll_wait           */
	MSG         = 64,	/* bytes in one request or reply            */
};

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* ------------------------------------------------------------- options -- */

extern int         opt_batches;
extern const char *opt_filter;		/* run only names that contain this */
extern int         opt_ns;		/* read CLOCK_MONOTONIC, not RDTSC  */
extern int         opt_switches;	/* count context switches           */

extern int fails, skips;

/* "1,2,3" into v; returns how many. Those below 1 are left out. */
int parse_list(char *text, long *v, int max);

/* ---------------------------------------------------------------- time -- */

static inline uint64_t now(void)
{
#if defined(__x86_64__)
	if (!opt_ns) {
		uint32_t lo, hi;
		__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)
		                 : : "memory");
		return (uint64_t)hi << 32 | lo;
	}
#endif
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

extern uint64_t clock_cost;		/* of one now(); see calibrate()    */

/*
 * Marks for whoever watches the processor from outside (bench/count/plugin.c): a nop
 * whose displacement says what is meant. They stand outside of what is timed.
 */
enum mark {
	MARK_BEGIN,
	MARK_END,
	MARK_TAKE_OFF,		/* the last batch is part of the next, and not to count */
	MARK_ENTER = 0x10,	/* the last batch counts, for series 0 to 3             */
	MARK_ROW   = 0x20,	/* the series is whole, and comes next on the console   */
};

#if defined(__x86_64__)
#define MARK(what) \
	__asm__ volatile("nopl %c0(%%rax)" : : "i"(0x62656e00 + (what)) : "memory")
#else
#define MARK(what) ((void)0)
#endif

/* ------------------------------------------------------------- results -- */

/* A series holds one sample per batch, in tenths of a tick per operation. */
struct series {
	uint64_t v[MAX_BATCHES];
	int      n;
	int      number;	/* of several that are measured in turn: 0 to 3 */
	uint64_t switched, waited, ops;	/* totals                       */
};

struct batch {
	uint64_t t, switched, waited;
};

extern uint64_t waits;			/* the parent has made, with -x     */

void begin_counts(struct batch *b);
void end_counts(struct batch *b);

static inline void begin(struct batch *b)
{
	begin_counts(b);
	MARK(MARK_BEGIN);
	b->t = now();
}

static inline void end(struct batch *b)
{
	b->t = now() - b->t;
	MARK(MARK_END);
	end_counts(b);
}

/* A batch of `ops` operations that begin() and end() have timed. */
void enter(struct series *s, const struct batch *b, uint64_t ops);
/* The same for ticks of several readings of the clock. */
void sample(struct series *s, uint64_t ticks, uint64_t ops, uint64_t clock_reads);
/* Prints the row, if there is one, and empties the series. */
void report(const char *name, long n, const char *per, struct series *s);
/* Lets the console drain, so that it does not disturb what comes next. */
void settle(void);
/* What a reading of the clock costs, and a loop of known length, and the cheapest call. */
void calibrate(void);

/* ------------------------------------------------- choosing and failing -- */

enum { FAILED = 1, LACKING = 2 };	/* how a test may end early         */

extern jmp_buf     bail;		/* back to the driver's attempt()   */
extern pthread_t   main_thread;
extern const char *cur_name;		/* of the test, or a child's role   */
extern long        cur_n;
extern int         is_child;

static inline int wanted(const char *name)
{
	return opt_filter == NULL || strstr(name, opt_filter) != NULL;
}

/* An unexpected result: gives up on this test. */
void bad(const char *what, long got);
/* The system has not what a test needs: prints why, and goes on after it. */
void skip(const char *name, long n, const char *why);
/* The same, and gives up on this test. */
void lack(const char *what, int e);
/* Zeroed memory. */
void *room(size_t count, size_t size);

static inline void expect(const char *what, long got, long want)
{
	if (__builtin_expect(got != want, 0))
		bad(what, got);
}

/* Descriptors up to 32768 if the system allows so many. */
void raise_descriptor_limit(void);

#endif
