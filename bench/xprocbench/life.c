// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include "xprocbench.h"

#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

void r_nothing(long unused, long unused2)
{
	(void)unused;
	(void)unused2;
}

/* The whole, and its two halves: until posix_spawn() returns (the child may
 * by then have done little or much), and from there until it is reaped. */
void t_spawn(const char *name, long n)
{
	enum { OPS = 4 };
	struct series s[3] = { 0 };
	char full[64];

	for (int b = -1; b < opt_batches; b++) {
		uint64_t start = 0, wait = 0;
		struct batch all;

		begin(&all);
		for (int i = 0; i < OPS; i++) {
			uint64_t t = now(), u;

			spawn("@nothing", 0, 0, -1, NULL, 0);
			u = now();
			reap(&children[0], 0);
			start += u - t;
			wait += now() - u;
		}
		end(&all);
		all.t = start + wait - (2 * OPS - 1) * clock_cost;
		if (b < 0)
			continue;
		enter(&s[0], &all, OPS);
		sample(&s[1], start, OPS, OPS);
		sample(&s[2], wait, OPS, OPS);
	}
	report(name, n, "spawn", &s[0]);
	snprintf(full, sizeof full, "%s.start", name);
	report(full, n, "spawn", &s[1]);
	snprintf(full, sizeof full, "%s.wait", name);
	report(full, n, "spawn", &s[2]);
}

/* Says that it is there, waits, says what time it is, and dies. */
void r_mortal(long unused, long unused2)
{
	uint64_t word;

	(void)unused;
	(void)unused2;
	put(ROLE_FD, 1);
	if (!told(LIFE, &word))
		return;
	put(ROLE_FD, now());
	_exit(0);
}

/*
 * How long after a death does the parent hear of it?
 *
 *   pidfd   from the child's last reading of the clock (it writes that to a
 *           pipe and calls _exit; the write is included) until epoll reports
 *           its pidfd
 *   eof     the same, until epoll reports that a pipe the child held open has
 *           no writer any more, for systems without pidfds
 *   kill    from the parent's kill(SIGKILL) of the waiting child until epoll
 *           reports its pidfd
 *   reap    waitpid() afterwards
 */
enum death { PIDFD, END_OF_FILE, KILL, REAP };

void t_exit_by(const char *name, long n, enum death how)
{
	struct series s = { .n = 0 };

	for (int b = -1; b < opt_batches; b++) {
		int go[2], tell[2], hold[2], epfd = new_epoll(), pidfd = -1;
		struct epoll_event ev[MAX_READY];
		struct child *c;
		uint64_t t, u;

		new_pipe(go);
		new_pipe(tell);
		new_pipe(hold);
		c = spawn("@mortal", 0, 0, go[1],
		          (int[]){ go[0], tell[1], hold[1] }, 3);
#ifdef SYS_pidfd_open
		if (how != END_OF_FILE)
			pidfd = keep("pidfd_open", (int)syscall(SYS_pidfd_open,
			                                       c->pid, 0));
#else
		if (how != END_OF_FILE)
			lack("pidfd_open", ENOSYS);
#endif
		watch(epfd, how == END_OF_FILE ? hold[0] : pidfd, 0);
		get(tell[0]);
		t = now();
		if (how == KILL)
			expect("kill", kill(c->pid, SIGKILL), 0);
		else
			put(go[1], 1);
		expect("epoll_wait", await(epfd, ev), 1);
		u = now();
		if (how != KILL)
			t = get(tell[0]);
		shut(go[1]);
		if (how == REAP)
			t = now();
		reap(c, how == KILL);
		if (how == REAP)
			u = now();
		shut(tell[0]);
		shut(hold[0]);
		shut(epfd);
		if (pidfd >= 0)
			shut(pidfd);
		if (b >= 0)
			sample(&s, u - t, 1, 1);
	}
	report(name, n, "exit", &s);
}

void t_exit_pidfd(const char *name, long n)
{
	t_exit_by(name, n, PIDFD);
}

void t_exit_eof(const char *name, long n)
{
	t_exit_by(name, n, END_OF_FILE);
}

void t_exit_kill(const char *name, long n)
{
	t_exit_by(name, n, KILL);
}

void t_exit_reap(const char *name, long n)
{
	t_exit_by(name, n, REAP);
}
