// SPDX-License-Identifier: BSD-2-Clause
// /proc (proc(5)): what is the system's, and how its files are read.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "file_helpers.h"
#include "proc.h"
#include "process.h"

CHECK(proc, meminfo, "memory in KiB, all of it as sysinfo has it")
{
    struct sysinfo info;
    OK(sysinfo(&info));
    const char *text = text_of("/proc/meminfo", NULL);
    const long long total = number_of(text, "MemTotal:"), unused = number_of(text, "MemFree:");
    EXPECT_EQ(total, (long long)info.totalram * info.mem_unit / 1024);
    EXPECT_AT_LEAST(unused, 1);
    EXPECT_AT_LEAST(total, unused);
    EXPECT_AT_LEAST(total, number_of(text, "MemAvailable:"));
    number_of(text, "Cached:");
    number_of(text, "SwapTotal:");
    number_of(text, "SReclaimable:");
    EXPECT(strstr(text, " kB\n") != NULL);
}

CHECK(proc, uptime, "seconds since the system began")
{
    struct timespec before, after;
    OK(clock_gettime(CLOCK_BOOTTIME, &before));
    const double up = atof(text_of("/proc/uptime", NULL));
    OK(clock_gettime(CLOCK_BOOTTIME, &after));
    EXPECT(up >= (double)before.tv_sec + (double)before.tv_nsec / 1e9 - 0.02);
    EXPECT(up <= (double)after.tv_sec + (double)after.tv_nsec / 1e9 + 0.02);
    double a, b;
    EXPECT_EQ(sscanf(text_of("/proc/uptime", NULL), "%lf %lf", &a, &b), 2);
}

CHECK(proc, loadavg, "three averages, processes that run of all, the last number given")
{
    double averages[3];
    int running, all, last;
    const char *text = text_of("/proc/loadavg", NULL);
    EXPECT_EQ(sscanf(text, "%lf %lf %lf %d/%d %d", &averages[0], &averages[1], &averages[2],
                     &running, &all, &last),
              6);
    EXPECT_AT_LEAST(running, 1);
    EXPECT_AT_LEAST(all, running);
    EXPECT_AT_LEAST(last, 1);
}

CHECK(proc, stat, "processor time, and when the system began")
{
    const char *text = text_of("/proc/stat", NULL);
    long long user, nice, system, idle;
    EXPECT_EQ(sscanf(text, "cpu %lld %lld %lld %lld", &user, &nice, &system, &idle), 4);
    EXPECT_AT_LEAST(user + system + idle, 1);
    EXPECT(strstr(text, "\ncpu0 ") != NULL);
    struct timespec now, up;
    OK(clock_gettime(CLOCK_REALTIME, &now));
    OK(clock_gettime(CLOCK_BOOTTIME, &up));
    const long long began = number_of(text, "btime ");
    EXPECT_AT_LEAST(began, now.tv_sec - up.tv_sec - 3);
    EXPECT_AT_LEAST(now.tv_sec - up.tv_sec + 3, began);
    EXPECT_AT_LEAST(number_of(text, "procs_running "), 1);
}

CHECK(proc, cpuinfo, "the processor")
{
    const char *text = text_of("/proc/cpuinfo", NULL);
    EXPECT(strncmp(text, "processor\t: 0\n", 14) == 0);
    EXPECT(strstr(text, "\nvendor_id\t: ") != NULL);
    EXPECT(strstr(text, "\ncpu MHz\t\t: ") != NULL);
    const char *flags = strstr(text, "\nflags\t\t: ");
    EXPECT(flags != NULL);
    EXPECT(strstr(flags, " sse2 ") != NULL);
}

CHECK(proc, version, "the system's name, as uname has it")
{
    struct utsname name;
    OK(uname(&name));
    char start[128];
    snprintf(start, sizeof start, "Linux version %s ", name.release);
    EXPECT(strncmp(text_of("/proc/version", NULL), start, strlen(start)) == 0);
}

CHECK(proc, mounts, "what is mounted where; a link to the reader's")
{
    const char *text = text_of("/proc/mounts", NULL);
    // In a chroot of Linux's the root need not be mounted.
    if (on_sel4())
        EXPECT(strstr(text, " / ") != NULL);
    EXPECT(strstr(text, "proc /proc proc ") != NULL);
    char link[64] = "";
    EXPECT_EQ(readlink("/proc/mounts", link, sizeof link), 11);
    EXPECT(strcmp(link, "self/mounts") == 0);
}

CHECK(proc, sys, "settings that daemons read")
{
    struct utsname name;
    OK(uname(&name));
    EXPECT_AT_LEAST(atoll(text_of("/proc/sys/kernel/pid_max", NULL)), getpid());
    EXPECT_AT_LEAST(atoll(text_of("/proc/sys/net/core/somaxconn", NULL)), 1);
    const int overcommit = atoi(text_of("/proc/sys/vm/overcommit_memory", NULL));
    EXPECT(overcommit >= 0 && overcommit <= 2);
    EXPECT_AT_LEAST(atoll(text_of("/proc/sys/fs/file-max", NULL)), 1);
    const char *release = text_of("/proc/sys/kernel/osrelease", NULL);
    EXPECT(strncmp(release, name.release, strlen(name.release)) == 0);
    EXPECT(lists("/proc/sys/net", "core"));
    EXPECT(lists("/proc/sys/kernel", "pid_max"));
    EXPECT(!lists("/proc/sys/kernel", "core"));
}

CHECK(proc, transparent_hugepage, "what redis reads of the kernel's pages")
{
    const char *path = "/sys/kernel/mm/transparent_hugepage/enabled";
    if (access(path, R_OK) != 0)
        skip("this kernel has no transparent huge pages");
    EXPECT(strchr(text_of(path, NULL), '[') != NULL);
}

CHECK(proc, listing, "the directory has files, `self`, and processes that there are")
{
    char name[16];
    snprintf(name, sizeof name, "%d", getpid());
    EXPECT(lists("/proc", "meminfo"));
    EXPECT(lists("/proc", "self"));
    EXPECT(lists("/proc", "sys"));
    EXPECT(lists("/proc", name));
    EXPECT(!lists("/proc", "nonsense"));
    EXPECT(lists("/proc/self", "stat"));
    EXPECT(lists("/proc/self", "fd"));
    EXPECT(lists("/proc/self/task", name));
}

CHECK(proc, listing_in_pieces, "a listing goes on where it stopped, and begins anew at its start")
{
    DIR *all = opendir("/proc");
    EXPECT(all != NULL);
    int count = 0, again = 0;
    while (readdir(all))
        count++;
    rewinddir(all);
    while (readdir(all))
        again++;
    EXPECT_EQ(again, count);
    closedir(all);
    EXPECT_AT_LEAST(count, 10);
}

CHECK(proc, types, "files, directories and links are told apart, and files have no size")
{
    EXPECT(S_ISDIR(stat_of("/proc").st_mode));
    EXPECT(S_ISDIR(stat_of("/proc/self").st_mode));
    EXPECT(S_ISDIR(stat_of("/proc/sys/kernel").st_mode));
    const struct stat file = stat_of("/proc/self/stat");
    EXPECT(S_ISREG(file.st_mode));
    EXPECT_EQ(file.st_size, 0);
    EXPECT_EQ(file.st_mode & 0777, 0444);
    struct stat link;
    OK(lstat("/proc/self", &link));
    EXPECT(S_ISLNK(link.st_mode));
    OK(lstat("/proc/self/exe", &link));
    EXPECT(S_ISLNK(link.st_mode));
    EXPECT(stat_of("/proc/self/stat").st_ino != stat_of("/proc/self/statm").st_ino);
}

// Arguments: where it is.
ROLE(finds_itself_in)
{
    char path[64];
    return !getcwd(path, sizeof path) || strcmp(path, arguments[0]) != 0 || access("self/stat", R_OK) != 0;
}

CHECK(proc, working_directory, "paths start at /proc, also by its fd, and lead out of it")
{
    char path[64], number[32];
    snprintf(number, sizeof number, "%d/stat", getpid());
    const int back = OK(open(".", O_RDONLY | O_DIRECTORY));
    const int fd = OK(open("/proc", O_RDONLY | O_DIRECTORY));
    OK(chdir("/proc"));
    EXPECT(getcwd(path, sizeof path) && strcmp(path, "/proc") == 0);
    EXPECT(strstr(text_of("meminfo", NULL), "MemTotal:") != NULL);
    EXPECT(lists(".", "meminfo"));
    OK(access(number, R_OK));
    EXPECT_EQ(stat_of(".").st_ino, stat_of("/proc").st_ino);
    EXPECT_EQ(stat_of("..").st_ino, stat_of("/").st_ino);
    EXPECT_EQ(stat_of("./../.").st_ino, stat_of("/").st_ino);
    EXPECT_EQ(stat_of(".//../dev/null").st_ino, stat_of("/dev/null").st_ino);
    EXPECT_EQ(stat_of("../proc/version").st_ino, stat_of("version").st_ino);
    EXPECT_ERRNO(open("nonsense", O_RDONLY), ENOENT);
    EXPECT_ERRNO(open("nonsense", O_WRONLY | O_CREAT, 0600), ENOENT);
    EXPECT_ERRNO(open("../nonsense", O_RDONLY), ENOENT);
    memset(path, 0, sizeof path);
    EXPECT_EQ(readlink("self/cwd", path, sizeof path), 5);
    EXPECT(strcmp(path, "/proc") == 0);
    // So it is for a program that starts there, and for a child.
    EXPECT_EQ(ending(child("finds_itself_in", "/proc", NULL)), 0);
    OK(fchdir(back));
    OK(close(OK(openat(fd, number, O_RDONLY))));
    OK(fchdir(fd));
    OK(access("uptime", R_OK));
    OK(chdir(".."));
    EXPECT(getcwd(path, sizeof path) && strcmp(path, "/") == 0);
    OK(fchdir(back));
}

CHECK(proc, not_there, "what is not there is ENOENT, what is no directory ENOTDIR")
{
    EXPECT_ERRNO(open("/proc/nonsense", O_RDONLY), ENOENT);
    EXPECT_ERRNO(open("/proc/self/nonsense", O_RDONLY), ENOENT);
    EXPECT_ERRNO(open("/proc/self/fd/999", O_RDONLY), ENOENT);
    EXPECT_ERRNO(open("/proc/4000000/stat", O_RDONLY), ENOENT);
    EXPECT_ERRNO(open("/proc/meminfo/x", O_RDONLY), ENOTDIR);
    EXPECT_ERRNO(open("/proc/meminfo/", O_RDONLY), ENOTDIR);
    EXPECT_ERRNO(open("/proc/meminfo", O_RDONLY | O_DIRECTORY), ENOTDIR);
    EXPECT_ERRNO(open("/proc/self", O_RDONLY | O_NOFOLLOW), ELOOP);
    EXPECT_ERRNO(open("/proc/self/", O_RDWR), EISDIR);
    char link[8];
    EXPECT_ERRNO(readlink("/proc/meminfo", link, sizeof link), EINVAL);
}

CHECK(proc, small_reads, "single bytes make up the whole")
{
    char whole[4096], byte;
    const char *text = text_of("/proc/self/limits", NULL);
    snprintf(whole, sizeof whole, "%s", text);
    const int fd = OK(open("/proc/self/limits", O_RDONLY));
    size_t n = 0;
    for (; OK(read(fd, &byte, 1)) == 1; n++)
        EXPECT_EQ(byte, whole[n]);
    EXPECT_EQ(n, strlen(whole));
    EXPECT_EQ(lseek(fd, 5, SEEK_SET), 5);
    EXPECT_EQ(read(fd, &byte, 1), 1);
    EXPECT_EQ(byte, whole[5]);
    EXPECT_EQ(pread(fd, &byte, 1, 7), 1);
    EXPECT_EQ(byte, whole[7]);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 6);
    EXPECT_EQ(pread(fd, &byte, 1, 1 << 20), 0);
}

CHECK(proc, reads_anew, "reading from the start tells what is so now")
{
    const int fd = OK(open("/proc/self/comm", O_RDWR));
    char name[32] = "";
    put(fd, "first");
    EXPECT_AT_LEAST(pread(fd, name, sizeof name, 0), 1);
    EXPECT(strcmp(name, "first\n") == 0);
    put(fd, "second");
    memset(name, 0, sizeof name);
    EXPECT_AT_LEAST(pread(fd, name, sizeof name, 0), 1);
    EXPECT(strcmp(name, "second\n") == 0);
}

CHECK(proc, limits, "limits as getrlimit has them")
{
    struct rlimit limit;
    OK(getrlimit(RLIMIT_NOFILE, &limit));
    EXPECT_EQ(number_of(text_of_process(0, "limits", NULL), "Max open files"),
              (long long)limit.rlim_cur);
}

ROLE(reads_a_byte)
{
    char byte;
    return read(atoi(arguments[0]), &byte, 1) == 1 ? byte : 1;
}

CHECK(proc, in_another_program, "an open file of /proc goes to a program that is started")
{
    const int fd = OK(open("/proc/version", O_RDONLY));
    char number[16], byte;
    snprintf(number, sizeof number, "%d", fd);
    EXPECT_EQ(read(fd, &byte, 1), 1);
    EXPECT_EQ(ending(child("reads_a_byte", number, NULL)), 'i');
}

CHECK(proc, dot_dot, "paths within /proc go up, too")
{
    EXPECT(S_ISREG(stat_of("/proc/self/../meminfo").st_mode));
    EXPECT(S_ISREG(stat_of("/proc/./self/./task/../stat").st_mode));
}
