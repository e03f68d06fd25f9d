// SPDX-License-Identifier: BSD-2-Clause
// Runs the checks that its arguments name (all without any) and reports them as TAP 13.
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "process.h"

struct options options = {.data = "/test/data.txt"};

// The linker's bounds of the section that CHECK fills.
extern const struct check *const __start_posix_checks[];
extern const struct check *const __stop_posix_checks[];

// The order of the report.
static const char *const areas[] = {
    "epoll", "poll",  "select", "eventfd", "timerfd", "pipe",   "tcp",   "socket",
    "unix",  "udp",   "fd",    "file",   "console", "clock",   "memory", "libc",  "process", "xpipe", "xepoll", "pidfd",
    "thread", "futex", "signal", "signalfd", "timer", "xunix", "lock", "xtcp", "proc", "usage", "inotify",
};

enum outcome { PASSED = 1, FAILED, SKIPPED };

static jmp_buf end_of_check;
static char message[1024];

static void set_message(const char *format, va_list arguments)
{
    vsnprintf(message, sizeof message, format, arguments);
    for (char *c = message; *c; c++)
        if (*c == '\n')
            *c = ' ';
}

_Noreturn void fail(const char *file, int line, const char *what, ...)
{
    char format[512];
    const char *base = strrchr(file, '/');
    snprintf(format, sizeof format, "%s:%d: %s", base ? base + 1 : file, line, what);
    va_list arguments;
    va_start(arguments, what);
    set_message(format, arguments);
    va_end(arguments);
    longjmp(end_of_check, FAILED);
}

_Noreturn void fail_errno(const char *file, int line, const char *what, int error)
{
    fail(file, line, "%s failed: %s (errno %d)", what, strerror(error), error);
}

_Noreturn void skip(const char *reason)
{
    snprintf(message, sizeof message, "%s", reason);
    longjmp(end_of_check, SKIPPED);
}

static size_t area_index(const char *area)
{
    size_t i = 0;
    while (i < sizeof areas / sizeof *areas && strcmp(areas[i], area) != 0)
        i++;
    return i;
}

// By area, then in the order of the sources: compilers do not promise to keep it.
static int compare(const void *left, const void *right)
{
    const struct check *a = *(const struct check *const *)left;
    const struct check *b = *(const struct check *const *)right;
    const size_t x = area_index(a->area), y = area_index(b->area);
    if (x != y)
        return x < y ? -1 : 1;
    const int files = strcmp(a->file, b->file);
    return files ? files : a->line - b->line;
}

// An argument names an area (`epoll`) or a check (`epoll/edge_per_write`).
static bool names(const char *argument, const struct check *check)
{
    const size_t n = strlen(check->area);
    if (strncmp(argument, check->area, n) != 0)
        return false;
    return argument[n] == 0 || (argument[n] == '/' && strcmp(argument + n + 1, check->name) == 0);
}

static bool any_names(char *const *arguments, const struct check *check)
{
    while (*arguments && !names(*arguments, check))
        arguments++;
    return *arguments;
}

// What -x leaves out; ends with a null pointer.
static char **left_out;

static bool wanted(char *const *arguments, const struct check *check)
{
    return (!*arguments || any_names(arguments, check)) && !any_names(left_out, check);
}

// Goes back to where a check may have left, and closes what it left open. Descriptors are handed
// out lowest first, so a long run of unused numbers is the end of them; checks that go beyond it
// close their own.
static void clean_up(const char *start)
{
    end_children();
    if (chdir(start) != 0)
        printf("# cannot go back to %s\n", start);
    for (int fd = 3, unused = 0; unused < 128; fd++)
        unused = close(fd) == 0 ? 0 : unused + 1;
}

static enum outcome run(const struct check *check)
{
    const int jump = setjmp(end_of_check);
    if (jump)
        return (enum outcome)jump;
    check->run();
    return PASSED;
}

// Fails for an argument that names nothing: a misspelt filter must not pass as "all well".
static bool all_known(char *const *arguments, const struct check *const *list, size_t count)
{
    for (; *arguments; arguments++) {
        size_t i = 0;
        while (i < count && !names(*arguments, list[i]))
            i++;
        if (i == count) {
            fprintf(stderr, "posix-tests: no area or check is called %s (try -l)\n", *arguments);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    // Checks change the working directory.
    options.self = strchr(argv[0], '/') ? realpath(argv[0], NULL) : argv[0];
    if (argc > 2 && strcmp(argv[1], "--child") == 0)
        play_role(argv + 2);
    bool list_only = false;
    int option;
    size_t excluded = 0;
    left_out = calloc((size_t)argc, sizeof *left_out);
    if (!left_out) {
        fprintf(stderr, "posix-tests: no memory for the arguments\n");
        return 2;
    }
    while ((option = getopt(argc, argv, "d:lx:")) != -1) {
        if (option == 'd') {
            options.data = optarg;
        } else if (option == 'x') {
            left_out[excluded++] = optarg;
        } else if (option == 'l') {
            list_only = true;
        } else {
            fprintf(stderr, "usage: posix-tests [-l] [-d DATA-FILE] [-x AREA | -x AREA/CHECK]... [AREA | AREA/CHECK]...\n");
            return 2;
        }
    }
    char *const *arguments = argv + optind;

    const size_t count = (size_t)(__stop_posix_checks - __start_posix_checks);
    const struct check **list = malloc(count * sizeof *list);
    if (!list) {
        fprintf(stderr, "posix-tests: no memory for the list of checks\n");
        return 2;
    }
    memcpy(list, __start_posix_checks, count * sizeof *list);
    qsort(list, count, sizeof *list, compare);
    if (!all_known(arguments, list, count) || !all_known(left_out, list, count))
        return 2;

    static char start[PATH_MAX];
    if (!getcwd(start, sizeof start)) {
        fprintf(stderr, "posix-tests: cannot tell the working directory: %s\n", strerror(errno));
        return 2;
    }

    size_t planned = 0;
    for (size_t i = 0; i < count; i++)
        planned += wanted(arguments, list[i]);
    if (!list_only) {
        printf("TAP version 13\n1..%zu\n", planned);
        fflush(stdout);
        signal(SIGPIPE, SIG_IGN);
        clean_up(start);
    }

    size_t number = 0, failed = 0;
    for (size_t i = 0; i < count; i++) {
        const struct check *check = list[i];
        if (!wanted(arguments, check))
            continue;
        if (list_only) {
            printf("%s/%s: %s\n", check->area, check->name, check->text);
            continue;
        }
        const enum outcome outcome = run(check);
        clean_up(start);
        number++;
        failed += outcome == FAILED;
        printf("%sok %zu - %s/%s: %s%s%s\n", outcome == FAILED ? "not " : "", number, check->area,
               check->name, check->text, outcome == SKIPPED ? " # SKIP " : "",
               outcome == SKIPPED ? message : "");
        if (outcome == FAILED)
            printf("# %s\n", message);
        fflush(stdout);
    }
    free(list);
    return failed ? 1 : 0;
}
