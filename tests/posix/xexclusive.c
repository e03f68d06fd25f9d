// SPDX-License-Identifier: BSD-2-Clause
// EPOLLEXCLUSIVE among processes: the workers of a server that share what they wait for (trap 15).
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "process.h"

#define WORKERS 4
#define ROUNDS 20

enum { TOKEN, QUESTION };

// Waits for the token and for a question; answers with whether the token was reported before it.
static int work(int token, int questions, int answers)
{
    struct epoll_event shared = {.events = EPOLLIN | EPOLLET | EPOLLEXCLUSIVE, .data.u32 = TOKEN};
    struct epoll_event own = {.events = EPOLLIN, .data.u32 = QUESTION};
    int ep = epoll_create1(0);
    if (epoll_ctl(ep, EPOLL_CTL_ADD, token, &shared) || epoll_ctl(ep, EPOLL_CTL_ADD, questions, &own))
        return 1;
    for (char told = 'n';;) {
        struct epoll_event events[2];
        int n = epoll_wait(ep, events, 2, HANG_MS), asked = 0;
        if (n < 1)
            return 2;
        while (n-- > 0) {
            asked |= events[n].data.u32 == QUESTION;
            if (events[n].data.u32 == TOKEN)
                told = 'y';
        }
        char question;
        if (asked && read(questions, &question, 1) != 1)
            return 0;
        if (asked && write(answers, &told, 1) != 1)
            return 3;
        if (asked)
            told = 'n';
    }
}

// Asks all; how many have been told of the token.
static int told(const int *questions, int answers)
{
    int count = 0;
    for (int i = 0; i < WORKERS; i++)
        EXPECT_EQ(write(questions[i], "?", 1), 1);
    for (int i = 0; i < WORKERS; i++) {
        char answer;
        EXPECT_EQ(read(answers, &answer, 1), 1);
        count += answer == 'y';
    }
    return count;
}

CHECK(xpipe, exclusive_wakes_one_process, "EPOLLEXCLUSIVE: of several processes that sleep for one source one is told")
{
    int token = eventfd(0, EFD_NONBLOCK), questions[WORKERS], least = WORKERS;
    struct ends answers = new_pipe(0);
    pid_t workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        struct ends own = new_pipe(0);
        workers[i] = note_child(fork());
        if (workers[i] == 0) {
            for (int j = 0; j < i; j++)
                close(questions[j]);
            close(own.w);
            _exit(work(token, own.r, answers.w));
        }
        questions[i] = own.w;
        OK(close(own.r));
    }
    EXPECT_EQ(told(questions, answers.r), 0);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t count = 1;
        EXPECT_EQ(write(token, &count, sizeof count), (ssize_t)sizeof count);
        // What they were told of the token they were told before they were asked.
        const int now = told(questions, answers.r);
        EXPECT_AT_LEAST(now, 1);
        least = now < least ? now : least;
        EXPECT_EQ(read(token, &count, sizeof count), (ssize_t)sizeof count);
    }
    for (int i = 0; i < WORKERS; i++)
        OK(close(questions[i]));
    for (int i = 0; i < WORKERS; i++)
        EXPECT_EQ(ending(workers[i]), 0);
    // More are told only if none sleeps yet.
    EXPECT_EQ(least, 1);
}
