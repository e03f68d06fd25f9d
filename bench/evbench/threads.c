// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "evbench.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

void start(pthread_t *t, void *(*fn)(void *), void *arg)
{
	int e = pthread_create(t, NULL, fn, arg);
	if (e != 0) {
		errno = e;
		bad("pthread_create", e);
	}
}

int new_epoll(void)
{
	int fd = epoll_create1(0);
	if (fd < 0)
		bad("epoll_create1", fd);
	return fd;
}

void watch(int epfd, int fd, uint64_t id)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = id };
	expect("epoll_ctl", epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev), 0);
}

void new_pipe(int fd[2])
{
	int r = pipe(fd);
	if (r < 0)
		bad("pipe", r);
}

void close_pipe(int fd[2])
{
	close(fd[0]);
	close(fd[1]);
}
