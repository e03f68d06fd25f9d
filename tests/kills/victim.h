// SPDX-License-Identifier: BSD-2-Clause
// A process that does a little of everything, in a random order, until it is killed.
#pragma once

#include <stdint.h>

// Where victims keep their files, and how many names they have there for each kind.
#define PLACE "/tmp/kills"
enum { NAMES = 6 };

// Numbers that look random and are the same in each run with the same seed.
uint32_t chance(uint32_t below);
void set_seed(uint64_t seed);

// The program itself, for children.
extern char *self;

// Removes everything in a directory.
void empty(const char *path);

// Does it. `depth`: how many generations of children it may have.
_Noreturn void be_victim(uint64_t seed, int depth);

// Files that are open for the next steps to use, at most MOST_KEPT: the oldest is closed for a new one.
void keep(int fd);
// One of them; -1: there is none.
int kept(void);
void close_kept(void);

// A name of a kind (`f`, `d`, `s`) that other victims may use as well.
const char *name_of(char kind);

// One step each; errors are part of the game.
void step_pipe(void);
void step_events(void);
void step_epoll(void);
void step_timers(void);
void step_pair(void);
void step_rights(void);
void step_names(void);
void step_tcp(void);
void step_file(void);
void step_tree(void);
void step_memory(void);
void step_threads(void);
void step_futex(void);
void step_signals(void);
void step_child(int depth);
