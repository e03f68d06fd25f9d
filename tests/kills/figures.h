// SPDX-License-Identifier: BSD-2-Clause
// What the root server counts of all that it gives away, and the VFS server of its inodes, asked by the kernel's own call.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { FIGURES = 15, INODES = FIGURES, ALL, HEAP = FIGURES - 1 };

struct figures {
    uint64_t of[ALL];
};

extern const char *const figure_names[ALL];

// Asks both servers. No signal may come meanwhile: block them all.
struct figures read_figures(void);

// Prints what differs but for the root server's heap, whose tables keep the size that they once had; whether anything does.
bool differ(const struct figures *before, const struct figures *after);

// A message to a server: the capability's slot, the request's label, its first four words and how many are sent. The answer's first four words.
struct words {
    uint64_t of[4];
};
struct words ask(uint64_t slot, uint64_t label, struct words words, unsigned length);

enum { ROOT_SERVER = 1, NET_SERVER = 2, VFS_SERVER = 8 };
