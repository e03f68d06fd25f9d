// SPDX-License-Identifier: BSD-2-Clause
// httpd: serves the files of one folder. The arguments.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server.h"

static const char usage[] =
    "usage: httpd [-p PORT] [-r ROOT] [-c CONNECTIONS] [-t SECONDS]\n"
    "  -p PORT         where to listen (default 8080; 0 chooses one)\n"
    "  -r ROOT         the folder to serve (default /srv/www)\n"
    "  -c CONNECTIONS  how many at once at most (default 4000)\n"
    "  -t SECONDS      how long to wait for a client (default 30)\n";

// A decimal number between the limits, or an exit that says what is wrong.
static unsigned number(char option, const char *text, unsigned least, unsigned most)
{
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < (long)least || value > (long)most) {
        fprintf(stderr, "httpd: -%c takes a number from %u to %u, not \"%s\"\n", option, least,
                most, text);
        exit(2);
    }
    return (unsigned)value;
}

// A connection takes a descriptor, and its answer another. How many connections the process may
// have, of those that are wanted; asks for more descriptors if that takes more.
static unsigned allowed(unsigned wanted)
{
    const rlim_t others = 16;
    const rlim_t need = (rlim_t)wanted * 2 + others;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need)
        return wanted;
    const rlim_t now = limit.rlim_cur;
    limit.rlim_cur = need < limit.rlim_max ? need : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        limit.rlim_cur = now;
    if (limit.rlim_cur >= need)
        return wanted;
    const rlim_t left = limit.rlim_cur > others ? limit.rlim_cur - others : 0;
    const unsigned fewer = left > 2 ? (unsigned)left / 2 : 1;
    fprintf(stderr, "httpd: at most %u connections: the process may have %llu descriptors\n", fewer,
            (unsigned long long)limit.rlim_cur);
    return fewer;
}

int main(int argc, char **argv)
{
    static char root[1024];
    struct settings settings = {
        .port = 8080, .root = "/srv/www", .connections = 4000, .timeout = 30};
    int option;
    while ((option = getopt(argc, argv, "p:r:c:t:h")) != -1) {
        switch (option) {
        case 'p': settings.port = (uint16_t)number('p', optarg, 0, 65535); break;
        case 'r': settings.root = optarg; break;
        case 'c': settings.connections = number('c', optarg, 1, 100000); break;
        case 't': settings.timeout = number('t', optarg, 1, 86400); break;
        case 'h': fputs(usage, stdout); return 0;
        default: fputs(usage, stderr); return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "httpd: unexpected argument \"%s\"\n%s", argv[optind], usage);
        return 2;
    }

    struct stat st;
    if (stat(settings.root, &st) != 0) {
        fprintf(stderr, "httpd: cannot serve %s: %s\n", settings.root, strerror(errno));
        return 1;
    }
    if (!S_ISDIR(st.st_mode)) {
        fprintf(stderr, "httpd: cannot serve %s: not a folder\n", settings.root);
        return 1;
    }
    // A path that is asked for starts with a slash.
    size_t length = strlen(settings.root);
    while (length > 1 && settings.root[length - 1] == '/')
        length--;
    if (length >= sizeof root) {
        fprintf(stderr, "httpd: the name of the folder is too long\n");
        return 1;
    }
    memcpy(root, settings.root, length);
    settings.root = root;
    settings.connections = allowed(settings.connections);
    return serve(&settings);
}
