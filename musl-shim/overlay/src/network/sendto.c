// SPDX-License-Identifier: BSD-2-Clause
#include <sys/socket.h>
#include "quick.h"

ssize_t sendto(int fd, const void *buf, size_t len, int flags,
	const struct sockaddr *addr, socklen_t alen)
{
	if (quick_is_cancelled())
		return syscall_cp(SYS_sendto, fd, buf, len, flags, addr, alen);
	return quick_result(__sys_sendto(fd, buf, len, flags, addr, alen));
}
