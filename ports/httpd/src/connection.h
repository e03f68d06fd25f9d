// SPDX-License-Identifier: BSD-2-Clause
// One client's connection: reads requests, answers them in turn, never waits.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http.h"

#define OUT_SIZE 16384

enum phase {
    READING,  // waiting for a request, or for the rest of one
    SENDING,  // an answer is on its way
    LEAVING,  // all is said; what the client still sends is thrown away
};

struct connection {
    int fd;
    enum phase phase;
    bool progress;   // this turn finished reading a request or sent something
    bool keep_alive; // another request may follow the answer that is being sent

    // The answer: what is in `out`, then the rest of the file.
    int file;       // -1 if none is open
    uint64_t left;  // bytes of it still to be read
    size_t out_from, out_to;

    size_t in_from, in_to;
    size_t thrown_away;

    // In the server's lists.
    struct connection *newer, *older;
    int64_t deadline;

    char in[HEAD_MAX];
    char out[OUT_SIZE];
};

// What a turn came to.
enum turn {
    WAIT,     // the socket has nothing more to give or to take: an edge will come
    MORE,     // there is more to do; others first
    FINISHED, // close it
};

void connection_start(struct connection *c, int fd);

// Goes on until the socket blocks, the connection ends, or it has had its share. `root` is the
// folder that is served.
enum turn connection_turn(struct connection *c, const char *root);

// Releases what it holds.
void connection_end(struct connection *c);
