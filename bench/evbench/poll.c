// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "evbench.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>


void t_poll(const char *name, long n)
{
	struct series s = { .n = 0 };
	struct pollfd *p = calloc((size_t)n, sizeof *p);
	char full[64];

	if (p == NULL)
		bad("calloc", 0);
	for (long i = 0; i < n; i++) {
		p[i].fd = src[i].rfd;
		p[i].events = POLLIN;
	}
	for (int k = 0; k <= 1; k++) {
		int ops = linear_ops(n);

		if (k)
			raise_source(&src[n - 1]);
		for (int b = -1; b < opt_batches; b++) {
			struct batch t;

			begin(&t);
			for (int i = 0; i < ops; i++)
				expect("poll", poll(p, (nfds_t)n, 0), k);
			end(&t);
			if (b >= 0)
				enter(&s, &t, (unsigned)ops);
		}
		if (k)
			drain_source(&src[n - 1]);
		snprintf(full, sizeof full, "%s.%s", name, k ? "k1" : "none");
		report(full, n, "call", &s);
	}
	free(p);
}

/* select() overwrites its sets, so a caller must refill them every time; the
 * copy is part of using it and is inside the timed part. */
void t_select(const char *name, long n)
{
	struct series s = { .n = 0 };
	fd_set all, set;
	int top = 0;
	char full[64];

	FD_ZERO(&all);
	for (long i = 0; i < n; i++) {
		if (src[i].rfd >= FD_SETSIZE) {
			skip(name, n, "descriptors beyond FD_SETSIZE");
			return;
		}
		FD_SET(src[i].rfd, &all);
		if (src[i].rfd > top)
			top = src[i].rfd;
	}
	for (int k = 0; k <= 1; k++) {
		int ops = linear_ops(n);

		if (k)
			raise_source(&src[n - 1]);
		for (int b = -1; b < opt_batches; b++) {
			struct batch t;

			begin(&t);
			for (int i = 0; i < ops; i++) {
				struct timeval tv = { 0, 0 };
				set = all;
				expect("select", select(top + 1, &set, NULL,
				                        NULL, &tv), k);
			}
			end(&t);
			if (b >= 0)
				enter(&s, &t, (unsigned)ops);
		}
		if (k)
			drain_source(&src[n - 1]);
		snprintf(full, sizeof full, "%s.%s", name, k ? "k1" : "none");
		report(full, n, "call", &s);
	}
}
