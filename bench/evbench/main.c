// SPDX-License-Identifier: BSD-2-Clause
/*
 * evbench - micro-benchmarks for select(), poll() and epoll
 *
 * A program that runs unchanged on every system that offers the Linux and POSIX calls it
 * uses, and answers "what does one operation cost?"; how it measures and what it prints is
 * in ../measure/measure.h. N is the number of descriptors that are watched or, for the
 * socket tests, of connections. The last line is "# done fails=F skips=S".
 *
 * Only integer arithmetic is used, nothing is forked, no file is opened, and threads are
 * used only by the tests whose purpose is to switch between them.
 *
 *     cc -O2 -static -pthread -o evbench evbench/[a-z]*.c measure/measure.c
 */
#define _GNU_SOURCE
#include "evbench.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char *opt_sources = "ep";	/* e = eventfd, p = pipe            */
static long        opt_n[16]   = { 1, 10, 100, 1000, 10000 };
static int         opt_nn      = 5;
static long        opt_c[16]   = { 1, 64, 512 };
static int         opt_nc      = 3;

/* Runs one test, and survives it when it gives up. */
static int attempt(const char *name, long n, test_fn *fn)
{
	int ok;

	if (!wanted(name))
		return 1;
	cur_name = name;
	cur_n = n;
	ok = setjmp(bail) == 0;
	if (ok)
		fn(name, n);
	ep_close();
	settle();
	return ok;
}

static const struct {
	const char *name;
	test_fn    *fn;
} source_tests[] = {
	{ "write_read",      t_write_read },
	{ "epoll.fill",      t_fill       },
	{ "epoll.ctl",       t_ctl        },
	{ "epoll.wait_none", t_wait_none  },
	{ "epoll.wait_lt",   t_wait_lt    },
	{ "epoll.cycle_lt",  t_cycle_lt   },
	{ "epoll.cycle_et",  t_cycle_et   },
	{ "epoll.cycle_1s",  t_cycle_1s   },
	{ "epoll.steps_et",  t_steps_et   },
	{ "epoll.rearm",     t_rearm      },
	{ "poll",            t_poll       },
	{ "select",          t_select     },
	{ "pingpong.read",   t_pp_read    },
	{ "pingpong.epoll",  t_pp_epoll   },
	{ "pingpong.poll",   t_pp_poll    },
	{ "deliver.direct",  t_direct     },
	{ "deliver.broker",  t_broker     },
	{ "deliver.brokerv", t_brokerv    },
};

static void run_sources(char kind, long n)
{
	const char *label = kind == 'e' ? "eventfd" : "pipe";
	char name[64];
	int any = 0;

	for (int i = 0; i < COUNT(source_tests); i++) {
		snprintf(name, sizeof name, "%s.%s", label,
		         source_tests[i].name);
		any |= wanted(name);
	}
	if (!any)
		return;
	if (open_sources(kind, n + SPARE) < 0) {
		skip(label, n, strerror(errno));
		return;
	}
	for (int i = 0; i < COUNT(source_tests); i++) {
		snprintf(name, sizeof name, "%s.%s", label,
		         source_tests[i].name);
		if (attempt(name, n, source_tests[i].fn))
			continue;
		/* The sources may be in any state: start afresh. */
		close_sources();
		if (open_sources(kind, n + SPARE) < 0) {
			skip(label, n, strerror(errno));
			return;
		}
	}
	close_sources();
	settle();
}

static void usage(void)
{
	fputs("usage: evbench [-b batches] [-s e|p|ep] [-n N,N,...]"
	      " [-c C,C,...] [-t part-of-name] [-w]\n"
	      "  -b  samples per result (default 15)\n"
	      "  -s  sources: e for eventfd, p for pipe (default both)\n"
	      "  -n  numbers of watched descriptors\n"
	      "  -c  numbers of connections in the echo tests\n"
	      "  -t  run only the tests whose name contains this\n"
	      "  -w  report wall-clock nanoseconds instead of TSC ticks\n",
	      stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "b:s:n:c:t:w")) != -1) {
		switch (o) {
		case 'b': opt_batches = atoi(optarg); break;
		case 's': opt_sources = optarg; break;
		case 'n': opt_nn = parse_list(optarg, opt_n, 16); break;
		case 'c': opt_nc = parse_list(optarg, opt_c, 16); break;
		case 't': opt_filter = optarg; break;
		case 'w': opt_ns = 1; break;
		default:  usage();
		}
	}
	if (optind != argc || opt_batches < 1)
		usage();
	if (opt_batches > MAX_BATCHES)
		opt_batches = MAX_BATCHES;
#if !defined(__x86_64__)
	opt_ns = 1;
#endif
	main_thread = pthread_self();
	raise_descriptor_limit();
	printf("# evbench: name N median unit min max mean\n");
	calibrate();
	for (const char *k = opt_sources; *k; k++)
		for (int i = 0; i < opt_nn; i++)
			if (*k == 'e' || *k == 'p')
				run_sources(*k, opt_n[i]);
	for (int i = 0; i < opt_nc; i++) {
		attempt("unix.echo", opt_c[i], t_unix);
		attempt("tcp.echo", opt_c[i], t_tcp);
	}
	printf("# done fails=%d skips=%d\n", fails, skips);
	fflush(stdout);
	return fails != 0;
}
