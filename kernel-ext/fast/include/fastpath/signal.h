/* SPDX-License-Identifier: GPL-2.0-only */

#ifndef __FASTPATH_SIGNAL_H
#define __FASTPATH_SIGNAL_H

#include <types.h>

void fastpath_signal(word_t cptr, word_t msgInfo)
NORETURN;

void fastpath_poll(word_t cptr, word_t msgInfo)
NORETURN;

void fastpath_wait(word_t cptr, word_t msgInfo)
NORETURN;

#endif
