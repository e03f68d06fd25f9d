// SPDX-License-Identifier: BSD-2-Clause
// A process that does one thing that takes many steps, each of which may be its last.
#pragma once

#include <stdint.h>

// Starts such processes and ends each a little later than the one before, until one comes to its end, for each of the things that there are; 0 if every figure was as before each time.
// `step`: so much later, in nanoseconds, which are instructions. `only`: only this thing; NULL: all.
int kill_at_each_step(uint32_t step, const char *only);

// Is one. Says by a byte to fd 3 when it begins.
int do_in_steps(const char *thing);
