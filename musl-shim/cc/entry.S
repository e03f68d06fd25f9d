# SPDX-License-Identifier: BSD-2-Clause
# The first instructions of every program that posix-poll-cc links.
#
# On seL4 they go straight on to musl-shim. A program also starts on Linux, where
# `configure` runs what it has just compiled and a test can be tried: there the
# shim's functions are patched into plain system calls before anything else runs,
# so that looking for Linux costs nothing on seL4.

	.set SYS_mprotect, 10
	.set SYS_munmap, 11
	.set SYS_rt_sigreturn, 15
	.set SYS_write, 1
	.set SYS_clone, 56
	.set SYS_vfork, 58
	.set SYS_exit, 60
	.set READ_WRITE_EXEC, 7
	.set READ_EXEC, 5
	.set AT_NULL, 0
	.set AT_PLATFORM, 15		# Linux always gives it, our root server never
	.set JMP_REL32, 0xe9
	.set STATUS, 125

	.weak __sys_dispatch, __sys_clone, __sys_vfork, __sys_restore_rt, __sys_unmapself
	.weak __sys_read, __sys_write, __sys_poll, __sys_sendto, __sys_recvfrom
	.weak __sys_epoll_wait, __sys_epoll_ctl

	.section .text.entry, "ax", @progbits
	.global __posix_entry
	.type __posix_entry, @function
__posix_entry:
	mov (%rsp), %rax		# argc, argv..., 0, envp..., 0, auxv...
	lea 16(%rsp, %rax, 8), %rdx
1:	mov (%rdx), %rax
	add $8, %rdx
	test %rax, %rax
	jnz 1b
2:	mov (%rdx), %rax
	add $16, %rdx
	cmp $AT_PLATFORM, %rax
	je on_linux
	cmp $AT_NULL, %rax
	jne 2b
	xor %edx, %edx
	jmp __posix_start
	.size __posix_entry, . - __posix_entry

on_linux:
	lea patches(%rip), %rbx
3:	mov (%rbx), %r12		# the shim's function, 0 if the program has it not
	mov 8(%rbx), %r13		# what stands in for it
	test %r13, %r13
	jz 5f
	add $16, %rbx
	test %r12, %r12
	jz 3b
	mov $READ_WRITE_EXEC, %edx
	call protect
	test %rax, %rax
	jnz 6f
	lea 5(%r12), %rax
	sub %rax, %r13
	movb $JMP_REL32, (%r12)
	mov %r13d, 1(%r12)
	mov $READ_EXEC, %edx
	call protect
	jmp 3b
5:	xor %edx, %edx
	jmp _start

6:	mov $2, %edi			# a machine that forbids changing code
	lea refused(%rip), %rsi
	mov $refused_end - refused, %edx
	mov $SYS_write, %eax
	syscall
	mov $STATUS, %edi
	mov $SYS_exit, %eax
	syscall

# Sets the protection, edx, of the one or two pages that the 5 bytes at r12 lie in.
protect:
	mov %r12, %rdi
	and $-4096, %rdi
	lea 5(%r12), %rsi
	sub %rdi, %rsi
	mov $SYS_mprotect, %eax
	syscall
	ret

# long __sys_dispatch(long nr, long a, long b, long c, long d, long e, long f)
linux_dispatch:
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsi
	mov %rcx, %rdx
	mov %r8, %r10
	mov %r9, %r8
	mov 8(%rsp), %r9
	syscall
	ret

# The calls that have an entry of their own, with the C function's arguments.
	.macro linux_direct name, number
linux_\name:
	mov $\number, %eax
	mov %rcx, %r10
	syscall
	ret
	.endm
	linux_direct read, 0
	linux_direct write, 1
	linux_direct poll, 7
	linux_direct sendto, 44
	linux_direct recvfrom, 45
	linux_direct epoll_wait, 232
	linux_direct epoll_ctl, 233

# int __sys_clone(int (*fn)(void *), void *stack, int flags, void *arg, int *ptid, void *tls, int *ctid)
linux_clone:
	and $-16, %rsi
	sub $16, %rsi
	mov %rdi, (%rsi)		# the new thread finds fn and arg on its stack
	mov %rcx, 8(%rsi)
	mov %edx, %edi
	mov %r8, %rdx
	mov %r9, %r8
	mov 8(%rsp), %r10
	mov $SYS_clone, %eax
	syscall
	test %eax, %eax
	jnz 7f
	xor %ebp, %ebp
	pop %rax
	pop %rdi
	call *%rax
	mov %eax, %edi
	mov $SYS_exit, %eax
	syscall
7:	ret

# pid_t vfork(void): the child uses this stack, so the return address stays in a register.
linux_vfork:
	pop %rdx
	mov $SYS_vfork, %eax
	syscall
	push %rdx
	mov %rax, %rdi
	jmp __syscall_ret

linux_restore_rt:
	mov $SYS_rt_sigreturn, %eax
	syscall

# void __sys_unmapself(void *base, size_t size): no stack from the first call on.
linux_unmapself:
	mov $SYS_munmap, %eax
	syscall
	xor %edi, %edi
	mov $SYS_exit, %eax
	syscall

	.section .rodata.entry, "a", @progbits
	.balign 8
patches:
	.quad __sys_dispatch, linux_dispatch
	.quad __sys_clone, linux_clone
	.quad __sys_vfork, linux_vfork
	.quad __sys_restore_rt, linux_restore_rt
	.quad __sys_unmapself, linux_unmapself
	.quad __sys_read, linux_read
	.quad __sys_write, linux_write
	.quad __sys_poll, linux_poll
	.quad __sys_sendto, linux_sendto
	.quad __sys_recvfrom, linux_recvfrom
	.quad __sys_epoll_wait, linux_epoll_wait
	.quad __sys_epoll_ctl, linux_epoll_ctl
	.quad 0, 0
refused:
	.ascii "this program is for seL4, and this Linux does not let it adapt itself (mprotect)\n"
refused_end:

	.section .note.GNU-stack, "", @progbits
