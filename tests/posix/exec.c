// SPDX-License-Identifier: BSD-2-Clause
// Executing files that were written: copies of this program, scripts, and what is neither.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file_helpers.h"
#include "harness.h"
#include "helpers.h"
#include "proc.h"
#include "process.h"

extern char **environ;

// Copies the first `size` bytes of this program to `path`, executable. Nobody has it open for writing afterwards.
static void copy_program(const char *path, size_t size)
{
    static char block[1 << 16];
    const int from = OK(open(options.self, O_RDONLY));
    const int to = OK(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755));
    while (size > 0) {
        const ssize_t n = OK(read(from, block, size < sizeof block ? size : sizeof block));
        if (n == 0)
            break;
        EXPECT_EQ(write(to, block, n), n);
        size -= n;
    }
    OK(fchmod(to, 0755));
    OK(close(from));
    OK(close(to));
}

// A new directory with a copy of this program, "prog". Its path must not depend on the directory.
static void in_directory_with_program(void)
{
    if (options.self[0] != '/') {
        // Only on Linux, where it may have been started from its folder.
        static char self[4096];
        char *const whole = realpath(options.self, NULL);
        EXPECT(whole != NULL);
        snprintf(self, sizeof self, "%s", whole);
        free(whole);
        options.self = self;
    }
    in_new_directory();
    copy_program("prog", (size_t)-1);
}

static void write_script(const char *path, const char *text)
{
    write_file(path, text);
    OK(chmod(path, 0755));
}

// How a program ends that is run with these arguments; 2000 + errno if it is not started.
static int run(const char *path, const char *first, const char *second, const char *third)
{
    char *arguments[] = {(char *)path, (char *)first, (char *)second, (char *)third, NULL};
    pid_t pid;
    const int error = posix_spawn(&pid, path, NULL, NULL, arguments, environ);
    if (error)
        return 2000 + error;
    return ending(note_child(pid));
}

// The same by fork and execve: the errno as exit status.
static int run_by_exec(const char *path, const char *first, const char *second, const char *third)
{
    char *arguments[] = {(char *)path, (char *)first, (char *)second, (char *)third, NULL};
    const pid_t pid = fork();
    if (pid == 0) {
        execv(path, arguments);
        _exit(errno);
    }
    return ending(note_child(OK(pid)));
}

// Holds if neither way starts it, both with this errno.
#define EXPECT_NOT_RUN(path, error)                                                                \
    do {                                                                                           \
        EXPECT_EQ(run(path, NULL, NULL, NULL), 2000 + (error));                                    \
        EXPECT_EQ(run_by_exec(path, NULL, NULL, NULL), (error));                                   \
    } while (0)

CHECK(exec, copied, "a program that was copied runs, by posix_spawn and by execve")
{
    in_directory_with_program();
    EXPECT_EQ(run("./prog", "--child", "exits", "7"), 7);
    EXPECT_EQ(run("prog", "--child", "exits", "8"), 8);
    EXPECT_EQ(run_by_exec("prog", "--child", "exits", "9"), 9);
    OK(symlink("prog", "other"));
    EXPECT_EQ(run("other", "--child", "exits", "10"), 10);
    OK(mkdir("d", 0755));
    OK(rename("prog", "d/moved"));
    EXPECT_EQ(run("d/moved", "--child", "exits", "11"), 11);
}

ROLE(runs_itself)
{
    execl("/proc/self/exe", "again", "--child", "exits", arguments[0], (char *)NULL);
    return errno;
}

CHECK(exec, itself, "/proc/self/exe is executed as the program that it leads to, written or not; an open file by /proc/self/fd")
{
    EXPECT_EQ(run("/proc/self/exe", "--child", "exits", "3"), 3);
    in_directory_with_program();
    EXPECT_EQ(run("./prog", "--child", "runs_itself", "4"), 4);
    const int fd = OK(open("prog", O_RDONLY));
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    EXPECT_EQ(run(path, "--child", "exits", "5"), 5);
}

CHECK(exec, permission, "a file is executed only with an x bit, and only if it is a file")
{
    in_directory_with_program();
    OK(chmod("prog", 0644));
    EXPECT_NOT_RUN("prog", EACCES);
    OK(chmod("prog", 0100));
    EXPECT_EQ(run("prog", "--child", "exits", "3"), 3);
    EXPECT_NOT_RUN("missing", ENOENT);
    OK(mkdir("d", 0755));
    EXPECT_NOT_RUN("d", EACCES);
    EXPECT_NOT_RUN("prog/x", ENOTDIR);
    OK(mkfifo("f", 0755));
    EXPECT_NOT_RUN("f", EACCES);
}

ROLE(waits_for_end)
{
    // Touches the program again after its file is gone: what is told is what the parent reads.
    char byte;
    if (write(1, "r", 1) != 1 || read(0, &byte, 1) != 0)
        return 1;
    static char text[64];
    snprintf(text, sizeof text, "%d%s%f", 40, "x", 2.5);
    return strcmp(text, "40x2.500000") == 0 ? 42 : 2;
}

CHECK(exec, removed_while_it_runs, "a program goes on when its file is removed and another one takes its name")
{
    in_directory_with_program();
    struct ends to = new_pipe(O_CLOEXEC), from = new_pipe(O_CLOEXEC);
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(to.r, 0);
        dup2(from.w, 1);
        execl("prog", "prog", "--child", "waits_for_end", (char *)NULL);
        _exit(99);
    }
    note_child(OK(pid));
    char byte;
    OK(close(to.r));
    get(from.r, &byte, 1);
    OK(unlink("prog"));
    write_script("prog", "no program");
    EXPECT_NOT_RUN("prog", ENOEXEC);
    OK(close(to.w));
    EXPECT_EQ(ending(pid), 42);
}

CHECK(exec, forks, "a program from a written file can fork, and its child goes on after its end")
{
    in_directory_with_program();
    struct ends p = new_pipe(0);
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(p.w, 1);
        close(p.w);
        execl("prog", "prog", "--child", "leaves_a_child", (char *)NULL);
        _exit(99);
    }
    note_child(OK(pid));
    OK(close(p.w));
    EXPECT_EQ(ending(pid), 0);
    OK(unlink("prog"));
    char got[6] = "";
    get(p.r, got, 5);
    EXPECT(strcmp(got, "child") == 0);
    EXPECT_EQ(read(p.r, got, 1), 0);
}

ROLE(leaves_a_child)
{
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
        while (getppid() == parent)
            sched_yield();
        return write(1, "child", 5) != 5;
    }
    return pid < 0;
}

CHECK(exec, scripts, "a script is run by the interpreter of its first line, with one argument of it and its own")
{
    in_directory_with_program();
    char *const directory = getcwd(NULL, 0);
    char line[4096];
    EXPECT(directory != NULL);
    // The program finds the role's name where the script's path is.
    snprintf(line, sizeof line, "#!%s/prog --child\nwhatever\n", directory);
    write_script("exits", line);
    EXPECT_EQ(run("exits", "5", NULL, NULL), 5);
    EXPECT_EQ(run_by_exec("exits", "6", NULL, NULL), 6);
    // Blanks around it, and no newline.
    snprintf(line, sizeof line, "#! \t%s/prog   --child \t\n", directory);
    write_script("exits", line);
    EXPECT_EQ(run("exits", "7", NULL, NULL), 7);
    snprintf(line, sizeof line, "#!%s/prog --child", directory);
    write_script("exits", line);
    EXPECT_EQ(run("exits", "17", NULL, NULL), 17);
    // An interpreter by a relative path, and one that is a script itself.
    write_script("exits", "#!prog --child\n");
    EXPECT_EQ(run("exits", "8", NULL, NULL), 8);
    write_script("outer", "#!exits 9\n");
    EXPECT_EQ(run("outer", NULL, NULL, NULL), 9);
    free(directory);
}

CHECK(exec, script_arguments, "an interpreter gets its name, its one argument, the script's path, and the arguments behind argv[0]")
{
    in_directory_with_program();
    write_script("compares_script", "#!prog --child\n");
    char *arguments[] = {"replaced", "one", "two words", "", NULL};
    pid_t pid;
    EXPECT_EQ(posix_spawn(&pid, "./../" "compares_script", NULL, NULL, arguments, environ), ENOENT);
    EXPECT_EQ(posix_spawn(&pid, "compares_script", NULL, NULL, arguments, environ), 0);
    EXPECT_EQ(ending(note_child(pid)), 0);
}

ROLE(compares_script)
{
    const char *const want[] = {"one", "two words", "", NULL};
    for (int i = 0; i < 4; i++)
        if (!arguments[i] != !want[i] || (want[i] && strcmp(arguments[i], want[i]) != 0))
            return i + 1;
    return 0;
}

CHECK(exec, names, "a program is called as it was asked for: by the name of a link or a script, wherever it leads")
{
    in_directory_with_program();
    const char *const link = "./called_otherwise_than_it_is";
    OK(symlink("prog", link));
    char *arguments[] = {"whatever", "--child", "is_called", "called_otherwis", (char *)link, NULL};
    pid_t pid;
    EXPECT_EQ(posix_spawn(&pid, link, NULL, NULL, arguments, environ), 0);
    EXPECT_EQ(ending(note_child(pid)), 0);
    pid = note_child(OK(fork()));
    if (pid == 0) {
        execv(link, arguments);
        _exit(errno);
    }
    EXPECT_EQ(ending(pid), 0);
    write_script("is_called", "#!prog --child\n");
    EXPECT_EQ(run("is_called", "is_called", "is_called", NULL), 0);
}

// Arguments: name of the thread, AT_EXECFN.
ROLE(is_called)
{
    char name[16];
    if (prctl(PR_GET_NAME, name) != 0 || strcmp(name, arguments[0]) != 0)
        return 1;
    if (strcmp(process_stat_of(0).name, arguments[0]) != 0)
        return 2;
    return strcmp((const char *)getauxval(AT_EXECFN), arguments[1]) ? 3 : 0;
}

CHECK(exec, bad_scripts, "a script without interpreter is ENOEXEC; what is wrong with the interpreter is its own error")
{
    in_directory_with_program();
    write_script("s", "#!\nexit 0\n");
    EXPECT_NOT_RUN("s", ENOEXEC);
    write_script("s", "#!/missing/interpreter\n");
    EXPECT_NOT_RUN("s", ENOENT);
    write_script("s", "#!/\n");
    EXPECT_NOT_RUN("s", EACCES);
    OK(chmod("prog", 0644));
    write_script("s", "#!prog\n");
    EXPECT_NOT_RUN("s", EACCES);
    write_script("s", "#!s\n");
    EXPECT_NOT_RUN("s", ELOOP);
    OK(chmod("s", 0644));
    EXPECT_NOT_RUN("s", EACCES);
}

CHECK(exec, no_programs, "what is neither program nor script is ENOEXEC: text, nothing, parts of a program")
{
    in_directory_with_program();
    write_script("t", "echo hello\n");
    EXPECT_NOT_RUN("t", ENOEXEC);
    write_script("t", "");
    EXPECT_NOT_RUN("t", ENOEXEC);
    write_script("t", "#");
    EXPECT_NOT_RUN("t", ENOEXEC);
    write_script("t", "\177ELF");
    EXPECT_NOT_RUN("t", ENOEXEC);
    copy_program("t", 40);
    EXPECT_NOT_RUN("t", ENOEXEC);
    copy_program("t", (size_t)-1);
    const int fd = OK(open("t", O_WRONLY));
    // e_machine: no processor has this number.
    EXPECT_EQ(pwrite(fd, "\377\377", 2, 18), 2);
    OK(close(fd));
    EXPECT_NOT_RUN("t", ENOEXEC);
}

CHECK(exec, damaged, "of damaged programs none harms more than itself")
{
    in_directory_with_program();
    // Headers and their sizes, a byte each; what comes of it is the file's own affair.
    for (int at = 4; at < 64 + 56; at++) {
        copy_program("t", 1 << 14);
        const int fd = OK(open("t", O_WRONLY));
        EXPECT_EQ(pwrite(fd, "\376", 1, at), 1);
        OK(close(fd));
        run("./t", "--child", "exits", "1");
    }
    EXPECT_EQ(run("prog", "--child", "exits", "12"), 12);
}

CHECK(exec, memory_comes_back, "what a written program took comes back with its last process")
{
    in_directory_with_program();
    long before = 0;
    for (int i = 0; i < 12; i++) {
        EXPECT_EQ(run("prog", "--child", "exits", "1"), 1);
        struct sysinfo info;
        OK(sysinfo(&info));
        // The first rounds fill caches.
        if (i == 4)
            before = info.freeram;
        if (i > 4 && on_sel4())
            EXPECT_EQ(info.freeram, before);
    }
}
