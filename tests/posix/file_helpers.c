// SPDX-License-Identifier: BSD-2-Clause
// What checks on files need.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file_helpers.h"

static char made[64];

// The directory goes with the process, as a whole.
static void remove_made(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", made);
    if (made[0] && system(command) != 0)
        perror(made);
}

void in_new_directory(void)
{
    static int count;
    static pid_t maker;
    // A child of a check has its own, or none.
    if (maker != getpid()) {
        maker = getpid();
        strcpy(made, "/tmp/posix-XXXXXX");
        if (mkdtemp(made) == NULL)
            fail_errno(__FILE__, __LINE__, "mkdtemp", errno);
        if (access("/bin/rm", X_OK) == 0)
            atexit(remove_made);
    }
    char path[96];
    snprintf(path, sizeof path, "%s/%d", made, count++);
    OK(mkdir(path, 0755));
    OK(chdir(path));
}

void write_file(const char *path, const char *text)
{
    const int fd = OK(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
    put(fd, text);
    OK(close(fd));
}

void expect_file_(const char *file, int line, const char *path, const char *text)
{
    char got[256];
    const int fd = open(path, O_RDONLY);
    if (fd == -1)
        fail_errno(file, line, path, errno);
    const ssize_t n = read(fd, got, sizeof got);
    close(fd);
    if (n != (ssize_t)strlen(text) || memcmp(got, text, (size_t)n) != 0)
        fail(file, line, "%s has %zd bytes, not \"%s\": %.*s", path, n, text, (int)(n > 0 ? n : 0),
             got);
}

struct stat stat_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) == -1)
        fail_errno(__FILE__, __LINE__, path, errno);
    return st;
}

struct stat stat_of_fd(int fd)
{
    struct stat st;
    OK(fstat(fd, &st));
    return st;
}

int renameat2_(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}
