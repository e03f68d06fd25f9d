// SPDX-License-Identifier: BSD-2-Clause
// /proc/PID (proc(5)): processes, also others.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file_helpers.h"
#include "proc.h"
#include "process.h"

enum { MIB = 1 << 20 };

CHECK(proc, self, "`self` is the reader")
{
    char link[16] = "", number[16];
    snprintf(number, sizeof number, "%d", getpid());
    EXPECT_EQ(readlink("/proc/self", link, sizeof link), strlen(number));
    EXPECT(strcmp(link, number) == 0);
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0)
        _exit(process_stat_of(0).pid != getpid());
    EXPECT_EQ(ending(pid), 0);
}

// By /proc/self/task: a libc may keep a thread of its own (for timers with SIGEV_THREAD).
static int threads_now(void)
{
    DIR *all = opendir("/proc/self/task");
    int count = 0;
    EXPECT(all != NULL);
    for (struct dirent *entry; (entry = readdir(all));)
        count += entry->d_name[0] != '.';
    closedir(all);
    return count;
}

CHECK(proc, self_stat, "52 fields: who it is, what it has")
{
    const struct process_stat stat = process_stat_of(0);
    EXPECT_EQ(stat.fields, 52);
    EXPECT_EQ(stat.pid, getpid());
    EXPECT_EQ(stat.state, 'R');
    EXPECT_EQ(stat.parent, getppid());
    EXPECT_EQ(stat.group, getpgrp());
    EXPECT_EQ(stat.session, getsid(0));
    EXPECT_EQ(stat.threads, threads_now());
    EXPECT_AT_LEAST(stat.resident, 10);
    EXPECT_AT_LEAST(stat.size, stat.resident * 4096);
    EXPECT_AT_LEAST((double)stat.started / 100, 0);
    EXPECT(stat.started <= (long long)(atof(text_of("/proc/uptime", NULL)) * 100));
}

CHECK(proc, self_status, "the same in words")
{
    const char *text = text_of_process(0, "status", NULL);
    EXPECT_EQ(number_of(text, "Pid:"), getpid());
    EXPECT_EQ(number_of(text, "Tgid:"), getpid());
    EXPECT_EQ(number_of(text, "PPid:"), getppid());
    EXPECT_EQ(number_of(text, "Uid:"), getuid());
    EXPECT_EQ(number_of(text, "Gid:"), getgid());
    EXPECT_EQ(number_of(text, "Threads:"), threads_now());
    EXPECT(strncmp(text, "Name:\t", 6) == 0);
    EXPECT(strstr(text, "\nState:\tR (running)\n") != NULL);
    EXPECT_AT_LEAST(number_of(text, "VmRSS:"), 40);
    EXPECT_AT_LEAST(number_of(text, "VmSize:"), number_of(text, "VmRSS:"));
    EXPECT_AT_LEAST(number_of(text, "VmHWM:"), number_of(text, "VmRSS:"));
    EXPECT_AT_LEAST(number_of(text, "FDSize:"), 3);
}

// A set of signals as /proc/self/status has it.
static unsigned long long set_of(const char *label)
{
    const char *line = strstr(text_of_process(0, "status", NULL), label);
    EXPECT(line != NULL);
    return strtoull(line + strlen(label), NULL, 16);
}

static void nothing(int number)
{
    (void)number;
}

CHECK(proc, self_signals, "signals that are blocked, ignored, caught and pending")
{
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    OK(sigprocmask(SIG_BLOCK, &set, &old));
    signal(SIGUSR2, nothing);
    signal(SIGHUP, SIG_IGN);
    OK(kill(getpid(), SIGUSR1));
    const unsigned long long one = 1ull << (SIGUSR1 - 1);
    EXPECT(set_of("\nSigBlk:\t") & one);
    EXPECT((set_of("\nSigPnd:\t") | (on_sel4() ? 0 : set_of("\nShdPnd:\t"))) & one);
    EXPECT(set_of("\nSigIgn:\t") & 1ull << (SIGHUP - 1));
    EXPECT(set_of("\nSigCgt:\t") & 1ull << (SIGUSR2 - 1));
    EXPECT(!(set_of("\nSigCgt:\t") & 1ull << (SIGHUP - 1)));
    signal(SIGUSR1, SIG_IGN);
    OK(sigprocmask(SIG_SETMASK, &old, NULL));
    signal(SIGUSR1, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    EXPECT(!(set_of("\nSigBlk:\t") & one));
}

CHECK(proc, memory_grows, "memory that is touched counts, and what is given back does not")
{
    long long size, before, resident;
    EXPECT_EQ(sscanf(text_of_process(0, "statm", NULL), "%lld %lld", &size, &before), 2);
    char *more = mmap(NULL, 16 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(more != MAP_FAILED);
    memset(more, 1, 16 * MIB);
    EXPECT_EQ(sscanf(text_of_process(0, "statm", NULL), "%lld %lld", &size, &resident), 2);
    EXPECT_AT_LEAST(resident, before + 4000);
    EXPECT_AT_LEAST(size, resident);
    OK(munmap(more, 16 * MIB));
    EXPECT_EQ(sscanf(text_of_process(0, "statm", NULL), "%lld %lld", &size, &resident), 2);
    EXPECT(resident < before + 4000);
    EXPECT_AT_LEAST(number_of(text_of_process(0, "status", NULL), "VmHWM:"), (before + 4000) * 4);
}

// Protection of the run of pages that an address is in, with its name in `name`; NULL if it is in none.
static const char *run_of(const void *address, char *name)
{
    static char kind[8];
    const char *line = text_of_process(0, "maps", NULL);
    for (; *line; line = strchr(line, '\n') + 1) {
        unsigned long start, end;
        *name = 0;
        EXPECT_AT_LEAST(sscanf(line, "%lx-%lx %4s %*x %*x:%*x %*u %255[^\n]", &start, &end, kind, name), 3);
        if ((unsigned long)address >= start && (unsigned long)address < end)
            return kind;
    }
    return NULL;
}

CHECK(proc, maps, "where program, stack, heap and mappings lie")
{
    char name[PATH_MAX], path[PATH_MAX];
    int local = 0;
    const char *kind = run_of(&local, name);
    EXPECT(kind && strcmp(kind, "rw-p") == 0 && strcmp(name, "[stack]") == 0);
    kind = run_of((const void *)(uintptr_t)&text_of, name);
    EXPECT(kind && strcmp(kind, "r-xp") == 0);
    EXPECT(realpath(options.self, path) != NULL);
    EXPECT(strcmp(name, path) == 0);
    char *pages = mmap(NULL, 3 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(pages != MAP_FAILED);
    OK(mprotect(pages + 4096, 4096, PROT_NONE));
    EXPECT(strcmp(run_of(pages, name), "r--p") == 0);
    EXPECT(strcmp(run_of(pages + 4096, name), "---p") == 0);
    EXPECT(strcmp(run_of(pages + 8192, name), "r--p") == 0);
    OK(munmap(pages, 3 * 4096));
    EXPECT(run_of(pages, name) == NULL);
}

CHECK(proc, exe, "the program: its name, and itself")
{
    char link[PATH_MAX] = "", path[PATH_MAX], magic[4];
    EXPECT(realpath(options.self, path) != NULL);
    EXPECT_AT_LEAST(readlink("/proc/self/exe", link, sizeof link - 1), 1);
    EXPECT(strcmp(link, path) == 0);
    const int fd = OK(open("/proc/self/exe", O_RDONLY));
    EXPECT_EQ(read(fd, magic, 4), 4);
    EXPECT(memcmp(magic, "\177ELF", 4) == 0);
    EXPECT_EQ(stat_of("/proc/self/exe").st_ino, stat_of(path).st_ino);
}

CHECK(proc, cwd_and_root, "where the process is")
{
    in_new_directory();
    write_file("f", "here");
    char link[PATH_MAX] = "", path[PATH_MAX];
    EXPECT(getcwd(path, sizeof path) != NULL);
    EXPECT_AT_LEAST(readlink("/proc/self/cwd", link, sizeof link - 1), 1);
    EXPECT(strcmp(link, path) == 0);
    EXPECT_EQ(readlink("/proc/self/root", link, sizeof link), 1);
    EXPECT_EQ(link[0], '/');
    expect_file("/proc/self/cwd/f", "here");
    EXPECT_EQ(stat_of("/proc/self/cwd").st_ino, stat_of(".").st_ino);
    EXPECT_EQ(stat_of("/proc/self/root/").st_ino, stat_of("/").st_ino);
}

// What a link in /proc/self/fd says.
static const char *fd_link(int fd)
{
    static char link[PATH_MAX];
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const ssize_t n = OK(readlink(path, link, sizeof link - 1));
    link[n] = 0;
    return link;
}

CHECK(proc, fd_names, "what is open has its name, or what it is")
{
    in_new_directory();
    char here[PATH_MAX], path[PATH_MAX + 8], text[64];
    EXPECT(getcwd(here, sizeof here) != NULL);
    const int fd = OK(open("file", O_RDWR | O_CREAT, 0600));
    snprintf(path, sizeof path, "%s/file", here);
    EXPECT(strcmp(fd_link(fd), path) == 0);
    OK(rename("file", "new"));
    snprintf(path, sizeof path, "%s/new", here);
    EXPECT(strcmp(fd_link(fd), path) == 0);
    EXPECT(strcmp(fd_link(OK(open(".", O_RDONLY))), here) == 0);
    EXPECT(strcmp(fd_link(OK(open("/dev/null", O_RDONLY))), "/dev/null") == 0);
    const struct ends pipe = new_pipe(0);
    snprintf(text, sizeof text, "pipe:[%llu]", (unsigned long long)stat_of_fd(pipe.r).st_ino);
    EXPECT(strcmp(fd_link(pipe.r), text) == 0);
    EXPECT(strncmp(fd_link(new_socket(0)), "socket:[", 8) == 0);
    EXPECT(strcmp(fd_link(new_epoll()), "anon_inode:[eventpoll]") == 0);
    EXPECT(strcmp(fd_link(new_eventfd(0)), "anon_inode:[eventfd]") == 0);
    OK(unlink("new"));
    const char *link = fd_link(fd), *end = link + strlen(link);
    EXPECT(end - link >= 10 && strcmp(end - 10, " (deleted)") == 0);
}

CHECK(proc, fd_listing, "the directory has exactly the fds that are open")
{
    const int a = new_eventfd(0), b = OK(fcntl(a, F_DUPFD, 40));
    char number[16];
    DIR *all = opendir("/proc/self/fd");
    EXPECT(all != NULL);
    for (struct dirent *entry; (entry = readdir(all));)
        if (entry->d_name[0] != '.')
            EXPECT(fcntl(atoi(entry->d_name), F_GETFD) != -1);
    closedir(all);
    snprintf(number, sizeof number, "%d", b);
    EXPECT(lists("/proc/self/fd", number));
    EXPECT(lists("/proc/self/fdinfo", number));
    OK(close(b));
    EXPECT(!lists("/proc/self/fd", number));
}

CHECK(proc, fdinfo, "position and flags of an open file")
{
    in_new_directory();
    const int fd = OK(open("f", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    put(fd, "12345");
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    const char *text = text_of(path, NULL);
    EXPECT_EQ(number_of(text, "pos:"), 5);
    const long long flags = number_of(text, "flags:");
    EXPECT_EQ(flags & (O_ACCMODE | O_APPEND | O_CLOEXEC), O_RDWR | O_APPEND | O_CLOEXEC);
}

static void *sleeps(void *fd)
{
    char byte;
    return read(*(int *)fd, &byte, 1) == 1 ? NULL : fd;
}

CHECK(proc, threads, "each thread has a directory and a name")
{
    struct ends pipe = new_pipe(0);
    pthread_t thread;
    const int before = threads_now();
    EXPECT_EQ(pthread_create(&thread, NULL, sleeps, &pipe.r), 0);
    EXPECT_EQ(number_of(text_of_process(0, "status", NULL), "Threads:"), before + 1);
    EXPECT_EQ(process_stat_of(0).threads, before + 1);
    DIR *all = opendir("/proc/self/task");
    EXPECT(all != NULL);
    int count = 0, other = 0;
    for (struct dirent *entry; (entry = readdir(all));)
        if (entry->d_name[0] != '.') {
            count++;
            if (atoi(entry->d_name) != getpid())
                other = atoi(entry->d_name);
        }
    closedir(all);
    EXPECT_EQ(count, before + 1);
    // As pthread_setname_np does it for another thread.
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", other);
    const int fd = OK(open(path, O_RDWR | O_CLOEXEC));
    put(fd, "a-name");
    EXPECT_EQ(pthread_getname_np(thread, name, sizeof name), 0);
    EXPECT(strcmp(name, "a-name") == 0);
    EXPECT_EQ(pthread_setname_np(thread, "worker"), 0);
    EXPECT(strcmp(text_of(path, NULL), "worker\n") == 0);
    put(pipe.w, "x");
    EXPECT_EQ(pthread_join(thread, NULL), 0);
}

CHECK(proc, name, "a process is called as its program until it says otherwise")
{
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        OK(prctl(PR_SET_NAME, "with (blanks) x"));
        const struct process_stat stat = process_stat_of(0);
        _exit(strcmp(stat.name, "with (blanks) x") != 0 ||
              strcmp(text_of_process(0, "comm", NULL), "with (blanks) x\n") != 0);
    }
    EXPECT_EQ(ending(pid), 0);
}

// --- other processes --------------------------------------------------------------------------

ROLE(stays)
{
    char byte;
    (void)!write(atoi(arguments[1]), "r", 1);
    return read(atoi(arguments[0]), &byte, 1) != 1;
}

// A child that stays until `go` is written to.
static pid_t staying(struct ends go)
{
    const struct ends ready = new_pipe(0);
    char in[16], out[16], byte;
    snprintf(in, sizeof in, "%d", go.r);
    snprintf(out, sizeof out, "%d", ready.w);
    const pid_t pid = child("stays", in, out, NULL);
    get(ready.r, &byte, 1);
    return pid;
}

// Waits until a process is in a state.
static void await_state(pid_t pid, char state)
{
    const int64_t limit = now_ns() + MS(HANG_MS);
    while (process_stat_of(pid).state != state && now_ns() < limit)
        sched_yield();
    EXPECT_EQ(process_stat_of(pid).state, state);
}

CHECK(proc, other_process, "what another process is, and that it is")
{
    const struct ends go = new_pipe(0);
    const pid_t pid = staying(go);
    char number[16], expected[PATH_MAX + 128], name[16], in[64];
    snprintf(number, sizeof number, "%d", pid);
    EXPECT(lists("/proc", number));
    await_state(pid, 'S');
    const struct process_stat stat = process_stat_of(pid);
    EXPECT_EQ(stat.pid, pid);
    EXPECT_EQ(stat.parent, getpid());
    EXPECT_EQ(stat.group, getpgrp());
    EXPECT_AT_LEAST(stat.resident, 10);
    EXPECT_AT_LEAST(stat.started, process_stat_of(0).started);
    const char *base = strrchr(options.self, '/');
    snprintf(name, sizeof name, "%s", base ? base + 1 : options.self);
    EXPECT(strcmp(stat.name, name) == 0);
    // The program's arguments, each with its NUL.
    size_t size;
    const char *text = text_of_process(pid, "cmdline", &size);
    size_t n = (size_t)snprintf(expected, sizeof expected, "%s", options.self) + 1;
    n += (size_t)snprintf(expected + n, 16, "--child") + 1;
    n += (size_t)snprintf(expected + n, 16, "stays") + 1;
    n += (size_t)snprintf(expected + n, 16, "%d", go.r) + 1;
    EXPECT(size > n && memcmp(text, expected, n) == 0);
    EXPECT_EQ(number_of(text_of_process(pid, "status", NULL), "PPid:"), getpid());
    snprintf(in, sizeof in, "/proc/%d/exe", pid);
    EXPECT_EQ(stat_of(in).st_ino, stat_of("/proc/self/exe").st_ino);
    put(go.w, "x");
    EXPECT_EQ(ending(pid), 0);
    EXPECT(!lists("/proc", number));
    EXPECT_ERRNO(open(in, O_RDONLY), ENOENT);
}

CHECK(proc, environment, "the environment that a program began with")
{
    const struct ends go = new_pipe(0), ready = new_pipe(0);
    char in[16], out[16], byte;
    snprintf(in, sizeof in, "%d", go.r);
    snprintf(out, sizeof out, "%d", ready.w);
    char *environment[] = {"FIRST=1", "SECOND=two words", NULL};
    pid_t pid;
    EXPECT_EQ(spawn_with(&pid, NULL, NULL, environment, "stays", in, out, NULL), 0);
    get(ready.r, &byte, 1);
    size_t size;
    const char *text = text_of_process(pid, "environ", &size);
    EXPECT_EQ(size, 25);
    EXPECT(memcmp(text, "FIRST=1\0SECOND=two words", 25) == 0);
    put(go.w, "x");
    EXPECT_EQ(ending(pid), 0);
}

CHECK(proc, stopped, "a stopped process is T")
{
    const struct ends go = new_pipe(0);
    const pid_t pid = staying(go);
    int status;
    OK(kill(pid, SIGSTOP));
    EXPECT_EQ(waitpid(pid, &status, WUNTRACED), pid);
    EXPECT_EQ(process_stat_of(pid).state, 'T');
    OK(kill(pid, SIGCONT));
    await_state(pid, 'S');
    put(go.w, "x");
    EXPECT_EQ(ending(pid), 0);
}

CHECK(proc, zombie, "one that has ended and was not waited for is Z, and has a name but no arguments")
{
    const pid_t pid = child("exits", "7", NULL);
    siginfo_t info;
    OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    EXPECT_EQ(process_stat_of(pid).state, 'Z');
    EXPECT_EQ(process_stat_of(pid).parent, getpid());
    EXPECT(strstr(text_of_process(pid, "status", NULL), "\nState:\tZ (zombie)\n") != NULL);
    const char *slash = strrchr(options.self, '/'), *name = slash ? slash + 1 : options.self;
    EXPECT(strncmp(process_stat_of(pid).name, name, 15) == 0);
    size_t size;
    text_of_process(pid, "cmdline", &size);
    EXPECT_EQ(size, 0);
    EXPECT_EQ(ending(pid), 7);
}

CHECK(proc, computes, "one that computes is R, and its time passes")
{
    const struct ends ready = new_pipe(0);
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        (void)!write(ready.w, "r", 1);
        for (volatile int i = 0;; i++)
            ;
    }
    char byte;
    get(ready.r, &byte, 1);
    await_state(pid, 'R');
    const int64_t limit = now_ns() + MS(HANG_MS);
    while (process_stat_of(pid).user + process_stat_of(pid).system < 3 && now_ns() < limit)
        sched_yield();
    EXPECT_AT_LEAST(process_stat_of(pid).user + process_stat_of(pid).system, 3);
    OK(kill(pid, SIGKILL));
    EXPECT_EQ(ending(pid), 1000 + SIGKILL);
}
