// SPDX-License-Identifier: BSD-2-Clause
// The first process: runs the programs of a list and reports how each one ended.
#include <errno.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { MOST_WORDS = 64, MOST_PROGRAMS = 256 };

extern char **environ;

struct program {
    char *name;
    pid_t pid;
};

// Those that run in the background.
static struct program running[MOST_PROGRAMS];
static int count;
static bool failed;

// Splits a line in place; returns how many words there are, or -1 if a quote is left open.
static int split(char *line, char **words)
{
    int n = 0;
    char *at = line;
    for (;;) {
        at += strspn(at, " \t\r\n");
        if (!*at || *at == '#' || n == MOST_WORDS)
            return n;
        const char quote = *at == '\'' || *at == '"' ? *at++ : 0;
        words[n++] = at;
        if (quote) {
            at = strchr(at, quote);
            if (!at)
                return -1;
        } else {
            at += strcspn(at, " \t\r\n");
        }
        if (*at)
            *at++ = 0;
    }
}

static void report(const char *name, int status)
{
    if (WIFEXITED(status))
        printf("init: %s exited with %d\n", name, WEXITSTATUS(status));
    else
        printf("init: %s was ended by signal %d (%s)\n", name, WTERMSIG(status),
               strsignal(WTERMSIG(status)));
    fflush(stdout);
    failed |= status != 0;
}

// Waits until `pid` has ended, or all programs if it is 0. Others that end meanwhile are reported, or were nobody's.
static void wait_for(pid_t pid, const char *name)
{
    while (pid || count) {
        int status;
        const pid_t ended = wait(&status);
        if (ended == -1) {
            if (errno == EINTR)
                continue;
            return;
        }
        if (ended == pid) {
            report(name, status);
            return;
        }
        for (int i = 0; i < count; i++)
            if (running[i].pid == ended) {
                report(running[i].name, status);
                free(running[i].name);
                running[i] = running[--count];
                break;
            }
    }
}

static void run(char **words, int n)
{
    const bool background = strcmp(words[n - 1], "&") == 0;
    if (background)
        words[--n] = NULL;
    if (n == 0)
        return;
    words[n] = NULL;
    pid_t pid;
    const int error = posix_spawnp(&pid, words[0], NULL, NULL, words, environ);
    if (error) {
        printf("init: cannot start %s: %s\n", words[0], strerror(error));
        fflush(stdout);
        failed = true;
    } else if (background && count < MOST_PROGRAMS) {
        running[count++] = (struct program){strdup(words[0]), pid};
    } else {
        wait_for(pid, words[0]);
    }
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "/etc/init";
    FILE *list = fopen(path, "re");
    if (!list) {
        fprintf(stderr, "init: cannot read %s: %s\n", path, strerror(errno));
        return 2;
    }
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, list) != -1) {
        char *words[MOST_WORDS + 1];
        const int n = split(line, words);
        if (n < 0) {
            fprintf(stderr, "init: a quote is not closed in %s\n", path);
            return 2;
        }
        if (n > 0)
            run(words, n);
    }
    free(line);
    fclose(list);
    wait_for(0, NULL);
    return failed;
}
