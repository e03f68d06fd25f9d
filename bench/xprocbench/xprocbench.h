// SPDX-License-Identifier: BSD-2-Clause
/* What the parts of xprocbench know of each other. */
#ifndef XPROCBENCH_H
#define XPROCBENCH_H

#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>
#include <unistd.h>

#include "../measure/measure.h"

enum {
	MAX_CHILDREN = 1024,
	MAX_FD       = 65536,
	HOLDERS      = 4,	/* processes that hold the pipes of xidle   */

	LIFE         = 3,	/* a child's line to its parent             */
	ROLE_FD      = 4,	/* the first of its other descriptors       */
};

#define MUTE UINT64_MAX		/* releases a producer without an event     */

/* ---------------------------------------------------------- descriptors -- */

/*
 * Every descriptor a test opens is kept, and closed by shut_all() when the test is over,
 * however it ended. All of them are close-on-exec, so a child has those that spawn() hands
 * it and no others: only then does a closed pipe reach end of file.
 */
extern unsigned char kept[MAX_FD];
extern int           top_fd;

int  keep(const char *what, int fd);
void shut(int fd);
void shut_all(void);
void new_pipe(int fd[2]);
void new_socketpair(int fd[2]);
int  new_epoll(void);

static inline void watch(int epfd, int fd, uint64_t id)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = id };
	expect("epoll_ctl", epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev), 0);
}

/* Waits for ever; returns how many events there are, at least one. */
static inline int await(int epfd, struct epoll_event ev[MAX_READY])
{
	int r = epoll_wait(epfd, ev, MAX_READY, -1);
	if (r <= 0)
		bad("epoll_wait", r);
	waits++;
	return r;
}

/* All pipes here carry words of eight bytes. */
static inline void put(int fd, uint64_t word)
{
	expect("write", write(fd, &word, 8), 8);
}

static inline uint64_t get(int fd)
{
	uint64_t word;
	expect("read", read(fd, &word, 8), 8);
	return word;
}

/* The next word a child is sent, or false when it is time to exit. */
static inline int told(int fd, uint64_t *word)
{
	ssize_t r = read(fd, word, 8);

	if (r != 0 && r != 8)
		bad("read", r);
	return r == 8;
}

/* ------------------------------------------------- children and threads -- */

struct child {
	pid_t pid;
	int   life;			/* our end of its line, or -1       */
};

extern struct child children[MAX_CHILDREN];
extern int          nchildren;
extern pthread_t   *threads;		/* joined when the children are gone */
extern long         nthreads;
extern const char  *opt_self;		/* where this program is            */

struct child *spawn(const char *role, long a, long b, int life, const int *fd, int n);
void reap(struct child *c, int killed);
void dismiss(int by_force);
void out_of_time(int sig);

/* ------------------------------------------------------ tests and roles -- */

/* Each with its name, and the number of producers, connections or pipes. */
typedef void test_fn(const char *name, long n);

test_fn t_pp_read, t_pp_epoll, t_pp_poll;
test_fn t_unix, t_tcp;
test_fn t_release, t_direct, t_broker, t_brokerv, t_threads;
test_fn t_idle_epoll, t_idle_poll;
test_fn t_spawn, t_exit_pidfd, t_exit_eof, t_exit_kill, t_exit_reap;
test_fn t_fdpass;

/* What a child does, with the two numbers of its arguments. */
typedef void role_fn(long a, long b);

role_fn r_nothing, r_pong, r_unix_server, r_tcp_server, r_producer, r_broker, r_mortal,
        r_passer;

#endif
