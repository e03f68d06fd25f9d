// SPDX-License-Identifier: BSD-2-Clause
// Devices: what they are, and what they give and take.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file_helpers.h"

CHECK(file, device_numbers, "devices have the numbers that programs know them by")
{
    const struct {
        const char *path;
        unsigned major, minor;
    } devices[] = {
        {"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
        {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
    };
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        const struct stat stat = stat_of(devices[i].path);
        EXPECT(S_ISCHR(stat.st_mode));
        EXPECT_EQ(major(stat.st_rdev), devices[i].major);
        EXPECT_EQ(minor(stat.st_rdev), devices[i].minor);
        EXPECT_EQ(stat.st_mode & 0666, 0666);
    }
}

CHECK(file, full_device_reads, "/dev/full reads zeros")
{
    char bytes[64];
    memset(bytes, 1, sizeof bytes);
    const int fd = OK(open("/dev/full", O_RDWR));
    EXPECT_EQ(read(fd, bytes, sizeof bytes), sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        EXPECT_EQ(bytes[i], 0);
    EXPECT_EQ(pread(fd, bytes, 1, 1 << 20), 1);
}

CHECK(file, random_devices, "/dev/random gives as much as is asked for, and takes what it is given")
{
    unsigned char one[256], other[256];
    const int fd = OK(open("/dev/random", O_RDWR | O_NONBLOCK));
    EXPECT_EQ(read(fd, one, sizeof one), sizeof one);
    EXPECT_EQ(read(fd, other, sizeof other), sizeof other);
    EXPECT(memcmp(one, other, sizeof one) != 0);
    // Bytes that are all alike would be no accident.
    size_t different = 0;
    for (size_t i = 1; i < sizeof one; i++)
        different += one[i] != one[0];
    EXPECT_AT_LEAST(different, 128);
    EXPECT_EQ(write(fd, "x", 1), 1);
}

CHECK(file, terminal_device, "/dev/tty is the process's terminal")
{
    const int fd = open("/dev/tty", O_RDWR | O_NOCTTY);
    if (fd == -1) {
        EXPECT_EQ(errno, ENXIO);
        skip("the process has no terminal");
    }
    EXPECT(isatty(fd));
}
