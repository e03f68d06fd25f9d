/* SPDX-License-Identifier: GPL-2.0-only */

/*
 * The arithmetic of a notification queue: which entries there are, where they
 * lie, and how many notifications a buffer can serve.
 *
 * Pure functions over a plain struct. This header includes nothing, so that it
 * also compiles on the host, where it is tested against a model.
 *
 * Entries are numbered from 0 and the numbers never start again. Entry n lies
 * in slot n % slots of the buffer. An attachment remembers its last entry by
 * its position, n + 1; position 0 is none. An entry is uncollected while its
 * position is greater than the head. So collecting, which moves the head,
 * re-arms every attachment at once, and zeroed memory is an empty queue.
 *
 * Why twice as many slots as attachments: while a reader copies out a collected
 * run of N entries, N attachments can add N more. Neither run may overwrite the
 * other, so the ring holds 2N. An uncollected entry of a detached notification
 * is as good as an attachment here, until it is collected.
 */

#ifndef __OBJECT_NQRING_H
#define __OBJECT_NQRING_H

typedef unsigned long nq_word_t;
typedef unsigned int nq_half_t;

struct nq_ring {
    nq_word_t head;     /* entries collected */
    nq_word_t tail;     /* entries added */
    nq_half_t attached; /* attachments */
    nq_half_t stale;    /* uncollected entries of detached notifications */
    nq_half_t next;     /* the word of the buffer for the next entry */
    nq_half_t end;      /* the word behind the buffer */
};
typedef struct nq_ring nq_ring_t;

/* Sizes that a buffer can have, as powers of two. 0: there is no buffer. */
#define NQ_SMALL_BITS 12
#define NQ_LARGE_BITS 21

/* The first cache line of a buffer is not for entries. Word 0 is the tail. */
#define NQ_HEADER_WORDS 8

#define NQ_SLOTS(bits) ((1ul << ((bits) - 3)) - NQ_HEADER_WORDS)

static inline nq_word_t nqSlots(nq_word_t bits)
{
    return bits ? NQ_SLOTS(bits) : 0;
}

/* The word of the buffer in which an entry lies. The two sizes are told apart
 * so that the compiler divides by constants. */
static inline nq_word_t nqEntryWord(nq_word_t entry, nq_word_t bits)
{
    return NQ_HEADER_WORDS + (bits == NQ_LARGE_BITS ? entry % NQ_SLOTS(NQ_LARGE_BITS)
                              : entry % NQ_SLOTS(NQ_SMALL_BITS));
}

/* Goes over to a buffer, of one of the two sizes. From then on next is the word
 * of entry number tail: signals never divide. */
static inline void nqSetBuffer(nq_ring_t *ring, nq_word_t bits)
{
    ring->next = (nq_half_t)nqEntryWord(ring->tail, bits);
    ring->end = (nq_half_t)(NQ_HEADER_WORDS + nqSlots(bits));
}

/* Whether the entry at a position waits to be collected */
static inline int nqOutstanding(const nq_ring_t *ring, nq_word_t position)
{
    return position > ring->head;
}

/* Whether a buffer has room for what is attached, and for more */
static inline int nqFits(const nq_ring_t *ring, nq_word_t more, nq_word_t bits)
{
    return ring->attached + ring->stale + more <= nqSlots(bits) / 2;
}

/* Adds an entry, which lies in the word that was next, and returns its position */
static inline nq_word_t nqPush(nq_ring_t *ring)
{
    ring->next = ring->next + 1 == ring->end ? NQ_HEADER_WORDS : ring->next + 1;
    ring->tail++;
    return ring->tail;
}

/* Takes out all entries and returns how many there were */
static inline nq_word_t nqCollect(nq_ring_t *ring)
{
    nq_word_t count = ring->tail - ring->head;

    ring->head = ring->tail;
    ring->stale = 0;
    return count;
}

/* Forgets an attachment whose last entry has this position */
static inline void nqDetach(nq_ring_t *ring, nq_word_t position)
{
    ring->attached--;
    if (nqOutstanding(ring, position)) {
        ring->stale++;
    }
}

#endif
