// SPDX-License-Identifier: BSD-2-Clause
#include <unistd.h>
#include "quick.h"

ssize_t write(int fd, const void *buf, size_t len)
{
	if (quick_is_cancelled())
		return syscall_cp(SYS_write, fd, buf, len);
	return quick_result(__sys_write(fd, buf, len));
}
