// SPDX-License-Identifier: BSD-2-Clause
// A server of several processes that share a listener, for clients outside the machine: PROGRAM PORT.
//
// Each connection speaks lines. Those that are commands are answered by whoever they lead to, and that one then sends back what comes until the client's end:
//
//     who      the worker that accepted the connection answers
//     hold     the same, and the worker does nothing else until the connection ends
//     fork     a child of the worker, which closes its own descriptor
//     exec     this program, started anew with the connection as its input and output
//     pass     another process, which got the connection in a message
//     loop     what a worker answers to `who` on a connection from within the machine
//     die      the worker is killed
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 3, LINE = 64 };

static const char *self;
static int port, taker;

static void check(int holds, const char *what)
{
    if (!holds) {
        perror(what);
        _exit(1);
    }
}

// Reads a line without the bytes behind it; its length without the end, -1 if there is none.
static int read_line(int fd, char *line)
{
    for (int n = 0; n < LINE; n++) {
        if (read(fd, line + n, 1) != 1)
            return -1;
        if (line[n] == '\n') {
            line[n] = 0;
            return n;
        }
    }
    return -1;
}

static void answer(int fd, const char *who, int number)
{
    char text[LINE];
    const int n = snprintf(text, sizeof text, "%s %d\n", who, number);
    check(write(fd, text, n) == n, "answer");
}

// Sends back what comes until the end.
static void echo(int in, int out)
{
    static char buffer[1 << 16];
    ssize_t n;
    while ((n = read(in, buffer, sizeof buffer)) > 0)
        for (ssize_t done = 0, w; done < n; done += w)
            check((w = write(out, buffer + done, n - done)) > 0, "echo: write");
    check(n == 0, "echo: read");
}

static void pass(int fd)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof fd)];
    } control = {0};
    struct iovec byte = {"f", 1};
    const struct msghdr message = {
        .msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    control.head.cmsg_len = CMSG_LEN(sizeof fd);
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    check(sendmsg(taker, &message, 0) == 1, "pass");
}

// Serves connections that come in messages.
static void take(int socket)
{
    for (;;) {
        union {
            struct cmsghdr head;
            char bytes[CMSG_SPACE(sizeof(int))];
        } control = {0};
        char c;
        struct iovec byte = {&c, 1};
        struct msghdr message = {
            .msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        if (recvmsg(socket, &message, 0) != 1)
            _exit(0);
        int fd;
        memcpy(&fd, CMSG_DATA(&control.head), sizeof fd);
        answer(fd, "taker", 0);
        echo(fd, fd);
        close(fd);
    }
}

// From within the machine.
static void loop(int fd)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int own = socket(AF_INET, SOCK_STREAM, 0);
    char line[LINE];
    check(connect(own, (const struct sockaddr *)&to, sizeof to) == 0, "connect");
    check(write(own, "who\n", 4) == 4 && read_line(own, line) > 0, "who");
    close(own);
    answer(fd, "loop", atoi(line + strlen("worker ")));
    echo(fd, fd);
}

// Does what a connection asks for. Whether the worker goes on with it.
static int serve(int fd, int number)
{
    char line[LINE];
    if (read_line(fd, line) < 0)
        return 0;
    if (strcmp(line, "die") == 0)
        raise(SIGKILL);
    if (strcmp(line, "pass") == 0) {
        pass(fd);
        return 0;
    }
    const int forks = strcmp(line, "fork") == 0 || strcmp(line, "exec") == 0 || strcmp(line, "loop") == 0;
    if (forks) {
        const pid_t pid = fork();
        check(pid >= 0, "fork");
        if (pid > 0)
            return 0;
    }
    if (strcmp(line, "exec") == 0) {
        check(dup2(fd, 0) == 0 && dup2(fd, 1) == 1, "dup2");
        execl(self, self, "inetd", NULL);
        check(0, "exec");
    }
    if (strcmp(line, "loop") == 0)
        loop(fd);
    else
        answer(fd, forks ? "child" : "worker", number);
    if (forks || strcmp(line, "hold") == 0)
        echo(fd, fd);
    if (forks)
        _exit(0);
    return strcmp(line, "who") == 0;
}

static _Noreturn void work(int listener, int number)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = listener};
    const int ep = epoll_create1(EPOLL_CLOEXEC);
    check(epoll_ctl(ep, EPOLL_CTL_ADD, listener, &event) == 0, "watch");
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        if (epoll_wait(ep, &event, 1, -1) != 1) {
            check(errno == EINTR, "wait");
            continue;
        }
        if (event.data.fd != listener) {
            if (!serve(event.data.fd, number))
                close(event.data.fd);
            continue;
        }
        const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            check(errno == EAGAIN || errno == ECONNABORTED, "accept");
            continue;
        }
        event.events = EPOLLIN;
        event.data.fd = fd;
        check(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0, "watch");
    }
}

int main(int argc, char **argv)
{
    self = argv[0];
    if (argc > 1 && strcmp(argv[1], "inetd") == 0) {
        answer(1, "inetd", 0);
        echo(0, 1);
        return 0;
    }
    port = argc > 1 ? atoi(argv[1]) : 8080;
    const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    int pair[2];
    check(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0, "reuse");
    check(bind(listener, (const struct sockaddr *)&any, sizeof any) == 0, "bind");
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "pair");
    check(listen(listener, 64) == 0, "listen");
    taker = pair[0];
    if (fork() == 0) {
        close(listener);
        close(pair[0]);
        take(pair[1]);
    }
    close(pair[1]);
    for (int i = 0; i < WORKERS; i++)
        if (fork() == 0)
            work(listener, i);
    close(listener);
    close(pair[0]);
    while (wait(NULL) > 0)
        ;
    return 0;
}
