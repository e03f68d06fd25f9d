// SPDX-License-Identifier: BSD-2-Clause
// What a shell does with its terminal, and what the terminal does with keys. Says what it is about to wait for; whoever sits there types that (xtask's
// suites/driver/terminal.rs), on Linux and on ours alike.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static struct termios cooked;

static void check(int holds, const char *what)
{
    if (!holds) {
        printf("not so: %s (errno %d)\n", what, errno);
        exit(1);
    }
}
#define CHECK(condition) check((condition), #condition)

// Says how a child stopped or ended.
static void report(pid_t pid)
{
    int status;
    CHECK(waitpid(pid, &status, WUNTRACED) == pid);
    if (WIFSTOPPED(status))
        printf("stopped by %d\n", WSTOPSIG(status));
    else if (WIFSIGNALED(status))
        printf("ended by %d\n", WTERMSIG(status));
    else
        printf("exit %d\n", WEXITSTATUS(status));
}

// Starts `run` as a job; the terminal is its own if it is in the foreground.
static pid_t job(void (*run)(void), int foreground)
{
    const pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        if (foreground)
            CHECK(tcsetpgrp(0, getpid()) == 0);
        signal(SIGTTOU, SIG_DFL);
        run();
        exit(0);
    }
    CHECK(pid > 0);
    setpgid(pid, pid);
    if (foreground)
        CHECK(tcsetpgrp(0, pid) == 0);
    return pid;
}

static void take_back(void)
{
    CHECK(tcsetpgrp(0, getpgrp()) == 0);
    CHECK(tcgetpgrp(0) == getpgrp());
}

static void sleeps(void)
{
    puts("key?");
    for (;;)
        pause();
}

static void reads(void)
{
    char text[64];
    const ssize_t n = read(0, text, sizeof text);
    if (n <= 0)
        _exit(n < 0 && errno == EIO ? 70 : 71);
    _exit(text[0]);
}

static void ignores(void)
{
    signal(SIGTTIN, SIG_IGN);
    reads();
}

static void sets_mode(void)
{
    CHECK(tcsetattr(0, TCSANOW, &cooked) == 0);
    puts("set");
}

static void writes(void)
{
    puts("written");
}

static int caught;

// If the key comes before the read that it is to end, the alarm ends that.
static void catch(int signal)
{
    if (signal == SIGINT) {
        caught = signal;
        alarm(1);
    }
}

static void lines(void)
{
    char text[64];
    puts("line?");
    CHECK(read(0, text, sizeof text) == 4 && memcmp(text, "abc\n", 4) == 0);
    puts("two lines?");
    CHECK(read(0, text, sizeof text) == 2 && memcmp(text, "x\n", 2) == 0);
    CHECK(read(0, text, 1) == 1 && text[0] == 'y');
    CHECK(read(0, text, sizeof text) == 2 && memcmp(text, "z\n", 2) == 0);
    puts("end?");
    CHECK(read(0, text, sizeof text) == 0);
    puts("part?");
    CHECK(read(0, text, sizeof text) == 2 && memcmp(text, "pq", 2) == 0);
}

static void keys(void)
{
    report(job(sleeps, 1));
    take_back();
    report(job(sleeps, 1));
    take_back();
    const pid_t pid = job(sleeps, 1);
    report(pid);
    take_back();
    CHECK(kill(-pid, SIGCONT) == 0 && kill(-pid, SIGKILL) == 0);
    report(pid);
    // Its own group is in the foreground: a handler runs, and the read ends.
    char byte;
    struct sigaction action = {.sa_handler = catch};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    puts("own key?");
    CHECK(read(0, &byte, 1) == -1 && errno == EINTR && caught == SIGINT);
    alarm(0);
}

static void background(void)
{
    const pid_t reader = job(reads, 0);
    report(reader);
    puts("letter?");
    fflush(stdout);
    CHECK(tcsetpgrp(0, reader) == 0 && kill(-reader, SIGCONT) == 0);
    report(reader);
    take_back();
    report(job(ignores, 0));
    report(job(writes, 0));
    struct termios mode = cooked;
    mode.c_lflag |= TOSTOP;
    CHECK(tcsetattr(0, TCSANOW, &mode) == 0);
    for (int i = 0; i < 2; i++) {
        const pid_t other = job(i ? writes : sets_mode, 0);
        report(other);
        CHECK(tcsetpgrp(0, other) == 0 && kill(-other, SIGCONT) == 0);
        report(other);
        take_back();
        CHECK(tcsetattr(0, TCSANOW, &mode) == 0);
    }
    CHECK(tcsetattr(0, TCSANOW, &cooked) == 0);
    CHECK(tcsetpgrp(0, 29999) == -1 && (errno == ESRCH || errno == EPERM));
    CHECK(tcsetpgrp(0, -1) == -1 && errno == EINVAL);
}

static void orphan(void)
{
    const pid_t pid = fork();
    if (pid == 0) {
        // In a session of its own it is not its terminal; nobody lets it go on, so it does not stop.
        CHECK(setsid() == getpid());
        CHECK(tcgetpgrp(0) == -1 && errno == ENOTTY);
        CHECK(raise(SIGTSTP) == 0);
        _exit(5);
    }
    report(pid);
}

static void raw(void)
{
    struct termios mode = cooked;
    char text[8];
    mode.c_lflag &= ~(ICANON | ECHO | ISIG);
    mode.c_iflag &= ~ICRNL;
    CHECK(tcsetattr(0, TCSAFLUSH, &mode) == 0);
    puts("raw?");
    for (int i = 0; i < 4; i++)
        CHECK(read(0, text + i, 1) == 1);
    CHECK(memcmp(text, "\3\4\r\32", 4) == 0);
    mode.c_cc[VMIN] = 0;
    CHECK(tcsetattr(0, TCSANOW, &mode) == 0);
    CHECK(read(0, text, 1) == 0);
    CHECK(tcsetattr(0, TCSANOW, &cooked) == 0);
    CHECK(tcgetattr(0, &mode) == 0 && (mode.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG));
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGTTOU, SIG_IGN);
    CHECK(isatty(0) && tcgetattr(0, &cooked) == 0);
    CHECK((cooked.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG));
    CHECK(tcgetpgrp(0) == getpgrp());
    lines();
    keys();
    background();
    orphan();
    raw();
    puts("all is so");
    return 0;
}
