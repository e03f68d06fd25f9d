// SPDX-License-Identifier: BSD-2-Clause
// The program whose start is measured: it starts itself once more, by posix_spawn, and the copy has nothing to do.

#include <spawn.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	pid_t child;
	int status;

	if (argc > 1)
		return 0;
	char *again[] = {argv[0], "again", 0};
	if (posix_spawn(&child, argv[0], 0, 0, again, 0))
		return 1;
	return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
}
