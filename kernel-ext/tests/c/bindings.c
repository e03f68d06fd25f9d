/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A root task in C: the queue through the C bindings that are generated from
 * the interface XML. It says in TAP on the serial port what it found.
 */

#include <sel4/sel4.h>

#define COOKIE 0x1234567890abcdef
/* The badge of a poll: what it comes from, and how many entries */
#define FROM_QUEUE (1ul << 63)
/* The first words of a buffer are not for entries. */
#define HEADER_WORDS 8

#define PAGE_BITS 12
#define SERIAL 0x3f8
#define SERIAL_STATUS 0x3fd
#define SERIAL_READY 0x20
/* Ends QEMU. */
#define EXIT 0xf4

/* Where the image begins: so says the linker. */
extern const char __executable_start[];

static volatile seL4_Word buffer[512] __attribute__((aligned(1 << PAGE_BITS)));

static int tests;
static int failures;

static void put(char c)
{
    while (!(seL4_X86_IOPort_In8(seL4_CapIOPort, SERIAL_STATUS).result & SERIAL_READY));
    seL4_X86_IOPort_Out8(seL4_CapIOPort, SERIAL, c);
}

static void print(const char *text)
{
    while (*text) {
        put(*text++);
    }
}

static void check(int good, const char *what)
{
    tests++;
    failures += !good;
    print(good ? "ok " : "not ok ");
    put('0' + tests);
    print(" - ");
    print(what);
    put('\n');
}

/* Makes an object in the next empty slot; 0 if there is no memory for it. */
static seL4_CPtr make(seL4_BootInfo *info, seL4_Word type)
{
    seL4_Word count = info->untyped.end - info->untyped.start;

    for (seL4_Word i = 0; i < count; i++) {
        if (!info->untypedList[i].isDevice
                && seL4_Untyped_Retype(info->untyped.start + i, type, 0, seL4_CapInitThreadCNode,
                                       0, 0, info->empty.start, 1) == seL4_NoError) {
            return info->empty.start++;
        }
    }
    return 0;
}

/* The linker's entry, with the stack aligned as for a function that is called */
void start(seL4_BootInfo *info) __attribute__((noreturn, force_align_arg_pointer));
void start(seL4_BootInfo *info)
{
    seL4_CPtr notification = make(info, seL4_NotificationObject);
    seL4_NotificationQueue queue = make(info, seL4_NotificationQueueObject);
    seL4_Word page = ((seL4_Word)buffer - (seL4_Word)__executable_start) >> PAGE_BITS;
    seL4_CPtr frame = info->userImageFrames.start + page;
    seL4_Word badge;

    print("TAP version 13\n1..8\n");
    check(notification && queue, "a notification and a queue are made");
    check(seL4_NotificationQueue_Attach(queue, notification, COOKIE) == seL4_NotEnoughMemory,
          "nothing is attached without a buffer");
    check(seL4_NotificationQueue_SetBuffer(queue, frame) == seL4_NoError, "SetBuffer");
    check(seL4_NotificationQueue_Attach(queue, notification, COOKIE) == seL4_NoError, "Attach");
    seL4_Signal(notification);
    check(buffer[0] == 1, "the tail is the kernel's");
    seL4_Poll(queue, &badge);
    check(badge == (FROM_QUEUE | 1) && seL4_GetMR(0) == 0, "one entry is collected");
    check(buffer[HEADER_WORDS] == COOKIE, "the entry is the cookie");
    check(seL4_NotificationQueue_Detach(queue, notification) == seL4_NoError
          && seL4_NotificationQueue_Detach(queue, notification) == seL4_IllegalOperation,
          "Detach, once");
    for (;;) {
        seL4_X86_IOPort_Out8(seL4_CapIOPort, EXIT, failures);
    }
}

/* The first instruction: the kernel hands over the boot information in rdi. There is no stack yet. */
static char stack[1 << 14] __attribute__((aligned(16), used));
__asm__(".globl _start\n_start: lea stack + (1 << 14), %rsp\n call start\n");
