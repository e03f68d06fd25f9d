// SPDX-License-Identifier: BSD-2-Clause
// Reading /proc (proc(5)): the same code on Linux and here.
#pragma once

#include <stddef.h>
#include <sys/types.h>

// All of a file, with a NUL behind it, which the next call overwrites; *size if asked for.
const char *text_of(const char *path, size_t *size);

// The same of /proc/PID/NAME; pid 0 is `self`.
const char *text_of_process(pid_t pid, const char *name, size_t *size);

// The number behind a label at the start of a line ("VmRSS:"); fails if there is no such line.
long long number_of(const char *text, const char *label);

// What /proc/PID/stat says.
struct process_stat {
    int pid;
    char name[64];
    char state;
    int parent, group, session;
    long long threads, started, size, resident, user, system;
    int fields;
};
struct process_stat process_stat_of(pid_t pid);

// Whether a directory has an entry of this name.
int lists(const char *directory, const char *name);
