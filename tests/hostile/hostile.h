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

// The host of the machine, as QEMU's network has it, and where it sends back what it gets, by TCP and UDP; 0: nowhere.
#define OUTSIDE 0x0a000202u
extern uint16_t outside_port;

// Writes over all that it shares with others, so many times; how many pages those are.
unsigned scribble_over_all(int rounds);

// Shares something of a kind with one that scribbles over it, and uses it all the same; 0, or something was not as it should be.
int spoilt(const char *kind, uint64_t seed);

// Forks without end, and so do its children ("stays", "unlimited"), or they end at once ("exits"); all but "unlimited" with a limit. Says by a byte to fd 3 when it can do no more, or is under way.
int bomb(const char *how);

// Talks to a child of its own, says so by a byte to fd 3, and ends a while after SIGUSR1; 0, or something was not as it should be.
int talker(void);
