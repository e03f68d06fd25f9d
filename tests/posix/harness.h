// SPDX-License-Identifier: BSD-2-Clause
// The harness: how a check is written, and how it fails.
//
//     CHECK(pipe, end_of_file, "a read returns 0 once the writer has closed and all is read")
//     {
//         struct ends p = new_pipe(0);
//         OK(close(p.w));
//         EXPECT_EQ(read(p.r, buffer, 1), 0);
//     }
//
// A check is one function that asserts. The first assertion that does not hold ends it with
// `not ok`. What it opened is closed behind it, so checks do not clean up and cannot disturb
// each other.
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

struct check {
    const char *area;
    const char *name;
    const char *text;
    const char *file;
    int line;
    void (*run)(void);
};

// Defines a check and enters it in the list that main runs: a pointer in a section of its own,
// whose bounds the linker supplies (pointers, because a compiler may pad structures there).
// gcc's own macro; an area's name here.
#undef unix
#define CHECK(area_, name_, text_) CHECK_IN(area_, name_, text_)
#define CHECK_IN(area_, name_, text_)                                                              \
    static void run_##area_##_##name_(void);                                                       \
    static const struct check check_##area_##_##name_ = {                                          \
        #area_, #name_, text_, __FILE__, __LINE__, run_##area_##_##name_};                         \
    static const struct check *const entry_##area_##_##name_                                       \
        __attribute__((used, section("posix_checks"))) = &check_##area_##_##name_;                 \
    static void run_##area_##_##name_(void)

// The program's options.
struct options {
    char *self;       // the program itself, as argv[0] names it
    const char *data; // a regular file with the contents that file.c expects
};
extern struct options options;

// How long a wait may take that ends by itself when all is well. Only a hang meets it: nothing
// here asserts that something is fast.
#define HANG_MS 20000

// Ends the check as failed; `what` is printed with its place.
_Noreturn void fail(const char *file, int line, const char *what, ...)
    __attribute__((format(printf, 3, 4)));

// Ends the check as failed because `what` set errno.
_Noreturn void fail_errno(const char *file, int line, const char *what, int error);

// Ends the check as skipped.
_Noreturn void skip(const char *reason);

// Holds if the condition does.
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail(__FILE__, __LINE__, "%s does not hold", #condition);                              \
    } while (0)

// Holds if two integers are equal.
#define EXPECT_EQ(got, want)                                                                       \
    do {                                                                                           \
        const long long got_ = (long long)(got), want_ = (long long)(want);                        \
        if (got_ != want_)                                                                         \
            fail(__FILE__, __LINE__, "%s is %lld (0x%llx, errno %d), not %s = %lld (0x%llx)",      \
                 #got, got_, (unsigned long long)got_, errno, #want, want_,                        \
                 (unsigned long long)want_);                                                       \
    } while (0)

// Holds if an integer is at least so much.
#define EXPECT_AT_LEAST(got, least)                                                                \
    do {                                                                                           \
        const long long got_ = (long long)(got), least_ = (long long)(least);                      \
        if (got_ < least_)                                                                         \
            fail(__FILE__, __LINE__, "%s is %lld, less than %s = %lld", #got, got_, #least,        \
                 least_);                                                                          \
    } while (0)

// Holds if the call returns -1 and sets exactly this errno.
#define EXPECT_ERRNO(call, error)                                                                  \
    do {                                                                                           \
        errno = 0;                                                                                 \
        const long long got_ = (long long)(call);                                                  \
        const int errno_ = errno;                                                                  \
        if (got_ != -1)                                                                            \
            fail(__FILE__, __LINE__, "%s returned %lld instead of failing with %s", #call, got_,   \
                 #error);                                                                          \
        if (errno_ != (error))                                                                     \
            fail(__FILE__, __LINE__, "%s set errno %d instead of %s (%d)", #call, errno_, #error,  \
                 (error));                                                                         \
    } while (0)

// The call's value; fails the check if that is -1.
#define OK(call)                                                                                   \
    ({                                                                                             \
        __typeof__(call) value_ = (call);                                                          \
        if (value_ == (__typeof__(value_))-1)                                                      \
            fail_errno(__FILE__, __LINE__, #call, errno);                                          \
        value_;                                                                                    \
    })
