// SPDX-License-Identifier: BSD-2-Clause
// posix_spawn as one request: there is no child that shares this process's memory while it gets ready. In host mode, where nobody
// answers such a request, by fork and exec.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fdop.h"

// What musl-shim reads (src/spawn.rs).
struct request {
	const char *path;
	char *const *args, *const *env;
	const void *actions;
	int flags, group;
	unsigned long defaults, mask;
};

// musl-shim: the child's id, or a negated errno.
long __sys_spawn(const struct request *);

static unsigned long first_word(const sigset_t *set)
{
	unsigned long word;
	memcpy(&word, set, sizeof word);
	return word;
}

// As execvp looks for programs: the first that can be run; EACCES is remembered while others are tried.
static long search(struct request *request, const char *file)
{
	const char *path = getenv("PATH");
	char name[PATH_MAX + NAME_MAX + 2];
	int denied = 0;

	if (!path)
		path = "/usr/local/bin:/bin:/usr/bin";
	if (strnlen(file, NAME_MAX + 1) > NAME_MAX)
		return -ENAMETOOLONG;
	for (;;) {
		const size_t n = strcspn(path, ":");
		if (n < PATH_MAX) {
			memcpy(name, path, n);
			name[n] = '/';
			strcpy(name + n + (n > 0), file);
			request->path = name;
			const long result = __sys_spawn(request);
			if (result == -EACCES)
				denied = 1;
			else if (result != -ENOENT && result != -ENOTDIR)
				return result;
		}
		if (!path[n])
			return denied ? -EACCES : -ENOENT;
		path += n + 1;
	}
}

static int act(const struct fdop *op, int *report)
{
	if (op->fd == *report && op->cmd != FDOP_CHDIR && op->cmd != FDOP_FCHDIR) {
		// The report's number is wanted: it moves out of the way.
		const int moved = fcntl(*report, F_DUPFD_CLOEXEC, 0);
		if (moved < 0)
			return -1;
		*report = moved;
	}
	switch (op->cmd) {
	case FDOP_CLOSE:
		close(op->fd);
		return 0;
	case FDOP_DUP2:
		if (op->srcfd == op->fd)
			return fcntl(op->fd, F_SETFD, fcntl(op->fd, F_GETFD) & ~FD_CLOEXEC);
		return dup2(op->srcfd, op->fd);
	case FDOP_OPEN: {
		const int fd = open(op->path, op->oflag, op->mode);
		if (fd < 0 || fd == op->fd)
			return fd;
		const int result = dup2(fd, op->fd);
		close(fd);
		return result;
	}
	case FDOP_CHDIR:
		return chdir(op->path);
	case FDOP_FCHDIR:
		return fchdir(op->fd);
	}
	errno = EINVAL;
	return -1;
}

static void become(const struct request *request, const posix_spawnattr_t *attributes, int by_name, int *report)
{
	const int flags = request->flags;
	const struct fdop *op = request->actions;

	for (int i = 1; flags & POSIX_SPAWN_SETSIGDEF && i < _NSIG; i++)
		if (sigismember(&attributes->__def, i) > 0)
			signal(i, SIG_DFL);
	if (flags & POSIX_SPAWN_SETSID && setsid() < 0)
		return;
	if (flags & POSIX_SPAWN_SETPGROUP && setpgid(0, request->group) < 0)
		return;
	// The list starts with the last action.
	while (op && op->next)
		op = op->next;
	for (; op; op = op->prev)
		if (act(op, report) < 0)
			return;
	if (flags & POSIX_SPAWN_SETSIGMASK)
		sigprocmask(SIG_SETMASK, &attributes->__mask, 0);
	(by_name ? execvpe : execve)(request->path, request->args, request->env);
}

static long by_fork(const struct request *request, const posix_spawnattr_t *attributes, int by_name)
{
	int report[2], error = 0;

	if (pipe2(report, O_CLOEXEC))
		return -errno;
	const pid_t pid = fork();
	if (pid == 0) {
		become(request, attributes, by_name, &report[1]);
		error = errno;
		write(report[1], &error, sizeof error);
		_exit(127);
	}
	if (pid < 0)
		error = errno;
	close(report[1]);
	// Nothing comes if the exec worked, which closes the other end.
	if (pid > 0 && read(report[0], &error, sizeof error) > 0)
		waitpid(pid, 0, 0);
	close(report[0]);
	return error ? -error : pid;
}

int posix_spawn(pid_t *restrict child, const char *restrict path,
	const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *restrict attributes,
	char *const args[restrict], char *const env[restrict])
{
	struct request request = {
		.path = path,
		.args = args,
		.env = env,
		.actions = actions ? actions->__actions : 0,
	};
	int by_name = 0;

	if (attributes) {
		request.flags = attributes->__flags;
		request.group = attributes->__pgrp;
		request.defaults = first_word(&attributes->__def);
		request.mask = first_word(&attributes->__mask);
		// Set by posix_spawnp, which is musl's own and calls this.
		by_name = attributes->__fn && !strchr(path, '/');
	}
	if (!*path)
		return ENOENT;
	long result = by_name ? search(&request, path) : __sys_spawn(&request);
	if (result == -ENOSYS) {
		request.path = path;
		result = by_fork(&request, attributes, by_name);
	}
	if (result < 0)
		return -result;
	if (child)
		*child = result;
	return 0;
}
