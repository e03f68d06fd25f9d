// SPDX-License-Identifier: BSD-2-Clause
// What the C library needs from the machine: floating point, long jumps, streams, the environment.
#define _GNU_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"

CHECK(libc, integers, "printf formats integers of every size")
{
    char text[128];
    snprintf(text, sizeof text, "%d %u %lld %llx %hhd %zu", -1, 4000000000u, (long long)INT64_MIN,
             0xfedcba9876543210ull, (signed char)-5, sizeof text);
    EXPECT(strcmp(text, "-1 4000000000 -9223372036854775808 fedcba9876543210 -5 128") == 0);
}

CHECK(libc, floating_point, "printf and strtod agree on floating point, long double too")
{
    char text[128];
    volatile double third = 1.0 / 3;
    snprintf(text, sizeof text, "%.17g %.3f %e %La", third, 2.5, 1e300, 1.0L);
    EXPECT(strncmp(text, "0.33333333333333331 2.500 1.000000e+300 0x", 42) == 0);
    EXPECT(strtod("0.33333333333333331", NULL) == third);
    EXPECT(strtod("1e400", NULL) == HUGE_VAL);
}

CHECK(libc, floating_point_survives, "floating point registers survive a wait")
{
    volatile double a = 1.25, b = 2.5;
    const double sum = a + b, product = a * b;
    for (int i = 0; i < 20; i++) {
        OK(poll(NULL, 0, 1));
        EXPECT(a + b == sum && a * b == product);
    }
}

CHECK(libc, truncation, "snprintf says how long the text would be and ends it in time")
{
    char text[4] = "xxx";
    volatile size_t size = sizeof text;
    EXPECT_EQ(snprintf(text, size, "%s", "abcdef"), 6);
    EXPECT(strcmp(text, "abc") == 0);
}

CHECK(libc, stream_on_pipe, "streams on a pipe buffer, flush and end")
{
    const struct ends p = new_pipe(0);
    FILE *out = fdopen(p.w, "w"), *in = fdopen(p.r, "r");
    EXPECT(out && in);
    int a = 0, b = 0;
    fprintf(out, "%d %d\n", 12, 34);
    EXPECT_EQ(ready_now(p.r, POLLIN), 0);
    EXPECT_EQ(fflush(out), 0);
    EXPECT_EQ(fscanf(in, "%d %d", &a, &b), 2);
    EXPECT(a == 12 && b == 34);
    EXPECT_EQ(fclose(out), 0);
    EXPECT_EQ(fgetc(in), '\n');
    EXPECT_EQ(fgetc(in), EOF);
    EXPECT_EQ(fclose(in), 0);
}

CHECK(libc, errno_text, "strerror knows the errors")
{
    EXPECT(strcmp(strerror(ENOENT), "No such file or directory") == 0);
    EXPECT(strcmp(strerror(ENOENT), strerror(EAGAIN)) != 0);
}

CHECK(libc, environment, "the environment can be set and asked")
{
    EXPECT(getenv("POSIX_TESTS_NO_SUCH") == NULL);
    OK(setenv("POSIX_TESTS_NO_SUCH", "yes", 1));
    EXPECT(strcmp(getenv("POSIX_TESTS_NO_SUCH"), "yes") == 0);
    OK(unsetenv("POSIX_TESTS_NO_SUCH"));
    EXPECT(getenv("POSIX_TESTS_NO_SUCH") == NULL);
}

CHECK(libc, long_jump, "longjmp returns to its setjmp with its value")
{
    jmp_buf here;
    volatile int steps = 0;
    const int value = setjmp(here);
    steps++;
    if (value < 3)
        longjmp(here, value + 1);
    EXPECT_EQ(steps, 4);
}

static int compare_ints(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

CHECK(libc, sorting, "qsort sorts and bsearch finds")
{
    int numbers[500];
    unsigned seed = 1;
    for (int i = 0; i < 500; i++)
        numbers[i] = (int)((seed = seed * 1103515245 + 12345) >> 16 & 0x7fff);
    const int wanted = numbers[250];
    qsort(numbers, 500, sizeof *numbers, compare_ints);
    for (int i = 1; i < 500; i++)
        EXPECT_AT_LEAST(numbers[i], numbers[i - 1]);
    EXPECT(bsearch(&wanted, numbers, 500, sizeof *numbers, compare_ints) != NULL);
}
