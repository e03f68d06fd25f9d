// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "xprocbench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct child children[MAX_CHILDREN];
int          nchildren;

pthread_t *threads;
long       nthreads;

/*
 * Starts this program as "@role a b" with the n descriptors of fd[] at LIFE,
 * LIFE + 1, ...; they are closed in the parent.  The environment is empty so
 * that it costs the same everywhere.
 */
struct child *spawn(const char *role, long a, long b, int life,
                           const int *fd, int n)
{
	static char *const no_environment[] = { NULL };
	char arg[2][24];
	char *argv[] = { (char *)opt_self, (char *)role, arg[0], arg[1],
	                 (char *)(opt_ns ? "ns" : "tsc"), NULL };
	posix_spawn_file_actions_t how;
	struct child *c = &children[nchildren];
	int e;

	if (nchildren == MAX_CHILDREN)
		lack("spawn", EAGAIN);
	snprintf(arg[0], sizeof arg[0], "%ld", a);
	snprintf(arg[1], sizeof arg[1], "%ld", b);
	posix_spawn_file_actions_init(&how);
	for (int i = 0; i < n; i++) {
		/* A number that an earlier dup2 would overwrite must be
		 * moved out of the way first. */
		int from = fd[i];
		if (from < LIFE + n) {
			from = keep("fcntl", fcntl(from, F_DUPFD_CLOEXEC,
			                           LIFE + n));
			shut(fd[i]);
		}
		e = posix_spawn_file_actions_adddup2(&how, from, LIFE + i);
		if (e != 0)
			lack("posix_spawn_file_actions_adddup2", e);
		kept[from] |= 2;
	}
	e = posix_spawnp(&c->pid, opt_self, &how, NULL, argv, no_environment);
	posix_spawn_file_actions_destroy(&how);
	if (e != 0)
		lack("posix_spawn", e);
	for (int i = 0; i <= top_fd; i++)
		if (kept[i] & 2)
			shut(i);
	c->life = life;
	nchildren++;
	return c;
}

/* Waits for a child that is about to exit. */
void reap(struct child *c, int killed)
{
	pid_t pid = c->pid;
	int status = -1;

	*c = children[--nchildren];
	expect("waitpid", waitpid(pid, &status, 0), pid);
	if (killed ? !WIFSIGNALED(status) : status != 0)
		bad("status of a child", status);
}

/* Sends the children home and waits for them. */
void dismiss(int by_force)
{
	for (int i = 0; i < nchildren; i++) {
		if (children[i].life >= 0)
			shut(children[i].life);
		if (by_force)
			kill(children[i].pid, SIGKILL);
	}
	while (nchildren > 0 && !by_force)
		reap(&children[nchildren - 1], 0);
	while (nchildren > 0)
		waitpid(children[--nchildren].pid, NULL, 0);
	while (nthreads > 0)
		pthread_join(threads[--nthreads], NULL);
	free(threads);
	threads = NULL;
}

void out_of_time(int sig)
{
	static const char text[] = "fail\t?\t0\ta test took too long\n";

	(void)sig;
	(void)!write(1, text, sizeof text - 1);
	_exit(1);			/* the children see us go           */
}
