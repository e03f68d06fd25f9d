// SPDX-License-Identifier: BSD-2-Clause
// Runs the event core's contract (libposix-poll/src/contract) on the kernel that runs, each case in a process of its own, and reports in TAP.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

// musl-shim/src/contract.rs
size_t __contract_count(void);
void __contract_name(size_t index, char *name, size_t size);
size_t __contract_seats(void);
_Noreturn void __contract_sit(size_t seat);
void __contract_run(size_t index);

static void *sit(void *seat)
{
    __contract_sit((uintptr_t)seat);
}

// In a child: the threads of the case take their seats, and it runs. A panic ends the process with another status.
static _Noreturn void play(size_t index)
{
    for (uintptr_t seat = 0; seat < __contract_seats(); seat++) {
        pthread_t thread;
        const int error = pthread_create(&thread, NULL, sit, (void *)seat);
        if (error) {
            printf("# pthread_create: %s\n", strerror(error));
            fflush(stdout);
            _exit(2);
        }
    }
    __contract_run(index);
    _exit(0);
}

// Cases whose names contain an argument; all without any.
static int wanted(char **arguments, const char *name)
{
    if (!*arguments)
        return 1;
    while (*arguments && !strstr(name, *arguments))
        arguments++;
    return *arguments != NULL;
}

int main(int argc, char **argv)
{
    const size_t count = __contract_count();
    char name[128];
    size_t planned = 0, number = 0, failed = 0;
    (void)argc;
    for (size_t i = 0; i < count; i++) {
        __contract_name(i, name, sizeof name);
        planned += wanted(argv + 1, name);
    }
    printf("TAP version 13\n1..%zu\n", planned);
    fflush(stdout);
    for (size_t i = 0; i < count; i++) {
        __contract_name(i, name, sizeof name);
        if (!wanted(argv + 1, name))
            continue;
        const pid_t child = fork();
        if (child == 0)
            play(i);
        int status = -1;
        const int ended = child > 0 && waitpid(child, &status, 0) == child;
        const int ok = ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
        failed += !ok;
        printf("%sok %zu - %s\n", ok ? "" : "not ", ++number, name);
        if (!ok)
            printf("# child %d, status 0x%x\n", (int)child, (unsigned)status);
        fflush(stdout);
    }
    return failed ? 1 : 0;
}
