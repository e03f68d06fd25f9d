// SPDX-License-Identifier: BSD-2-Clause
#include <poll.h>
#include "quick.h"

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	if (quick_is_cancelled())
		return syscall_cp(SYS_poll, fds, n, timeout);
	return quick_result(__sys_poll(fds, n, timeout));
}
