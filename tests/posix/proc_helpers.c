// SPDX-License-Identifier: BSD-2-Clause
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helpers.h"
#include "proc.h"

const char *text_of(const char *path, size_t *size)
{
    static char text[1 << 17];
    const int fd = OK(open(path, O_RDONLY));
    size_t n = 0;
    for (ssize_t got; (got = OK(read(fd, text + n, sizeof text - 1 - n))) > 0; n += (size_t)got)
        ;
    OK(close(fd));
    text[n] = 0;
    if (size)
        *size = n;
    return text;
}

const char *text_of_process(pid_t pid, const char *name, size_t *size)
{
    char path[64];
    if (pid)
        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    else
        snprintf(path, sizeof path, "/proc/self/%s", name);
    return text_of(path, size);
}

long long number_of(const char *text, const char *label)
{
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, label, strlen(label)) == 0)
            return strtoll(line + strlen(label), NULL, 0);
    }
    fail(__FILE__, __LINE__, "no line begins with %s", label);
}

struct process_stat process_stat_of(pid_t pid)
{
    struct process_stat stat;
    memset(&stat, 0, sizeof stat);
    const char *text = text_of_process(pid, "stat", NULL);
    // A name may have parentheses and blanks in it.
    const char *open = strchr(text, '('), *close = strrchr(text, ')');
    EXPECT(open && close && close[1] == ' ');
    stat.pid = atoi(text);
    snprintf(stat.name, sizeof stat.name, "%.*s", (int)(close - open - 1), open + 1);
    stat.state = close[2];
    long long fields[64] = {0};
    stat.fields = 3;
    for (char *at = (char *)close + 3, *end; stat.fields < 64; at = end) {
        const long long value = strtoll(at, &end, 10);
        if (end == at)
            break;
        fields[stat.fields++] = value;
    }
    stat.parent = (int)fields[3];
    stat.group = (int)fields[4];
    stat.session = (int)fields[5];
    stat.user = fields[13];
    stat.system = fields[14];
    stat.threads = fields[19];
    stat.started = fields[21];
    stat.size = fields[22];
    stat.resident = fields[23];
    return stat;
}

int lists(const char *directory, const char *name)
{
    DIR *all = opendir(directory);
    EXPECT(all != NULL);
    int found = 0;
    for (struct dirent *entry; (entry = readdir(all));)
        found |= strcmp(entry->d_name, name) == 0;
    closedir(all);
    return found;
}
