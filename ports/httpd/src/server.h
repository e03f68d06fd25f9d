// SPDX-License-Identifier: BSD-2-Clause
// The server: one thread, one epoll instance, all connections.
#pragma once

#include <stdint.h>

struct settings {
    uint16_t port;
    const char *root;
    unsigned connections; // at most so many at once
    unsigned timeout;     // seconds for a request to arrive, or for an answer to make progress
};

// Serves for ever. Returns only if it cannot start or go on, after it has said why.
int serve(const struct settings *settings);
