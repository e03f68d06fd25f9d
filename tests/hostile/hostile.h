// SPDX-License-Identifier: BSD-2-Clause
// Processes that mean ill, and one that works beside them.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

extern char *self;

// Numbers that look random and are the same in each run with the same seed.
uint32_t chance(uint32_t below);
uint64_t any_word(void);
void set_seed(uint64_t seed);

// Starts this program in a role: `role` and one argument. Does not return without a child.
pid_t start(const char *role, const char *argument);

// Waits for a child: its exit status, or 1000 + the signal that ended it.
int ending(pid_t pid);

// When others have all the file system's room: it has no share for each process, as on Linux.
extern bool without_files;

// Works with all that it has, and looks at each result; 0, or the line where something was not as it should be.
int bystander(int rounds);

// Takes all it can get of one thing; then says so by a byte to fd 3 and waits to be killed. The errno that stopped it is to be one of those that fit; else a status.
int greedy(const char *what);

// Sends a server requests that are made up at random.
int garbage(const char *server);

// Signals, by every capability that it has, and by kill(2).
int flood(pid_t whom);
