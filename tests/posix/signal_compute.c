// SPDX-License-Identifier: BSD-2-Clause
// Signals to a thread that computes without calling, alternative stacks, and signals of the processor.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "process.h"
#include "thread.h"

static volatile sig_atomic_t caught, caught_in;

static void catches(int number)
{
    caught = number;
    caught_in = (sig_atomic_t)syscall(SYS_gettid);
}

static void handle(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    OK(sigaction(number, &action, NULL));
    caught = caught_in = 0;
}

static void handle_info(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
    OK(sigaction(number, &action, NULL));
    caught = 0;
}

// Computes without a call until a handler has run. The bound is that of a hang.
static void compute(void)
{
    for (volatile uint64_t n = 0; !caught && n < UINT64_C(1) << 36; n++)
        ;
}

static void alarm_soon(void)
{
    const struct itimerval value = {.it_value = {.tv_usec = 3000}};
    OK(setitimer(ITIMER_REAL, &value, NULL));
}

// --- who is reached ---------------------------------------------------------------------------

ROLE(signals_parent)
{
    return kill(getppid(), atoi(arguments[0])) == 0 ? 0 : 1;
}

CHECK(signal, process_reaches_computing, "kill of another process reaches a program that computes")
{
    handle(SIGUSR1, catches, 0);
    const pid_t pid = child("signals_parent", "10", NULL);
    compute();
    EXPECT_EQ(caught, SIGUSR1);
    EXPECT_EQ(ending(pid), 0);
}

ROLE(computes)
{
    for (volatile int n = 0; n >= 0;)
        ;
    return 1;
}

CHECK(signal, default_ends_computing, "SIGTERM, SIGINT and SIGKILL end programs that compute")
{
    const int numbers[] = {SIGTERM, SIGINT, SIGKILL};
    for (size_t i = 0; i < 3; i++) {
        const pid_t pid = child("computes", NULL);
        OK(kill(pid, numbers[i]));
        EXPECT_EQ(ending(pid), 1000 + numbers[i]);
    }
}

static volatile int stop;

static void *spins(void *unused)
{
    (void)unused;
    const sig_atomic_t id = (sig_atomic_t)syscall(SYS_gettid);
    while (!stop)
        ;
    return (void *)(intptr_t)id;
}

CHECK(signal, thread_kill_reaches_computing, "pthread_kill runs the handler in a thread that computes")
{
    handle(SIGUSR1, catches, 0);
    stop = 0;
    pthread_t thread = started(spins, NULL);
    EXPECT_EQ(pthread_kill(thread, SIGUSR1), 0);
    compute();
    stop = 1;
    EXPECT_EQ((intptr_t)joined(thread), caught_in);
}

CHECK(signal, process_signal_finds_computing, "a signal to the process is taken by a computing thread if the others block it")
{
    handle(SIGUSR1, catches, 0);
    stop = 0;
    pthread_t thread = started(spins, NULL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    OK(kill(getpid(), SIGUSR1));
    compute();
    stop = 1;
    const intptr_t id = (intptr_t)joined(thread);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    EXPECT_EQ(caught_in, id);
}

CHECK(signal, blocked_does_not_interrupt, "a blocked signal does not interrupt a computing program")
{
    handle(SIGALRM, catches, 0);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    OK(sigprocmask(SIG_BLOCK, &set, NULL));
    alarm_soon();
    sigset_t waiting;
    const int64_t end = now_ns() + MS(HANG_MS);
    do
        OK(sigpending(&waiting));
    while (!sigismember(&waiting, SIGALRM) && now_ns() < end);
    EXPECT_EQ(caught, 0);
    OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
    EXPECT_EQ(caught, SIGALRM);
}

static void *waits_to_be_cancelled(void *unused)
{
    (void)unused;
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    stop = 1;
    for (volatile int n = 0; n >= 0;)
        ;
    return NULL;
}

CHECK(signal, asynchronous_cancellation, "pthread_cancel ends a thread that computes, if it allows that")
{
    stop = 0;
    pthread_t thread = started(waits_to_be_cancelled, NULL);
    while (!stop)
        sched_yield();
    EXPECT_EQ(pthread_cancel(thread), 0);
    EXPECT(joined(thread) == PTHREAD_CANCELED);
}

// --- what is kept -----------------------------------------------------------------------------

static void spoils(int number)
{
    // Whatever the processor has that is not the handler's by the ABI.
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n movdqa %%xmm0, %%xmm7\n movdqa %%xmm0, %%xmm15\n"
                     "fninit\n fldz\n std\n cld\n xor %%eax, %%eax\n"
                     : : : "xmm0", "xmm7", "xmm15", "rax", "cc");
    catches(number);
}

CHECK(signal, registers_survive, "an interrupted program finds registers, flags, x87, SSE and red zone as they were")
{
    handle(SIGALRM, spoils, 0);
    uint64_t ok = 0;
    const double x87 = 1.5;
    alarm_soon();
    __asm__ volatile(
        "fldl %[x87]\n"
        "mov $0x1122334455667788, %%r8\n movq %%r8, %%xmm0\n movq %%r8, %%xmm15\n"
        "mov $9, %%r9\n mov $10, %%r10\n mov $11, %%r11\n mov $12, %%r12\n mov $13, %%r13\n"
        "mov $14, %%r14\n mov $15, %%r15\n mov $16, %%rsi\n mov $17, %%rdi\n mov $18, %%rdx\n"
        "mov %%r8, -8(%%rsp)\n mov %%r8, -128(%%rsp)\n"
        // Carry is kept by what follows; the loop ends when the handler has run.
        "stc\n"
        "1: mov %[caught], %%eax\n inc %%eax\n dec %%eax\n jz 1b\n"
        "jnc 2f\n"
        "cmp %%r8, -8(%%rsp)\n jne 2f\n cmp %%r8, -128(%%rsp)\n jne 2f\n"
        "movq %%xmm0, %%rax\n cmp %%r8, %%rax\n jne 2f\n movq %%xmm15, %%rax\n cmp %%r8, %%rax\n jne 2f\n"
        "cmp $9, %%r9\n jne 2f\n cmp $10, %%r10\n jne 2f\n cmp $11, %%r11\n jne 2f\n cmp $12, %%r12\n jne 2f\n"
        "cmp $13, %%r13\n jne 2f\n cmp $14, %%r14\n jne 2f\n cmp $15, %%r15\n jne 2f\n"
        "cmp $16, %%rsi\n jne 2f\n cmp $17, %%rdi\n jne 2f\n cmp $18, %%rdx\n jne 2f\n"
        "fcompl %[x87]\n fnstsw %%ax\n sahf\n jne 2f\n"
        "movl $1, %[ok]\n"
        "2:\n"
        : [ok] "+m"(ok)
        : [caught] "m"(caught), [x87] "m"(x87)
        : "rax", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm15", "cc",
          "memory", "st");
    EXPECT_EQ(caught, SIGALRM);
    EXPECT_EQ(ok, 1);
}

static sigjmp_buf escape;

static void leaves(int number)
{
    caught = number;
    siglongjmp(escape, 1);
}

CHECK(signal, longjmp_out_of_computing, "a handler may leave an endless loop by siglongjmp, again and again")
{
    handle(SIGALRM, leaves, 0);
    for (volatile int i = 0; i < 5; i++) {
        caught = 0;
        if (sigsetjmp(escape, 1) == 0) {
            alarm_soon();
            for (volatile int n = 0; n >= 0;)
                ;
        }
        EXPECT_EQ(caught, SIGALRM);
    }
}

// --- the alternative stack --------------------------------------------------------------------

static char other_stack[64 << 10] __attribute__((aligned(16)));
static volatile uintptr_t handler_at;
static volatile int flags_in_handler, errno_in_handler;

static void tells_stack(int number)
{
    char here;
    handler_at = (uintptr_t)&here;
    stack_t stack;
    sigaltstack(NULL, &stack);
    flags_in_handler = stack.ss_flags;
    errno = 0;
    const stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL);
    errno_in_handler = errno;
    caught = number;
}

static int is_other(uintptr_t address)
{
    return address - (uintptr_t)other_stack < sizeof other_stack;
}

static void use_other_stack(void)
{
    const stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
    OK(sigaltstack(&stack, NULL));
}

static void use_no_stack(void)
{
    const stack_t none = {.ss_flags = SS_DISABLE};
    OK(sigaltstack(&none, NULL));
}

CHECK(signal, altstack_used, "a handler with SA_ONSTACK runs on the alternative stack, which is in use then")
{
    use_other_stack();
    handle(SIGUSR1, tells_stack, SA_ONSTACK);
    OK(raise(SIGUSR1));
    EXPECT_EQ(caught, SIGUSR1);
    EXPECT(is_other(handler_at));
    EXPECT_EQ(flags_in_handler, SS_ONSTACK);
    EXPECT_EQ(errno_in_handler, EPERM);
    handle(SIGALRM, tells_stack, SA_ONSTACK);
    alarm_soon();
    compute();
    EXPECT(is_other(handler_at));
    use_no_stack();
}

CHECK(signal, altstack_unused, "a handler without SA_ONSTACK, or without such a stack, runs on the usual one")
{
    use_other_stack();
    handle(SIGUSR1, tells_stack, 0);
    OK(raise(SIGUSR1));
    EXPECT(!is_other(handler_at));
    // The handler could disable it, since it was not in use; its return brings it back.
    EXPECT_EQ(errno_in_handler, 0);
    stack_t stack;
    OK(sigaltstack(NULL, &stack));
    EXPECT_EQ(stack.ss_flags, 0);
    use_no_stack();
    handle(SIGUSR1, tells_stack, SA_ONSTACK);
    OK(raise(SIGUSR1));
    EXPECT(!is_other(handler_at));
    EXPECT_EQ(flags_in_handler, SS_DISABLE);
}

CHECK(signal, altstack_told, "sigaltstack tells what was set")
{
    stack_t stack;
    OK(sigaltstack(NULL, &stack));
    EXPECT_EQ(stack.ss_flags, SS_DISABLE);
    use_other_stack();
    OK(sigaltstack(NULL, &stack));
    EXPECT_EQ(stack.ss_flags, 0);
    EXPECT(stack.ss_sp == other_stack);
    EXPECT_EQ(stack.ss_size, sizeof other_stack);
    use_no_stack();
}

CHECK(signal, altstack_errors, "ENOMEM for a small stack, EINVAL for flags, EFAULT")
{
    // The call itself: C libraries have checks of their own.
    stack_t stack = {.ss_sp = other_stack, .ss_size = 2047};
    EXPECT_ERRNO(syscall(SYS_sigaltstack, &stack, NULL), ENOMEM);
    stack = (stack_t){.ss_sp = other_stack, .ss_size = sizeof other_stack, .ss_flags = 4};
    EXPECT_ERRNO(syscall(SYS_sigaltstack, &stack, NULL), EINVAL);
    EXPECT_ERRNO(syscall(SYS_sigaltstack, (void *)-4096L, NULL), EFAULT);
}

// --- signals of the processor -----------------------------------------------------------------

static siginfo_t received;

static void leaves_with_info(int number, siginfo_t *info, void *context)
{
    caught = number;
    received = *info;
    handler_at = (uintptr_t)&context;
    siglongjmp(escape, 1);
}

CHECK(signal, segv_handler, "a handler of SIGSEGV is told code and address, and may leave")
{
    handle_info(SIGSEGV, leaves_with_info, 0);
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (sigsetjmp(escape, 1) == 0)
        *(volatile char *)(page + 100) = 1;
    EXPECT_EQ(caught, SIGSEGV);
    EXPECT_EQ(received.si_code, SEGV_ACCERR);
    EXPECT(received.si_addr == page + 100);
    OK(munmap(page, 4096));
    caught = 0;
    if (sigsetjmp(escape, 1) == 0)
        *(volatile char *)(page + 8) = 1;
    EXPECT_EQ(caught, SIGSEGV);
    EXPECT_EQ(received.si_code, SEGV_MAPERR);
    EXPECT(received.si_addr == page + 8);
}

static char *volatile guarded;

static void unprotects(int number, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    caught = number;
    mprotect(guarded, 4096, PROT_READ | PROT_WRITE);
}

CHECK(signal, segv_returns, "after a handler that mends the cause the instruction is tried again")
{
    handle_info(SIGSEGV, unprotects, 0);
    guarded = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *(volatile char *)guarded = 7;
    EXPECT_EQ(caught, SIGSEGV);
    EXPECT_EQ(*guarded, 7);
}

static void skips(int number, siginfo_t *info, void *context)
{
    ucontext_t *c = context;
    caught = number;
    received = *info;
    c->uc_mcontext.gregs[REG_RIP] += 2;
    c->uc_mcontext.gregs[REG_RBX] = 0x1234;
}

CHECK(signal, context_can_be_changed, "SIGILL: a handler may skip the instruction and change registers")
{
    handle_info(SIGILL, skips, 0);
    uint64_t changed = 0;
    __asm__ volatile("xor %%ebx, %%ebx\n ud2\n mov %%rbx, %0\n" : "=r"(changed) : : "rbx");
    EXPECT_EQ(caught, SIGILL);
    EXPECT_EQ(received.si_code, ILL_ILLOPN);
    EXPECT_EQ(changed, 0x1234);
}

CHECK(signal, fpe_handler, "SIGFPE: a division by zero")
{
    handle_info(SIGFPE, leaves_with_info, 0);
    volatile int zero = 0;
    if (sigsetjmp(escape, 1) == 0)
        zero = 1234567 / zero;
    EXPECT_EQ(caught, SIGFPE);
    EXPECT_EQ(received.si_code, FPE_INTDIV);
}

static int deeper(volatile char *above)
{
    volatile char here[512];
    here[0] = above ? above[0] : 1;
    // Always, but the compiler need not know.
    return (here[0] ? deeper(here) : 0) + here[0];
}

CHECK(signal, stack_overflow, "a stack that overflows is told of on the alternative one")
{
    use_other_stack();
    handle_info(SIGSEGV, leaves_with_info, SA_ONSTACK);
    if (sigsetjmp(escape, 1) == 0)
        deeper(NULL);
    EXPECT_EQ(caught, SIGSEGV);
    EXPECT(is_other(handler_at));
    use_no_stack();
}

ROLE(faults_blocked)
{
    sigset_t set;
    sigfillset(&set);
    struct sigaction action = {.sa_handler = catches};
    sigaction(SIGSEGV, &action, NULL);
    sigprocmask(SIG_BLOCK, &set, NULL);
    volatile uintptr_t nowhere = 64;
    *(volatile char *)nowhere = 1;
    return 0;
}

ROLE(faults_ignoring)
{
    signal(SIGSEGV, SIG_IGN);
    volatile uintptr_t nowhere = 64;
    *(volatile char *)nowhere = 1;
    return 0;
}

CHECK(signal, faults_cannot_be_hidden, "a fault ends a program that blocks or ignores its signal")
{
    EXPECT_EQ(ending(child("faults_blocked", NULL)), 1000 + SIGSEGV);
    EXPECT_EQ(ending(child("faults_ignoring", NULL)), 1000 + SIGSEGV);
}
