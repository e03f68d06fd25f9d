// SPDX-License-Identifier: BSD-2-Clause
// holder PORT PROGRAM ARGUMENT...: listens on PORT and goes on as PROGRAM. So that port is taken in the guest, as redis's tests take it on the machine that they
// believe redis to be on.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: holder PORT PROGRAM ARGUMENT...\n");
		return 2;
	}
	struct sockaddr_in name = {
		.sin_family = AF_INET,
		.sin_port = htons(atoi(argv[1])),
		.sin_addr.s_addr = htonl(INADDR_ANY),
	};
	int held = socket(AF_INET, SOCK_STREAM, 0);
	if (held == -1 || bind(held, (struct sockaddr *)&name, sizeof name) == -1 || listen(held, 1) == -1) {
		perror("holder: cannot listen");
		return 1;
	}
	execv(argv[2], argv + 2);
	perror("holder: cannot execute");
	return 1;
}
