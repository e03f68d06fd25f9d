// SPDX-License-Identifier: BSD-2-Clause
/*
 * xprocbench - what an event costs when it comes from another process
 *
 * The companion of evbench, which measures select(), poll() and epoll inside
 * one process.  Here producers, servers and brokers are processes of their
 * own, started with posix_spawn() from this same program; the first argument
 * of a child begins with '@' and names its role.  Everything is measured by
 * the parent, which is always the consumer (or the client), and is reported
 * as evbench does it, as a median over many short batches:
 *
 *     name <TAB> N <TAB> median <TAB> unit <TAB> min <TAB> max <TAB> mean
 *
 * (../measure/measure.h). N is the number of producers (xdeliver), connections (echo) or
 * watched pipes (xidle), and otherwise 1. The last line is "# done fails=F skips=S".
 *
 * What the rows mean:
 *
 *   xpipe.pingpong.*    two processes, a pipe each way, eight bytes there and
 *                       back; both sides wait in read(), epoll or poll()
 *   xunix.echo, xtcp.echo
 *                       64 bytes to a server process and back.  "one" keeps
 *                       one request in flight, "all" one per connection
 *   xdeliver.*          P producer processes, each with a pipe of its own for
 *                       its events and another from which it is released;
 *                       see there
 *   xidle.*             one event, when N pipes held by four processes are
 *                       being watched
 *   xspawn*             posix_spawn() and waitpid() of a child that does
 *                       nothing
 *   xexit.*             from the death of a child until epoll reports it
 *   xfdpass             a pipe made by another process, received through a
 *                       socket, watched, and its first event
 *
 * A child finds its descriptors at fixed numbers, from LIFE upwards.  LIFE is
 * its line to the parent; at end of file there it exits, so that no child
 * outlives the parent.  Nothing is forked and no file is opened (except
 * /proc/stat, and only with -x).
 *
 *     cc -O2 -static -pthread -o xprocbench xprocbench/[a-z]*.c measure/measure.c
 */
#define _GNU_SOURCE
#include "xprocbench.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

const char        *opt_self;
static long        opt_p[16]   = { 1, 8, 32, 63, 128, 256 };
static int         opt_np      = 6;
static long        opt_n[16]   = { 10, 100, 1000, 10000 };
static int         opt_nn      = 4;
static long        opt_u[16]   = { 1, 64 };
static int         opt_nu      = 2;
static long        opt_c[16]   = { 1, 64, 512 };
static int         opt_nc      = 3;
static int         opt_lazy;		/* no pre-emption by the woken      */
static int         opt_alarm;		/* seconds allowed for one test     */

static const struct {
	const char *name;
	role_fn    *fn;
} roles[] = {
	{ "@nothing",     r_nothing     },
	{ "@pong",        r_pong        },
	{ "@unix-server", r_unix_server },
	{ "@tcp-server",  r_tcp_server  },
	{ "@producer",    r_producer    },
	{ "@broker",      r_broker      },
	{ "@mortal",      r_mortal      },
	{ "@passer",      r_passer      },
};

static int act(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	is_child = 1;
	cur_name = argv[1];
	opt_ns = strcmp(argv[4], "ns") == 0;
	for (int i = 0; i < COUNT(roles); i++) {
		if (strcmp(argv[1], roles[i].name) == 0) {
			roles[i].fn(atol(argv[2]), atol(argv[3]));
			return 0;
		}
	}
	return 2;
}

static const struct {
	const char *name;
	test_fn    *fn;
	const long *n;			/* what to run it with; NULL: 1     */
	const int  *count;
} tests[] = {
	{ "xpipe.pingpong.read",  t_pp_read,    NULL,  NULL    },
	{ "xpipe.pingpong.epoll", t_pp_epoll,   NULL,  NULL    },
	{ "xpipe.pingpong.poll",  t_pp_poll,    NULL,  NULL    },
	{ "xunix.echo",           t_unix,       opt_u, &opt_nu },
	{ "xtcp.echo",            t_tcp,        opt_c, &opt_nc },
	{ "xdeliver.release",     t_release,    opt_p, &opt_np },
	{ "xdeliver.direct",      t_direct,     opt_p, &opt_np },
	{ "xdeliver.broker",      t_broker,     opt_p, &opt_np },
	{ "xdeliver.brokerv",     t_brokerv,    opt_p, &opt_np },
	{ "xdeliver.thread_per_source", t_threads, opt_p, &opt_np },
	{ "xidle.epoll",          t_idle_epoll, opt_n, &opt_nn },
	{ "xidle.poll",           t_idle_poll,  opt_n, &opt_nn },
	{ "xspawn",               t_spawn,      NULL,  NULL    },
	{ "xexit.pidfd",          t_exit_pidfd, NULL,  NULL    },
	{ "xexit.eof",            t_exit_eof,   NULL,  NULL    },
	{ "xexit.kill",           t_exit_kill,  NULL,  NULL    },
	{ "xexit.reap",           t_exit_reap,  NULL,  NULL    },
	{ "xfdpass",              t_fdpass,     NULL,  NULL    },
};

/* Runs one test, and survives it when it gives up. */
static void attempt(const char *name, long n, test_fn *fn)
{
	volatile int by_force = 1;

	cur_name = name;
	cur_n = n;
	if (opt_alarm)
		alarm((unsigned)opt_alarm);
	if (setjmp(bail) == 0) {
		fn(name, n);
		/* Also what the children have to say on leaving counts. */
		dismiss(0);
		by_force = 0;
	}
	if (by_force)
		dismiss(1);
	if (opt_alarm)
		alarm(0);
	shut_all();
	settle();
}

static void usage(void)
{
	fputs("usage: xprocbench [--self path] [-b batches] [-t part-of-name]\n"
	      "                  [-p P,P,...] [-n N,N,...] [-u C,C,...]"
	      " [-c C,C,...]\n"
	      "                  [-a seconds] [-w] [-x] [-B]\n"
	      "  --self  where this program is (default: as it was called)\n"
	      "  -b  samples per result (default 15)\n"
	      "  -t  run only the tests whose name contains this\n"
	      "  -p  numbers of producers in xdeliver\n"
	      "  -n  numbers of watched pipes in xidle\n"
	      "  -u  numbers of connections in xunix\n"
	      "  -c  numbers of connections in xtcp\n"
	      "  -a  give up if one test takes longer than this\n"
	      "  -w  report wall-clock nanoseconds instead of TSC ticks\n"
	      "  -x  also report context switches (of the whole system) and\n"
	      "      waits of the parent (epoll_wait, and reads of the broker's\n"
	      "      pipe and the threads' eventfd) per event; disturbs\n"
	      "  -B  run under SCHED_BATCH, so that on Linux a process that is\n"
	      "      woken never pre-empts the one that woke it\n",
	      stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "self", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 }
	};
	int o;

	main_thread = pthread_self();
	if (argc > 1 && argv[1][0] == '@')
		return act(argc, argv);
	opt_self = argv[0];
	while ((o = getopt_long(argc, argv, "b:t:p:n:u:c:a:wxB", longs, NULL))
	       != -1) {
		switch (o) {
		case 's': opt_self = optarg; break;
		case 'b': opt_batches = atoi(optarg); break;
		case 't': opt_filter = optarg; break;
		case 'p': opt_np = parse_list(optarg, opt_p, 16); break;
		case 'n': opt_nn = parse_list(optarg, opt_n, 16); break;
		case 'u': opt_nu = parse_list(optarg, opt_u, 16); break;
		case 'c': opt_nc = parse_list(optarg, opt_c, 16); break;
		case 'a': opt_alarm = atoi(optarg); break;
		case 'w': opt_ns = 1; break;
		case 'x': opt_switches = 1; break;
		case 'B': opt_lazy = 1; break;
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
	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, out_of_time);
	raise_descriptor_limit();
	printf("# xprocbench: name N median unit min max mean\n");
#ifdef SYS_sched_setscheduler
	/* Not by way of libc, which may refuse.  Children inherit it. */
	if (opt_lazy) {
		struct sched_param zero = { 0 };
		if (syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &zero) < 0)
			printf("# no SCHED_BATCH: %s\n", strerror(errno));
	}
#endif
	calibrate();
	for (int i = 0; i < COUNT(tests); i++) {
		int count = tests[i].count != NULL ? *tests[i].count : 1;

		for (int j = 0; j < count && wanted(tests[i].name); j++)
			attempt(tests[i].name,
			        tests[i].n != NULL ? tests[i].n[j] : 1,
			        tests[i].fn);
	}
	printf("# done fails=%d skips=%d\n", fails, skips);
	fflush(stdout);
	return fails != 0;
}
