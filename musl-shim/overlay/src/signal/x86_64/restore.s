# SPDX-License-Identifier: BSD-2-Clause
# Where a signal handler returns to. The no-op lets unwinders, which look at the
# instruction before a return address, find this symbol.
	.text
	nop
	.global __restore_rt
	.hidden __restore_rt
	.type __restore_rt, @function
__restore_rt:
	jmp __sys_restore_rt
	.size __restore_rt, . - __restore_rt
