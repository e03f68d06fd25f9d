// SPDX-License-Identifier: BSD-2-Clause
#include <sys/socket.h>
#include "quick.h"

ssize_t recvfrom(int fd, void *restrict buf, size_t len, int flags,
	struct sockaddr *restrict addr, socklen_t *restrict alen)
{
	if (quick_is_cancelled())
		return syscall_cp(SYS_recvfrom, fd, buf, len, flags, addr, alen);
	return quick_result(__sys_recvfrom(fd, buf, len, flags, addr, alen));
}
