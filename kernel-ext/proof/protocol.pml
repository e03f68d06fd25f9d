/* SPDX-License-Identifier: GPL-2.0-only */

/*
 * Who tells whom: signallers and consumers of one notification queue, in every
 * interleaving.
 *
 * A kernel call is one step (one core, or the big lock), but for the buffer: it
 * is user memory, which other cores see written word by word. User code is a step
 * for each access to shared memory. x86 lets a load overtake an earlier store;
 * where the protocol has a fence, it does not.
 *
 * Each signaller publishes a bounded number of events, so every run ends (that
 * none goes round in circles is checked apart). Then, in `init`: everybody sleeps,
 * and what was published has been seen. Along the way: no entry is read twice or
 * overwritten before it was read, nobody is handed two cookies, nobody waits while
 * there are entries, and the tail never tells of an entry that is not there.
 *
 * A configuration is a set of macros: SOURCES, SIGNALLERS, EVENTS each, CONSUMERS
 * that wait on the queue; BOUND (one consumer, told by its bound queue instead),
 * KICKS (signals to the consumers' own bound notifications), CHURN (times a watch
 * is deleted and added again), RESIZES, DEATHS (signallers that may die).
 */

#ifndef SOURCES
#define SOURCES 2
#define SIGNALLERS 2
#define EVENTS 2
#define CONSUMERS 2
#define KICKS 0
#define CHURN 0
#define RESIZES 0
#define DEATHS 0
#endif

#define CAPACITY SOURCES
#define SLOTS (2 * CAPACITY)
#define PLACE(n) (frame * SLOTS + (n) % SLOTS)
#define COOKIE(i) ((i) * 8 + generation[i])

/* ---- The kernel's state ---- */

bool busy;                    /* a call of another core is not over */
byte head, tail, attachments, stale;
bool attached[SOURCES];
bool signalled[SOURCES];
byte position[SOURCES];
bool wakeFlag;                /* the queue's notification is active */
chan waiters = [3] of { byte };
bool asleep[3];
byte handed[3];               /* cookie + 1 */
bool ownActive[3];            /* the thread's own bound notification */

/* ---- User memory ---- */

bit frame;                    /* which of two frames is the buffer */
byte tailWord[2];
byte entryWord[2 * SLOTS];
byte entryNumber[2 * SLOTS];  /* ghost: entry + 1 */
bool taken[32];               /* ghost: the entry was read */

byte published[SOURCES];
byte seen[SOURCES];
bool armed[SOURCES];
byte generation[SOURCES];     /* of the watch; a part of its cookie */

bool locked;                  /* the instance's lock; taking and giving it is a part of the next or last step */
byte looks;                   /* the ready list: a bit for each source */
byte known;                   /* entries collected, as the instance knows */

byte dead, running;

/* ---- Calls ---- */

/* The two stores of a push, which other cores see in this order */
#define FIRST_ENTRY entryNumber[PLACE(tail - 1)] = tail
#define THEN_TAIL tailWord[frame] = tail

/* An attached notification was signalled: hands over its cookie or adds an entry.
 * Then `busy` stays set until finish() has written the tail and told the bound thread. */
inline notifyQueue(i) {
    if
    :: position[i] > head -> skip
    :: else ->
        if
        :: len(waiters) > 0 ->
            waiters ? to;
            assert(head == tail);
            assert(asleep[to] && handed[to] == 0);
            handed[to] = COOKIE(i) + 1;
            asleep[to] = false
        :: else ->
            tail++;
            entryWord[PLACE(tail - 1)] = COOKIE(i);
            FIRST_ENTRY;
            position[i] = tail;
            busy = true
        fi
    fi
}

inline tellBound() {
    atomic {
#ifdef BOUND
        if
        :: asleep[0] -> asleep[0] = false
        :: else -> wakeFlag = true
        fi
#else
        wakeFlag = true
#endif
    }
}

inline finish() {
    if
    :: mine ->
        THEN_TAIL;
        tellBound();
        atomic { busy = false; mine = false }
    :: else
    fi
}

inline signal(i) {
    atomic {
        !busy;
        signalled[i] = true;
        if
        :: attached[i] -> notifyQueue(i)
        :: else
        fi;
        mine = busy;
        to = 0
    };
    finish()
}

inline collect() {
    atomic {
        !busy;
        n = head;
        end = tail;
        head = tail;
        stale = 0;
        wakeFlag = false
    }
}

inline attach(i) {
    atomic {
        !busy;
        if
        :: attachments + stale + 1 <= CAPACITY ->
            attachments++;
            attached[i] = true;
            position[i] = 0;
            noRoom = false;
            if
            :: signalled[i] -> notifyQueue(i)
            :: else
            fi
        :: else -> noRoom = true
        fi;
        mine = busy;
        to = 0
    };
    finish()
}

inline detach(i) {
    !busy;
    attachments--;
    if
    :: position[i] > head -> stale++
    :: else
    fi;
    attached[i] = false
}

inline setBuffer() {
    atomic {
        !busy;
        n = head;
        end = tail;
        head = tail;
        stale = 0;
        wakeFlag = false;
        frame = 1 - frame;
        tailWord[frame] = tail
    }
}

/* seL4_Wait on the queue: a signal of one's own, entries, or sleep */
inline wait() {
    atomic {
        !busy;
        if
        :: ownActive[me] -> ownActive[me] = false
        :: !ownActive[me] && tail != head -> skip
        :: !ownActive[me] && tail == head ->
            assert(!wakeFlag);
            waiters ! me;
            asleep[me] = true
        fi
    };
    atomic {
        !asleep[me];
        if
        :: handed[me] != 0 -> cookie = handed[me]; handed[me] = 0
        :: else -> cookie = 0
        fi
    }
}

/* seL4_Recv on an endpoint by the thread to which the queue is bound */
inline receive() {
    atomic {
        !busy;
        if
        :: wakeFlag -> wakeFlag = false
        :: else -> asleep[me] = true
        fi
    };
    !asleep[me]
}

inline signalOwn(t) {
    atomic {
        !busy;
        if
        :: asleep[t] && waiters ?? [eval(t)] -> waiters ?? eval(t); asleep[t] = false
        :: else -> ownActive[t] = true
        fi
    }
}

/* ---- User code ---- */

/* The two sides of the protocol: a store, a fence, a load. */
#define FIRST_ARM armed[i] = true
#define THEN_LOOK seen[i] = published[i]
#define FIRST_PUBLISH published[i]++
#define THEN_DISARM tell = armed[i]; armed[i] = false

/* What a cookie says: look there, unless its watch is gone. */
inline hint(c) {
    if
    :: (c) % 8 == generation[(c) / 8] -> looks = looks | (1 << ((c) / 8))
    :: else
    fi
}

/* Copies the run [n, end) out of a frame. */
inline copyOut(f) {
    do
    :: atomic {
            n < end ->
            assert(entryNumber[f * SLOTS + n % SLOTS] == n + 1);
            assert(!taken[n]);
            taken[n] = true;
            hint(entryWord[f * SLOTS + n % SLOTS]);
            n++
       }
    :: atomic { n >= end -> known = end; n = 0; end = 0; break }
    od
}

/* With the lock: collects if the tail has moved. The tail promises that the
 * entries before it can be read already. */
inline takeEntries() {
    if
    :: atomic { tailWord[frame] != known -> end = tailWord[frame] };
        assert(entryNumber[PLACE(end - 1)] == end);
        collect();
        copyOut(frame)
    :: atomic { tailWord[frame] == known }
    fi
}

/* Arms and looks at what the ready list names; then gives up the lock. */
inline lookAround() {
    do
    :: atomic {
            looks != 0 ->
            do
            :: looks & (1 << i) -> break
            :: else -> i++
            od;
            looks = looks & ~(1 << i);
            FIRST_ARM
        };
        /* fence */
        atomic { THEN_LOOK; i = 0 }
    :: atomic { looks == 0 -> locked = false; break }
    od
}

proctype Consumer(byte me) {
    byte n, end, i, cookie;

    do
    :: atomic { !locked -> locked = true };
        takeEntries();
        lookAround();
#ifdef BOUND
        receive()
#else
        wait();
        if
        :: atomic { cookie != 0 && !locked -> locked = true; hint(cookie - 1); cookie = 0 };
            lookAround()
        :: cookie == 0
        fi
#endif
    od
}

/* The state changes; whoever is armed is told, and not armed any more. */
proctype Signaller(byte first) {
    byte left = EVENTS, i, to;
    bool tell, mine;

    do
    :: atomic {
            left > 0 ->
            left--;
            if
            :: i = first
            :: i = (first + 1) % SOURCES
            fi;
            FIRST_PUBLISH
        };
        /* fence */
        atomic { THEN_DISARM };
        if
        :: atomic { tell && dead < DEATHS -> dead++; goto died }
        :: atomic { tell -> tell = false }; signal(i)
        :: !tell
        fi
    :: atomic { left == 0 -> i = 0; goto over }
    :: atomic { dead < DEATHS -> dead++; goto died }
    od;
died:
    /* The server, once a sharer of the channels has died: hang-up, and a kick. */
    atomic { tell = false; left = 0; i = 0 };
    do
    :: atomic { i < SOURCES -> published[i]++ };
        signal(i);
        i++
    :: atomic { i == SOURCES -> i = 0; break }
    od;
over:
    running--
}

/* Deletes the watch of source 0 and adds it again. */
proctype Owner() {
    byte left = CHURN, n, end, to;
    bool noRoom, mine;

    do
    :: atomic { left > 0 && !locked -> locked = true; left--; armed[0] = false };
        atomic { detach(0); generation[0]++; looks = looks & ~1 };
        do
        :: attach(0);
            if
            :: noRoom -> collect(); copyOut(frame)
            :: else -> break
            fi
        od;
        atomic { looks = looks | 1; locked = false };
        signalOwn(0)
    :: atomic { left == 0 -> break }
    od;
    running--
}

/* Replaces the buffer; what it finds in the old one, somebody must look at. */
proctype Resizer() {
    byte left = RESIZES, n, end;
    bit old;

    do
    :: atomic { left > 0 && !locked -> locked = true; left--; old = frame };
        setBuffer();
        copyOut(old);
        locked = false;
        signalOwn(0)
    :: atomic { left == 0 -> break }
    od;
    running--
}

proctype Kicker() {
    byte left = KICKS, t;

    do
    :: atomic {
            left > 0 ->
            left--;
            if
            :: t = 0
            :: t = CONSUMERS - 1
            fi
        };
        signalOwn(t)
    :: atomic { left == 0 -> break }
    od;
    running--
}

init {
    byte i;

    atomic {
        do
        :: i < SOURCES -> attached[i] = true; armed[i] = true; attachments++; i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < CONSUMERS -> run Consumer(i); i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < SIGNALLERS -> run Signaller(i % SOURCES); running++; i++
        :: else -> break
        od;
        i = 0;
        if :: CHURN > 0 -> run Owner(); running++ :: else fi;
        if :: RESIZES > 0 -> run Resizer(); running++ :: else fi;
        if :: KICKS > 0 -> run Kicker(); running++ :: else fi
    }
    timeout;
    assert(running == 0 && !locked && !busy);
    do
    :: i < SOURCES -> assert(seen[i] == published[i]); i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < CONSUMERS -> assert(asleep[i] && handed[i] == 0 && !ownActive[i]); i++
    :: else -> break
    od
}
