// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "xprocbench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Moves MSG bytes; false at end of file. */
static int move(int fd, char *buf, int out)
{
	for (long done = 0; done < MSG;) {
		long r = out ? write(fd, buf + done, (size_t)(MSG - done))
		             : read(fd, buf + done, (size_t)(MSG - done));
		if (r == 0 && !out && done == 0)
			return 0;
		if (r <= 0)
			bad(out ? "write(socket)" : "read(socket)", r);
		done += r;
	}
	return 1;
}

/* The server: one epoll for LIFE and the c sockets. */
static void serve(const int *sock, long c)
{
	struct epoll_event ev[MAX_READY];
	int epfd = new_epoll();
	char buf[MSG];

	watch(epfd, LIFE, (uint64_t)c);
	for (long i = 0; i < c; i++)
		watch(epfd, sock[i], (uint64_t)i);
	for (;;) {
		int r = await(epfd, ev);

		for (int i = 0; i < r; i++) {
			uint64_t id = ev[i].data.u64;

			if (id == (uint64_t)c || !move(sock[id], buf, 0))
				return;
			move(sock[id], buf, 1);
		}
	}
}

/* The client, which is the parent. */
static void echo(const char *name, const int *sock, long c)
{
	static const char *const style[] = { "one", "all" };
	struct series s = { .n = 0 };
	char full[64], buf[MSG] = { 0 };
	long next = 0, number;

	for (int all = 0; all <= 1; all++) {
		for (int b = -1; b < opt_batches; b++) {
			/* The untimed first batch uses every connection. */
			long ops = all || (b < 0 && c > 32) ? c : 32;
			struct batch t;

			begin(&t);
			for (long i = 0; i < ops && all; i++) {
				memcpy(buf, &i, sizeof i);
				move(sock[i], buf, 1);
			}
			for (long i = 0; i < ops; i++) {
				long id = all ? i : next++ % c;
				if (!all) {
					memcpy(buf, &i, sizeof i);
					move(sock[id], buf, 1);
				}
				expect("reply", move(sock[id], buf, 0), 1);
				memcpy(&number, buf, sizeof number);
				expect("number in the reply", number, i);
			}
			end(&t);
			if (b >= 0)
				enter(&s, &t, (uint64_t)ops);
		}
		snprintf(full, sizeof full, "%s.%s", name, style[all]);
		report(full, c, "request", &s);
	}
}

void r_unix_server(long c, long unused)
{
	int *sock = room((size_t)c, sizeof *sock);

	(void)unused;
	for (long i = 0; i < c; i++)
		sock[i] = ROLE_FD + (int)i;
	serve(sock, c);
}

void t_unix(const char *name, long c)
{
	int *client = room((size_t)c, sizeof *client);
	int *server = room((size_t)c + 1, sizeof *server);
	int life[2], fd[2];

	new_pipe(life);
	server[0] = life[0];
	for (long i = 0; i < c; i++) {
		new_socketpair(fd);
		client[i] = fd[0];
		server[i + 1] = fd[1];
	}
	spawn("@unix-server", c, 0, life[1], server, (int)c + 1);
	echo(name, client, c);
	free(client);
	free(server);
}

static void no_delay(int fd)
{
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/*
 * The server tells its port, and then a word for every connection it has
 * accepted, so that the client never overruns the queue of the listener: zero,
 * or what went wrong.
 */
void r_tcp_server(long c, long unused)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;
	int *sock = room((size_t)c, sizeof *sock);
	uint64_t word;
	int lis;

	(void)unused;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	lis = keep("socket", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	expect("bind", bind(lis, (struct sockaddr *)&a, sizeof a), 0);
	expect("listen", listen(lis, 64), 0);
	expect("getsockname", getsockname(lis, (struct sockaddr *)&a, &len), 0);
	put(ROLE_FD, ntohs(a.sin_port));
	for (long i = 0; i < c; i++) {
		sock[i] = accept4(lis, NULL, NULL, SOCK_CLOEXEC);
		put(ROLE_FD, sock[i] < 0 ? (uint64_t)errno : 0);
		if (sock[i] < 0) {
			/* Stay, so that the client can still connect. */
			told(LIFE, &word);
			return;
		}
		no_delay(sock[i]);
	}
	shut(lis);
	serve(sock, c);
}

void t_tcp(const char *name, long c)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int *client = room((size_t)c, sizeof *client);
	int life[2], tell[2], e;

	/* Without TCP at all this is no failure. */
	shut(keep("socket", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
	new_pipe(life);
	new_pipe(tell);
	spawn("@tcp-server", c, 0, life[1], (int[]){ life[0], tell[1] }, 2);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons((uint16_t)get(tell[0]));
	for (long i = 0; i < c; i++) {
		client[i] = keep("socket", socket(AF_INET, SOCK_STREAM |
		                                  SOCK_CLOEXEC, 0));
		expect("connect", connect(client[i], (struct sockaddr *)&a,
		                          sizeof a), 0);
		no_delay(client[i]);
		e = (int)get(tell[0]);
		if (e != 0)
			lack("accept4, in the server", e);
	}
	echo(name, client, c);
	free(client);
}
