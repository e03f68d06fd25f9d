// SPDX-License-Identifier: BSD-2-Clause
// What checks on files need.
#pragma once

#include <sys/stat.h>

#include "helpers.h"

// Makes an empty directory and goes there. It is removed by nobody: on Linux it lies in the system's folder for such things.
void in_new_directory(void);

// Makes a file with these contents, or replaces them.
void write_file(const char *path, const char *text);

// Holds if the file has exactly these contents.
#define expect_file(path, text) expect_file_(__FILE__, __LINE__, path, text)
void expect_file_(const char *file, int line, const char *path, const char *text);

// stat(2) and fstat(2), or the check fails.
struct stat stat_of(const char *path);
struct stat stat_of_fd(int fd);

// renameat2(2), which not every C library has.
int renameat2_(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
