// SPDX-License-Identifier: BSD-2-Clause
// Children for the checks of processes: this program again, told what to do by its arguments.
#pragma once

#include <signal.h>
#include <spawn.h>
#include <sys/types.h>

// What a child can be asked to do, by name: its exit status is its answer.
struct role {
    const char *name;
    int (*play)(char **arguments);
};

// Enters a role in the list that main looks through when the first argument is --child. A name that is there twice does not link.
#define ROLE(name_)                                                                                \
    static int play_##name_(char **arguments);                                                     \
    extern const struct role role_##name_;                                                         \
    const struct role role_##name_ = {#name_, play_##name_};                                \
    static const struct role *const entry_role_##name_                                             \
        __attribute__((used, section("posix_roles"))) = &role_##name_;                             \
    static int play_##name_(char **arguments __attribute__((unused)))

// Plays the role that the arguments name. Does not return.
_Noreturn void play_role(char **arguments);

// Starts a child in a role; arguments follow, ended by NULL. It is killed if the check leaves it behind.
pid_t child(const char *role, ...);

// The same with everything that posix_spawn takes.
int spawn_with(pid_t *pid, const posix_spawn_file_actions_t *actions,
               const posix_spawnattr_t *attributes, char *const *environment, const char *role,
               ...);

// Takes note of a child that was made otherwise (fork).
pid_t note_child(pid_t pid);

// Waits for a child: its exit status; 1000 + the signal's number if one ended it.
int ending(pid_t pid);

// Ends and waits for whatever a check has left.
void end_children(void);

// Whether this runs on our system rather than on Linux.
int on_sel4(void);
