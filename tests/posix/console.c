// SPDX-License-Identifier: BSD-2-Clause
// The console: descriptors 0 to 2. What is written shows up as TAP comments.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "helpers.h"

CHECK(console, write, "write to standard output takes every byte")
{
    static const char text[] = "# console: one line by write\n";
    EXPECT_EQ(write(1, text, sizeof text - 1), sizeof text - 1);
}

CHECK(console, vectors, "writev to standard output takes every byte")
{
    const struct iovec out[3] = {{"# console: one ", 15}, {"line ", 5}, {"by writev\n", 10}};
    EXPECT_EQ(writev(1, out, 3), 30);
}

CHECK(console, long_write, "a long write to standard output takes every byte")
{
    enum { LINES = 10, WIDTH = 500 };
    static const char start[] = "# console: one of ten long lines by one write ";
    char text[LINES * WIDTH];
    memset(text, '.', sizeof text);
    for (int i = 0; i < LINES; i++) {
        memcpy(text + i * WIDTH, start, sizeof start - 1);
        text[i * WIDTH + WIDTH - 1] = '\n';
    }
    size_t done = 0;
    while (done < sizeof text)
        done += (size_t)OK(write(1, text + done, sizeof text - done));
    EXPECT_EQ(done, sizeof text);
}

CHECK(console, nothing, "writing nothing returns 0")
{
    EXPECT_EQ(write(1, "", 0), 0);
}

CHECK(console, writable, "standard output and standard error are writable")
{
    EXPECT_EQ(ready_now(1, POLLOUT), POLLOUT);
    EXPECT_EQ(ready_now(2, POLLOUT), POLLOUT);
}

CHECK(console, duplicate, "a duplicate of standard output writes to it")
{
    const int copy = OK(dup(1));
    put(copy, "# console: one line by a duplicate\n");
    EXPECT_AT_LEAST(copy, 3);
}

CHECK(console, printf, "printf goes out when flushed, and says how much that was")
{
    EXPECT_EQ(printf("# console: %s, %d\n", "printf", 42), 22);
    EXPECT_EQ(fflush(stdout), 0);
}
