// SPDX-License-Identifier: BSD-2-Clause
/* The thread pointer. x86_64 sets FS base by arch_prctl; musl's generic C file
 * would make the call that 32-bit x86 has. */
#include "pthread_impl.h"
#include "syscall.h"

#define ARCH_SET_FS 0x1002

int __set_thread_area(void *tp)
{
	return __syscall(SYS_arch_prctl, ARCH_SET_FS, tp);
}
