// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "file_helpers.h"
#include "lock.h"
#include "process.h"

int lock_file(const char *path)
{
    in_new_directory();
    return OK(open(path, O_RDWR | O_CREAT | O_EXCL, 0644));
}

int open_again(const char *path)
{
    return OK(open(path, O_RDWR));
}

int record(int fd, int command, int type, off_t start, off_t length)
{
    struct flock lock = {
        .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, command, &lock);
}

struct flock seen_by_other(const char *path, int type, off_t start, off_t length)
{
    const struct ends answer = new_pipe(0);
    struct flock lock = {
        .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        const int fd = open(path, O_RDWR);
        if (fd == -1 || fcntl(fd, F_GETLK, &lock) != 0)
            _exit(1);
        _exit(write(answer.w, &lock, sizeof lock) != sizeof lock);
    }
    EXPECT_EQ(ending(pid), 0);
    get(answer.r, &lock, sizeof lock);
    OK(close(answer.r));
    OK(close(answer.w));
    return lock;
}

static void rang(int number)
{
    (void)number;
}

void ring(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = rang;
    OK(sigaction(SIGALRM, &action, NULL));
    const struct itimerval soon = {{0, 20000}, {0, 20000}};
    OK(setitimer(ITIMER_REAL, &soon, NULL));
}

void stop_ringing(void)
{
    const struct itimerval never = {{0, 0}, {0, 0}};
    OK(setitimer(ITIMER_REAL, &never, NULL));
    signal(SIGALRM, SIG_DFL);
}
