// SPDX-License-Identifier: BSD-2-Clause
// posix_spawn, fork, exec: what a child starts with, and what it does not share.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "process.h"

extern char **environ;

CHECK(process, exit_status, "waitpid tells the low eight bits of the child's exit status")
{
    EXPECT_EQ(ending(child("exits", "0", NULL)), 0);
    EXPECT_EQ(ending(child("exits", "7", NULL)), 7);
    EXPECT_EQ(ending(child("exits", "258", NULL)), 2);
}

ROLE(compares_arguments)
{
    const char *value = getenv("SPAWN_TEST");
    return !arguments[0] || strcmp(arguments[0], "") != 0 || strcmp(arguments[1], "two words") != 0 ||
           arguments[2] || !value || strcmp(value, "a=b") != 0 || getenv("PATH") != NULL;
}

CHECK(process, arguments_and_environment, "a child gets the given argv and environment, and only those")
{
    char *environment[] = {"SPAWN_TEST=a=b", NULL};
    pid_t pid;
    EXPECT_EQ(spawn_with(&pid, NULL, NULL, environment, "compares_arguments", "", "two words", NULL),
              0);
    EXPECT_EQ(ending(pid), 0);
}

CHECK(process, spawn_errors, "posix_spawn returns ENOENT, EACCES and ENOTDIR for files that cannot be run")
{
    char *arguments[] = {"x", NULL};
    pid_t pid;
    EXPECT_EQ(posix_spawn(&pid, "/no/such/file", NULL, NULL, arguments, environ), ENOENT);
    EXPECT_EQ(posix_spawn(&pid, "", NULL, NULL, arguments, environ), ENOENT);
    EXPECT_EQ(posix_spawn(&pid, "/", NULL, NULL, arguments, environ), EACCES);
    EXPECT_EQ(posix_spawn(&pid, options.data, NULL, NULL, arguments, environ), EACCES);
    char below[PATH_MAX];
    snprintf(below, sizeof below, "%s/x", options.data);
    EXPECT_EQ(posix_spawn(&pid, below, NULL, NULL, arguments, environ), ENOTDIR);
    EXPECT_EQ(posix_spawnp(&pid, "no-such-program", NULL, NULL, arguments, environ), ENOENT);
}

CHECK(process, spawnp_searches, "posix_spawnp looks for a name without a slash in PATH")
{
    char folder[PATH_MAX], path[PATH_MAX + 32];
    snprintf(folder, sizeof folder, "%s", options.self);
    char *slash = strrchr(folder, '/');
    if (!slash)
        skip("the program's path has no folder");
    *slash = 0;
    const char *before = getenv("PATH");
    char *saved = before ? strdup(before) : NULL;
    snprintf(path, sizeof path, "/no/such/folder:%s", folder);
    setenv("PATH", path, 1);
    char *arguments[] = {"x", "--child", "exits", "5", NULL};
    pid_t pid = -1;
    const int error = posix_spawnp(&pid, slash + 1, NULL, NULL, arguments, environ);
    if (saved)
        setenv("PATH", saved, 1);
    free(saved);
    EXPECT_EQ(error, 0);
    EXPECT_EQ(ending(note_child(pid)), 5);
}

ROLE(tells_parent)
{
    return getppid() != atoi(arguments[0]) || getpid() == getppid();
}

CHECK(process, parent, "getppid in the child is getpid of the parent")
{
    char own[16];
    snprintf(own, sizeof own, "%d", getpid());
    EXPECT_EQ(ending(child("tells_parent", own, NULL)), 0);
}

ROLE(has_open)
{
    // Bit i is set if the i-th of the named descriptors is open.
    int bits = 0;
    for (int i = 0; arguments[i]; i++)
        bits |= (fcntl(atoi(arguments[i]), F_GETFD) >= 0) << i;
    return bits;
}

CHECK(process, close_on_exec, "a child has the parent's descriptors but those with FD_CLOEXEC")
{
    const int keep = OK(dup2(OK(open("/dev/null", O_RDONLY)), 40));
    const int close_it = OK(open("/dev/null", O_RDONLY | O_CLOEXEC));
    OK(dup3(close_it, 41, O_CLOEXEC));
    OK(dup2(close_it, 42));
    EXPECT_EQ(keep, 40);
    EXPECT_EQ(ending(child("has_open", "40", "41", "42", "43", "0", NULL)), 1 | 4 | 16);
    EXPECT_EQ(fcntl(41, F_GETFD), FD_CLOEXEC);
}

ROLE(reads_from)
{
    // Descriptor, expected bytes.
    char got[64] = "";
    const ssize_t n = read(atoi(arguments[0]), got, strlen(arguments[1]));
    return n != (ssize_t)strlen(arguments[1]) || memcmp(got, arguments[1], n) != 0;
}

static void first_bytes(char *to, size_t n)
{
    const int fd = OK(open(options.data, O_RDONLY));
    EXPECT_EQ(read(fd, to, n), n);
    OK(close(fd));
    to[n] = 0;
}

CHECK(process, file_actions, "file actions open, duplicate and close in the child, in their order")
{
    char start[9];
    first_bytes(start, 8);
    posix_spawn_file_actions_t actions;
    pid_t pid;
    EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
    EXPECT_EQ(posix_spawn_file_actions_addopen(&actions, 50, options.data, O_RDONLY, 0), 0);
    EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, 50, 51), 0);
    EXPECT_EQ(posix_spawn_file_actions_addclose(&actions, 50), 0);
    EXPECT_EQ(spawn_with(&pid, &actions, NULL, environ, "reads_from", "51", start, NULL), 0);
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EQ(spawn_with(&pid, &actions, NULL, environ, "has_open", "50", "51", NULL), 0);
    EXPECT_EQ(ending(pid), 2);
    EXPECT_ERRNO(fcntl(51, F_GETFD), EBADF);
    EXPECT_EQ(posix_spawn_file_actions_addopen(&actions, 52, "/no/such/file", O_RDONLY, 0), 0);
    EXPECT_EQ(spawn_with(&pid, &actions, NULL, environ, "exits", "0", NULL), ENOENT);
    posix_spawn_file_actions_destroy(&actions);
}

CHECK(process, dup2_of_itself, "a dup2 action from a descriptor to itself clears FD_CLOEXEC")
{
    OK(dup3(OK(open("/dev/null", O_RDONLY)), 44, O_CLOEXEC));
    posix_spawn_file_actions_t actions;
    pid_t pid;
    EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
    EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, 44, 44), 0);
    EXPECT_EQ(spawn_with(&pid, &actions, NULL, environ, "has_open", "44", NULL), 0);
    EXPECT_EQ(ending(pid), 1);
    posix_spawn_file_actions_destroy(&actions);
}

ROLE(is_in)
{
    char here[PATH_MAX];
    return !getcwd(here, sizeof here) || strcmp(here, arguments[0]) != 0;
}

CHECK(process, working_directory, "the working directory is inherited, and a chdir action changes the child's")
{
    OK(chdir("/"));
    EXPECT_EQ(ending(child("is_in", "/", NULL)), 0);
    char folder[PATH_MAX];
    EXPECT(realpath(options.data, folder));
    *strrchr(folder, '/') = 0;
    posix_spawn_file_actions_t actions;
    pid_t pid;
    EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
    EXPECT_EQ(posix_spawn_file_actions_addchdir_np(&actions, folder), 0);
    EXPECT_EQ(spawn_with(&pid, &actions, NULL, environ, "is_in", folder, NULL), 0);
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EQ(ending(child("is_in", "/", NULL)), 0);
    posix_spawn_file_actions_destroy(&actions);
}

CHECK(process, fork_returns_twice, "fork returns 0 in the child, which has a process id of its own")
{
    const pid_t own = getpid();
    const pid_t pid = fork();
    if (pid == 0)
        _exit(getpid() == own || getppid() != own ? 1 : 42);
    EXPECT(note_child(OK(pid)) > 0);
    EXPECT_EQ(ending(pid), 42);
}

CHECK(process, fork_copies_memory, "what child and parent write after fork is each its own")
{
    static volatile int in_data = 1;
    volatile int on_stack = 1;
    volatile int *on_heap = malloc(1 << 20);
    EXPECT(on_heap);
    on_heap[0] = on_heap[200000] = 1;
    const pid_t pid = fork();
    if (pid == 0) {
        const int seen = in_data + on_stack + on_heap[0] + on_heap[200000];
        in_data = on_stack = on_heap[0] = on_heap[200000] = 50;
        void *more = malloc(3 << 20);
        _exit(more ? seen : 0);
    }
    in_data = 2;
    EXPECT_EQ(ending(note_child(OK(pid))), 4);
    EXPECT_EQ(in_data + on_stack + on_heap[0] + on_heap[200000], 5);
    free((void *)on_heap);
}

CHECK(process, fork_copies_descriptors, "descriptors are open in the child after fork, FD_CLOEXEC or not")
{
    const int fd = OK(open(options.data, O_RDONLY | O_CLOEXEC));
    const pid_t pid = fork();
    if (pid == 0) {
        char byte;
        const int flags = fcntl(fd, F_GETFD);
        const int n = read(fd, &byte, 1);
        close(fd);
        _exit(flags == FD_CLOEXEC && n == 1 ? 0 : 1);
    }
    EXPECT_EQ(ending(note_child(OK(pid))), 0);
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

CHECK(process, fork_in_fork, "a child can fork, and waits for its own child")
{
    const pid_t pid = fork();
    if (pid == 0) {
        const pid_t inner = fork();
        if (inner == 0)
            _exit(3);
        int status;
        _exit(waitpid(inner, &status, 0) == inner && WEXITSTATUS(status) == 3 ? 4 : 5);
    }
    EXPECT_EQ(ending(note_child(OK(pid))), 4);
}

CHECK(process, vfork_and_exit, "vfork gives a child that may exit or execute")
{
    pid_t pid = vfork();
    if (pid == 0)
        _exit(9);
    EXPECT_EQ(ending(note_child(OK(pid))), 9);
    pid = vfork();
    if (pid == 0) {
        execl(options.self, "x", "--child", "exits", "10", (char *)NULL);
        _exit(1);
    }
    EXPECT_EQ(ending(note_child(OK(pid))), 10);
}

ROLE(is_process)
{
    return getpid() == atoi(arguments[0]) ? 0 : 1;
}

CHECK(process, exec_keeps_the_process, "execve keeps process id and parent")
{
    const pid_t own = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", getpid());
        execl(options.self, "x", "--child", "is_process", number, (char *)NULL);
        _exit(77);
    }
    EXPECT_EQ(ending(note_child(OK(pid))), 0);
    pid = fork();
    if (pid == 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", own);
        execl(options.self, "x", "--child", "tells_parent", number, (char *)NULL);
        _exit(77);
    }
    EXPECT_EQ(ending(note_child(OK(pid))), 0);
}

CHECK(process, exec_that_fails, "a failed execve returns, and the program goes on as it was")
{
    char *arguments[] = {"x", NULL};
    EXPECT_ERRNO(execve("/no/such/file", arguments, environ), ENOENT);
    EXPECT_ERRNO(execve(options.data, arguments, environ), EACCES);
    EXPECT_ERRNO(execve("/dev/null", arguments, environ), EACCES);
    EXPECT_EQ(ending(child("exits", "3", NULL)), 3);
}

CHECK(process, exec_closes, "execve closes FD_CLOEXEC descriptors and keeps the others")
{
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(0, 45);
        dup3(0, 46, O_CLOEXEC);
        execl(options.self, "x", "--child", "has_open", "45", "46", (char *)NULL);
        _exit(77);
    }
    EXPECT_EQ(ending(note_child(OK(pid))), 1);
}

ROLE(uses_stack)
{
    // 6 MiB of a stack of 8, from the top down, each page once.
    volatile char block[6 << 20];
    int sum = 0;
    for (int i = (int)sizeof block - 1; i >= 0; i -= 4096)
        block[i] = 1;
    for (int i = (int)sizeof block - 1; i >= 0; i -= 4096)
        sum += block[i];
    return sum != (6 << 20) / 4096;
}

CHECK(process, deep_stack, "a stack grows to the megabytes that its limit promises")
{
    EXPECT_EQ(ending(child("uses_stack", NULL)), 0);
}

ROLE(faults)
{
    volatile int *nowhere = (volatile int *)(intptr_t)(arguments[0] ? 16 : 1 << 20);
    return *nowhere;
}

CHECK(process, a_fault_ends_one, "a child that faults is ended by SIGSEGV, and the parent goes on")
{
    EXPECT_EQ(ending(child("faults", NULL)), 1000 + SIGSEGV);
    EXPECT_EQ(ending(child("exits", "1", NULL)), 1);
}

static long long free_memory(void)
{
    struct sysinfo info;
    OK(sysinfo(&info));
    return (long long)info.freeram * info.mem_unit;
}

static void children_end(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        EXPECT_EQ(ending(child("exits", "0", NULL)), 0);
        // Each fault is a line in the system's log.
        if (i % 10 == 0)
            EXPECT_EQ(ending(child("faults", NULL)), 1000 + SIGSEGV);
        const pid_t pid = fork();
        if (pid == 0)
            _exit(6);
        EXPECT_EQ(ending(note_child(OK(pid))), 6);
        const pid_t sleeping = child("sleeps", NULL);
        OK(kill(sleeping, SIGKILL));
        EXPECT_EQ(ending(sleeping), 1000 + SIGKILL);
    }
}

CHECK(process, nothing_is_lost, "hundreds of children, ended in several ways, leave as much free memory as before")
{
    // Pages of this process come as they are touched, and the root server's page tables as it looks into more frames than ever before.
    children_end(120);
    const long long before = free_memory();
    children_end(60);
    // Linux has other things to do with its memory, too.
    if (on_sel4())
        EXPECT_EQ(free_memory(), before);
}

CHECK(process, same_identity, "anybody may become who they are, and only the privileged somebody else")
{
    OK(setuid(getuid()));
    OK(setgid(getgid()));
    OK(setreuid((uid_t)-1, geteuid()));
    OK(setregid(getgid(), (gid_t)-1));
    OK(setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1));
    OK(setresgid(getgid(), getegid(), getgid()));
    EXPECT_ERRNO(setuid((uid_t)-1), EINVAL);
    EXPECT_ERRNO(setgid((gid_t)-1), EINVAL);
    uid_t real, effective, saved;
    OK(getresuid(&real, &effective, &saved));
    EXPECT(real == getuid() && effective == geteuid());
    if (geteuid() != 0) {
        EXPECT_ERRNO(setuid(geteuid() + 1), EPERM);
        EXPECT_ERRNO(setresgid((gid_t)-1, getegid() + 1, (gid_t)-1), EPERM);
    }
}
