// SPDX-License-Identifier: BSD-2-Clause
// eventfd.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "helpers.h"

#define LARGEST (UINT64_MAX - 1)

static ssize_t give(int fd, uint64_t value)
{
    return write(fd, &value, sizeof value);
}

// The value read, or 0 (which a read never gives) with errno set.
static uint64_t take(int fd)
{
    uint64_t value = 77;
    const ssize_t n = read(fd, &value, sizeof value);
    if (n == -1)
        return 0;
    EXPECT_EQ(n, 8);
    return value;
}

CHECK(eventfd, flags, "flags are taken, and unknown ones refused (EINVAL)")
{
    EXPECT_ERRNO(eventfd(0, 2), EINVAL);
    const int plain = OK(eventfd(0, 0)), flagged = OK(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    EXPECT_EQ(fcntl(plain, F_GETFD), 0);
    EXPECT_EQ(fcntl(plain, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(fcntl(flagged, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(fcntl(flagged, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
}

CHECK(eventfd, read_takes_all, "a read takes the whole count and leaves zero")
{
    const int fd = new_eventfd(5);
    EXPECT_EQ(take(fd), 5);
    uint64_t value;
    EXPECT_ERRNO(read(fd, &value, 8), EAGAIN);
}

CHECK(eventfd, writes_add, "writes add up")
{
    const int fd = new_eventfd(1);
    EXPECT_EQ(give(fd, 2), 8);
    EXPECT_EQ(give(fd, 1ull << 40), 8);
    EXPECT_EQ(take(fd), (1ull << 40) + 3);
}

CHECK(eventfd, semaphore, "a semaphore gives one at a time")
{
    const int fd = OK(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
    EXPECT_EQ(give(fd, 1), 8);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(ready_now(fd, POLLIN), POLLIN);
        EXPECT_EQ(take(fd), 1);
    }
    EXPECT_EQ(ready_now(fd, POLLIN), 0);
    EXPECT_EQ(take(fd), 0);
}

CHECK(eventfd, overflow, "a write that would overflow is EAGAIN and adds nothing")
{
    const int fd = new_eventfd(1);
    EXPECT_ERRNO(give(fd, LARGEST), EAGAIN);
    EXPECT_EQ(give(fd, LARGEST - 1), 8);
    EXPECT_ERRNO(give(fd, 1), EAGAIN);
    EXPECT_EQ(give(fd, 0), 8);
    EXPECT_EQ(take(fd), LARGEST);
}

CHECK(eventfd, largest_value, "writing 2^64 - 1 is EINVAL")
{
    const int fd = new_eventfd(0);
    EXPECT_ERRNO(give(fd, UINT64_MAX), EINVAL);
    EXPECT_EQ(ready_now(fd, POLLIN), 0);
}

CHECK(eventfd, sizes, "fewer than 8 bytes are EINVAL; a larger read takes exactly 8")
{
    const int fd = new_eventfd(3);
    uint64_t buffer[2] = {0, 77};
    EXPECT_ERRNO(read(fd, buffer, 7), EINVAL);
    EXPECT_ERRNO(write(fd, buffer, 7), EINVAL);
    EXPECT_EQ(read(fd, buffer, 16), 8);
    EXPECT_EQ(buffer[0], 3);
    EXPECT_EQ(buffer[1], 77);
    EXPECT_EQ(write(fd, buffer, 8), 8);
    EXPECT_EQ(take(fd), 3);
}

CHECK(eventfd, readiness, "readable above zero, writable below the largest value")
{
    const int fd = new_eventfd(0);
    EXPECT_EQ(ready_now(fd, POLLIN | POLLOUT), POLLOUT);
    EXPECT_EQ(give(fd, 1), 8);
    EXPECT_EQ(ready_now(fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
    EXPECT_EQ(give(fd, LARGEST - 1), 8);
    EXPECT_EQ(ready_now(fd, POLLIN | POLLOUT), POLLIN);
    EXPECT_EQ(take(fd), LARGEST);
    EXPECT_EQ(ready_now(fd, POLLIN | POLLOUT), POLLOUT);
}

CHECK(eventfd, zero_is_nothing, "writing zero makes nothing readable")
{
    const int fd = new_eventfd(0);
    EXPECT_EQ(give(fd, 0), 8);
    EXPECT_EQ(ready_now(fd, POLLIN), 0);
}

CHECK(eventfd, edge_out, "reading a full eventfd is an edge for its writer")
{
    const int fd = new_eventfd(0), ep = new_epoll();
    EXPECT_EQ(give(fd, LARGEST), 8);
    add(ep, fd, EPOLLOUT | EPOLLET);
    EXPECT_IDLE(ep);
    EXPECT_EQ(take(fd), LARGEST);
    EXPECT_EVENT(ep, fd, EPOLLOUT);
}

CHECK(eventfd, blocking_read, "a blocking read of a count that is there returns at once")
{
    const int fd = OK(eventfd(4, 0));
    EXPECT_EQ(take(fd), 4);
}

CHECK(eventfd, shared_by_dup, "a duplicate has the same count")
{
    const int fd = new_eventfd(0);
    const int copy = OK(dup(fd));
    EXPECT_EQ(give(fd, 6), 8);
    EXPECT_EQ(take(copy), 6);
    EXPECT_EQ(take(fd), 0);
}
