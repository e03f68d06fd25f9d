/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The calls that programs make most have an entry each in musl-shim, which takes
 * the call's own arguments: neither the call's number nor the arguments that it
 * has not are passed through three functions.
 *
 * All of them are cancellation points. One that is to be cancelled when it
 * begins goes musl's way; one that was cancelled while it blocked has returned
 * -EINTR, and musl's part of that is done in __quick_failed.
 */
#ifndef QUICK_H
#define QUICK_H

#include <sys/socket.h>
#include "pthread_impl.h"
#include "syscall.h"

/* Linux's convention: the result, or -errno. */
hidden long __sys_read(int fd, void *buf, size_t len);
hidden long __sys_write(int fd, const void *buf, size_t len);
hidden long __sys_poll(void *fds, unsigned long n, int timeout);
hidden long __sys_epoll_ctl(int fd, int op, int target, void *event);
hidden long __sys_epoll_wait(int fd, void *events, int most, int timeout);
hidden long __sys_recvfrom(int fd, void *buf, size_t len, int flags, void *addr, void *alen);
hidden long __sys_sendto(int fd, const void *buf, size_t len, int flags, const void *addr, socklen_t alen);

/* Sets errno, or acts on a cancellation; what the C function returns. */
hidden long __quick_failed(long r);

static inline int quick_is_cancelled(void)
{
	return __pthread_self()->cancel;
}

static inline long quick_result(long r)
{
	return (unsigned long)r > -4096UL ? __quick_failed(r) : r;
}

#endif
