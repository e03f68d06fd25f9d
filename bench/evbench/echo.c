// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "evbench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * One client thread (this one), one server thread around one epoll, C
 * connections, MSG bytes each way.  "one" keeps a single request in flight,
 * on each connection in turn; "all" sends on every connection before it
 * reads the first reply.
 */
struct echo {
	long c;
	int  epfd;
	int  stop[2];
	int *client, *server;
};

static void move(int fd, char *buf, int out)
{
	for (long done = 0; done < MSG;) {
		long r = out ? write(fd, buf + done, (size_t)(MSG - done))
		             : read(fd, buf + done, (size_t)(MSG - done));
		if (r <= 0)
			bad(out ? "write(socket)" : "read(socket)", r);
		done += r;
	}
}

static void *echo_server(void *arg)
{
	struct echo *e = arg;
	struct epoll_event ev[MAX_READY];
	char buf[MSG];

	for (;;) {
		int r = epoll_wait(e->epfd, ev, MAX_READY, -1);

		if (r <= 0)
			bad("epoll_wait", r);
		for (int i = 0; i < r; i++) {
			uint64_t id = ev[i].data.u64;

			if (id == (uint64_t)e->c)
				return NULL;
			move(e->server[id], buf, 0);
			move(e->server[id], buf, 1);
		}
	}
}

/* Fills in c connected pairs; returns how many it managed. */
static long connect_pairs(struct echo *e, int tcp)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;
	int lis = -1, on = 1, fd[2];
	long i;

	if (tcp) {
		a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		lis = socket(AF_INET, SOCK_STREAM, 0);
		if (lis < 0)
			return 0;
		if (bind(lis, (struct sockaddr *)&a, sizeof a) < 0 ||
		    listen(lis, 64) < 0 ||
		    getsockname(lis, (struct sockaddr *)&a, &len) < 0) {
			close(lis);
			return 0;
		}
	}
	for (i = 0; i < e->c; i++) {
		if (!tcp) {
			if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) < 0)
				break;
		} else {
			fd[0] = socket(AF_INET, SOCK_STREAM, 0);
			if (fd[0] < 0)
				break;
			if (connect(fd[0], (struct sockaddr *)&a,
			            sizeof a) < 0 ||
			    (fd[1] = accept(lis, NULL, NULL)) < 0) {
				close(fd[0]);
				break;
			}
			setsockopt(fd[0], IPPROTO_TCP, TCP_NODELAY, &on,
			           sizeof on);
			setsockopt(fd[1], IPPROTO_TCP, TCP_NODELAY, &on,
			           sizeof on);
		}
		e->client[i] = fd[0];
		e->server[i] = fd[1];
	}
	if (lis >= 0)
		close(lis);
	return i;
}

static void echo(const char *name, long c, int tcp)
{
	static const char *const style[] = { "one", "all" };
	struct series s = { .n = 0 };
	struct echo e = { .c = c, .epfd = -1 };
	char full[64], buf[MSG] = { 0 };
	long made, next = 0;
	pthread_t t;

	e.client = calloc((size_t)c, sizeof *e.client);
	e.server = calloc((size_t)c, sizeof *e.server);
	if (e.client == NULL || e.server == NULL)
		bad("calloc", 0);
	made = connect_pairs(&e, tcp);
	if (made < c) {
		skip(name, c, strerror(errno));
		goto out;
	}
	e.epfd = new_epoll();
	new_pipe(e.stop);
	watch(e.epfd, e.stop[0], (uint64_t)c);
	for (long i = 0; i < c; i++)
		watch(e.epfd, e.server[i], (uint64_t)i);
	start(&t, echo_server, &e);
	for (int all = 0; all <= 1; all++) {
		for (int b = -1; b < opt_batches; b++) {
			/* The untimed first batch uses every connection. */
			long ops = all || (b < 0 && c > 32) ? c : 32;
			struct batch from;

			begin(&from);

			for (long i = 0; i < ops && all; i++)
				move(e.client[i], buf, 1);
			for (long i = 0; i < ops; i++) {
				long id = all ? i : next++ % c;
				if (!all)
					move(e.client[id], buf, 1);
				move(e.client[id], buf, 0);
			}
			end(&from);
			if (b >= 0)
				enter(&s, &from, (uint64_t)ops);
		}
		snprintf(full, sizeof full, "%s.%s", name, style[all]);
		report(full, c, "request", &s);
	}
	put(e.stop[1], 1);
	pthread_join(t, NULL);
	close_pipe(e.stop);
	close(e.epfd);
out:
	for (long i = 0; i < made; i++) {
		close(e.client[i]);
		close(e.server[i]);
	}
	free(e.client);
	free(e.server);
}

void t_tcp(const char *name, long c)  { echo(name, c, 1); }
void t_unix(const char *name, long c) { echo(name, c, 0); }
