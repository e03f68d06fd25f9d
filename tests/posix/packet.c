// SPDX-License-Identifier: BSD-2-Clause
// Pipes in packet mode (pipe(2), O_DIRECT): each read returns one write.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "file_helpers.h"
#include "harness.h"
#include "helpers.h"
#include "process.h"

// Pages of a pipe, and so the most packets that wait in one.
enum { MOST = 16 };

static struct ends packets(void)
{
    return new_pipe(O_DIRECT | O_NONBLOCK);
}

static void expect_packet(int fd, const char *text)
{
    char got[PIPE_BUF + 1] = "";
    EXPECT_EQ(read(fd, got, PIPE_BUF), strlen(text));
    EXPECT(strcmp(got, text) == 0);
}

CHECK(packet, one_by_one, "each read returns one write as it was")
{
    const struct ends p = packets();
    put(p.w, "a");
    put(p.w, "longer");
    put(p.w, "the third");
    int waiting = 0;
    OK(ioctl(p.r, FIONREAD, &waiting));
    EXPECT_EQ(waiting, 16);
    expect_packet(p.r, "a");
    expect_packet(p.r, "longer");
    EXPECT_EQ(ready_now(p.r, POLLIN), POLLIN);
    expect_packet(p.r, "the third");
    EXPECT_EQ(ready_now(p.r, POLLIN), 0);
    char byte;
    EXPECT_ERRNO(read(p.r, &byte, 1), EAGAIN);
}

CHECK(packet, rest_is_lost, "a read that is shorter than the packet discards the rest; one of no bytes takes nothing")
{
    const struct ends p = packets();
    put(p.w, "discarded");
    put(p.w, "next");
    char got[4] = "";
    EXPECT_EQ(read(p.r, got, 0), 0);
    EXPECT_EQ(read(p.r, got, 3), 3);
    EXPECT(strcmp(got, "dis") == 0);
    int waiting = 0;
    OK(ioctl(p.r, FIONREAD, &waiting));
    EXPECT_EQ(waiting, 4);
    expect_packet(p.r, "next");
}

CHECK(packet, long_writes, "a write of more than PIPE_BUF bytes is packets of PIPE_BUF")
{
    const struct ends p = packets();
    static char block[3 * PIPE_BUF], got[3 * PIPE_BUF];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (char)(i % 113);
    EXPECT_EQ(write(p.w, block, 2 * PIPE_BUF + 100), 2 * PIPE_BUF + 100);
    EXPECT_EQ(read(p.r, got, sizeof got), PIPE_BUF);
    EXPECT_EQ(read(p.r, got + PIPE_BUF, 2 * PIPE_BUF), PIPE_BUF);
    EXPECT_EQ(read(p.r, got + 2 * PIPE_BUF, PIPE_BUF), 100);
    EXPECT(memcmp(got, block, 2 * PIPE_BUF + 100) == 0);
}

CHECK(packet, nothing, "a write of no bytes is no packet")
{
    const struct ends p = packets();
    EXPECT_EQ(write(p.w, "", 0), 0);
    EXPECT_EQ(ready_now(p.r, POLLIN), 0);
}

CHECK(packet, full, "a pipe is full with sixteen packets, however small; a read makes room for one")
{
    const struct ends p = packets();
    for (int i = 0; i < MOST; i++) {
        EXPECT_EQ(ready_now(p.w, POLLOUT), POLLOUT);
        put(p.w, "p");
    }
    EXPECT_EQ(ready_now(p.w, POLLOUT), 0);
    EXPECT_ERRNO(write(p.w, "q", 1), EAGAIN);
    expect_packet(p.r, "p");
    EXPECT_EQ(ready_now(p.w, POLLOUT), POLLOUT);
    put(p.w, "last");
    EXPECT_ERRNO(write(p.w, "q", 1), EAGAIN);
    for (int i = 1; i < MOST; i++)
        expect_packet(p.r, "p");
    expect_packet(p.r, "last");
}

CHECK(packet, partly, "a long write that does not block fills what is free with whole packets")
{
    const struct ends p = packets();
    for (int i = 0; i < MOST - 2; i++)
        put(p.w, "x");
    static char block[3 * PIPE_BUF];
    EXPECT_EQ(write(p.w, block, sizeof block), 2 * PIPE_BUF);
    EXPECT_ERRNO(write(p.w, block, sizeof block), EAGAIN);
}

CHECK(packet, flag, "pipe2 sets O_DIRECT for the writer alone; F_SETFL sets and clears it")
{
    const struct ends p = packets();
    EXPECT_EQ(OK(fcntl(p.w, F_GETFL)) & (O_DIRECT | O_NONBLOCK), O_DIRECT | O_NONBLOCK);
    EXPECT_EQ(OK(fcntl(p.r, F_GETFL)) & (O_DIRECT | O_NONBLOCK), O_NONBLOCK);
    OK(fcntl(p.w, F_SETFL, O_NONBLOCK));
    EXPECT_EQ(OK(fcntl(p.w, F_GETFL)) & O_DIRECT, 0);
    put(p.w, "by");
    put(p.w, "tes");
    expect_packet(p.r, "bytes");
    OK(fcntl(p.w, F_SETFL, O_NONBLOCK | O_DIRECT));
    put(p.w, "pac");
    put(p.w, "ket");
    expect_packet(p.r, "pac");
    expect_packet(p.r, "ket");
    EXPECT_ERRNO(fcntl(new_eventfd(0), F_SETFL, O_DIRECT), EINVAL);
}

CHECK(packet, mixed, "a read goes over bytes to the next packet and ends with it; bytes do not join a packet")
{
    const struct ends p = new_pipe(O_NONBLOCK);
    put(p.w, "bytes");
    OK(fcntl(p.w, F_SETFL, O_NONBLOCK | O_DIRECT));
    static char page[PIPE_BUF], got[2 * PIPE_BUF];
    memset(page, 'p', sizeof page);
    EXPECT_EQ(write(p.w, page, sizeof page), sizeof page);
    put(p.w, "second");
    OK(fcntl(p.w, F_SETFL, O_NONBLOCK));
    put(p.w, "more");
    put(p.w, " bytes");
    EXPECT_EQ(read(p.r, got, sizeof got), 5 + PIPE_BUF);
    EXPECT(memcmp(got, "bytesppp", 8) == 0);
    expect_packet(p.r, "second");
    expect_packet(p.r, "more bytes");
}

CHECK(packet, vectors, "writev makes one packet, and readv takes one")
{
    const struct ends p = packets();
    struct iovec out[3] = {{"one ", 4}, {"packet", 6}, {"!", 1}};
    EXPECT_EQ(writev(p.w, out, 3), 11);
    put(p.w, "another");
    char first[3] = "", second[5] = "";
    struct iovec in[2] = {{first, 2}, {second, 4}};
    EXPECT_EQ(readv(p.r, in, 2), 6);
    EXPECT(memcmp(first, "on", 2) == 0 && memcmp(second, "e pa", 4) == 0);
    EXPECT_EQ(readv(p.r, in, 2), 6);
    EXPECT(memcmp(first, "an", 2) == 0 && memcmp(second, "othe", 4) == 0);
    EXPECT_ERRNO(readv(p.r, in, 2), EAGAIN);
}

CHECK(packet, edges, "edge-triggered, each packet is told once, read or not")
{
    const struct ends p = packets();
    const int ep = new_epoll();
    add(ep, p.r, EPOLLIN | EPOLLET);
    for (int i = 0; i < 5; i++) {
        put(p.w, "e");
        EXPECT_EVENT(ep, p.r, EPOLLIN);
        EXPECT_IDLE(ep);
    }
}

CHECK(packet, last_words, "packets that wait are read after the writer's end, then comes the end of file")
{
    const struct ends p = packets();
    put(p.w, "one");
    put(p.w, "two");
    OK(close(p.w));
    expect_packet(p.r, "one");
    EXPECT_EQ(ready_now(p.r, POLLIN), POLLIN | POLLHUP);
    expect_packet(p.r, "two");
    EXPECT_EQ(ready_now(p.r, POLLIN), POLLHUP);
    expect_packet(p.r, "");
}

CHECK(packet, between_processes, "packets go whole from several processes to another, none mixed and none joined")
{
    enum { WRITERS = 3, EACH = 50 };
    const struct ends p = new_pipe(O_DIRECT);
    for (int i = 0; i < WRITERS; i++) {
        const pid_t pid = fork();
        if (pid == 0) {
            char text[200];
            memset(text, 'a' + i, sizeof text);
            for (int n = 0; n < EACH; n++)
                if (write(p.w, text, 100 + i * 20 + n % 7) != 100 + i * 20 + n % 7)
                    _exit(1);
            _exit(0);
        }
        note_child(OK(pid));
    }
    OK(close(p.w));
    int count[WRITERS] = {0};
    for (int n = 0; n < WRITERS * EACH; n++) {
        char got[PIPE_BUF];
        const ssize_t size = OK(read(p.r, got, sizeof got));
        const int from = got[0] - 'a';
        EXPECT(from >= 0 && from < WRITERS);
        EXPECT_EQ(size, 100 + from * 20 + count[from] % 7);
        for (ssize_t i = 1; i < size; i++)
            EXPECT_EQ(got[i], got[0]);
        count[from]++;
    }
    char byte;
    EXPECT_EQ(read(p.r, &byte, 1), 0);
}

CHECK(packet, across_fork, "packets and bytes that wait when the pipe comes to be shared stay what they were")
{
    const struct ends p = packets();
    put(p.w, "first");
    put(p.w, "second");
    OK(fcntl(p.w, F_SETFL, O_NONBLOCK));
    put(p.w, "by");
    put(p.w, "tes");
    OK(fcntl(p.w, F_SETFL, O_NONBLOCK | O_DIRECT));
    static char page[PIPE_BUF];
    EXPECT_EQ(write(p.w, page, sizeof page), sizeof page);
    const struct ends back = new_pipe(0);
    const pid_t pid = fork();
    if (pid == 0) {
        static char got[3 * PIPE_BUF];
        ssize_t sizes[4];
        for (int i = 0; i < 4; i++)
            sizes[i] = read(p.r, got, i == 1 ? 3 : sizeof got);
        _exit(write(back.w, sizes, sizeof sizes) != sizeof sizes);
    }
    note_child(OK(pid));
    ssize_t sizes[4];
    get(back.r, sizes, sizeof sizes);
    EXPECT_EQ(sizes[0], 5);
    EXPECT_EQ(sizes[1], 3);
    EXPECT_EQ(sizes[2], 5 + PIPE_BUF);
    EXPECT_EQ(sizes[3], -1);
    EXPECT_EQ(ending(pid), 0);
}

CHECK(packet, full_between_processes, "of a shared pipe, too, sixteen packets are all; a writer waits for the reader in another process")
{
    const struct ends p = new_pipe(O_DIRECT);
    const struct ends go = new_pipe(0);
    const pid_t pid = fork();
    if (pid == 0) {
        char byte, got[10];
        if (read(go.r, &byte, 1) != 1)
            _exit(1);
        for (int i = 0; i < 2 * MOST; i++)
            if (read(p.r, got, sizeof got) != 1 + i % 3)
                _exit(2);
        _exit(0);
    }
    note_child(OK(pid));
    for (int i = 0; i < MOST; i++) {
        EXPECT_EQ(ready_now(p.w, POLLOUT), POLLOUT);
        EXPECT_EQ(write(p.w, "abc", 1 + i % 3), 1 + i % 3);
    }
    EXPECT_EQ(ready_now(p.w, POLLOUT), 0);
    put(go.w, "g");
    for (int i = MOST; i < 2 * MOST; i++)
        EXPECT_EQ(write(p.w, "abc", 1 + i % 3), 1 + i % 3);
    EXPECT_EQ(ending(pid), 0);
}

CHECK(packet, shared_details, "short reads, long writes, vectors and mixed modes of a shared pipe are those of one's own")
{
    const struct ends p = packets();
    // From here on the pipe is shared.
    EXPECT_EQ(ending(child("exits", "0", NULL)), 0);
    const pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    EXPECT_EQ(ending(note_child(OK(pid))), 0);
    static char block[3 * PIPE_BUF], got[3 * PIPE_BUF];
    put(p.w, "cut off");
    EXPECT_EQ(write(p.w, block, 2 * PIPE_BUF + 1), 2 * PIPE_BUF + 1);
    struct iovec out[2] = {{"one", 3}, {" packet", 7}};
    EXPECT_EQ(writev(p.w, out, 2), 10);
    OK(fcntl(p.w, F_SETFL, O_NONBLOCK));
    put(p.w, "and ");
    put(p.w, "bytes");
    OK(fcntl(p.w, F_SETFL, O_NONBLOCK | O_DIRECT));
    put(p.w, "more");
    EXPECT_EQ(read(p.r, got, 3), 3);
    EXPECT_EQ(read(p.r, got, sizeof got), PIPE_BUF);
    EXPECT_EQ(read(p.r, got, 10), 10);
    EXPECT_EQ(read(p.r, got, sizeof got), 1);
    struct iovec in[2] = {{got, 2}, {got + 2, 5}};
    EXPECT_EQ(readv(p.r, in, 2), 7);
    EXPECT(memcmp(got, "one pac", 7) == 0);
    EXPECT_EQ(read(p.r, got, 6), 6);
    EXPECT(memcmp(got, "and by", 6) == 0);
    int waiting = 0;
    OK(ioctl(p.r, FIONREAD, &waiting));
    EXPECT_EQ(waiting, 7);
    EXPECT_EQ(read(p.r, got, sizeof got), 7);
    EXPECT(memcmp(got, "tesmore", 7) == 0);
    EXPECT_ERRNO(read(p.r, got, 1), EAGAIN);
}

CHECK(packet, of_a_fifo, "F_SETFL makes packets of what is written to a FIFO, too")
{
    in_new_directory();
    OK(mkfifo("f", 0600));
    const int r = OK(open("f", O_RDONLY | O_NONBLOCK)), w = OK(open("f", O_WRONLY));
    OK(fcntl(w, F_SETFL, O_DIRECT));
    put(w, "one");
    put(w, "two");
    expect_packet(r, "one");
    expect_packet(r, "two");
    EXPECT_ERRNO(open("f", O_RDWR | O_DIRECT), EINVAL);
}
