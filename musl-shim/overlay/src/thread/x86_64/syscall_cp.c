// SPDX-License-Identifier: BSD-2-Clause
/* A call that is a cancellation point. musl's assembly marks the instructions
 * between looking at the cancel flag and the system call, so that its signal
 * handler can divert a thread caught there. Here the range is empty: a blocking
 * call in musl-shim returns -EINTR when the thread is cancelled, and musl's
 * caller of this function then acts on it. */
#include "pthread_impl.h"
#include "syscall.h"

hidden long __cancel(void);
hidden long __syscall_cp_asm(volatile void *flag, syscall_arg_t nr, syscall_arg_t a,
	syscall_arg_t b, syscall_arg_t c, syscall_arg_t d, syscall_arg_t e, syscall_arg_t f);

__asm__(
	".pushsection .text\n"
	".global __cp_begin\n"
	".hidden __cp_begin\n"
	".global __cp_end\n"
	".hidden __cp_end\n"
	".global __cp_cancel\n"
	".hidden __cp_cancel\n"
	"__cp_begin:\n"
	"__cp_end:\n"
	"__cp_cancel:\n"
	"	jmp __cancel\n"
	".popsection\n"
);

long __syscall_cp_asm(volatile void *flag, syscall_arg_t nr, syscall_arg_t a,
	syscall_arg_t b, syscall_arg_t c, syscall_arg_t d, syscall_arg_t e, syscall_arg_t f)
{
	if (*(volatile int *)flag)
		return __cancel();
	return __sys_dispatch(nr, a, b, c, d, e, f);
}
