// SPDX-License-Identifier: BSD-2-Clause
// What processes have used (getrusage(2), wait4(2)).
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helpers.h"
#include "process.h"

enum { MIB = 1 << 20 };

// Microseconds of processor time.
static long long time_of(const struct rusage *usage)
{
    return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000ll + usage->ru_utime.tv_usec +
           usage->ru_stime.tv_usec;
}

static struct rusage usage_of(int who)
{
    struct rusage usage;
    OK(getrusage(who, &usage));
    return usage;
}

// Uses so much memory, then time until it says that it has.
static void use(size_t bytes, long long microseconds)
{
    char *more = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (more == MAP_FAILED)
        _exit(1);
    memset(more, 1, bytes);
    struct rusage usage;
    do
        if (getrusage(RUSAGE_SELF, &usage) != 0)
            _exit(2);
    while (time_of(&usage) < microseconds);
}

CHECK(usage, self, "the most memory that the process had, and its time, which grows")
{
    const struct rusage before = usage_of(RUSAGE_SELF);
    use(32 * MIB, time_of(&before) + 20000);
    const struct rusage after = usage_of(RUSAGE_SELF);
    EXPECT_AT_LEAST(after.ru_maxrss, 32 * MIB / 1024);
    EXPECT_AT_LEAST(after.ru_maxrss, before.ru_maxrss);
    EXPECT_AT_LEAST(time_of(&after), time_of(&before) + 20000);
    EXPECT_ERRNO(getrusage(17, (struct rusage *)&after), EINVAL);
}

CHECK(usage, wait4, "what a child has used is told when it is waited for")
{
    struct rusage usage;
    int status;
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        use(48 * MIB, 50000);
        _exit(3);
    }
    memset(&usage, 0, sizeof usage);
    EXPECT_EQ(wait4(pid, &status, 0, &usage), pid);
    EXPECT_EQ(WEXITSTATUS(status), 3);
    EXPECT_AT_LEAST(usage.ru_maxrss, 48 * MIB / 1024);
    EXPECT_AT_LEAST(time_of(&usage), 50000);
}

CHECK(usage, waitid, "waitid tells it, too, by its fifth argument")
{
    struct rusage usage;
    siginfo_t info;
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        use(24 * MIB, 30000);
        _exit(0);
    }
    memset(&usage, 0, sizeof usage);
    OK(syscall(SYS_waitid, P_PID, pid, &info, WEXITED | WNOWAIT, &usage));
    EXPECT_AT_LEAST(usage.ru_maxrss, 24 * MIB / 1024);
    EXPECT_AT_LEAST(time_of(&usage), 30000);
    EXPECT_EQ(ending(pid), 0);
}

CHECK(usage, children, "children count once they have been waited for, and theirs with them")
{
    const struct rusage before = usage_of(RUSAGE_CHILDREN);
    struct tms first, second;
    EXPECT(times(&first) != (clock_t)-1);
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        const pid_t grandchild = fork();
        if (grandchild == 0) {
            use(64 * MIB, 60000);
            _exit(0);
        }
        int status = 1;
        _exit(waitpid(grandchild, &status, 0) != grandchild || status);
    }
    siginfo_t info;
    OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    const struct rusage unwaited = usage_of(RUSAGE_CHILDREN);
    EXPECT_EQ(time_of(&unwaited), time_of(&before));
    EXPECT_EQ(ending(pid), 0);
    const struct rusage after = usage_of(RUSAGE_CHILDREN);
    EXPECT_AT_LEAST(time_of(&after), time_of(&before) + 60000);
    EXPECT_AT_LEAST(after.ru_maxrss, 64 * MIB / 1024);
    EXPECT(times(&second) != (clock_t)-1);
    EXPECT_AT_LEAST(second.tms_cutime + second.tms_cstime,
                    first.tms_cutime + first.tms_cstime + 5);
}
