// SPDX-License-Identifier: BSD-2-Clause
// What checks on locks of files need.
#pragma once

#include <fcntl.h>
#include <sys/types.h>

// A file of a new directory, made once for each check, open for reading and writing.
int lock_file(const char *path);

// The same file, by an open file description of its own.
int open_again(const char *path);

// fcntl(2) with a struct flock of these, from the file's start.
int record(int fd, int command, int type, off_t start, off_t length);

// What F_GETLK says to another process that would lock so.
struct flock seen_by_other(const char *path, int type, off_t start, off_t length);

// Holds if another process that would lock one byte for writing is told of nothing.
#define EXPECT_FREE(path, byte)                                                                    \
    EXPECT_EQ(seen_by_other((path), F_WRLCK, (byte), 1).l_type, F_UNLCK)

// Holds if another process is told of exactly this lock of this process, or of `pid_`.
#define EXPECT_LOCKED(path, byte, type, start, length, pid_)                                       \
    do {                                                                                           \
        const struct flock told_ = seen_by_other((path), F_WRLCK, (byte), 1);                      \
        EXPECT_EQ(told_.l_type, (type));                                                           \
        EXPECT_EQ(told_.l_whence, SEEK_SET);                                                       \
        EXPECT_EQ(told_.l_start, (start));                                                         \
        EXPECT_EQ(told_.l_len, (length));                                                          \
        EXPECT_EQ(told_.l_pid, (pid_));                                                            \
    } while (0)

// Has SIGALRM come again and again, to a handler that does nothing and does not restart calls.
void ring(void);
void stop_ringing(void);
