// SPDX-License-Identifier: BSD-2-Clause
/* A detached thread frees the stack that it runs on and ends. musl-shim leaves
 * that stack first; musl's generic file would lend it 256 bytes, too few. */
#include "pthread_impl.h"

_Noreturn void __sys_unmapself(void *base, size_t size);

void __unmapself(void *base, size_t size)
{
	__sys_unmapself(base, size);
}
