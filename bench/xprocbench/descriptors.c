// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "xprocbench.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

unsigned char kept[MAX_FD];
int           top_fd;

int keep(const char *what, int fd)
{
	if (fd < 0)
		lack(what, errno);
	if (fd >= MAX_FD) {
		close(fd);
		lack(what, EMFILE);
	}
	kept[fd] = 1;
	if (fd > top_fd)
		top_fd = fd;
	return fd;
}

void shut(int fd)
{
	close(fd);
	kept[fd] = 0;
}

void shut_all(void)
{
	for (int fd = 0; fd <= top_fd; fd++)
		if (kept[fd])
			shut(fd);
	top_fd = 0;
}

void new_pipe(int fd[2])
{
	if (pipe2(fd, O_CLOEXEC) < 0)
		lack("pipe2", errno);
	keep("pipe2", fd[0]);
	keep("pipe2", fd[1]);
}

void new_socketpair(int fd[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		lack("socketpair", errno);
	keep("socketpair", fd[0]);
	keep("socketpair", fd[1]);
}

int new_epoll(void)
{
	return keep("epoll_create1", epoll_create1(EPOLL_CLOEXEC));
}
