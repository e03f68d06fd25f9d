/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls are function calls: musl-shim, in the same process, answers them.
 * Linux's convention: the result, or -errno. Replaces musl's inline `syscall`
 * instructions. There is no VDSO, so clocks come this way too.
 */
long __sys_dispatch(long nr, long a, long b, long c, long d, long e, long f);

/* Arguments of `long long` need no splitting on a 64-bit machine. */
#define __SYSCALL_LL_E(x) (x)
#define __SYSCALL_LL_O(x) (x)

static __inline long __syscall0(long nr)
{
	return __sys_dispatch(nr, 0, 0, 0, 0, 0, 0);
}

static __inline long __syscall1(long nr, long a)
{
	return __sys_dispatch(nr, a, 0, 0, 0, 0, 0);
}

static __inline long __syscall2(long nr, long a, long b)
{
	return __sys_dispatch(nr, a, b, 0, 0, 0, 0);
}

static __inline long __syscall3(long nr, long a, long b, long c)
{
	return __sys_dispatch(nr, a, b, c, 0, 0, 0);
}

static __inline long __syscall4(long nr, long a, long b, long c, long d)
{
	return __sys_dispatch(nr, a, b, c, d, 0, 0);
}

static __inline long __syscall5(long nr, long a, long b, long c, long d, long e)
{
	return __sys_dispatch(nr, a, b, c, d, e, 0);
}

static __inline long __syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	return __sys_dispatch(nr, a, b, c, d, e, f);
}

/* System V IPC structures need no version flag on x86_64. */
#define IPC_64 0
