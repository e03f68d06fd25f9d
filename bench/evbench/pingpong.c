// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "evbench.h"

#include <poll.h>
#include <stdlib.h>

/*
 * Ping-pong: two threads, two pipes, one word there and one back.  Before
 * each read a side waits for readability, or not, as the mode says.  With
 * epoll and poll, N idle sources are being watched as well.
 */
enum wait_mode { WAIT_READ, WAIT_EPOLL, WAIT_POLL };

struct player {
	enum wait_mode mode;
	int            epfd;
	struct pollfd *pfd;
	nfds_t         npfd;
	int            in, out;
};

static uint64_t receive(struct player *p)
{
	struct epoll_event ev[MAX_READY];

	if (p->mode == WAIT_EPOLL)
		expect("epoll_wait", epoll_wait(p->epfd, ev, MAX_READY, -1), 1);
	else if (p->mode == WAIT_POLL)
		expect("poll", poll(p->pfd, p->npfd, -1), 1);
	return get(p->in);
}

static void *pong(void *arg)
{
	struct player *p = arg;
	uint64_t word;

	while ((word = receive(p)) != 0)
		put(p->out, word);
	return NULL;
}

static void player_init(struct player *p, enum wait_mode mode, long n, int in,
                        int out)
{
	*p = (struct player){ .mode = mode, .epfd = -1, .in = in, .out = out };
	if (mode == WAIT_EPOLL) {
		p->epfd = new_epoll();
		watch(p->epfd, in, 0);
		for (long i = 0; i < n; i++)
			watch(p->epfd, src[i].rfd, 1);
	} else if (mode == WAIT_POLL) {
		p->npfd = (nfds_t)n + 1;
		p->pfd = calloc(p->npfd, sizeof *p->pfd);
		if (p->pfd == NULL)
			bad("calloc", 0);
		for (long i = 0; i <= n; i++) {
			p->pfd[i].fd = i < n ? src[i].rfd : in;
			p->pfd[i].events = POLLIN;
		}
	}
}

static void player_done(struct player *p)
{
	if (p->epfd >= 0)
		close(p->epfd);
	free(p->pfd);
}

static void pingpong(const char *name, long n, enum wait_mode mode)
{
	struct series s = { .n = 0 };
	struct player us, them;
	int go[2], back[2];
	pthread_t t;
	int rounds = mode == WAIT_POLL ? linear_ops(n) : 32;

	new_pipe(go);
	new_pipe(back);
	player_init(&us, mode, n, back[0], go[1]);
	player_init(&them, mode, n, go[0], back[1]);
	start(&t, pong, &them);
	for (int b = -1; b < opt_batches; b++) {
		struct batch from;

		begin(&from);
		for (int i = 0; i < rounds; i++) {
			put(us.out, 1);
			receive(&us);
		}
		end(&from);
		if (b >= 0)
			enter(&s, &from, (unsigned)rounds);
	}
	put(us.out, 0);
	pthread_join(t, NULL);
	player_done(&us);
	player_done(&them);
	close_pipe(go);
	close_pipe(back);
	report(name, n, "roundtrip", &s);
}

void t_pp_read(const char *name, long n)
{
	pingpong(name, n, WAIT_READ);
}

void t_pp_epoll(const char *name, long n)
{
	pingpong(name, n, WAIT_EPOLL);
}

void t_pp_poll(const char *name, long n)
{
	pingpong(name, n, WAIT_POLL);
}
