// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "evbench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct source *src;
static long    nsrc;

static int open_pipe(int fd[2])
{
	int high;

	if (pipe(fd) < 0)
		return -1;
	/* Keep the watched ends dense and low, as eventfds would be, so that
	 * both kinds look alike to select(). */
	high = fcntl(fd[1], F_DUPFD, HIGH_FD);
	if (high >= 0) {
		close(fd[1]);
		fd[1] = high;
	}
	return 0;
}

void close_sources(void)
{
	for (long i = 0; i < nsrc; i++) {
		close(src[i].rfd);
		if (src[i].wfd != src[i].rfd)
			close(src[i].wfd);
	}
	free(src);
	src = NULL;
	nsrc = 0;
}

int open_sources(char kind, long n)
{
	src = calloc((size_t)n, sizeof *src);
	if (src == NULL)
		return -1;
	for (nsrc = 0; nsrc < n; nsrc++) {
		struct source *s = &src[nsrc];
		int fd[2];

		if (kind == 'e') {
			fd[0] = fd[1] = eventfd(0, EFD_NONBLOCK);
			if (fd[0] < 0)
				break;
		} else if (open_pipe(fd) < 0) {
			break;
		}
		s->rfd = fd[0];
		s->wfd = fd[1];
	}
	if (nsrc == n)
		return 0;
	int e = errno;
	close_sources();
	errno = e;
	return -1;
}

int ep = -1;

void ep_close(void)
{
	if (ep >= 0)
		close(ep);
	ep = -1;
}

void ep_watch(long n, uint32_t events)
{
	ep = epoll_create1(0);
	if (ep < 0)
		bad("epoll_create1", ep);
	for (long i = 0; i < n; i++)
		must_ctl(EPOLL_CTL_ADD, i, events);
}
