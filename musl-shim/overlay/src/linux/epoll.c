// SPDX-License-Identifier: BSD-2-Clause
#include <sys/epoll.h>
#include "quick.h"

int epoll_create(int size)
{
	return epoll_create1(0);
}

int epoll_create1(int flags)
{
	return syscall(SYS_epoll_create1, flags);
}

int epoll_ctl(int fd, int op, int target, struct epoll_event *event)
{
	return quick_result(__sys_epoll_ctl(fd, op, target, event));
}

int epoll_pwait(int fd, struct epoll_event *events, int most, int timeout, const sigset_t *mask)
{
	return syscall_cp(SYS_epoll_pwait, fd, events, most, timeout, mask, _NSIG / 8);
}

int epoll_wait(int fd, struct epoll_event *events, int most, int timeout)
{
	if (quick_is_cancelled())
		return syscall_cp(SYS_epoll_wait, fd, events, most, timeout);
	return quick_result(__sys_epoll_wait(fd, events, most, timeout));
}
