// SPDX-License-Identifier: BSD-2-Clause
// The folder that is served: regular files, and index.html for a folder.
#define _GNU_SOURCE
#include "site.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int status_of_errno(void)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP: return 404;
    case EACCES: return 403;
    default: return 500;
    }
}

// Writes `path` and a slash as the value of a Location header: percent-encoded, and with one
// slash in front (two would name another host).
static void put_location(const char *path, char *location)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    while (path[0] == '/' && path[1] == '/')
        path++;
    for (; *path; path++)
        location += strchr(plain, *path) ? sprintf(location, "%c", *path)
                                         : sprintf(location, "%%%02X", (unsigned char)*path);
    strcpy(location, "/");
}

int site_find(const char *root, const char *path, struct found *found)
{
    static char name[PATH_MAX]; // one thread; too large for a small stack
    const char *index = path[strlen(path) - 1] == '/' ? "index.html" : "";
    const int length = snprintf(name, sizeof name, "%s%s%s", root, path, index);
    if (length < 0 || (size_t)length >= sizeof name)
        return 404;

    // O_NONBLOCK: opening a FIFO must not stop the server.
    const int file = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return status_of_errno();
    struct stat st;
    if (fstat(file, &st) != 0) {
        close(file);
        return 500;
    }
    if (S_ISREG(st.st_mode)) {
        found->file = file;
        found->size = (uint64_t)st.st_size;
        found->type = media_type(name);
        return 200;
    }
    close(file);
    if (!S_ISDIR(st.st_mode))
        return 403;
    if (*index)
        return 404;
    put_location(path, found->location);
    return 301;
}
