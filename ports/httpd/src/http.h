// SPDX-License-Identifier: BSD-2-Clause
// HTTP as far as a server of files needs it. No I/O in here.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// A request's head: what is longer is refused with 431, a longer request line with 414.
#define HEAD_MAX 8192
#define REQUEST_LINE_MAX 4096

struct request {
    bool known_method; // GET or HEAD
    bool head_only;    // HEAD
    bool keep_alive;   // the client wants the connection to stay open
    bool has_body;     // a body follows, which nobody here will read
    char path[REQUEST_LINE_MAX];
};

// Not a status: the head is not complete yet.
#define INCOMPLETE 0

// Looks for a request at the start of `size` bytes. Returns INCOMPLETE, or the status to answer
// it with: 200 if nothing speaks against it. `*used` is the length of its head; 0 if it is so
// broken that nothing behind it can be trusted: the connection ends with the answer.
int parse_request(const char *data, size_t size, struct request *request, size_t *used);

// Turns a request's target into a path: strips scheme, host and query, decodes %XX. Returns 200,
// 400, or 403 for a path with a `..` in it. `path` has room for `size` + 1 bytes.
int parse_target(const char *target, size_t size, char *path);

// What a status is called.
const char *reason(int status);

// The media type that a file's name suggests.
const char *media_type(const char *path);
