// SPDX-License-Identifier: BSD-2-Clause
#include "quick.h"

/* Only programs that cancel threads have it. */
__attribute__((__weak__)) hidden long __cancel(void);

__attribute__((__cold__)) long __quick_failed(long r)
{
	pthread_t self = __pthread_self();

	if (r == -EINTR && self->cancel && __cancel &&
	    self->canceldisable != PTHREAD_CANCEL_DISABLE)
		r = __cancel();
	return __syscall_ret(r);
}
