# SPDX-License-Identifier: BSD-2-Clause
# A new thread: int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...).
# musl-shim starts it with the same arguments, in the same registers.
	.text
	.global __clone
	.hidden __clone
	.type __clone, @function
__clone:
	jmp __sys_clone
	.size __clone, . - __clone
