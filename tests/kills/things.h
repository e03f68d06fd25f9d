// SPDX-License-Identifier: BSD-2-Clause
// What takes many steps.
#pragma once

struct thing {
    // NULL: there are no more.
    const char *name;
    // What need not be ended in the middle; may be NULL.
    void (*prepare)(void);
    void (*run)(void);
};

extern const struct thing things[];
