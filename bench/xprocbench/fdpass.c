// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "xprocbench.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* One byte of data and, as ancillary data, one descriptor. */
struct parcel {
	struct msghdr h;
	struct iovec  iov;
	char          byte;
	union {
		char           room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} c;
};

static void parcel_init(struct parcel *p)
{
	memset(p, 0, sizeof *p);
	p->iov.iov_base = &p->byte;
	p->iov.iov_len = 1;
	p->h.msg_iov = &p->iov;
	p->h.msg_iovlen = 1;
	p->h.msg_control = &p->c;
	p->h.msg_controllen = sizeof p->c.room;
}

/* For every word: makes a pipe, sends away the read end, writes an event. */
void r_passer(long unused, long unused2)
{
	uint64_t word;

	(void)unused;
	(void)unused2;
	while (told(LIFE, &word)) {
		struct parcel p;
		struct cmsghdr *c;
		int fd[2];

		expect("pipe2", pipe2(fd, O_CLOEXEC), 0);
		parcel_init(&p);
		c = CMSG_FIRSTHDR(&p.h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd[0], sizeof(int));
		expect("sendmsg", sendmsg(LIFE, &p.h, 0), 1);
		close(fd[0]);
		put(fd[1], word);
		close(fd[1]);
	}
}

void t_fdpass(const char *name, long n)
{
	enum { OPS = 8 };
	struct series s = { .n = 0 };
	struct epoll_event ev[MAX_READY];
	int sock[2], epfd = new_epoll();

	new_socketpair(sock);
	spawn("@passer", 0, 0, sock[1], sock, 1);
	for (int b = -1; b < opt_batches; b++) {
		struct batch t;

		begin(&t);
		for (int i = 0; i < OPS; i++) {
			struct parcel p;
			struct cmsghdr *c;
			int fd;

			put(sock[1], 1);
			parcel_init(&p);
			expect("recvmsg", recvmsg(sock[1], &p.h,
			                          MSG_CMSG_CLOEXEC), 1);
			c = CMSG_FIRSTHDR(&p.h);
			if (c == NULL || c->cmsg_type != SCM_RIGHTS)
				bad("SCM_RIGHTS", 0);
			memcpy(&fd, CMSG_DATA(c), sizeof fd);
			watch(epfd, fd, 0);
			expect("epoll_wait", await(epfd, ev), 1);
			get(fd);
			close(fd);
		}
		end(&t);
		if (b >= 0)
			enter(&s, &t, OPS);
	}
	report(name, n, "pass", &s);
}
