// SPDX-License-Identifier: BSD-2-Clause
// Timers that send signals: alarm, setitimer, timer_create; to programs that wait and to programs that compute.
#define _GNU_SOURCE
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "process.h"
#include "thread.h"

static volatile sig_atomic_t caught;
static siginfo_t received;

static void catches(int number, siginfo_t *info, void *context)
{
    received = *info;
    caught++;
    (void)number;
    (void)context;
}

static void catch_signal(int number)
{
    struct sigaction action = {.sa_sigaction = catches, .sa_flags = SA_SIGINFO};
    OK(sigaction(number, &action, NULL));
    caught = 0;
    memset(&received, 0, sizeof received);
}

static void set_real(int64_t first, int64_t interval)
{
    const struct itimerval value = {
        .it_value = {.tv_sec = first / 1000000, .tv_usec = first % 1000000},
        .it_interval = {.tv_sec = interval / 1000000, .tv_usec = interval % 1000000},
    };
    OK(setitimer(ITIMER_REAL, &value, NULL));
}

// Computes, without a call, until a handler has run so often. The bound is that of a hang.
static void compute_until(int count)
{
    for (volatile uint64_t n = 0; caught < count && n < UINT64_C(1) << 36; n++)
        ;
}

static timer_t new_timer(clockid_t clock, int notify, int number, int value)
{
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = notify;
    event.sigev_signo = number;
    event.sigev_value.sival_int = value;
    timer_t timer;
    OK(timer_create(clock, &event, &timer));
    return timer;
}

static void set_timer(timer_t timer, int flags, int64_t first, int64_t interval)
{
    const struct itimerspec value = {.it_value = timespec_of(first), .it_interval = timespec_of(interval)};
    OK(timer_settime(timer, flags, &value, NULL));
}

// --- alarm and setitimer ----------------------------------------------------------------------

CHECK(timer, alarm_remaining, "alarm returns the seconds that were left, and 0 disarms it")
{
    EXPECT_EQ(alarm(100), 0);
    EXPECT_EQ(alarm(50), 100);
    EXPECT_EQ(alarm(0), 50);
    EXPECT_EQ(alarm(0), 0);
}

CHECK(timer, alarm_ends_a_wait, "SIGALRM ends a wait with EINTR")
{
    catch_signal(SIGALRM);
    const int64_t before = now_ns();
    // Periodic, here and below: if the first comes before the wait, the second ends it.
    set_real(20000, 20000);
    EXPECT_ERRNO(poll(NULL, 0, HANG_MS), EINTR);
    set_real(0, 0);
    EXPECT_AT_LEAST(caught, 1);
    EXPECT_AT_LEAST(now_ns() - before, MS(20));
    EXPECT_EQ(received.si_code, SI_KERNEL);
}

CHECK(timer, alarm_ends_pause, "SIGALRM ends pause, and epoll_wait")
{
    catch_signal(SIGALRM);
    set_real(5000, 5000);
    EXPECT_ERRNO(pause(), EINTR);
    struct epoll_event event;
    EXPECT_ERRNO(epoll_wait(new_epoll(), &event, 1, HANG_MS), EINTR);
    set_real(0, 0);
    EXPECT_AT_LEAST(caught, 2);
}

CHECK(timer, alarm_reaches_computing, "SIGALRM reaches a program that computes without a call")
{
    catch_signal(SIGALRM);
    set_real(5000, 0);
    compute_until(1);
    EXPECT_EQ(caught, 1);
}

CHECK(timer, interval_reaches_computing, "a periodic timer interrupts a computing program again and again")
{
    catch_signal(SIGALRM);
    set_real(2000, 2000);
    compute_until(5);
    set_real(0, 0);
    EXPECT_AT_LEAST(caught, 5);
}

CHECK(timer, alarm_between_calls, "SIGALRM reaches a program that makes calls without waiting")
{
    catch_signal(SIGALRM);
    set_real(5000, 0);
    const int64_t end = now_ns() + MS(HANG_MS);
    while (!caught && now_ns() < end)
        getppid();
    EXPECT_EQ(caught, 1);
}

CHECK(timer, getitimer_tells, "getitimer tells value and interval; setitimer the former ones")
{
    struct itimerval value;
    OK(getitimer(ITIMER_REAL, &value));
    EXPECT_EQ(value.it_value.tv_sec + value.it_value.tv_usec, 0);
    set_real(100 * 1000000, 3000500);
    OK(getitimer(ITIMER_REAL, &value));
    EXPECT_EQ(value.it_interval.tv_sec, 3);
    EXPECT_EQ(value.it_interval.tv_usec, 500);
    EXPECT_AT_LEAST(value.it_value.tv_sec, 90);
    const struct itimerval none = {0};
    OK(setitimer(ITIMER_REAL, &none, &value));
    EXPECT_AT_LEAST(value.it_value.tv_sec, 90);
    OK(getitimer(ITIMER_REAL, &value));
    EXPECT_EQ(value.it_value.tv_sec + value.it_value.tv_usec, 0);
}

CHECK(timer, setitimer_errors, "EINVAL for kinds and times that do not exist")
{
    struct itimerval value = {0};
    EXPECT_ERRNO(setitimer(3, &value, NULL), EINVAL);
    EXPECT_ERRNO(getitimer(3, &value), EINVAL);
    value.it_value.tv_usec = 1000000;
    EXPECT_ERRNO(setitimer(ITIMER_REAL, &value, NULL), EINVAL);
    value.it_value.tv_usec = -1;
    EXPECT_ERRNO(setitimer(ITIMER_REAL, &value, NULL), EINVAL);
}

CHECK(timer, cpu_timers, "ITIMER_VIRTUAL and ITIMER_PROF reach a computing program")
{
    const struct itimerval value = {.it_value = {.tv_usec = 5000}};
    catch_signal(SIGVTALRM);
    OK(setitimer(ITIMER_VIRTUAL, &value, NULL));
    compute_until(1);
    EXPECT_EQ(caught, 1);
    catch_signal(SIGPROF);
    OK(setitimer(ITIMER_PROF, &value, NULL));
    compute_until(1);
    EXPECT_EQ(caught, 1);
}

CHECK(timer, blocked_alarm_waits, "a blocked SIGALRM waits, and signalfd reads it")
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    OK(sigprocmask(SIG_BLOCK, &set, NULL));
    const int fd = OK(signalfd(-1, &set, 0));
    set_real(3000, 0);
    struct signalfd_siginfo info;
    EXPECT_EQ(read(fd, &info, sizeof info), (ssize_t)sizeof info);
    EXPECT_EQ(info.ssi_signo, SIGALRM);
    EXPECT_EQ(info.ssi_code, SI_KERNEL);
    OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
}

CHECK(timer, fork_has_none, "a child by fork has no timers, the parent keeps its")
{
    OK(alarm(100));
    timer_t timer = new_timer(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);
    const pid_t pid = note_child(OK(fork()));
    if (pid == 0) {
        struct itimerspec value;
        _exit(alarm(0) == 0 && timer_gettime(timer, &value) == -1 && errno == EINVAL ? 0 : 1);
    }
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EQ(alarm(0), 100);
    OK(timer_delete(timer));
}

ROLE(alarm_left)
{
    return (int)alarm(0);
}

ROLE(alarms_then_execs)
{
    alarm(100);
    char *again[] = {options.self, "--child", "alarm_left", NULL};
    execv(options.self, again);
    return 1;
}

CHECK(timer, exec_keeps_alarm, "an alarm outlives execve")
{
    EXPECT_EQ(ending(child("alarms_then_execs", NULL)), 100);
}

ROLE(alarms_and_computes)
{
    set_real(3000, 0);
    for (volatile int n = 0; n >= 0;)
        ;
    return 1;
}

CHECK(timer, default_ends_computing, "SIGALRM without a handler ends a program that computes")
{
    EXPECT_EQ(ending(child("alarms_and_computes", NULL)), 1000 + SIGALRM);
}

// --- timer_create -----------------------------------------------------------------------------

CHECK(timer, sends_its_value, "a timer's signal says SI_TIMER and carries its value")
{
    catch_signal(SIGUSR1);
    timer_t timer = new_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 77);
    set_timer(timer, 0, MS(5), 0);
    compute_until(1);
    EXPECT_EQ(received.si_signo, SIGUSR1);
    EXPECT_EQ(received.si_code, SI_TIMER);
    EXPECT_EQ(received.si_value.sival_int, 77);
    EXPECT_EQ(received.si_overrun, 0);
    struct itimerspec value;
    OK(timer_gettime(timer, &value));
    EXPECT_EQ(value.it_value.tv_sec + value.it_value.tv_nsec, 0);
    OK(timer_delete(timer));
}

CHECK(timer, reaches_computing, "a timer reaches a program that computes, by any clock")
{
    const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_PROCESS_CPUTIME_ID,
                                CLOCK_THREAD_CPUTIME_ID};
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        catch_signal(SIGUSR1);
        timer_t timer = new_timer(clocks[i], SIGEV_SIGNAL, SIGUSR1, (int)i);
        set_timer(timer, 0, MS(3), 0);
        compute_until(1);
        EXPECT_EQ(caught, 1);
        EXPECT_EQ(received.si_value.sival_int, (int)i);
        OK(timer_delete(timer));
    }
}

CHECK(timer, absolute, "TIMER_ABSTIME: a time that has passed expires at once, one that comes not early")
{
    catch_signal(SIGUSR1);
    timer_t timer = new_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 0);
    set_timer(timer, TIMER_ABSTIME, 1, 0);
    compute_until(1);
    EXPECT_EQ(caught, 1);
    const int64_t at = now_ns() + MS(10);
    set_timer(timer, TIMER_ABSTIME, at, 0);
    compute_until(2);
    EXPECT_EQ(caught, 2);
    EXPECT_AT_LEAST(now_ns(), at);
    OK(timer_delete(timer));
}

CHECK(timer, overrun, "periods that go by while the signal is blocked are its overrun")
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    OK(sigprocmask(SIG_BLOCK, &set, NULL));
    timer_t timer = new_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 5);
    set_timer(timer, 0, MS(1), MS(1));
    const int64_t end = now_ns() + MS(20);
    while (now_ns() < end)
        ;
    siginfo_t info;
    EXPECT_EQ(sigwaitinfo(&set, &info), SIGUSR1);
    EXPECT_EQ(info.si_code, SI_TIMER);
    EXPECT_AT_LEAST(info.si_overrun, 15);
    EXPECT_AT_LEAST(timer_getoverrun(timer), 15);
    EXPECT_EQ(sigwaitinfo(&set, &info), SIGUSR1);
    OK(timer_delete(timer));
    OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
}

CHECK(timer, deleted_sends_nothing, "a deleted or disarmed timer sends nothing")
{
    catch_signal(SIGUSR1);
    catch_signal(SIGUSR2);
    timer_t deleted = new_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 0);
    timer_t disarmed = new_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 0);
    timer_t last = new_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR2, 9);
    set_timer(deleted, 0, MS(5), 0);
    set_timer(disarmed, 0, MS(5), 0);
    OK(timer_delete(deleted));
    set_timer(disarmed, 0, 0, 0);
    set_timer(last, 0, MS(10), 0);
    compute_until(1);
    EXPECT_EQ(caught, 1);
    EXPECT_EQ(received.si_value.sival_int, 9);
    OK(timer_delete(disarmed));
    OK(timer_delete(last));
}

CHECK(timer, none_only_counts, "SIGEV_NONE: no signal, but the time is told")
{
    timer_t timer = new_timer(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);
    set_timer(timer, 0, MS(1000000), MS(500));
    struct itimerspec value;
    OK(timer_gettime(timer, &value));
    EXPECT_AT_LEAST(value.it_value.tv_sec, 900);
    EXPECT_EQ(value.it_interval.tv_nsec, MS(500));
    OK(timer_delete(timer));
}

CHECK(timer, settime_tells_former, "timer_settime tells the former setting")
{
    timer_t timer = new_timer(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);
    set_timer(timer, 0, MS(100000), MS(7));
    const struct itimerspec none = {0};
    struct itimerspec old;
    OK(timer_settime(timer, 0, &none, &old));
    EXPECT_AT_LEAST(old.it_value.tv_sec, 90);
    EXPECT_EQ(old.it_interval.tv_nsec, MS(7));
    OK(timer_delete(timer));
}

CHECK(timer, default_event, "without an event: SIGALRM, with the timer's id as value")
{
    catch_signal(SIGALRM);
    timer_t timer;
    OK(timer_create(CLOCK_MONOTONIC, NULL, &timer));
    set_timer(timer, 0, MS(2), 0);
    compute_until(1);
    EXPECT_EQ(received.si_signo, SIGALRM);
    EXPECT_EQ(received.si_code, SI_TIMER);
    OK(timer_delete(timer));
}

CHECK(timer, timer_errors, "EINVAL: clocks, signals, kinds and timers that do not exist")
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    int id;
    EXPECT_ERRNO(syscall(SYS_timer_create, 99, &event, &id), EINVAL);
    event.sigev_signo = 65;
    EXPECT_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id), EINVAL);
    event.sigev_signo = 0;
    EXPECT_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id), EINVAL);
    event = (struct sigevent){.sigev_notify = 9, .sigev_signo = SIGUSR1};
    EXPECT_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id), EINVAL);
    const struct itimerspec none = {0}, wrong = {.it_value.tv_nsec = 1000000000};
    EXPECT_ERRNO(syscall(SYS_timer_settime, 123456, 0, &none, NULL), EINVAL);
    EXPECT_ERRNO(syscall(SYS_timer_getoverrun, 123456), EINVAL);
    EXPECT_ERRNO(syscall(SYS_timer_delete, 123456), EINVAL);
    timer_t timer = new_timer(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);
    EXPECT_ERRNO(timer_settime(timer, 0, &wrong, NULL), EINVAL);
    OK(timer_delete(timer));
}

static sem_t told;
static volatile int told_value;

static void tells(union sigval value)
{
    told_value = value.sival_int;
    sem_post(&told);
}

CHECK(timer, thread_notification, "SIGEV_THREAD: a function runs in a thread of its own")
{
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD;
    event.sigev_notify_function = tells;
    event.sigev_value.sival_int = 42;
    sem_init(&told, 0, 0);
    timer_t timer;
    OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
    set_timer(timer, 0, MS(2), MS(2));
    for (int i = 0; i < 3; i++)
        OK(sem_wait(&told));
    EXPECT_EQ(told_value, 42);
    OK(timer_delete(timer));
}
