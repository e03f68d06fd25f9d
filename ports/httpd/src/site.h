// SPDX-License-Identifier: BSD-2-Clause
// The folder that is served.
#pragma once

#include <stdint.h>

#include "http.h"

struct found {
    int file;         // open for reading; the caller closes it
    uint64_t size;    // its size
    const char *type; // its media type
    char location[3 * REQUEST_LINE_MAX + 2]; // where to look instead, for 301
};

// Opens what `path` (of parse_target) names below `root`. Returns 200, 301, 403, 404 or 500;
// `found` is valid for the first two.
int site_find(const char *root, const char *path, struct found *found);
