// SPDX-License-Identifier: BSD-2-Clause
// Contents and attributes of files, and what processes share of them.
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "file_helpers.h"
#include "process.h"

enum { PAGE = 4096 };

// A new empty file, open for reading and writing.
static int new_file(const char *path)
{
    return OK(open(path, O_RDWR | O_CREAT | O_EXCL, 0644));
}

// Holds if `size` bytes at `offset` are all `byte`.
static void expect_bytes(int fd, off_t offset, size_t size, char byte)
{
    static char buffer[1 << 16];
    EXPECT_AT_LEAST(sizeof buffer, size);
    EXPECT_EQ(pread(fd, buffer, size, offset), size);
    for (size_t i = 0; i < size; i++)
        if (buffer[i] != byte)
            fail(__FILE__, __LINE__, "byte %zu is %d, not %d", (size_t)offset + i, buffer[i], byte);
}

CHECK(file_data, write_and_read, "what is written is read, from any place")
{
    in_new_directory();
    const int fd = new_file("f");
    put(fd, "hello, world");
    char text[16] = "";
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 12);
    EXPECT_EQ(read(fd, text, sizeof text), 0);
    EXPECT_EQ(lseek(fd, 7, SEEK_SET), 7);
    EXPECT_EQ(read(fd, text, sizeof text), 5);
    EXPECT(strcmp(text, "world") == 0);
    EXPECT_EQ(pwrite(fd, "J", 1, 0), 1);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 12);
    expect_file("f", "Jello, world");
}

CHECK(file_data, large, "a file of megabytes, written in uneven pieces, is intact")
{
    in_new_directory();
    enum { SIZE = 3 << 20 };
    unsigned char *all = malloc(SIZE), *back = malloc(SIZE);
    for (int i = 0; i < SIZE; i++)
        all[i] = (unsigned char)((unsigned)i * 2654435761u >> 24);
    const int fd = new_file("f");
    for (int at = 0, piece = 1; at < SIZE; at += piece, piece = piece * 3 % 40961 + 1) {
        if (piece > SIZE - at)
            piece = SIZE - at;
        EXPECT_EQ(write(fd, all + at, (size_t)piece), piece);
    }
    EXPECT_EQ(stat_of("f").st_size, SIZE);
    EXPECT_EQ(pread(OK(open("f", O_RDONLY)), back, SIZE, 0), SIZE);
    EXPECT(memcmp(all, back, SIZE) == 0);
    free(all);
    free(back);
}

CHECK(file_data, holes, "what was never written reads as zeroes")
{
    in_new_directory();
    const int fd = new_file("f");
    EXPECT_EQ(pwrite(fd, "x", 1, 100000), 1);
    EXPECT_EQ(stat_of_fd(fd).st_size, 100001);
    expect_bytes(fd, 0, 60000, 0);
    EXPECT_EQ(lseek(fd, 200000, SEEK_SET), 200000);
    EXPECT_EQ(stat_of_fd(fd).st_size, 100001);
    char c;
    EXPECT_EQ(read(fd, &c, 1), 0);
}

CHECK(file_data, append, "O_APPEND writes at the end, wherever the place was, and pwrite too")
{
    in_new_directory();
    write_file("f", "one");
    const int fd = OK(open("f", O_RDWR | O_APPEND));
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 0);
    put(fd, "two");
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 6);
    EXPECT_EQ(lseek(fd, 0, SEEK_SET), 0);
    EXPECT_EQ(pwrite(fd, "three", 5, 0), 5);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 0);
    expect_file("f", "onetwothree");
    OK(fcntl(fd, F_SETFL, 0));
    put(fd, "ONE");
    expect_file("f", "ONEtwothree");
}

CHECK(file_data, truncation_at_open, "O_TRUNC empties a file, also one that somebody else has open")
{
    in_new_directory();
    write_file("f", "a long text");
    const int fd = OK(open("f", O_RDONLY));
    write_file("f", "b");
    EXPECT_EQ(stat_of_fd(fd).st_size, 1);
    char text[4] = "";
    EXPECT_EQ(read(fd, text, 4), 1);
    EXPECT_EQ(text[0], 'b');
}

CHECK(file_data, truncate, "ftruncate and truncate cut and extend; what comes back is zero")
{
    in_new_directory();
    const int fd = new_file("f");
    char block[3 * PAGE];
    memset(block, 'x', sizeof block);
    EXPECT_EQ(write(fd, block, sizeof block), sizeof block);
    OK(ftruncate(fd, PAGE + 10));
    EXPECT_EQ(stat_of_fd(fd).st_size, PAGE + 10);
    OK(truncate("f", 5 * PAGE));
    expect_bytes(fd, 0, PAGE + 10, 'x');
    expect_bytes(fd, PAGE + 10, 4 * PAGE - 10, 0);
    OK(ftruncate(fd, 0));
    EXPECT_EQ(stat_of_fd(fd).st_size, 0);
    OK(ftruncate(fd, 10));
    expect_bytes(fd, 0, 10, 0);
}

CHECK(file_data, truncate_errors, "truncation needs a length, a file, and to be allowed to write")
{
    in_new_directory();
    write_file("f", "text");
    OK(mkdir("d", 0755));
    EXPECT_ERRNO(truncate("f", -1), EINVAL);
    EXPECT_ERRNO(truncate("none", 0), ENOENT);
    EXPECT_ERRNO(truncate("d", 0), EISDIR);
    EXPECT_ERRNO(ftruncate(OK(open("f", O_RDONLY)), 0), EINVAL);
    EXPECT_ERRNO(ftruncate(OK(open("d", O_RDONLY)), 0), EINVAL);
    EXPECT_ERRNO(ftruncate(new_pipe(0).w, 0), EINVAL);
    EXPECT_ERRNO(ftruncate(-1, 0), EBADF);
}

CHECK(file_data, truncated_while_mapped, "what another descriptor of the same file has read is not there after a cut")
{
    in_new_directory();
    const int a = new_file("f"), b = OK(open("f", O_RDWR));
    char block[2 * PAGE];
    memset(block, 'x', sizeof block);
    EXPECT_EQ(write(a, block, sizeof block), sizeof block);
    expect_bytes(b, 0, sizeof block, 'x');
    OK(ftruncate(a, 1));
    char c;
    EXPECT_EQ(pread(b, &c, 1, 1), 0);
    EXPECT_EQ(pwrite(b, "y", 1, 2 * PAGE - 1), 1);
    expect_bytes(a, 1, 2 * PAGE - 2, 0);
}

CHECK(file_data, access_modes, "a descriptor does what it was opened for")
{
    in_new_directory();
    write_file("f", "text");
    char c;
    EXPECT_ERRNO(write(OK(open("f", O_RDONLY)), "x", 1), EBADF);
    EXPECT_ERRNO(read(OK(open("f", O_WRONLY)), &c, 1), EBADF);
    EXPECT_ERRNO(pwrite(OK(open("f", O_RDONLY)), "x", 1, 0), EBADF);
    EXPECT_ERRNO(read(OK(open(".", O_RDONLY)), &c, 1), EISDIR);
    const int path = OK(open("f", O_PATH));
    EXPECT_ERRNO(read(path, &c, 1), EBADF);
    EXPECT_EQ(stat_of_fd(path).st_size, 4);
}

CHECK(file_data, vectors, "writev and readv, preadv and pwritev go through all buffers")
{
    in_new_directory();
    const int fd = new_file("f");
    struct iovec out[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    EXPECT_EQ(writev(fd, out, 3), 5);
    EXPECT_EQ(pwritev(fd, out, 3, 3), 5);
    expect_file("f", "abcabcde");
    char a[3], b[8];
    struct iovec in[2] = {{a, 3}, {b, 8}};
    EXPECT_EQ(preadv(fd, in, 2, 1), 7);
    EXPECT(memcmp(a, "bca", 3) == 0 && memcmp(b, "bcde", 4) == 0);
}

CHECK(file_data, two_descriptors, "two opens have two places, a dup has one with its original")
{
    in_new_directory();
    write_file("f", "abcdef");
    const int a = OK(open("f", O_RDONLY)), b = OK(open("f", O_RDONLY)), c = OK(dup(a));
    char x;
    EXPECT_EQ(read(a, &x, 1), 1);
    EXPECT_EQ(read(c, &x, 1), 1);
    EXPECT_EQ(x, 'b');
    EXPECT_EQ(read(b, &x, 1), 1);
    EXPECT_EQ(x, 'a');
}

CHECK(file_data, not_for_epoll, "a regular file is always ready for poll, and epoll refuses it (EPERM)")
{
    in_new_directory();
    const int fd = new_file("f");
    EXPECT_EQ(ready_now(fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
    struct epoll_event event = {.events = EPOLLIN};
    EXPECT_ERRNO(epoll_ctl(new_epoll(), EPOLL_CTL_ADD, fd, &event), EPERM);
}

CHECK(file_data, modes, "chmod and fchmod set permissions, which stat and fstat show")
{
    in_new_directory();
    const int fd = new_file("f");
    OK(chmod("f", 0640));
    EXPECT_EQ(stat_of_fd(fd).st_mode, S_IFREG | 0640);
    OK(fchmod(fd, 0600));
    EXPECT_EQ(stat_of("f").st_mode, S_IFREG | 0600);
    OK(mkdir("d", 0755));
    OK(chmod("d", 01700));
    EXPECT_EQ(stat_of("d").st_mode, S_IFDIR | 01700);
    EXPECT_ERRNO(chmod("none", 0600), ENOENT);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    OK(chmod(path, 0444));
    EXPECT_EQ(stat_of("f").st_mode, S_IFREG | 0444);
    OK(chown("f", (uid_t)-1, (gid_t)-1));
    OK(fchown(fd, geteuid(), getegid()));
}

CHECK(file_data, executable, "access asks for permission to execute")
{
    in_new_directory();
    OK(close(new_file("f")));
    EXPECT_ERRNO(access("f", X_OK), EACCES);
    OK(chmod("f", 0755));
    OK(access("f", R_OK | W_OK | X_OK));
    EXPECT_ERRNO(access("none", F_OK), ENOENT);
    EXPECT_ERRNO(access("f", 8), EINVAL);
}

CHECK(file_data, times, "utimensat and futimens set times; writing sets the time of modification")
{
    in_new_directory();
    const int fd = new_file("f");
    const struct timespec times[2] = {{1000, 5}, {2000, 7}};
    OK(utimensat(AT_FDCWD, "f", times, 0));
    struct stat st = stat_of_fd(fd);
    EXPECT_EQ(st.st_atim.tv_sec, 1000);
    EXPECT_EQ(st.st_atim.tv_nsec, 5);
    EXPECT_EQ(st.st_mtim.tv_sec, 2000);
    EXPECT_EQ(st.st_mtim.tv_nsec, 7);
    EXPECT_AT_LEAST(st.st_ctim.tv_sec, 1000000);
    const struct timespec one[2] = {{0, UTIME_OMIT}, {3000, 0}};
    OK(futimens(fd, one));
    st = stat_of("f");
    EXPECT_EQ(st.st_atim.tv_sec, 1000);
    EXPECT_EQ(st.st_mtim.tv_sec, 3000);
    put(fd, "x");
    EXPECT_AT_LEAST(stat_of("f").st_mtim.tv_sec, 1000000);
    const struct timespec wrong[2] = {{0, -1}, {0, 0}};
    EXPECT_ERRNO(futimens(fd, wrong), EINVAL);
}

CHECK(file_data, directory_times, "making and removing names changes the directory's time")
{
    in_new_directory();
    OK(mkdir("d", 0755));
    const struct timespec old[2] = {{1000, 0}, {1000, 0}};
    OK(utimensat(AT_FDCWD, "d", old, 0));
    write_file("d/f", "");
    EXPECT_AT_LEAST(stat_of("d").st_mtim.tv_sec, 1000000);
    OK(utimensat(AT_FDCWD, "d", old, 0));
    OK(unlink("d/f"));
    EXPECT_AT_LEAST(stat_of("d").st_mtim.tv_sec, 1000000);
}

CHECK(file_data, sync, "fsync, fdatasync and sync succeed on files and directories, EINVAL on pipes")
{
    in_new_directory();
    OK(fsync(new_file("f")));
    OK(fdatasync(OK(open("f", O_RDONLY))));
    OK(fsync(OK(open(".", O_RDONLY))));
    EXPECT_ERRNO(fsync(new_pipe(0).r), EINVAL);
    EXPECT_ERRNO(fsync(-1), EBADF);
}

CHECK(file_data, allocate, "posix_fallocate extends with zeroes and shortens nothing")
{
    in_new_directory();
    const int fd = new_file("f");
    EXPECT_EQ(posix_fallocate(fd, 0, 10000), 0);
    EXPECT_EQ(stat_of_fd(fd).st_size, 10000);
    EXPECT_AT_LEAST(stat_of_fd(fd).st_blocks * 512, 10000);
    EXPECT_EQ(posix_fallocate(fd, 0, 100), 0);
    EXPECT_EQ(stat_of_fd(fd).st_size, 10000);
    expect_bytes(fd, 0, 10000, 0);
    EXPECT_EQ(posix_fallocate(fd, 0, 0), EINVAL);
    EXPECT_EQ(posix_fallocate(OK(open("f", O_RDONLY)), 0, 1), EBADF);
}

CHECK(file_data, punched_hole, "fallocate can keep the size, and make a hole of zeroes")
{
    in_new_directory();
    const int fd = new_file("f");
    char block[2 * PAGE];
    memset(block, 'x', sizeof block);
    EXPECT_EQ(write(fd, block, sizeof block), sizeof block);
    OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, PAGE));
    expect_bytes(fd, 0, 100, 'x');
    expect_bytes(fd, 100, PAGE, 0);
    expect_bytes(fd, 100 + PAGE, PAGE - 100, 'x');
    OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 10 * PAGE));
    EXPECT_EQ(stat_of_fd(fd).st_size, 2 * PAGE);
}

CHECK(file_data, file_system, "statfs knows blocks and the longest name")
{
    in_new_directory();
    struct statfs st;
    OK(statfs(".", &st));
    EXPECT_EQ(st.f_namelen, 255);
    EXPECT_AT_LEAST(st.f_blocks, st.f_bfree);
    EXPECT_AT_LEAST(st.f_bfree, 1);
    OK(fstatfs(new_file("f"), &st));
    EXPECT_ERRNO(statfs("none", &st), ENOENT);
}

CHECK(file_data, send, "sendfile copies from a file in memory and moves its place or the offset")
{
    in_new_directory();
    write_file("f", "0123456789");
    const int from = OK(open("f", O_RDONLY)), to = new_file("g");
    off_t offset = 2;
    EXPECT_EQ(sendfile(to, from, &offset, 3), 3);
    EXPECT_EQ(offset, 5);
    EXPECT_EQ(sendfile(to, from, NULL, 100), 10);
    EXPECT_EQ(lseek(from, 0, SEEK_CUR), 10);
    expect_file("g", "2340123456789");
}

CHECK(file_data, shared_mapping, "a shared mapping and the descriptor see the same bytes, after the close as well")
{
    in_new_directory();
    const int fd = new_file("f");
    OK(ftruncate(fd, 2 * PAGE));
    char *map = OK(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    strcpy(map, "by memory");
    char text[10] = "";
    EXPECT_EQ(pread(fd, text, 9, 0), 9);
    EXPECT(strcmp(text, "by memory") == 0);
    EXPECT_EQ(pwrite(fd, "by write", 9, PAGE), 9);
    EXPECT(strcmp(map + PAGE, "by write") == 0);
    OK(close(fd));
    strcpy(map, "afterwards");
    OK(msync(map, 2 * PAGE, MS_SYNC));
    EXPECT_EQ(pread(OK(open("f", O_RDONLY)), text, 10, 0), 10);
    EXPECT(memcmp(text, "afterwards", 10) == 0);
    OK(munmap(map, 2 * PAGE));
}

CHECK(file_data, private_mapping, "a private mapping keeps what is written to it to itself")
{
    in_new_directory();
    const int fd = new_file("f");
    put(fd, "text");
    char *map = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    EXPECT(strcmp(map, "text") == 0);
    map[0] = 'T';
    OK(munmap(map, PAGE));
    expect_file("f", "text");
}

CHECK(file_data, mapping_errors, "a mapping needs a file that can be read, and written if it is shared for that")
{
    in_new_directory();
    write_file("f", "text");
    const int r = OK(open("f", O_RDONLY)), w = OK(open("f", O_WRONLY));
    EXPECT_ERRNO((intptr_t)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, w, 0), EACCES);
    EXPECT_ERRNO((intptr_t)mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, r, 0), EACCES);
    EXPECT_ERRNO((intptr_t)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, new_pipe(0).r, 0), ENODEV);
    EXPECT_ERRNO((intptr_t)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, r, 1), EINVAL);
    OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, r, 0));
}

CHECK(file_data, mapped_part, "a mapping can start at any page")
{
    in_new_directory();
    const int fd = new_file("f");
    EXPECT_EQ(pwrite(fd, "third", 6, 2 * PAGE), 6);
    char *map = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 2 * PAGE));
    EXPECT(strcmp(map, "third") == 0);
    map[0] = 'T';
    char c;
    EXPECT_EQ(pread(fd, &c, 1, 2 * PAGE), 1);
    EXPECT_EQ(c, 'T');
    OK(munmap(map, PAGE));
}

CHECK(file_data, shared_memory, "shm_open makes memory that a child shares")
{
    char name[32];
    snprintf(name, sizeof name, "/posix-%d", getpid());
    const int fd = OK(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
    OK(ftruncate(fd, PAGE));
    volatile int *shared = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    const pid_t pid = OK(fork());
    if (pid == 0) {
        shared[0] = 42;
        _exit(0);
    }
    EXPECT_EQ(ending(note_child(pid)), 0);
    EXPECT_EQ(shared[0], 42);
    OK(shm_unlink(name));
    EXPECT_ERRNO(shm_open(name, O_RDWR, 0600), ENOENT);
}

CHECK(file_data, fork_shares_place, "parent and child write on at one place, whoever writes")
{
    in_new_directory();
    const int fd = new_file("f");
    put(fd, "parent ");
    const pid_t pid = OK(fork());
    if (pid == 0)
        _exit(write(fd, "child ", 6) != 6);
    EXPECT_EQ(ending(note_child(pid)), 0);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 13);
    put(fd, "parent");
    expect_file("f", "parent child parent");
}

CHECK(file_data, fork_sees_growth, "each sees what the other wrote, cut, and grew")
{
    in_new_directory();
    const int fd = new_file("f");
    const struct ends ready = new_pipe(0), done = new_pipe(0);
    char block[5 * PAGE], c;
    memset(block, 'x', sizeof block);
    EXPECT_EQ(write(fd, block, sizeof block), sizeof block);
    const pid_t pid = OK(fork());
    if (pid == 0) {
        // Reads what the parent cut and wrote again, then grows it.
        if (read(ready.r, &c, 1) != 1 || pread(fd, block, sizeof block, 0) != 2 * PAGE)
            _exit(1);
        if (block[0] != 'x' || block[100] != 0 || block[2 * PAGE - 1] != 'y')
            _exit(2);
        memset(block, 'z', sizeof block);
        if (pwrite(fd, block, sizeof block, 20 * PAGE) != sizeof block)
            _exit(3);
        _exit(write(done.w, "d", 1) != 1);
    }
    note_child(pid);
    OK(ftruncate(fd, 100));
    EXPECT_EQ(pwrite(fd, "y", 1, 2 * PAGE - 1), 1);
    put(ready.w, "r");
    get(done.r, &c, 1);
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EQ(stat_of_fd(fd).st_size, 25 * PAGE);
    expect_bytes(fd, 20 * PAGE, 5 * PAGE, 'z');
    expect_bytes(fd, 2 * PAGE, 4 * PAGE, 0);
}

CHECK(file_data, appends_are_whole, "records that several processes append are all there, none torn")
{
    in_new_directory();
    enum { CHILDREN = 4, EACH = 100, RECORD = 50 };
    OK(close(new_file("log")));
    pid_t pids[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        pids[i] = OK(fork());
        if (pids[i] == 0) {
            const int fd = open("log", O_WRONLY | O_APPEND);
            char record[RECORD];
            memset(record, 'a' + i, sizeof record);
            record[RECORD - 1] = '\n';
            for (int n = 0; n < EACH; n++)
                if (write(fd, record, sizeof record) != sizeof record)
                    _exit(1);
            _exit(0);
        }
        note_child(pids[i]);
    }
    for (int i = 0; i < CHILDREN; i++)
        EXPECT_EQ(ending(pids[i]), 0);
    FILE *f = fopen("log", "r");
    char line[100];
    int counts[CHILDREN] = {0};
    while (fgets(line, sizeof line, f)) {
        EXPECT_EQ(strlen(line), RECORD);
        for (int i = 1; i < RECORD - 1; i++)
            EXPECT_EQ(line[i], line[0]);
        counts[line[0] - 'a']++;
    }
    fclose(f);
    for (int i = 0; i < CHILDREN; i++)
        EXPECT_EQ(counts[i], EACH);
}

// Appends to fd 3, which was left to it, and writes a file by a relative name.
ROLE(writes_on)
{
    if (write(3, "child", 5) != 5)
        return 1;
    const int fd = open("beside", O_WRONLY | O_CREAT, 0666);
    return fd == -1 || write(fd, "here", 4) != 4;
}

CHECK(file_data, spawned_inherits, "a program that is started has open files, their places, the directory and the umask")
{
    in_new_directory();
    const int fd = new_file("f");
    put(fd, "parent ");
    OK(dup2(fd, 3));
    const mode_t before = umask(077);
    const pid_t pid = child("writes_on", NULL);
    umask(before);
    EXPECT_EQ(ending(pid), 0);
    expect_file("f", "parent child");
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 12);
    expect_file("beside", "here");
    EXPECT_EQ(stat_of("beside").st_mode, S_IFREG | 0600);
}

CHECK(file_data, outlives_its_writer, "what a process wrote before it was killed is there")
{
    in_new_directory();
    const struct ends p = new_pipe(0);
    const pid_t pid = OK(fork());
    if (pid == 0) {
        write_file("f", "written");
        put(p.w, "x");
        for (;;)
            pause();
    }
    note_child(pid);
    char c;
    get(p.r, &c, 1);
    OK(kill(pid, 9));
    EXPECT_EQ(ending(pid), 1009);
    expect_file("f", "written");
}

CHECK(file_data, memory_comes_back, "making, filling and removing files again and again takes no more memory than once")
{
    in_new_directory();
    char block[8 * PAGE];
    memset(block, 'x', sizeof block);
    unsigned long long before = 0;
    for (int i = 0; i < 60; i++) {
        const int fd = new_file("f");
        EXPECT_EQ(write(fd, block, sizeof block), sizeof block);
        const pid_t pid = OK(fork());
        if (pid == 0)
            _exit(pwrite(fd, block, sizeof block, sizeof block) != sizeof block);
        EXPECT_EQ(ending(note_child(pid)), 0);
        if (i % 2)
            OK(unlink("f"));
        OK(close(fd));
        if (i % 2 == 0)
            OK(unlink("f"));
        struct statfs st;
        OK(statfs(".", &st));
        if (i == 20)
            before = st.f_bfree;
        if (i > 20 && on_sel4())
            EXPECT_EQ(st.f_bfree, before);
    }
}
