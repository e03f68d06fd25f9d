# SPDX-License-Identifier: BSD-2-Clause
# pid_t vfork(void). A jump, so that musl-shim sees the caller's return address.
	.text
	.global vfork
	.type vfork, @function
vfork:
	jmp __sys_vfork
	.size vfork, . - vfork
