// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "process.h"

extern char **environ;
extern const struct role *const __start_posix_roles[];
extern const struct role *const __stop_posix_roles[];

ROLE(exits)
{
    return atoi(arguments[0]);
}

enum { MOST = 4096, MOST_ARGUMENTS = 16 };
static pid_t children[MOST];
static int count;

_Noreturn void play_role(char **arguments)
{
    for (const struct role *const *role = __start_posix_roles; role < __stop_posix_roles; role++)
        if (*arguments && strcmp((*role)->name, *arguments) == 0)
            _exit((*role)->play(arguments + 1));
    fprintf(stderr, "posix-tests: no such role: %s\n", *arguments ? *arguments : "(none)");
    _exit(99);
}

pid_t note_child(pid_t pid)
{
    if (pid > 0 && count < MOST)
        children[count++] = pid;
    return pid;
}

static int start(pid_t *pid, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, char *const *environment, const char *role,
                 va_list list)
{
    char *arguments[MOST_ARGUMENTS] = {options.self, "--child", (char *)role};
    for (int i = 3; i < MOST_ARGUMENTS - 1 && (arguments[i] = va_arg(list, char *)); i++)
        ;
    const int error =
        posix_spawn(pid, options.self, actions, attributes, arguments, environment);
    if (error == 0)
        note_child(*pid);
    return error;
}

int spawn_with(pid_t *pid, const posix_spawn_file_actions_t *actions,
               const posix_spawnattr_t *attributes, char *const *environment, const char *role, ...)
{
    va_list list;
    va_start(list, role);
    const int error = start(pid, actions, attributes, environment, role, list);
    va_end(list);
    return error;
}

pid_t child(const char *role, ...)
{
    pid_t pid = 0;
    va_list list;
    va_start(list, role);
    const int error = start(&pid, NULL, NULL, environ, role, list);
    va_end(list);
    if (error)
        fail_errno(__FILE__, __LINE__, "posix_spawn", error);
    return pid;
}

int ending(pid_t pid)
{
    int status = 0;
    if (waitpid(pid, &status, 0) != pid)
        fail_errno(__FILE__, __LINE__, "waitpid", errno);
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : -1;
}

void end_children(void)
{
    for (int i = 0; i < count; i++)
        if (waitpid(children[i], NULL, WNOHANG) == 0) {
            kill(children[i], SIGKILL);
            waitpid(children[i], NULL, 0);
        }
    count = 0;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

int on_sel4(void)
{
    struct utsname name;
    return uname(&name) == 0 && strstr(name.version, "seL4") != NULL;
}
