// SPDX-License-Identifier: BSD-2-Clause
// Pipes.
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "helpers.h"

CHECK(pipe, in_order, "bytes come out as they went in, whatever the pieces")
{
    const struct ends p = new_pipe(O_NONBLOCK);
    char out[8] = {0};
    put(p.w, "ab");
    put(p.w, "cdef");
    EXPECT_EQ(read(p.r, out, 3), 3);
    put(p.w, "g");
    EXPECT_EQ(read(p.r, out + 3, 5), 4);
    EXPECT(strcmp(out, "abcdefg") == 0);
}

CHECK(pipe, around_the_ring, "a long stream through a small pipe stays intact")
{
    const struct ends p = new_pipe(O_NONBLOCK);
    unsigned char block[1777], back[1777];
    for (unsigned round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (unsigned char)(round + i * 7);
        EXPECT_EQ(write(p.w, block, sizeof block), sizeof block);
        get(p.r, back, sizeof back);
        EXPECT(memcmp(block, back, sizeof block) == 0);
    }
}

CHECK(pipe, flags, "pipe2 takes O_NONBLOCK and O_CLOEXEC and refuses other flags (EINVAL)")
{
    int fds[2];
    EXPECT_ERRNO(pipe2(fds, O_APPEND), EINVAL);
    OK(pipe(fds));
    EXPECT_EQ(fcntl(fds[0], F_GETFD), 0);
    EXPECT_EQ(fcntl(fds[0], F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY);
    EXPECT_EQ(fcntl(fds[1], F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_WRONLY);
    const struct ends p = new_pipe(O_NONBLOCK | O_CLOEXEC);
    EXPECT_EQ(fcntl(p.r, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(fcntl(p.w, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(fcntl(p.r, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    EXPECT_EQ(fcntl(p.w, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
}

CHECK(pipe, wrong_end, "reading the write end or writing the read end is EBADF")
{
    const struct ends p = new_pipe(0);
    char c = 'a';
    EXPECT_ERRNO(read(p.w, &c, 1), EBADF);
    EXPECT_ERRNO(write(p.r, &c, 1), EBADF);
}

CHECK(pipe, empty, "a nonblocking read of an empty pipe is EAGAIN")
{
    const struct ends p = new_pipe(O_NONBLOCK);
    char c;
    EXPECT_ERRNO(read(p.r, &c, 1), EAGAIN);
}

CHECK(pipe, end_of_file, "a read returns 0 once the writer has closed and all is read")
{
    const struct ends p = new_pipe(0);
    char buffer[4];
    put(p.w, "ab");
    OK(close(p.w));
    EXPECT_EQ(read(p.r, buffer, 4), 2);
    EXPECT_EQ(read(p.r, buffer, 4), 0);
    EXPECT_EQ(read(p.r, buffer, 4), 0);
}

CHECK(pipe, last_writer, "end of file comes with the last of the writers")
{
    const struct ends p = new_pipe(O_NONBLOCK);
    const int copy = OK(dup(p.w));
    char c;
    OK(close(p.w));
    EXPECT_ERRNO(read(p.r, &c, 1), EAGAIN);
    EXPECT_EQ(ready_now(p.r, POLLIN), 0);
    put(copy, "a");
    OK(close(copy));
    EXPECT_EQ(read(p.r, &c, 1), 1);
    EXPECT_EQ(read(p.r, &c, 1), 0);
}

CHECK(pipe, broken, "writing without a reader is EPIPE")
{
    const struct ends p = new_pipe(0);
    put(p.w, "a");
    OK(close(p.r));
    EXPECT_ERRNO(write(p.w, "b", 1), EPIPE);
}

CHECK(pipe, full, "a full pipe is EAGAIN, not writable, and gives back every byte")
{
    const struct ends p = new_pipe(O_NONBLOCK);
    const size_t size = fill(p.w);
    EXPECT_AT_LEAST(size, PIPE_BUF);
    EXPECT_EQ(ready_now(p.w, POLLOUT), 0);
    EXPECT_EQ(ready_now(p.r, POLLIN), POLLIN);
    get_pattern(p.r, size);
    EXPECT_EQ(ready_now(p.r, POLLIN), 0);
    EXPECT_EQ(ready_now(p.w, POLLOUT), POLLOUT);
}

CHECK(pipe, capacity, "a pipe holds 65536 bytes")
{
    EXPECT_EQ(fill(new_pipe(O_NONBLOCK).w), 65536);
}

CHECK(pipe, atomic, "a write of PIPE_BUF bytes goes in whole or not at all")
{
    const struct ends p = new_pipe(O_NONBLOCK);
    char block[PIPE_BUF];
    memset(block, 'x', sizeof block);
    const size_t size = fill(p.w);
    EXPECT_EQ(read(p.r, block, 100), 100);
    EXPECT_ERRNO(write(p.w, block, sizeof block), EAGAIN);
    EXPECT_EQ(drain(p.r), size - 100);
    EXPECT_EQ(write(p.w, block, sizeof block), sizeof block);
}

CHECK(pipe, partial, "a larger write goes in as far as there is space")
{
    static char block[1 << 20];
    const struct ends p = new_pipe(O_NONBLOCK);
    const ssize_t n = write(p.w, block, sizeof block);
    EXPECT_AT_LEAST(n, PIPE_BUF);
    EXPECT(n < (ssize_t)sizeof block);
    EXPECT_EQ(drain(p.r), n);
}

CHECK(pipe, nothing, "writing or reading nothing returns 0 and changes nothing")
{
    const struct ends p = new_pipe(O_NONBLOCK);
    char c;
    EXPECT_EQ(write(p.w, "", 0), 0);
    EXPECT_EQ(ready_now(p.r, POLLIN), 0);
    EXPECT_EQ(read(p.r, &c, 0), 0);
}

CHECK(pipe, vectors, "writev gathers and readv scatters")
{
    const struct ends p = new_pipe(0);
    char a[3], b[1], c[8];
    const struct iovec out[4] = {{"ab", 2}, {"", 0}, {"cde", 3}, {"f", 1}};
    const struct iovec in[3] = {{a, sizeof a}, {b, sizeof b}, {c, sizeof c}};
    EXPECT_EQ(writev(p.w, out, 4), 6);
    EXPECT_EQ(readv(p.r, in, 3), 6);
    EXPECT(memcmp(a, "abc", 3) == 0);
    EXPECT(b[0] == 'd');
    EXPECT(memcmp(c, "ef", 2) == 0);
}

CHECK(pipe, vector_count, "a count of vectors below zero or above IOV_MAX is EINVAL")
{
    const struct ends p = new_pipe(0);
    static struct iovec many[IOV_MAX + 1];
    volatile int negative = -1; // gcc warns of a constant
    EXPECT_ERRNO(writev(p.w, many, negative), EINVAL);
    EXPECT_ERRNO(writev(p.w, many, IOV_MAX + 1), EINVAL);
    EXPECT_ERRNO(readv(p.r, many, IOV_MAX + 1), EINVAL);
}

CHECK(pipe, no_seeking, "a pipe cannot seek (ESPIPE)")
{
    const struct ends p = new_pipe(0);
    char c;
    EXPECT_ERRNO(lseek(p.r, 0, SEEK_CUR), ESPIPE);
    EXPECT_ERRNO(pread(p.r, &c, 1, 0), ESPIPE);
    EXPECT_ERRNO(pwrite(p.w, &c, 1, 0), ESPIPE);
}

CHECK(pipe, bytes_waiting, "FIONREAD counts what can be read")
{
    const struct ends p = new_pipe(0);
    int count = 77;
    OK(ioctl(p.r, FIONREAD, &count));
    EXPECT_EQ(count, 0);
    put(p.w, "abc");
    OK(ioctl(p.r, FIONREAD, &count));
    EXPECT_EQ(count, 3);
}

CHECK(pipe, kind, "fstat says that it is a FIFO")
{
    struct stat st;
    OK(fstat(new_pipe(0).r, &st));
    EXPECT(S_ISFIFO(st.st_mode));
}

CHECK(pipe, nonblock_per_end, "O_NONBLOCK of one end is not that of the other")
{
    const struct ends p = new_pipe(0);
    set_nonblocking(p.r);
    char c;
    EXPECT_ERRNO(read(p.r, &c, 1), EAGAIN);
    EXPECT_EQ(fcntl(p.w, F_GETFL) & O_NONBLOCK, 0);
}
