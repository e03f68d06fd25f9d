// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "xprocbench.h"

#include <poll.h>

enum wait_mode { WAIT_READ, WAIT_EPOLL, WAIT_POLL };

struct player {
	enum wait_mode mode;
	int            epfd;
	int            in, out;
};

static void player_init(struct player *p, enum wait_mode mode, int in, int out)
{
	*p = (struct player){ mode, -1, in, out };
	if (mode == WAIT_EPOLL) {
		p->epfd = new_epoll();
		watch(p->epfd, in, 0);
	}
}

static int receive(struct player *p, uint64_t *word)
{
	struct epoll_event ev[MAX_READY];
	struct pollfd pfd = { .fd = p->in, .events = POLLIN };

	if (p->mode == WAIT_EPOLL)
		expect("epoll_wait", await(p->epfd, ev), 1);
	else if (p->mode == WAIT_POLL)
		expect("poll", poll(&pfd, 1, -1), 1);
	return told(p->in, word);
}

void r_pong(long mode, long unused)
{
	struct player p;
	uint64_t word;

	(void)unused;
	player_init(&p, (enum wait_mode)mode, LIFE, ROLE_FD);
	while (receive(&p, &word))
		put(p.out, word);
}

static void pingpong(const char *name, enum wait_mode mode)
{
	struct series s = { .n = 0 };
	struct player p;
	int go[2], back[2];
	uint64_t word;

	new_pipe(go);
	new_pipe(back);
	spawn("@pong", mode, 0, go[1], (int[]){ go[0], back[1] }, 2);
	player_init(&p, mode, back[0], go[1]);
	for (int b = -1; b < opt_batches; b++) {
		struct batch t;

		begin(&t);
		for (int i = 0; i < 32; i++) {
			put(p.out, 1);
			expect("answer", receive(&p, &word), 1);
		}
		end(&t);
		if (b >= 0)
			enter(&s, &t, 32);
	}
	report(name, 1, "roundtrip", &s);
}

void t_pp_read(const char *name, long n)
{
	(void)n;
	pingpong(name, WAIT_READ);
}

void t_pp_epoll(const char *name, long n)
{
	(void)n;
	pingpong(name, WAIT_EPOLL);
}

void t_pp_poll(const char *name, long n)
{
	(void)n;
	pingpong(name, WAIT_POLL);
}
