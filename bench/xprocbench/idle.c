// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "xprocbench.h"

#include <poll.h>
#include <stdlib.h>

/*
 * N pipes, whose write ends are held by HOLDERS producers, are all watched by
 * the parent.  A few of them, spread evenly, take turns in carrying an event,
 * which costs a release as above; all others stay idle.
 */
static void idle(const char *name, long n, int by_poll)
{
	struct series s = { .n = 0 };
	struct epoll_event ev[MAX_READY];
	struct pollfd *pfd = room((size_t)n, sizeof *pfd);
	long per = (n + HOLDERS - 1) / HOLDERS, turn = 0;
	long active = n < 8 ? n : 8;
	int *fd = room((size_t)per + 1, sizeof *fd);
	int rounds = !by_poll || n < 1000 ? 32 : n < 10000 ? 4 : 2;
	int go[HOLDERS], end_of[2], epfd = new_epoll();

	for (long made = 0, h = 0; made < n; h++) {
		int count = 1;

		new_pipe(end_of);
		fd[0] = end_of[0];
		go[h] = end_of[1];
		for (; count <= per && made < n; count++, made++) {
			new_pipe(end_of);
			fd[count] = end_of[1];
			pfd[made].fd = end_of[0];
			pfd[made].events = POLLIN;
			if (!by_poll)
				watch(epfd, end_of[0], (uint64_t)made);
		}
		spawn("@producer", 0, 0, go[h], fd, count);
	}
	for (int b = -1; b < opt_batches; b++) {
		/* In the untimed first batch all that will be active are. */
		int r = b < 0 && rounds < active ? (int)active : rounds;
		struct batch t;

		begin(&t);
		for (int i = 0; i < r; i++) {
			long at = (turn++ % active + 1) * n / active - 1;
			long found = 0;

			put(go[at / per], (uint64_t)(at % per + 1));
			if (by_poll) {
				expect("poll", poll(pfd, (nfds_t)n, -1), 1);
				while (pfd[found].revents == 0)
					found++;
			} else {
				expect("epoll_wait", await(epfd, ev), 1);
				found = (long)ev[0].data.u64;
			}
			expect("source", found, at);
			get(pfd[found].fd);
		}
		end(&t);
		if (b >= 0)
			enter(&s, &t, (uint64_t)rounds);
	}
	report(name, n, "event", &s);
	dismiss(0);
	free(pfd);
	free(fd);
}

void t_idle_epoll(const char *name, long n) { idle(name, n, 0); }
void t_idle_poll(const char *name, long n)  { idle(name, n, 1); }
