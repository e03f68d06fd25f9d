// SPDX-License-Identifier: BSD-2-Clause
// A process that is measured from posix_spawn to waitpid: the program starts itself again and again, and waits for each copy,
// which has nothing to do.

#include <spawn.h>
#include <sys/wait.h>

// The last ones find everything as the one before left it.
#define TIMES 8

int main(int argc, char **argv)
{
	char *again[] = {argv[0], "again", 0};
	pid_t child;
	int status;

	if (argc > 1)
		return 0;
	for (int i = 0; i < TIMES; i++) {
		if (posix_spawn(&child, argv[0], 0, 0, again, 0))
			return 1;
		if (waitpid(child, &status, 0) != child || status != 0)
			return 2;
	}
	return 0;
}
