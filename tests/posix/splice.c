// SPDX-License-Identifier: BSD-2-Clause
// splice, tee, vmsplice, sendfile, copy_file_range: bytes between two descriptors.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "file_helpers.h"
#include "harness.h"
#include "helpers.h"
#include "process.h"

static void expect_bytes(int fd, const char *text)
{
    char got[256] = "";
    const size_t size = strlen(text);
    get(fd, got, size);
    EXPECT(strcmp(got, text) == 0);
}

// A new directory, and in it a file with these contents, open for reading and writing.
static int file_with(const char *text)
{
    in_new_directory();
    write_file("file", text);
    return OK(open("file", O_RDWR));
}

static void quiet(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    OK(sigaction(SIGPIPE, &ignore, NULL));
}

CHECK(splice, pipe_to_pipe, "splice moves bytes from one pipe to another, as many as asked for")
{
    const struct ends a = new_pipe(O_NONBLOCK), b = new_pipe(O_NONBLOCK);
    put(a.w, "hello, world");
    EXPECT_EQ(splice(a.r, NULL, b.w, NULL, 5, 0), 5);
    expect_bytes(b.r, "hello");
    EXPECT_EQ(splice(a.r, NULL, b.w, NULL, 100, 0), 7);
    expect_bytes(b.r, ", world");
    EXPECT_ERRNO(splice(a.r, NULL, b.w, NULL, 100, 0), EAGAIN);
    EXPECT_EQ(splice(a.r, NULL, b.w, NULL, 0, 0), 0);
    OK(close(a.w));
    EXPECT_EQ(splice(a.r, NULL, b.w, NULL, 100, 0), 0);
}

CHECK(splice, full_pipe, "splice into a full pipe is EAGAIN with O_NONBLOCK or SPLICE_F_NONBLOCK, and takes nothing")
{
    const struct ends a = new_pipe(0), b = new_pipe(O_NONBLOCK);
    fill(b.w);
    put(a.w, "kept");
    EXPECT_ERRNO(splice(a.r, NULL, b.w, NULL, 4, 0), EAGAIN);
    EXPECT_ERRNO(splice(a.r, NULL, b.w, NULL, 4, SPLICE_F_NONBLOCK), EAGAIN);
    expect_bytes(a.r, "kept");
    EXPECT_ERRNO(splice(a.r, NULL, b.w, NULL, 4, SPLICE_F_NONBLOCK), EAGAIN);
}

CHECK(splice, waits, "splice between pipes waits for bytes, and tells of the other side's end")
{
    const struct ends a = new_pipe(0), b = new_pipe(0);
    const pid_t pid = fork();
    if (pid == 0) {
        close(a.w);
        // Two pieces, or one; then the end.
        size_t sum = 0;
        ssize_t n;
        while ((n = splice(a.r, NULL, b.w, NULL, 100, 0)) > 0)
            sum += n;
        _exit(n == 0 && sum == 6 ? 0 : 1);
    }
    note_child(OK(pid));
    put(a.w, "one");
    expect_bytes(b.r, "one");
    put(a.w, "two");
    expect_bytes(b.r, "two");
    OK(close(a.w));
    EXPECT_EQ(ending(pid), 0);
    quiet();
    const struct ends c = new_pipe(0);
    OK(close(b.r));
    put(c.w, "x");
    EXPECT_ERRNO(splice(c.r, NULL, b.w, NULL, 1, 0), EPIPE);
    expect_bytes(c.r, "x");
}

CHECK(splice, file_to_pipe, "splice from a file moves its position, or the offset; what a pipe holds at once is the most")
{
    const int fd = file_with("abcdefghij");
    const struct ends p = new_pipe(O_NONBLOCK);
    EXPECT_EQ(splice(fd, NULL, p.w, NULL, 3, 0), 3);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 3);
    off_t offset = 5;
    EXPECT_EQ(splice(fd, &offset, p.w, NULL, 100, 0), 5);
    EXPECT_EQ(offset, 10);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 3);
    expect_bytes(p.r, "abcfghij");
    EXPECT_EQ(splice(fd, &offset, p.w, NULL, 100, 0), 0);
    OK(ftruncate(fd, 1 << 20));
    offset = 0;
    EXPECT_EQ(splice(fd, &offset, p.w, NULL, 1 << 20, 0), 65536);
    EXPECT_EQ(offset, 65536);
    EXPECT_ERRNO(splice(fd, &offset, p.w, NULL, 1, 0), EAGAIN);
    EXPECT_EQ(offset, 65536);
}

CHECK(splice, pipe_to_file, "splice to a file writes at its position or at the offset")
{
    const int fd = file_with("0123456789");
    const struct ends p = new_pipe(O_NONBLOCK);
    put(p.w, "abcdef");
    EXPECT_EQ(splice(p.r, NULL, fd, NULL, 2, 0), 2);
    off_t offset = 8;
    EXPECT_EQ(splice(p.r, NULL, fd, &offset, 100, 0), 4);
    EXPECT_EQ(offset, 12);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 2);
    expect_file("file", "ab234567cdef");
    EXPECT_ERRNO(splice(p.r, NULL, fd, NULL, 2, 0), EAGAIN);
    const int end = OK(open("file", O_WRONLY | O_APPEND));
    put(p.w, "x");
    EXPECT_ERRNO(splice(p.r, NULL, end, NULL, 1, 0), EINVAL);
    expect_bytes(p.r, "x");
}

CHECK(splice, sockets, "splice goes from a pipe to a socket and back, with EAGAIN and the end as for read and write")
{
    int s[2];
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
    const struct ends p = new_pipe(O_NONBLOCK);
    put(p.w, "by a socket");
    EXPECT_EQ(splice(p.r, NULL, s[0], NULL, 100, 0), 11);
    EXPECT_EQ(splice(s[1], NULL, p.w, NULL, 2, 0), 2);
    EXPECT_EQ(splice(s[1], NULL, p.w, NULL, 100, 0), 9);
    expect_bytes(p.r, "by a socket");
    EXPECT_ERRNO(splice(s[1], NULL, p.w, NULL, 100, 0), EAGAIN);
    off_t offset = 0;
    EXPECT_ERRNO(splice(s[1], &offset, p.w, NULL, 1, 0), EINVAL);
    OK(close(s[0]));
    EXPECT_EQ(splice(s[1], NULL, p.w, NULL, 100, 0), 0);
}

CHECK(splice, tcp, "splice relays a TCP stream by a pipe")
{
    const struct link l = new_link(), m = new_link();
    const struct ends p = new_pipe(O_NONBLOCK);
    size_t moved = 0;
    static char block[100000], got[100000];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (char)(i * 7 >> 2);
    size_t sent = 0, received = 0;
    while (received < sizeof block) {
        if (sent < sizeof block) {
            const ssize_t n = write(l.client, block + sent, sizeof block - sent);
            EXPECT(n > 0 || errno == EAGAIN);
            sent += n > 0 ? n : 0;
        }
        ssize_t n = splice(l.server, NULL, p.w, NULL, 1 << 16, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        EXPECT(n > 0 || errno == EAGAIN);
        n = splice(p.r, NULL, m.client, NULL, 1 << 16, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        EXPECT(n > 0 || errno == EAGAIN);
        moved += n > 0 ? n : 0;
        n = read(m.server, got + received, sizeof got - received);
        EXPECT(n > 0 || errno == EAGAIN);
        received += n > 0 ? n : 0;
    }
    EXPECT_EQ(moved, sizeof block);
    EXPECT(memcmp(block, got, sizeof got) == 0);
}

CHECK(splice, refused, "splice wants a pipe (EINVAL), not twice the same one, no offsets for it (ESPIPE), and the right modes (EBADF)")
{
    const int fd = file_with("text");
    const struct ends p = new_pipe(O_NONBLOCK), q = new_pipe(O_NONBLOCK);
    off_t offset = 0;
    put(p.w, "x");
    EXPECT_ERRNO(splice(fd, NULL, fd, NULL, 1, 0), EINVAL);
    EXPECT_ERRNO(splice(p.r, NULL, p.w, NULL, 1, 0), EINVAL);
    EXPECT_ERRNO(splice(p.r, &offset, q.w, NULL, 1, 0), ESPIPE);
    EXPECT_ERRNO(splice(p.r, NULL, q.w, &offset, 1, 0), ESPIPE);
    EXPECT_ERRNO(splice(p.r, &offset, fd, NULL, 1, 0), ESPIPE);
    EXPECT_ERRNO(splice(fd, NULL, p.w, &offset, 1, 0), ESPIPE);
    EXPECT_ERRNO(splice(p.w, NULL, q.w, NULL, 1, 0), EBADF);
    EXPECT_ERRNO(splice(p.r, NULL, q.r, NULL, 1, 0), EBADF);
    EXPECT_ERRNO(splice(p.r, NULL, OK(open("file", O_RDONLY)), NULL, 1, 0), EBADF);
    EXPECT_ERRNO(splice(-1, NULL, q.w, NULL, 1, 0), EBADF);
    EXPECT_ERRNO(splice(p.r, NULL, q.w, NULL, 1, 0x100), EINVAL);
    EXPECT_ERRNO(splice(p.r, NULL, new_eventfd(0), NULL, 8, 0), EINVAL);
    EXPECT_ERRNO(splice(new_eventfd(1), NULL, q.w, NULL, 8, 0), EINVAL);
    EXPECT_ERRNO(splice(OK(open(".", O_RDONLY)), NULL, q.w, NULL, 8, 0), EINVAL);
    offset = -1;
    EXPECT_ERRNO(splice(fd, &offset, q.w, NULL, 1, 0), EINVAL);
}

CHECK(splice, devices, "splice discards into /dev/null and takes from /dev/zero")
{
    const struct ends p = new_pipe(O_NONBLOCK);
    put(p.w, "discarded");
    EXPECT_EQ(splice(p.r, NULL, OK(open("/dev/null", O_WRONLY)), NULL, 100, 0), 9);
    EXPECT_EQ(splice(OK(open("/dev/zero", O_RDONLY)), NULL, p.w, NULL, 4, 0), 4);
    char got[4];
    get(p.r, got, 4);
    EXPECT(memcmp(got, "\0\0\0\0", 4) == 0);
}

CHECK(splice, tells_watchers, "what splice moves is told to those who wait for it")
{
    const struct ends a = new_pipe(O_NONBLOCK), b = new_pipe(O_NONBLOCK);
    const int ep = new_epoll();
    add(ep, b.r, EPOLLIN | EPOLLET);
    EXPECT_EQ(fill(a.w), 65536);
    add(ep, a.w, EPOLLOUT | EPOLLET);
    EXPECT_IDLE(ep);
    EXPECT_EQ(splice(a.r, NULL, b.w, NULL, 4096, 0), 4096);
    struct epoll_event events[2];
    EXPECT_EQ(wait_now(ep, events, 2), 2);
}

CHECK(splice, teed, "tee copies what a pipe holds into another one and leaves it there")
{
    const struct ends a = new_pipe(O_NONBLOCK), b = new_pipe(O_NONBLOCK);
    EXPECT_ERRNO(tee(a.r, b.w, 10, 0), EAGAIN);
    put(a.w, "twice");
    EXPECT_EQ(tee(a.r, b.w, 3, 0), 3);
    EXPECT_EQ(tee(a.r, b.w, 100, SPLICE_F_NONBLOCK), 5);
    expect_bytes(b.r, "twitwice");
    expect_bytes(a.r, "twice");
    EXPECT_EQ(tee(a.r, b.w, 0, 0), 0);
    EXPECT_ERRNO(tee(a.r, a.w, 1, 0), EINVAL);
    EXPECT_ERRNO(tee(a.r, new_eventfd(0), 1, 0), EINVAL);
    EXPECT_ERRNO(tee(a.w, b.w, 1, 0), EBADF);
    OK(close(a.w));
    EXPECT_EQ(tee(a.r, b.w, 1, 0), 0);
}

CHECK(splice, vmspliced, "vmsplice puts memory into a pipe, and takes out of one")
{
    const struct ends p = new_pipe(O_NONBLOCK);
    char first[] = "from", second[] = " memory";
    struct iovec out[2] = {{first, 4}, {second, 7}};
    EXPECT_EQ(vmsplice(p.w, out, 2, 0), 11);
    char got[12] = "";
    struct iovec in[2] = {{got, 5}, {got + 5, 6}};
    EXPECT_EQ(vmsplice(p.r, in, 2, 0), 11);
    EXPECT(strcmp(got, "from memory") == 0);
    EXPECT_EQ(vmsplice(p.w, out, 0, 0), 0);
    EXPECT_ERRNO(vmsplice(new_eventfd(0), out, 1, 0), EBADF);
    EXPECT_ERRNO(vmsplice(p.w, out, 1, 0x100), EINVAL);
    fill(p.w);
    EXPECT_ERRNO(vmsplice(p.w, out, 1, SPLICE_F_NONBLOCK), EAGAIN);
}

CHECK(splice, sent, "sendfile goes from a file to pipes, files and sockets")
{
    const int fd = file_with("a file's bytes");
    const struct ends p = new_pipe(0);
    off_t offset = 2;
    EXPECT_EQ(sendfile(p.w, fd, &offset, 100), 12);
    EXPECT_EQ(offset, 14);
    expect_bytes(p.r, "file's bytes");
    int s[2];
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    EXPECT_EQ(sendfile(s[0], fd, NULL, 6), 6);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 6);
    expect_bytes(s[1], "a file");
    const int to = OK(open("copy", O_RDWR | O_CREAT, 0600));
    EXPECT_EQ(sendfile(to, fd, NULL, 100), 8);
    expect_file("copy", "'s bytes");
    EXPECT_EQ(sendfile(to, fd, NULL, 100), 0);
    // A pipe takes what it has room for.
    OK(ftruncate(fd, 1 << 20));
    offset = 0;
    EXPECT_EQ(sendfile(p.w, fd, &offset, 1 << 20), 65536);
    const struct ends q = new_pipe(0);
    put(q.w, "x");
    EXPECT_ERRNO(sendfile(q.w, q.r, NULL, 1), EINVAL);
    EXPECT_ERRNO(sendfile(s[1], s[0], NULL, 1), EINVAL);
    EXPECT_ERRNO(sendfile(fd, OK(open("file", O_WRONLY)), NULL, 1), EBADF);
}

CHECK(splice, ranges, "copy_file_range copies between files, at offsets or positions, and within one that does not overlap")
{
    const int from = file_with("0123456789");
    const int to = OK(open("to", O_RDWR | O_CREAT, 0600));
    EXPECT_EQ(copy_file_range(from, NULL, to, NULL, 4, 0), 4);
    off_t in = 6, out = 8;
    EXPECT_EQ(copy_file_range(from, &in, to, &out, 100, 0), 4);
    EXPECT_EQ(in, 10);
    EXPECT_EQ(out, 12);
    EXPECT_EQ(lseek(from, 0, SEEK_CUR), 4);
    EXPECT_EQ(lseek(to, 0, SEEK_CUR), 4);
    EXPECT_EQ(stat_of("to").st_size, 12);
    char got[13] = "";
    EXPECT_EQ(pread(to, got, 12, 0), 12);
    EXPECT(memcmp(got, "0123\0\0\0\0" "6789", 12) == 0);
    EXPECT_EQ(copy_file_range(from, &in, to, &out, 100, 0), 0);
    in = 0;
    out = 5;
    EXPECT_EQ(copy_file_range(from, &in, from, &out, 5, 0), 5);
    expect_file("file", "0123401234");
    in = 0;
    out = 2;
    EXPECT_ERRNO(copy_file_range(from, &in, from, &out, 5, 0), EINVAL);
}

CHECK(splice, ranges_refused, "copy_file_range wants regular files, open in the right modes, and no flags")
{
    const int fd = file_with("text");
    const struct ends p = new_pipe(0);
    const int to = OK(open("to", O_RDWR | O_CREAT, 0600));
    EXPECT_ERRNO(copy_file_range(fd, NULL, to, NULL, 1, 1), EINVAL);
    EXPECT_ERRNO(copy_file_range(p.r, NULL, to, NULL, 1, 0), EINVAL);
    EXPECT_ERRNO(copy_file_range(fd, NULL, p.w, NULL, 1, 0), EINVAL);
    EXPECT_ERRNO(copy_file_range(OK(open(".", O_RDONLY)), NULL, to, NULL, 1, 0), EISDIR);
    EXPECT_ERRNO(copy_file_range(OK(open("file", O_WRONLY)), NULL, to, NULL, 1, 0), EBADF);
    EXPECT_ERRNO(copy_file_range(fd, NULL, OK(open("to", O_RDONLY)), NULL, 1, 0), EBADF);
    EXPECT_ERRNO(copy_file_range(fd, NULL, OK(open("to", O_WRONLY | O_APPEND)), NULL, 1, 0), EBADF);
    EXPECT_ERRNO(copy_file_range(-1, NULL, to, NULL, 1, 0), EBADF);
}
