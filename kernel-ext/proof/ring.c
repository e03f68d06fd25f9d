/* SPDX-License-Identifier: GPL-2.0-only */

/*
 * nqring.h, as the kernel compiles it, proved for a model checker.
 *
 * The state is one queue with any number of attachments. One of them, chosen
 * arbitrarily, is followed in full; the others are counts. One entry number,
 * also arbitrary, is followed through the buffer. What is proved of them holds
 * for every attachment and every entry.
 *
 * INVARIANT below is inductive: it holds of zeroed memory (PROOF_base), and each
 * step of the kernel leads from every state in which it holds, reachable or not,
 * to one in which it holds again (PROOF_step). No loop is unwound and no number
 * is bounded, so neither is the result. What the steps do between the calls of
 * nqring.h is what notificationqueue.c does; SHIPPED marks its lines, which the
 * test compares with that file.
 *
 * Abstract: the frame's memory (one word of it is followed), the waiters (a
 * count) and the notifications' badges (no part of the arithmetic).
 */

#include "nqring.h"

typedef nq_word_t word_t;
typedef _Bool bool_t;

word_t nondet_ulong(void);
long nondet_long(void);
bool_t nondet_bool(void);
void __ESBMC_assume(bool_t);
void __ESBMC_assert(bool_t, const char *);

/* 10^9 signals a second for 500 years of 365.25 days: the most that a tail counts */
#define MOST_ENTRIES (1000000000ul * (500ul * 36525 / 100) * 86400)

#define MOST_ATTACHED (NQ_SLOTS(NQ_LARGE_BITS) / 2)

static word_t
anyWord(void)
{
#ifdef INTEGERS
    /* The checker takes any variable for an integer, a negative one too. */
    long n = nondet_long();

    __ESBMC_assume(n >= 0);
    return (word_t)n;
#else
    return nondet_ulong();
#endif
}

/* ---- State ---- */

static nq_ring_t ring;
static word_t bits;      /* size of the buffer, 0 if there is none */
static word_t waiting;   /* blocked waiters */

/* The attachment that is followed */
static bool_t attached;
static word_t position;
static bool_t told;      /* signalled, and no reader knows yet */
static word_t entries;   /* its uncollected entries */

/* The other attachments, and those of them that have an uncollected entry */
static word_t others;
static word_t outstanding;

/* What the reader may still be copying: entries from `kept` on, in this frame */
static word_t kept;

/* The entry that is followed: its number, whether it is the followed attachment's,
 * and which entry + 1 was written last where it belongs (0: none) */
static word_t entry;
static bool_t ours;
static word_t content;

static bool_t
entryInRun(word_t from, word_t to)
{
    return from <= entry && entry < to;
}

/* What is always true. In this order: the ring, its counts, the buffer's room,
 * the next word (nothing is attached before there is a buffer), the followed attachment, the waiters, the reader's run, the followed entry. */
static bool_t
invariant(void)
{
    word_t half = nqSlots(bits) / 2;
    bool_t mine = attached && nqOutstanding(&ring, position);

    return ring.head <= ring.tail && ring.tail <= MOST_ENTRIES && entry < MOST_ENTRIES &&

           others <= MOST_ATTACHED && outstanding <= others &&
           ring.attached == others + attached && ring.stale <= MOST_ATTACHED &&
           ring.tail - ring.head == outstanding + mine + ring.stale &&

           ring.attached + ring.stale <= MOST_ATTACHED &&
           (bits == 0 || ring.attached + ring.stale <= half) &&

           (ring.end == 0 ? ring.attached == 0 && bits == 0 :
            NQ_HEADER_WORDS <= ring.next && ring.next < ring.end && ring.end <= NQ_HEADER_WORDS + nqSlots(NQ_LARGE_BITS)) &&
           (bits == 0 || ring.end == NQ_HEADER_WORDS + nqSlots(bits)) &&

           position <= ring.tail && told == mine && entries == mine &&

           (waiting == 0 || ring.head == ring.tail) &&

           kept <= ring.head && (bits == 0 || ring.head - kept <= half) &&

           (bits == 0 || !entryInRun(kept, ring.tail) || content == entry + 1) &&
           (!mine || entry != position - 1 || ours);
}

/* ---- The kernel's steps ---- */

/* Whether two entries lie in the same word of the buffer: all that is known of
 * it here is what PROOF_words proves of nqEntryWord. */
static bool_t
sameWord(word_t a, word_t b)
{
    word_t apart = a < b ? b - a : a - b;

    return apart == 0 || (apart >= nqSlots(bits) && nondet_bool());
}

/* The word that was next is that of the entry: PROOF_next.
   SHIPPED: word_t word = queue->ring.next; word_t position = nqPush(&queue->ring);
   SHIPPED: words[word] = cookie;
   SHIPPED: words[0] = position; */
static word_t
addEntry(bool_t followed)
{
    word_t pushed;

    __ESBMC_assume(ring.tail < MOST_ENTRIES);
    pushed = nqPush(&ring);
    __ESBMC_assert(pushed == ring.tail && pushed != 0, "an entry's position is not 0");
    if (bits != 0 && sameWord(pushed - 1, entry)) {
        content = pushed;
    }
    if (pushed == entry + 1) {
        ours = followed;
    }
    return pushed;
}

/* An attached notification was signalled. Its new position.
   SHIPPED: if (nqOutstanding(&queue->ring, notification_ptr_get_ntfnQueue_head(ntfnPtr))) { return; }
   SHIPPED: if (state == NtfnState_Waiting) { handOver(&queue->ntfn, 1, cookie, 0); return; }
   SHIPPED: if (state == NtfnState_Attached) { cap_t outer = queue->attachment.cap;
   SHIPPED: handOver(&queueOf(outer)->ntfn, 2, cap_notification_queue_cap_get_capNQCookie(outer), cookie); return; }
   SHIPPED: notification_ptr_set_ntfnQueue_head(ntfnPtr, addEntry(queue, cookie)); */
static word_t
notifyQueue(word_t last, bool_t followed)
{
    if (nqOutstanding(&ring, last)) {
        return last;
    }
    /* The first waiter is handed the cookie, or the first of the outer queue, which may have one. */
    if (waiting != 0 || nondet_bool()) {
        waiting -= waiting != 0;
        if (followed) {
            told = 0;
        }
        return last;
    }
    if (followed) {
        entries++;
    } else {
        outstanding++;
    }
    return addEntry(followed);
}

static void
signalFollowed(void)
{
    told = 1;
    position = notifyQueue(position, 1);
}

/* The last position of some other attachment */
static word_t
someOther(void)
{
    word_t last = anyWord();

    __ESBMC_assume(others != 0 && last <= ring.tail);
    __ESBMC_assume(nqOutstanding(&ring, last) ? outstanding != 0 : outstanding < others);
    return last;
}

/* SHIPPED: if (!nqFits(&queue->ring, 1, bufferBits(queue->buffer.cap))) {
   SHIPPED: queue->ring.attached++; notification_ptr_set_ntfnQueue_head(ntfnPtr, 0);
   SHIPPED: if (active) { notifyQueue(ntfnPtr); } */
static void
attach(bool_t followed, bool_t active)
{
    word_t room = nqSlots(bits) / 2;

    if (!nqFits(&ring, 1, bits)) {
        __ESBMC_assert(ring.attached + ring.stale >= room, "refused only if full");
        return;
    }
    ring.attached++;
    if (followed) {
        attached = 1;
        position = 0;
        told = 0;
        entries = 0;
        if (active) {
            signalFollowed();
        }
    } else {
        others++;
        if (active) {
            notifyQueue(0, 0);
        }
    }
}

/* SHIPPED: nqDetach(&queueOf(slot->cap)->ring, notification_ptr_get_ntfnQueue_head(ntfnPtr)); */
static void
detach(bool_t followed)
{
    word_t last;

    if (followed) {
        nqDetach(&ring, position);
        attached = 0;
        told = 0;
        entries = 0;
    } else {
        last = someOther();
        if (nqOutstanding(&ring, last)) {
            outstanding--;
        }
        others--;
        nqDetach(&ring, last);
    }
}

/* SHIPPED: word_t first = queue->ring.head; word_t badge = NQ_BADGE | nqCollect(&queue->ring);
   SHIPPED: if (badge != NQ_BADGE && unlikely(cap_get_capType(queue->buffer.cap) != cap_frame_cap)) { badge |= NQ_OVERRUN; } */
static void
collect(void)
{
    word_t first = ring.head;
    word_t end = ring.tail;
    bool_t was = told;
    word_t count = nqCollect(&ring);
    bool_t overrun = count != 0 && bits == 0;

    __ESBMC_assert(first + count == end, "what is collected ends at the tail");
    __ESBMC_assert(count < 1ul << 62, "the count leaves the badge's top bits alone");
    __ESBMC_assert(!was || (first < position && position <= first + count),
                   "a signal since the last collection is in the run");
    __ESBMC_assert(overrun || !entryInRun(first, first + count) || content == entry + 1,
                   "the run is in the buffer, or an overrun is reported");
    __ESBMC_assert(!was || entry != position - 1 || ours, "the entry is its notification's");
    __ESBMC_assert(!attached || !nqOutstanding(&ring, position), "collecting re-arms");
    told = 0;
    entries = 0;
    outstanding = 0;
    kept = first;
}

/* The frame may be the one that is there.
   SHIPPED: if (queue->ring.attached > nqSlots(bits) / 2) {
   SHIPPED: cteDeleteOne(&queue->buffer); cteInsert(frameCap, frameSlot, &queue->buffer);
   SHIPPED: nqSetBuffer(&queue->ring, bufferBits(frameCap)); */
static void
setBuffer(void)
{
    word_t fresh = nondet_bool() ? NQ_SMALL_BITS : NQ_LARGE_BITS;
    bool_t same = nondet_bool();

    if (ring.attached > nqSlots(fresh) / 2) {
        return;
    }
    collect();
    nqSetBuffer(&ring, fresh);
    if (!same || bits == 0 || bits != fresh) {
        /* The run lies in the old frame, where nothing is written any more. */
        bits = fresh;
        kept = ring.head;
        content = anyWord();
    }
}

/* SHIPPED: } else if (queue->ring.tail != queue->ring.head) { */
static void
wait(void)
{
    if (ring.tail == ring.head) {
        __ESBMC_assume(waiting < ~0ul);
        waiting++;
    }
}

#ifndef STEP
#define STEP anyWord()
#endif

static void
step(void)
{
    switch (STEP) {
    case 0: __ESBMC_assume(attached); signalFollowed(); break;
    case 1: notifyQueue(someOther(), 0); break;
    case 2: __ESBMC_assume(!attached); attach(1, nondet_bool()); break;
    case 3: attach(0, nondet_bool()); break;
    case 4: __ESBMC_assume(attached); detach(1); break;
    case 5: detach(0); break;
    case 6: collect(); break;
    case 7: setBuffer(); break;
    case 8: wait(); break;
    case 9: __ESBMC_assume(waiting != 0); waiting--; break; /* a waiter is suspended or deleted */
    case 10: bits = 0; break; /* the user takes the frame away */
    }
}

static void
anything(void)
{
    ring.head = anyWord();
    ring.tail = anyWord();
    ring.attached = anyWord();
    ring.stale = anyWord();
    ring.next = anyWord();
    ring.end = anyWord();
    bits = nondet_bool() ? 0 : nondet_bool() ? NQ_SMALL_BITS : NQ_LARGE_BITS;
    waiting = anyWord();
    attached = nondet_bool();
    position = anyWord();
    told = nondet_bool();
    entries = anyWord();
    others = anyWord();
    outstanding = anyWord();
    kept = anyWord();
    entry = anyWord();
    ours = nondet_bool();
    content = anyWord();
}

/* Entries fewer than a buffer's slots apart lie in different words, and all lie
 * behind the header and within the buffer. */
static void
words(void)
{
    word_t a = anyWord();
    word_t b = anyWord();

    bits = nondet_bool() ? NQ_SMALL_BITS : NQ_LARGE_BITS;
    __ESBMC_assume(a < MOST_ENTRIES && b < MOST_ENTRIES);
    __ESBMC_assert(nqEntryWord(a, bits) >= NQ_HEADER_WORDS, "no entry lies in the header");
    __ESBMC_assert(nqEntryWord(a, bits) < (bits == NQ_SMALL_BITS ? 4096 : 2097152) / 8,
                   "no entry lies beyond the buffer");
    __ESBMC_assert(!(a < b && b - a < nqSlots(bits)) ||
                   nqEntryWord(a, bits) != nqEntryWord(b, bits),
                   "entries that are close do not share a word");
}

/* From nqSetBuffer on, and after every push, next is the word of the next entry. */
static void
next(void)
{
    bits = nondet_bool() ? NQ_SMALL_BITS : NQ_LARGE_BITS;
    ring.tail = anyWord();
    __ESBMC_assume(ring.tail < MOST_ENTRIES);
    nqSetBuffer(&ring, bits);
    __ESBMC_assert(ring.next == nqEntryWord(ring.tail, bits), "next is the tail's word");
    nqPush(&ring);
    __ESBMC_assert(ring.next == nqEntryWord(ring.tail, bits), "next follows the tail");
    /* Any state in which next is right is one that nqSetBuffer makes. */
    __ESBMC_assert(ring.end == NQ_HEADER_WORDS + nqSlots(bits), "the end stays");
}

int main(void)
{
#if defined(PROOF_words)
    words();
#elif defined(PROOF_next)
    next();
#elif defined(PROOF_base)
    __ESBMC_assert(invariant(), "the invariant holds of zeroed memory");
#else
    anything();
    __ESBMC_assume(invariant());
    step();
#ifdef REACH
    __ESBMC_assert(0, "the step can be taken");
#endif
    __ESBMC_assert(invariant(), "the invariant holds after each step");
#endif
}
