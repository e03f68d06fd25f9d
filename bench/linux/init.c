// SPDX-License-Identifier: BSD-2-Clause
/*
 * /init of the Linux that is measured: sets up what the benchmarks need, runs the program
 * that the kernel's command line names, and powers off.
 *
 *     bench=PROGRAM:ARG:ARG…
 */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_ARGS = 32 };

/* The loopback interface is there, but down. */
static void loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	request.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		perror("# lo");
	close(fd);
}

static void run(char *line)
{
	static char *empty[] = { NULL };
	char *argv[MAX_ARGS + 1];
	int n = 0, status = 0;

	for (char *p = strtok(line, ":"); p != NULL && n < MAX_ARGS; p = strtok(NULL, ":"))
		argv[n++] = p;
	argv[n] = NULL;
	pid_t pid = fork();
	if (pid == 0) {
		execve(argv[0], argv, empty);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	printf("# status %d\n", status);
}

int main(void)
{
	static char text[4096];
	struct rlimit files = { 32768, 32768 };
	FILE *f;

	if (mount("proc", "/proc", "proc", 0, NULL) < 0)
		perror("# /proc");
	loopback_up();
	setrlimit(RLIMIT_NOFILE, &files);
	f = fopen("/proc/version", "r");
	if (f != NULL && fgets(text, sizeof text, f) != NULL)
		printf("# %s", text);
	f = fopen("/proc/cmdline", "r");
	if (f != NULL && fgets(text, sizeof text, f) != NULL) {
		text[strcspn(text, "\n")] = '\0';
		printf("# cmdline %s\n", text);
		char *line = strstr(text, "bench=");
		fflush(stdout);
		if (line != NULL) {
			line += strlen("bench=");
			line[strcspn(line, " ")] = '\0';
			run(line);
		}
	}
	fflush(stdout);
	sleep(1);		/* until the console has sent it all */
	reboot(RB_POWER_OFF);
	return 1;
}
