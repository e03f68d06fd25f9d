// SPDX-License-Identifier: BSD-2-Clause
// Files: the one that -d names (data.txt here, in the boot archive on seL4) and the devices.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "helpers.h"

// The data file: LINES lines of WIDTH bytes, "line 00000 here" and so on.
#define LINES 500
#define WIDTH 16
#define SIZE (LINES * WIDTH)

static int open_data(void)
{
    const int fd = open(options.data, O_RDONLY);
    if (fd == -1)
        fail(__FILE__, __LINE__, "cannot open %s (errno %d): name data.txt with -d", options.data,
             errno);
    return fd;
}

static void expect_line(const char *got, int number)
{
    char line[32];
    snprintf(line, sizeof line, "line %05d here\n", number);
    if (memcmp(got, line, WIDTH) != 0)
        fail(__FILE__, __LINE__, "line %d is not as it should be: %.16s", number, got);
}

// The data file's name followed by `tail`.
static const char *data_and(const char *tail)
{
    static char path[2 * PATH_MAX];
    snprintf(path, sizeof path, "%s%s", options.data, tail);
    return path;
}

// The data file's name without its directory.
static const char *base_name(void)
{
    const char *slash = strrchr(options.data, '/');
    return slash ? slash + 1 : options.data;
}

// The data file's directory followed by `tail`.
static const char *beside_data(const char *tail)
{
    static char path[2 * PATH_MAX];
    const size_t size = (size_t)(base_name() - options.data);
    snprintf(path, sizeof path, "%.*s%s", (int)size, options.data, tail);
    return path;
}

CHECK(file, contents, "reading to the end gives every byte, then 0")
{
    static char all[SIZE + 100];
    const int fd = open_data();
    size_t size = 0;
    for (ssize_t n; (n = OK(read(fd, all + size, 777))) > 0;) {
        size += (size_t)n;
        EXPECT_AT_LEAST(SIZE, size);
    }
    EXPECT_EQ(size, SIZE);
    for (int i = 0; i < LINES; i++)
        expect_line(all + i * WIDTH, i);
    EXPECT_EQ(read(fd, all, 1), 0);
}

CHECK(file, seek, "lseek from the start, the place and the end")
{
    char line[WIDTH];
    const int fd = open_data();
    EXPECT_EQ(lseek(fd, 0, SEEK_END), SIZE);
    EXPECT_EQ(lseek(fd, 3 * WIDTH, SEEK_SET), 3 * WIDTH);
    EXPECT_EQ(read(fd, line, WIDTH), WIDTH);
    expect_line(line, 3);
    EXPECT_EQ(lseek(fd, -2 * WIDTH, SEEK_CUR), 2 * WIDTH);
    EXPECT_EQ(read(fd, line, WIDTH), WIDTH);
    expect_line(line, 2);
    EXPECT_EQ(lseek(fd, -WIDTH, SEEK_END), SIZE - WIDTH);
    EXPECT_EQ(read(fd, line, WIDTH), WIDTH);
    expect_line(line, LINES - 1);
}

CHECK(file, seek_errors, "seeking before the start or by an unknown rule is EINVAL, beyond is not")
{
    char c;
    const int fd = open_data();
    EXPECT_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
    EXPECT_ERRNO(lseek(fd, -SIZE - 1, SEEK_END), EINVAL);
    EXPECT_ERRNO(lseek(fd, 0, 99), EINVAL);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 0);
    EXPECT_EQ(lseek(fd, 10 * SIZE, SEEK_SET), 10 * SIZE);
    EXPECT_EQ(read(fd, &c, 1), 0);
}

CHECK(file, positioned_read, "pread leaves the place alone and is short at the end")
{
    char line[WIDTH];
    const int fd = open_data();
    EXPECT_EQ(pread(fd, line, WIDTH, 100 * WIDTH), WIDTH);
    expect_line(line, 100);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 0);
    EXPECT_EQ(pread(fd, line, WIDTH, SIZE - 5), 5);
    EXPECT_EQ(pread(fd, line, WIDTH, SIZE), 0);
    EXPECT_ERRNO(pread(fd, line, WIDTH, -1), EINVAL);
}

CHECK(file, vectors, "readv fills one buffer after the other")
{
    char a[WIDTH], b[WIDTH];
    const struct iovec in[2] = {{a, sizeof a}, {b, sizeof b}};
    EXPECT_EQ(readv(open_data(), in, 2), 2 * WIDTH);
    expect_line(a, 0);
    expect_line(b, 1);
}

CHECK(file, two_places, "two opens have two places, duplicates share one")
{
    char line[WIDTH];
    const int a = open_data(), b = open_data(), copy = OK(dup(a));
    EXPECT_EQ(read(a, line, WIDTH), WIDTH);
    EXPECT_EQ(read(copy, line, WIDTH), WIDTH);
    expect_line(line, 1);
    EXPECT_EQ(read(b, line, WIDTH), WIDTH);
    expect_line(line, 0);
}

CHECK(file, status, "stat and fstat agree: a regular file and its size")
{
    struct stat by_name, by_fd;
    OK(stat(options.data, &by_name));
    OK(fstat(open_data(), &by_fd));
    EXPECT(S_ISREG(by_name.st_mode) && S_ISREG(by_fd.st_mode));
    EXPECT_EQ(by_name.st_size, SIZE);
    EXPECT_EQ(by_fd.st_size, SIZE);
    EXPECT_EQ(by_name.st_ino, by_fd.st_ino);
    OK(stat("/", &by_name));
    EXPECT(S_ISDIR(by_name.st_mode));
}

CHECK(file, missing, "what is not there is ENOENT, by every call that takes a name")
{
    struct stat st;
    EXPECT_ERRNO(open("/no/such/file", O_RDONLY), ENOENT);
    EXPECT_ERRNO(open(beside_data("missing.txt"), O_RDONLY), ENOENT);
    EXPECT_ERRNO(stat("/no/such/file", &st), ENOENT);
    EXPECT_ERRNO(access("/no/such/file", F_OK), ENOENT);
    EXPECT_ERRNO(open("", O_RDONLY), ENOENT);
    EXPECT_EQ(access(options.data, R_OK), 0);
}

CHECK(file, bad_paths, "bad paths: ENOTDIR, ENAMETOOLONG and EISDIR")
{
    static char name[PATH_MAX + 10];
    char c;
    EXPECT_ERRNO(open(data_and("/x"), O_RDONLY), ENOTDIR);
    EXPECT_ERRNO(open(data_and("/"), O_RDONLY), ENOTDIR);
    EXPECT_ERRNO(open(options.data, O_RDONLY | O_DIRECTORY), ENOTDIR);
    memset(name, 'x', sizeof name - 1);
    EXPECT_ERRNO(open(name, O_RDONLY), ENAMETOOLONG);
    name[0] = '/';
    name[300] = 0;
    EXPECT_ERRNO(open(name, O_RDONLY), ENAMETOOLONG);
    EXPECT_ERRNO(open("/", O_WRONLY), EISDIR);
    EXPECT_ERRNO(read(OK(open("/", O_RDONLY)), &c, 1), EISDIR);
}

CHECK(file, dots, "dots and doubled slashes in a path are resolved")
{
    char line[WIDTH], tail[NAME_MAX + 8];
    snprintf(tail, sizeof tail, ".//./%s", base_name());
    EXPECT_EQ(read(OK(open(beside_data(tail), O_RDONLY)), line, WIDTH), WIDTH);
    expect_line(line, 0);
    struct stat root, above;
    OK(stat("/", &root));
    OK(stat("/../..", &above));
    EXPECT_EQ(root.st_ino, above.st_ino);
}

CHECK(file, working_directory, "names without a slash start at the working directory")
{
    char here[PATH_MAX], line[WIDTH];
    EXPECT_ERRNO(chdir("/no/such/directory"), ENOENT);
    EXPECT_ERRNO(chdir(options.data), ENOTDIR);
    OK(chdir(beside_data(".")));
    EXPECT(getcwd(here, sizeof here) != NULL);
    EXPECT_EQ(here[0], '/');
    EXPECT_EQ(read(OK(open(base_name(), O_RDONLY)), line, WIDTH), WIDTH);
    expect_line(line, 0);
    OK(chdir("/"));
    EXPECT(getcwd(here, sizeof here) != NULL);
    EXPECT(strcmp(here, "/") == 0);
    EXPECT(getcwd(here, 1) == NULL && errno == ERANGE);
}

CHECK(file, real_path, "realpath resolves to one absolute name; what is no link is EINVAL")
{
    char link[16], line[WIDTH];
    EXPECT_ERRNO(readlink(options.data, link, sizeof link), EINVAL);
    char *full = realpath(options.data, NULL);
    EXPECT(full != NULL);
    EXPECT_EQ(full[0], '/');
    const int fd = open(full, O_RDONLY);
    free(full);
    EXPECT_EQ(read(OK(fd), line, WIDTH), WIDTH);
    expect_line(line, 0);
}

CHECK(file, open_at, "openat starts at a directory that is open")
{
    char line[WIDTH];
    const int directory = OK(open(beside_data("."), O_RDONLY | O_DIRECTORY));
    EXPECT_EQ(read(OK(openat(directory, base_name(), O_RDONLY)), line, WIDTH), WIDTH);
    expect_line(line, 0);
    EXPECT_ERRNO(openat(100, "data.txt", O_RDONLY), EBADF);
    EXPECT_ERRNO(openat(open_data(), "data.txt", O_RDONLY), ENOTDIR);
}

CHECK(file, read_only, "a file opened for reading cannot be written (EBADF)")
{
    EXPECT_ERRNO(write(open_data(), "x", 1), EBADF);
}

CHECK(file, directory, "a directory lists what is in it, and itself")
{
    DIR *directory = opendir(beside_data("."));
    EXPECT(directory != NULL);
    int found = 0;
    for (struct dirent *e; (e = readdir(directory)) != NULL;) {
        found += strcmp(e->d_name, base_name()) == 0;
        found += strcmp(e->d_name, ".") == 0;
    }
    closedir(directory);
    EXPECT_EQ(found, 2);
}

CHECK(file, mapped, "a private mapping of a file has its contents and can be written")
{
    const int fd = open_data();
    char line[WIDTH];
    char *map = OK(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    OK(close(fd));
    for (int i = 0; i < LINES; i++)
        expect_line(map + i * WIDTH, i);
    memset(map, 'x', WIDTH);
    EXPECT_EQ(pread(open_data(), line, WIDTH, 0), WIDTH);
    expect_line(line, 0);
    OK(munmap(map, SIZE));
}

CHECK(file, stdio, "fopen, fgets, fseek and feof read it")
{
    char line[64];
    FILE *f = fopen(options.data, "r");
    EXPECT(f != NULL);
    for (int i = 0; i < LINES; i++) {
        EXPECT(fgets(line, sizeof line, f) != NULL);
        expect_line(line, i);
    }
    EXPECT(fgets(line, sizeof line, f) == NULL && feof(f));
    OK(fseek(f, 7 * WIDTH, SEEK_SET));
    EXPECT(fgets(line, sizeof line, f) != NULL);
    expect_line(line, 7);
    EXPECT_EQ(fclose(f), 0);
    EXPECT(fopen("/no/such/file", "r") == NULL && errno == ENOENT);
}

CHECK(file, null_device, "/dev/null reads nothing and takes everything")
{
    char buffer[16];
    const int fd = OK(open("/dev/null", O_RDWR));
    EXPECT_EQ(read(fd, buffer, sizeof buffer), 0);
    EXPECT_EQ(write(fd, buffer, sizeof buffer), sizeof buffer);
    EXPECT_EQ(ready_now(fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
}

CHECK(file, zero_device, "/dev/zero reads zeros")
{
    char buffer[100];
    memset(buffer, 'x', sizeof buffer);
    EXPECT_EQ(read(OK(open("/dev/zero", O_RDONLY)), buffer, sizeof buffer), sizeof buffer);
    for (size_t i = 0; i < sizeof buffer; i++)
        EXPECT_EQ(buffer[i], 0);
}

CHECK(file, full_device, "/dev/full has no space (ENOSPC)")
{
    EXPECT_ERRNO(write(OK(open("/dev/full", O_WRONLY)), "x", 1), ENOSPC);
}

CHECK(file, random_device, "/dev/urandom does not repeat itself")
{
    char a[32], b[32];
    const int fd = OK(open("/dev/urandom", O_RDONLY));
    EXPECT_EQ(read(fd, a, sizeof a), sizeof a);
    EXPECT_EQ(read(fd, b, sizeof b), sizeof b);
    EXPECT(memcmp(a, b, sizeof a) != 0);
}
