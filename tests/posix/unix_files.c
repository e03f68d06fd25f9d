// SPDX-License-Identifier: BSD-2-Clause
// SCM_RIGHTS of files: contents, position and flags go along.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "file_helpers.h"
#include "harness.h"
#include "helpers.h"
#include "process.h"
#include "unix.h"

CHECK(xunix, file_by_message, "a file that was written goes to another process by a message, with its position")
{
    in_new_directory();
    int s[2];
    unix_pair(s, SOCK_STREAM, false);
    const int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
    put(fd, "hello, world");
    EXPECT_EQ(lseek(fd, 7, SEEK_SET), 7);
    const pid_t pid = fork();
    if (pid == 0) {
        int got;
        char text[6] = "";
        close(fd);
        if (receive_fds(s[1], &got, 1, 0, NULL) != 1)
            _exit(1);
        if (read(got, text, 5) != 5 || strcmp(text, "world") != 0)
            _exit(2);
        if (write(got, "!", 1) != 1)
            _exit(3);
        _exit(0);
    }
    note_child(OK(pid));
    EXPECT_EQ(send_fds(s[0], &fd, 1), 1);
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 13);
    expect_file("f", "hello, world!");
}

CHECK(xunix, file_under_way, "a file that is unlinked and closed while it is under way arrives whole")
{
    in_new_directory();
    int s[2], got;
    unix_pair(s, SOCK_SEQPACKET, false);
    int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
    put(fd, "still there");
    EXPECT_EQ(lseek(fd, 0, SEEK_SET), 0);
    EXPECT_EQ(send_fds(s[0], &fd, 1), 1);
    OK(unlink("f"));
    OK(close(fd));
    OK(close(s[0]));
    EXPECT_EQ(receive_fds(s[1], &got, 1, MSG_CMSG_CLOEXEC, NULL), 1);
    char text[12] = "";
    get(got, text, 11);
    EXPECT(strcmp(text, "still there") == 0);
    EXPECT_EQ(stat_of_fd(got).st_nlink, 0);
    EXPECT_EQ(fcntl(got, F_GETFD), FD_CLOEXEC);
}

CHECK(xunix, file_mode, "a file that was sent is what it was opened as")
{
    in_new_directory();
    int s[2], got[2];
    unix_pair(s, SOCK_DGRAM, false);
    write_file("f", "abc");
    const int fds[2] = {OK(open("f", O_RDONLY)), OK(open("f", O_WRONLY | O_APPEND))};
    EXPECT_EQ(send_fds(s[0], fds, 2), 1);
    EXPECT_EQ(receive_fds(s[1], got, 2, 0, NULL), 2);
    EXPECT_ERRNO(write(got[0], "x", 1), EBADF);
    EXPECT_EQ(fcntl(got[1], F_GETFL) & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND);
    put(got[1], "d");
    expect_file("f", "abcd");
    EXPECT_EQ(stat_of_fd(got[0]).st_ino, stat_of("f").st_ino);
}

CHECK(xunix, file_nobody_takes, "the memory of a file that nobody took comes back with the socket")
{
    in_new_directory();
    static char block[1 << 16];
    unsigned long before = 0;
    for (int i = 0; i < 12; i++) {
        int s[2];
        unix_pair(s, SOCK_STREAM, false);
        const int fd = OK(open("f", O_RDWR | O_CREAT, 0600));
        EXPECT_EQ(write(fd, block, sizeof block), sizeof block);
        EXPECT_EQ(send_fds(s[0], &fd, 1), 1);
        OK(close(fd));
        OK(unlink("f"));
        OK(close(s[0]));
        OK(close(s[1]));
        // The server gives back what it hears is held by nobody when it is asked for something next.
        OK(mkdir("d", 0700));
        OK(rmdir("d"));
        struct sysinfo info;
        OK(sysinfo(&info));
        // The first rounds fill caches.
        if (i == 4)
            before = info.freeram;
        if (i > 4 && on_sel4())
            EXPECT_EQ(info.freeram, before);
    }
}
