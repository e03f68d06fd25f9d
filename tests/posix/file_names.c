// SPDX-License-Identifier: BSD-2-Clause
// Names of files: what makes, moves, lists and removes them.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_helpers.h"

CHECK(file_names, create, "O_CREAT makes an empty file with the mode that umask leaves")
{
    in_new_directory();
    const mode_t before = umask(027);
    OK(close(OK(open("a", O_WRONLY | O_CREAT, 0666))));
    umask(before);
    const struct stat st = stat_of("a");
    EXPECT_EQ(st.st_mode, S_IFREG | 0640);
    EXPECT_EQ(st.st_size, 0);
    EXPECT_EQ(st.st_nlink, 1);
}

CHECK(file_names, exclusive, "O_EXCL makes a file or fails with EEXIST, also at a link to nowhere")
{
    in_new_directory();
    OK(close(OK(open("a", O_WRONLY | O_CREAT | O_EXCL, 0600))));
    EXPECT_ERRNO(open("a", O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
    OK(symlink("nowhere", "b"));
    EXPECT_ERRNO(open("b", O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
    EXPECT_ERRNO(access("nowhere", F_OK), ENOENT);
}

CHECK(file_names, create_through_link, "O_CREAT at a link to nowhere makes what it points to")
{
    in_new_directory();
    OK(symlink("there", "link"));
    write_file("link", "x");
    EXPECT_EQ(stat_of("there").st_size, 1);
}

CHECK(file_names, open_errors, "open fails as the kind of the name and the flags demand")
{
    in_new_directory();
    OK(mkdir("d", 0755));
    write_file("f", "x");
    OK(symlink("f", "l"));
    OK(symlink("loop", "loop"));
    EXPECT_ERRNO(open("none", O_RDONLY), ENOENT);
    EXPECT_ERRNO(open("", O_RDONLY), ENOENT);
    EXPECT_ERRNO(open("none/f", O_RDWR | O_CREAT, 0600), ENOENT);
    EXPECT_ERRNO(open("f/x", O_RDONLY), ENOTDIR);
    EXPECT_ERRNO(open("f/", O_RDONLY), ENOTDIR);
    EXPECT_ERRNO(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
    EXPECT_ERRNO(open("d", O_WRONLY), EISDIR);
    EXPECT_ERRNO(open("d", O_RDONLY | O_CREAT, 0600), EISDIR);
    EXPECT_ERRNO(open("new/", O_WRONLY | O_CREAT, 0600), EISDIR);
    EXPECT_ERRNO(open("l", O_RDONLY | O_NOFOLLOW), ELOOP);
    EXPECT_ERRNO(open("loop", O_RDONLY), ELOOP);
    char name[NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    EXPECT_ERRNO(open(name, O_RDWR | O_CREAT, 0600), ENAMETOOLONG);
    name[sizeof name - 2] = '\0';
    OK(open(name, O_RDWR | O_CREAT, 0600));
}

CHECK(file_names, directories, "mkdir and rmdir, and where they fail")
{
    in_new_directory();
    OK(mkdir("d", 0750));
    EXPECT_EQ(stat_of("d").st_mode, S_IFDIR | 0750);
    EXPECT_ERRNO(mkdir("d", 0750), EEXIST);
    EXPECT_ERRNO(mkdir("none/d", 0750), ENOENT);
    EXPECT_ERRNO(mkdir(".", 0750), EEXIST);
    OK(mkdir("d/e/", 0755));
    EXPECT_ERRNO(rmdir("d"), ENOTEMPTY);
    EXPECT_ERRNO(rmdir("d/."), EINVAL);
    EXPECT_ERRNO(rmdir("d/e/.."), ENOTEMPTY);
    EXPECT_ERRNO(unlink("d"), EISDIR);
    OK(rmdir("d/e"));
    OK(rmdir("d"));
    EXPECT_ERRNO(rmdir("d"), ENOENT);
    write_file("f", "");
    EXPECT_ERRNO(rmdir("f"), ENOTDIR);
    EXPECT_ERRNO(mkdir("f", 0755), EEXIST);
    EXPECT_ERRNO(mkdir("f/x", 0755), ENOTDIR);
}

CHECK(file_names, directory_links, "a directory's links are its own two and one for each directory in it")
{
    in_new_directory();
    OK(mkdir("d", 0755));
    EXPECT_EQ(stat_of("d").st_nlink, 2);
    OK(mkdir("d/a", 0755));
    OK(mkdir("d/b", 0755));
    write_file("d/f", "");
    EXPECT_EQ(stat_of("d").st_nlink, 4);
    OK(rename("d/a", "a"));
    EXPECT_EQ(stat_of("d").st_nlink, 3);
    OK(rmdir("d/b"));
    EXPECT_EQ(stat_of("d").st_nlink, 2);
}

CHECK(file_names, hard_links, "link adds a name to the same file; each unlink takes one away")
{
    in_new_directory();
    write_file("a", "text");
    OK(link("a", "b"));
    EXPECT_EQ(stat_of("a").st_ino, stat_of("b").st_ino);
    EXPECT_EQ(stat_of("a").st_nlink, 2);
    write_file("b", "new");
    expect_file("a", "new");
    const int fd = OK(open("b", O_RDONLY));
    OK(unlink("a"));
    EXPECT_EQ(stat_of_fd(fd).st_nlink, 1);
    OK(unlink("b"));
    EXPECT_EQ(stat_of_fd(fd).st_nlink, 0);
    EXPECT_ERRNO(link("b", "c"), ENOENT);
}

CHECK(file_names, hard_link_errors, "link refuses directories, names that are there, and slashes after what is no directory")
{
    in_new_directory();
    write_file("f", "");
    OK(mkdir("d", 0755));
    EXPECT_ERRNO(link("d", "e"), EPERM);
    EXPECT_ERRNO(link("f", "d"), EEXIST);
    EXPECT_ERRNO(link("f", "new/"), ENOENT);
    EXPECT_ERRNO(link("f", "none/x"), ENOENT);
}

CHECK(file_names, unlinked_but_open, "an open file without a name is read and written as before, until it is closed")
{
    in_new_directory();
    const int fd = OK(open("a", O_RDWR | O_CREAT, 0600));
    put(fd, "before ");
    OK(unlink("a"));
    EXPECT_ERRNO(open("a", O_RDONLY), ENOENT);
    put(fd, "after");
    char text[13] = "";
    EXPECT_EQ(pread(fd, text, 12, 0), 12);
    EXPECT(strcmp(text, "before after") == 0);
    write_file("a", "another");
    EXPECT_EQ(stat_of_fd(fd).st_size, 12);
}

CHECK(file_names, unlink_errors, "unlink fails at what is not there and behind slashes")
{
    in_new_directory();
    write_file("f", "");
    EXPECT_ERRNO(unlink("none"), ENOENT);
    EXPECT_ERRNO(unlink("f/"), ENOTDIR);
    EXPECT_ERRNO(unlink("f/x"), ENOTDIR);
    EXPECT_ERRNO(unlink("."), EISDIR);
    EXPECT_ERRNO(unlink(""), ENOENT);
}

CHECK(file_names, symbolic_links, "a symbolic link is followed, and read by readlink and lstat")
{
    in_new_directory();
    OK(mkdir("d", 0755));
    write_file("d/f", "text");
    OK(symlink("d/f", "l"));
    OK(symlink("../l", "d/up"));
    expect_file("l", "text");
    expect_file("d/up", "text");
    char target[16];
    EXPECT_EQ(readlink("l", target, sizeof target), 3);
    EXPECT(memcmp(target, "d/f", 3) == 0);
    EXPECT_EQ(readlink("l", target, 2), 2);
    struct stat st;
    OK(lstat("l", &st));
    EXPECT(S_ISLNK(st.st_mode));
    EXPECT_EQ(st.st_size, 3);
    EXPECT(S_ISREG(stat_of("l").st_mode));
    OK(unlink("l"));
    expect_file("d/f", "text");
    EXPECT_ERRNO(stat("d/up", &st), ENOENT);
}

CHECK(file_names, links_to_directories, "a link to a directory is walked through; only a name's last link can be meant itself")
{
    in_new_directory();
    OK(mkdir("d", 0755));
    write_file("d/f", "text");
    OK(symlink("d", "l"));
    expect_file("l/f", "text");
    expect_file("l/../d/./f", "text");
    EXPECT_ERRNO(rmdir("l"), ENOTDIR);
    EXPECT_ERRNO(unlink("l/"), ENOTDIR);
    OK(symlink("x", "l/made"));
    struct stat st;
    OK(lstat("d/made", &st));
    OK(lstat("l/", &st));
    EXPECT(S_ISDIR(st.st_mode));
    OK(unlink("l"));
}

CHECK(file_names, symbolic_link_errors, "symlink refuses an empty target and a name that is there")
{
    in_new_directory();
    write_file("f", "");
    EXPECT_ERRNO(symlink("", "l"), ENOENT);
    EXPECT_ERRNO(symlink("x", "f"), EEXIST);
    char c;
    EXPECT_ERRNO(readlink("f", &c, 1), EINVAL);
    EXPECT_ERRNO(readlink("none", &c, 1), ENOENT);
    EXPECT_ERRNO(readlink("f", &c, 0), EINVAL);
}

CHECK(file_names, rename_replaces, "rename replaces a file in one step; who has the old one open keeps it")
{
    in_new_directory();
    write_file("old", "old");
    write_file("new", "new one");
    const int fd = OK(open("old", O_RDONLY));
    OK(rename("new", "old"));
    expect_file("old", "new one");
    EXPECT_ERRNO(access("new", F_OK), ENOENT);
    char text[4] = "";
    EXPECT_EQ(read(fd, text, 4), 3);
    EXPECT(strcmp(text, "old") == 0);
    EXPECT_EQ(stat_of_fd(fd).st_nlink, 0);
}

CHECK(file_names, rename_same, "rename of two names of one file does nothing")
{
    in_new_directory();
    write_file("a", "");
    OK(link("a", "b"));
    OK(rename("a", "b"));
    OK(rename("a", "a"));
    EXPECT_EQ(stat_of("a").st_nlink, 2);
}

CHECK(file_names, rename_directories, "rename moves directories with what is in them, over empty ones, not into themselves")
{
    in_new_directory();
    OK(mkdir("a", 0755));
    write_file("a/f", "text");
    OK(mkdir("b", 0755));
    OK(rename("a", "b"));
    expect_file("b/f", "text");
    EXPECT_ERRNO(rename("b", "b/c"), EINVAL);
    OK(mkdir("c", 0755));
    EXPECT_ERRNO(rename("c", "b"), ENOTEMPTY);
    OK(mkdir("b/d", 0755));
    EXPECT_ERRNO(rename("b/d", "b"), ENOTEMPTY);
    write_file("f", "");
    EXPECT_ERRNO(rename("c", "f"), ENOTDIR);
    EXPECT_ERRNO(rename("f", "c"), EISDIR);
    EXPECT_ERRNO(rename("f", "none/f"), ENOENT);
    EXPECT_ERRNO(rename("none", "f"), ENOENT);
    EXPECT_ERRNO(rename(".", "x"), EBUSY);
    EXPECT_ERRNO(rename("f/", "x"), ENOTDIR);
    EXPECT_ERRNO(rename("f", "x/"), ENOTDIR);
    OK(rename("c", "x/"));
    OK(chdir("b/d"));
    char here[PATH_MAX], there[PATH_MAX];
    EXPECT(getcwd(here, sizeof here) != NULL);
    OK(rename("../../b", "../../moved"));
    EXPECT(getcwd(there, sizeof there) != NULL);
    EXPECT(strcmp(here, there) != 0 && strstr(there, "/moved/d") != NULL);
}

CHECK(file_names, rename_flags, "renameat2 can refuse to replace, and exchange")
{
    in_new_directory();
    write_file("a", "a");
    write_file("b", "b");
    EXPECT_ERRNO(renameat2_(AT_FDCWD, "a", AT_FDCWD, "b", 1), EEXIST);
    OK(renameat2_(AT_FDCWD, "a", AT_FDCWD, "c", 1));
    OK(renameat2_(AT_FDCWD, "b", AT_FDCWD, "c", 2));
    expect_file("b", "a");
    expect_file("c", "b");
    EXPECT_ERRNO(renameat2_(AT_FDCWD, "b", AT_FDCWD, "none", 2), ENOENT);
    EXPECT_ERRNO(renameat2_(AT_FDCWD, "b", AT_FDCWD, "c", 3), EINVAL);
}

CHECK(file_names, at_calls, "the calls with directory descriptors start there")
{
    in_new_directory();
    OK(mkdir("d", 0755));
    const int d = OK(open("d", O_RDONLY | O_DIRECTORY));
    OK(mkdirat(d, "e", 0755));
    const int f = OK(openat(d, "f", O_RDWR | O_CREAT, 0644));
    put(f, "text");
    OK(linkat(d, "f", AT_FDCWD, "g", 0));
    OK(symlinkat("f", d, "l"));
    OK(renameat(AT_FDCWD, "g", d, "e/h"));
    expect_file("d/e/h", "text");
    char target[8];
    EXPECT_EQ(readlinkat(d, "l", target, sizeof target), 1);
    struct stat st;
    OK(fstatat(d, "l", &st, AT_SYMLINK_NOFOLLOW));
    EXPECT(S_ISLNK(st.st_mode));
    OK(fstatat(f, "", &st, AT_EMPTY_PATH));
    EXPECT_EQ(st.st_size, 4);
    OK(faccessat(d, "f", R_OK | W_OK, 0));
    OK(unlinkat(d, "f", 0));
    EXPECT_ERRNO(unlinkat(d, "e", 0), EISDIR);
    EXPECT_ERRNO(unlinkat(d, "e", AT_REMOVEDIR), ENOTEMPTY);
    OK(unlinkat(d, "e/h", 0));
    OK(unlinkat(d, "e", AT_REMOVEDIR));
    EXPECT_ERRNO(mkdirat(f, "x", 0755), ENOTDIR);
    EXPECT_ERRNO(unlinkat(d, "l", 0x10000), EINVAL);
}

CHECK(file_names, listing, "readdir gives each name once, also when files are removed on the way")
{
    in_new_directory();
    enum { COUNT = 300 };
    for (int i = 0; i < COUNT; i++) {
        char name[32];
        snprintf(name, sizeof name, "file-with-a-long-name-%d", i);
        write_file(name, "");
    }
    int seen[COUNT] = {0}, count = 0;
    DIR *dir = opendir(".");
    EXPECT(dir != NULL);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        int number;
        if (sscanf(e->d_name, "file-with-a-long-name-%d", &number) != 1)
            continue;
        EXPECT_EQ(e->d_type, DT_REG);
        EXPECT_EQ(e->d_ino, stat_of(e->d_name).st_ino);
        EXPECT_EQ(seen[number]++, 0);
        count++;
        OK(unlink(e->d_name));
    }
    EXPECT_EQ(count, COUNT);
    rewinddir(dir);
    count = 0;
    while (readdir(dir) != NULL)
        count++;
    EXPECT_EQ(count, 2);
    closedir(dir);
}

CHECK(file_names, listing_position, "telldir and seekdir go back to a name")
{
    in_new_directory();
    write_file("a", "");
    write_file("b", "");
    write_file("c", "");
    DIR *dir = opendir(".");
    EXPECT(readdir(dir) != NULL && readdir(dir) != NULL && readdir(dir) != NULL);
    const long at = telldir(dir);
    char name[256];
    snprintf(name, sizeof name, "%s", readdir(dir)->d_name);
    EXPECT(readdir(dir) != NULL);
    seekdir(dir, at);
    EXPECT(strcmp(readdir(dir)->d_name, name) == 0);
    closedir(dir);
}

CHECK(file_names, working_directory, "chdir and fchdir move, getcwd names the place")
{
    in_new_directory();
    char start[PATH_MAX], here[PATH_MAX];
    EXPECT(getcwd(start, sizeof start) != NULL);
    OK(mkdir("d", 0755));
    OK(mkdir("d/e", 0755));
    const int up = OK(open(".", O_RDONLY | O_DIRECTORY));
    OK(chdir("d/e"));
    EXPECT(getcwd(here, sizeof here) != NULL);
    EXPECT_EQ(strlen(here), strlen(start) + 4);
    write_file("f", "text");
    OK(chdir(".."));
    expect_file("e/f", "text");
    OK(fchdir(up));
    expect_file("d/e/f", "text");
    EXPECT_ERRNO(chdir("d/e/f"), ENOTDIR);
    EXPECT_ERRNO(chdir("none"), ENOENT);
    EXPECT_ERRNO(fchdir(OK(open("d/e/f", O_RDONLY))), ENOTDIR);
}

CHECK(file_names, chroot, "the root is changed by nobody without privileges (EPERM), and only to a directory")
{
    in_new_directory();
    write_file("f", "text");
    EXPECT_ERRNO(chroot("none"), ENOENT);
    EXPECT_ERRNO(chroot("f"), ENOTDIR);
    if (geteuid() != 0)
        EXPECT_ERRNO(chroot("."), EPERM);
}

CHECK(file_names, long_paths, "a path of nearly PATH_MAX bytes is walked, a longer one is ENAMETOOLONG")
{
    in_new_directory();
    OK(mkdir("d", 0755));
    write_file("d/f", "text");
    char path[PATH_MAX + 8];
    size_t n = 0;
    while (n + 5 < PATH_MAX - 8)
        n += (size_t)sprintf(path + n, "d/../");
    sprintf(path + n, "d/f");
    expect_file(path, "text");
    while (n < PATH_MAX)
        n += (size_t)sprintf(path + n, "d");
    EXPECT_ERRNO(open(path, O_RDONLY), ENAMETOOLONG);
}

CHECK(file_names, nodes, "mknod makes files and sockets' names; a FIFO is one by stat")
{
    in_new_directory();
    OK(mknod("f", S_IFREG | 0644, 0));
    EXPECT(S_ISREG(stat_of("f").st_mode));
    OK(mkfifo("p", 0600));
    EXPECT(S_ISFIFO(stat_of("p").st_mode));
    OK(mknod("s", S_IFSOCK | 0600, 0));
    EXPECT(S_ISSOCK(stat_of("s").st_mode));
    EXPECT_ERRNO(open("s", O_RDWR), ENXIO);
    EXPECT_ERRNO(mkfifo("p", 0600), EEXIST);
    EXPECT_ERRNO(mkfifo("q/", 0600), ENOENT);
}

CHECK(file_names, temporary, "O_TMPFILE makes a file without a name, which linkat can give one")
{
    in_new_directory();
    const int fd = OK(open(".", O_TMPFILE | O_RDWR, 0600));
    put(fd, "text");
    EXPECT_EQ(stat_of_fd(fd).st_nlink, 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    OK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    OK(close(fd));
    expect_file("named", "text");
    EXPECT_ERRNO(open("none", O_TMPFILE | O_RDWR, 0600), ENOENT);
    EXPECT_ERRNO(open("named", O_TMPFILE | O_RDWR, 0600), ENOTDIR);
    EXPECT_ERRNO(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
}

CHECK(file_names, make_temporary, "mkstemp and mkdtemp make names of their own")
{
    in_new_directory();
    char file[] = "fXXXXXX", directory[] = "dXXXXXX";
    const int fd = OK(mkstemp(file));
    EXPECT_EQ(stat_of_fd(fd).st_mode, S_IFREG | 0600);
    EXPECT(mkdtemp(directory) != NULL);
    EXPECT_EQ(stat_of(directory).st_mode, S_IFDIR | 0700);
    FILE *f = tmpfile();
    EXPECT(f != NULL);
    EXPECT(fputs("x", f) >= 0 && fclose(f) == 0);
}
