// SPDX-License-Identifier: BSD-2-Clause
// Steps with files, directories and memory.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "victim.h"

static char bytes[20000];

static int open_any(void)
{
    static const int flags[] = {O_CREAT, O_CREAT | O_TRUNC, O_CREAT | O_APPEND, O_CREAT | O_EXCL};
    return open(name_of('f'), O_RDWR | flags[chance(4)], 0644);
}

void step_file(void)
{
    const int fd = chance(2) ? open_any() : kept();
    switch (chance(7)) {
    case 0:
        if (ftruncate(fd, chance(50000)))
            break;
        break;
    case 1: {
        void *at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, chance(2) ? MAP_SHARED : MAP_PRIVATE,
                        fd, 0);
        if (at == MAP_FAILED)
            break;
        // What lies behind the end reads as zeroes here.
        memset(at, (int)chance(256), 8192);
        if (chance(2))
            munmap(at, 8192);
        break;
    }
    case 2:
        flock(fd, LOCK_EX | LOCK_NB);
        break;
    case 3:
        lseek(fd, chance(40000), SEEK_SET);
        break;
    case 4:
        if (pread(fd, bytes, chance(sizeof bytes), chance(30000)) < 0)
            break;
        break;
    default:
        fcntl(fd, F_SETFL, O_NONBLOCK);
        if (write(fd, bytes, chance(sizeof bytes)) < 0)
            break;
    }
    if (chance(2))
        keep(dup(fd));
    if (fd >= 0 && chance(3))
        keep(fd);
}

void step_tree(void)
{
    DIR *directory;
    switch (chance(8)) {
    case 0: mkdir(name_of('d'), 0755); break;
    case 1: rmdir(name_of('d')); break;
    case 2: rename(name_of('f'), name_of('f')); break;
    case 3: unlink(name_of('f')); break;
    case 4:
        if (link(name_of('f'), name_of('f')))
            break;
        break;
    case 5:
        if (symlink(name_of('f'), name_of('l')))
            unlink(name_of('l'));
        break;
    case 6:
        mkfifo(name_of('p'), 0644);
        keep(open(name_of('p'), (chance(2) ? O_RDWR : chance(2)) | O_NONBLOCK));
        break;
    default:
        directory = opendir(PLACE);
        if (directory) {
            while (readdir(directory))
                ;
            closedir(directory);
        }
    }
}

void step_memory(void)
{
    const size_t size = 4096 * (1 + chance(40));
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return;
    at[chance((uint32_t)size)] = 1;
    if (chance(2))
        mprotect(at, 4096, PROT_NONE);
    char *moved = mremap(at, size, size + 8192, MREMAP_MAYMOVE);
    if (moved != MAP_FAILED && chance(4))
        munmap(moved, size + 8192);
    free(malloc(chance(300000)));
}
