// SPDX-License-Identifier: BSD-2-Clause
// TCP between processes.
#pragma once

#include "helpers.h"

// As new_listener and new_link, but another process has had it too: its state lies where several can have it.
int shared_listener(int backlog);
struct link shared_link(void);
