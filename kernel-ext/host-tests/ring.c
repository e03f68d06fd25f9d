/* SPDX-License-Identifier: GPL-2.0-only */

/*
 * The kernel's side of a notification queue, for the host: nqring.h, with the
 * least around it that makes it move. Reads operations, one a line, and prints
 * what each did:
 *
 *   a I    attach notification I             -> "ok" or "full"
 *   s I    signal notification I             -> nothing
 *   d I    detach notification I             -> nothing
 *   c      collect                           -> COUNT FIRST, the run that was
 *                                               collected before as it is now,
 *                                               and the run collected now
 *
 * The cookie of notification I is I. Argument: bits of the buffer.
 */

#include <stdio.h>
#include <stdlib.h>

#include "nqring.h"

#define NOTIFICATIONS 1024

static nq_word_t position[NOTIFICATIONS];
static nq_word_t buffer[1ul << (NQ_LARGE_BITS - 3)];
static nq_ring_t ring;

static void print_run(nq_word_t first, nq_word_t count, nq_word_t bits)
{
    nq_word_t n;

    printf(" %lu:", count);
    for (n = first; n < first + count; n++) {
        printf(" %lu", buffer[nqEntryWord(n, bits)]);
    }
}

int main(int argc, char **argv)
{
    nq_word_t bits = argc > 1 ? strtoul(argv[1], NULL, 10) : NQ_SMALL_BITS;
    nq_word_t previous = 0, before = 0;
    nq_word_t i, first, count;
    char operation;

    if (bits) {
        nqSetBuffer(&ring, bits);
    }
    while (scanf(" %c", &operation) == 1) {
        i = 0;
        if (operation != 'c' && (scanf("%lu", &i) != 1 || i >= NOTIFICATIONS)) {
            return 2;
        }
        switch (operation) {
        case 'a':
            if (nqFits(&ring, 1, bits)) {
                ring.attached++;
                position[i] = 0;
                puts("ok");
            } else {
                puts("full");
            }
            break;

        case 's':
            if (!nqOutstanding(&ring, position[i])) {
                buffer[ring.next] = i;
                position[i] = nqPush(&ring);
            }
            break;

        case 'd':
            nqDetach(&ring, position[i]);
            break;

        case 'c':
            first = ring.head;
            /* The reader was still copying when these entries came. */
            count = nqCollect(&ring);
            printf("%lu %lu", count, first);
            print_run(previous, before, bits);
            print_run(first, count, bits);
            putchar('\n');
            previous = first;
            before = count;
            break;

        default:
            return 2;
        }
    }
    return 0;
}
