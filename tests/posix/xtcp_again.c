// SPDX-License-Identifier: BSD-2-Clause
// The checks of tcp.c and tcp_end.c once more, with listeners that another process has had: connections to them go from process to process.
#define _GNU_SOURCE
#include "xtcp.h"

#undef CHECK
#define CHECK(area_, name_, text_) CHECK_IN(xtcp, name_, text_)
#define new_listener shared_listener
#define new_link shared_link

#include "tcp.c"
#include "tcp_end.c"
