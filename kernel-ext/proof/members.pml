/* SPDX-License-Identifier: GPL-2.0-only */

/*
 * What can be attached besides a notification: a queue, and a thread, which is
 * told of when it ends. In every interleaving; protocol.pml has what the two
 * models share, and explains it.
 *
 * An inner queue is attached to the outer one, on which consumers wait. INNERS of
 * the sources are attached to the inner queue, and so is every signaller's thread;
 * the other sources to the outer queue (if INNERS is 0, all of them and the
 * threads). A consumer that is told of the inner queue collects it, too; one that
 * waits is handed the cookie of what was signalled in the inner queue.
 *
 * A signaller can end anywhere, by a fault or by deletion; of its last events it
 * may have told nobody. Nobody but its thread's entry tells of that: no server
 * kicks the watchers. After a fault it may be resumed, and may end again.
 *
 * In `init`, when everybody sleeps: every event and every end has been seen.
 *
 * A configuration: SOURCES, INNERS of them, SIGNALLERS, EVENTS each, CONSUMERS;
 * REGROUPS (times the inner queue is detached and attached again), DEATHS (ends).
 */

#ifndef SOURCES
#define SOURCES 2
#define INNERS 1
#define SIGNALLERS 2
#define EVENTS 1
#define CONSUMERS 1
#define REGROUPS 1
#define DEATHS 1
#endif

/* Queues */
#define OUTER 0
#define INNER 1
#define NOWHERE 2

/* Members; a cookie is a member's number. */
#define THREAD(t) (SOURCES + (t))
#define NESTED (SOURCES + SIGNALLERS)
#define MEMBERS (NESTED + 1)
#define NOBODY 255

#if INNERS > 0
#define HOME INNER
#else
#define HOME OUTER
#endif
#define ALL_SOURCES ((1 << SOURCES) - 1)

/* Room for what belongs there, and for no more. */
#if DEATHS > 0
#define THREADS SIGNALLERS
#else
#define THREADS 0
#endif
#if INNERS > 0
#define CAPACITY(q) (q == OUTER -> SOURCES - INNERS + 1 : INNERS + THREADS)
#else
#define CAPACITY(q) (SOURCES + THREADS)
#endif
#define SLOTS(q) (2 * CAPACITY(q))
#define MOST_SLOTS (2 * MEMBERS)
#define PLACE(q, n) ((q) * MOST_SLOTS + (n) % SLOTS(q))

/* ---- The kernel's state ---- */

bool busy;                    /* a call of another core is not over */
byte head[2], tail[2], attachments[2], stale[2];
byte home[MEMBERS] = NOWHERE; /* the queue to which it is attached */
bool signalled[MEMBERS];         /* the inner queue's: since it was collected */
byte position[MEMBERS];
bool wakeFlag;                /* the outer queue's notification is active */
chan waiters = [2] of { byte };
bool asleep[2];
byte handed[2];               /* cookie + 1 */

/* ---- User memory ---- */

byte tailWord[2];
byte entryWord[2 * MOST_SLOTS];
byte entryNumber[2 * MOST_SLOTS]; /* ghost: entry + 1 */
bool taken[64];               /* ghost: the entry was read */

byte published[SOURCES];
byte seen[SOURCES];
bool armed[SOURCES];
byte ends[SIGNALLERS];        /* ghost: how often the thread has ended */
byte endsSeen[SIGNALLERS];

bool locked;                  /* the instance's lock */
byte looks;                   /* the ready list: a bit for each member */
byte known[2];                /* entries collected, as the instance knows */

byte dead, running;

/* ---- Calls ---- */

/* An entry, before the tail that tells of it */
inline push(q, m) {
    tail[q]++;
    entryWord[PLACE(q, tail[q] - 1)] = m;
    entryNumber[PLACE(q, tail[q] - 1)] = tail[q];
    position[m] = tail[q]
}

#define BOTH home[NESTED] == OUTER && len(waiters) > 0

/* A member was signalled: its queue gets an entry, unless it has one of it. If
 * somebody waits for the outer queue, the cookie is handed over instead, also that
 * of a member of the inner queue; finish() does that. */
inline notifyQueue(m) {
    if
    :: home[m] == INNER && position[m] <= head[INNER] ->
        if
        :: BOTH -> out = true; said = m
        :: else -> push(INNER, m); in = true
        fi
    :: home[m] == OUTER && position[m] <= head[OUTER] -> out = true; said = m
    :: else
    fi
}

inline detach(m) {
    attachments[home[m]]--;
    if
    :: position[m] > head[home[m]] -> stale[home[m]]++
    :: else
    fi;
    home[m] = NOWHERE
}

inline finish() {
    if
    :: in ->
        tailWord[INNER] = tail[INNER];
        /* An inner queue that gets an entry is signalled, as a notification is. */
        atomic { signalled[NESTED] = true; notifyQueue(NESTED) }
    :: else
    fi;
    if
    :: atomic {
            out && len(waiters) > 0 ->
            waiters ? to;
            assert(head[OUTER] == tail[OUTER]);
            assert(asleep[to] && handed[to] == 0);
            handed[to] = said + 1;
            asleep[to] = false;
            to = 0
       }
    :: atomic { out && len(waiters) == 0 -> push(OUTER, said) };
        tailWord[OUTER] = tail[OUTER];
        wakeFlag = true
    :: !out
    fi;
    atomic {
        if
        :: leaving != NOBODY -> detach(leaving); leaving = NOBODY
        :: else
        fi;
        in = false;
        out = false;
        said = 0;
        busy = false
    }
}

inline signal(m) {
    atomic {
        !busy;
        busy = true;
        signalled[m] = true;
        notifyQueue(m)
    };
    finish()
}

/* A thread has ended; if it was deleted, it is detached. */
inline threadEnds(t) {
    atomic {
        !busy;
        busy = true;
        ends[t]++;
        if
        :: home[THREAD(t)] != NOWHERE -> leaving = THREAD(t)
        :: leaving = NOBODY
        fi;
        deleted = (leaving != NOBODY);
        signalled[THREAD(t)] = true;
        notifyQueue(THREAD(t))
    };
    finish()
}

inline collect(q) {
    atomic {
        !busy;
        n = head[q];
        end = tail[q];
        head[q] = tail[q];
        stale[q] = 0;
        if
        :: q == OUTER -> wakeFlag = false
        :: else -> signalled[NESTED] = false
        fi
    }
}

inline attach(m, q) {
    atomic {
        !busy;
        if
        :: attachments[q] + stale[q] + 1 <= CAPACITY(q) ->
            busy = true;
            attachments[q]++;
            home[m] = q;
            position[m] = 0;
            noRoom = false;
            if
            :: signalled[m] -> notifyQueue(m)
            :: else
            fi
        :: else -> noRoom = true
        fi
    };
    if
    :: !noRoom -> finish()
    :: else
    fi
}

/* seL4_Wait on the outer queue */
inline wait() {
    atomic {
        !busy;
        if
        :: tail[OUTER] != head[OUTER] -> skip
        :: tail[OUTER] == head[OUTER] ->
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

/* ---- User code ---- */

inline hint(c) {
    looks = looks | (1 << (c))
}

/* Copies the run [n, end) out of a buffer. */
inline copyOut(q) {
    do
    :: atomic {
            n < end ->
            assert(entryNumber[PLACE(q, n)] == n + 1);
            assert(!taken[q * 32 + n]);
            taken[q * 32 + n] = true;
            hint(entryWord[PLACE(q, n)]);
            n++
       }
    :: atomic { n >= end -> known[q] = end; n = 0; end = 0; break }
    od
}

/* With the lock: collects if the tail has moved. */
inline takeEntries(q) {
    if
    :: atomic { tailWord[q] != known[q] -> end = tailWord[q] };
        assert(entryNumber[PLACE(q, end - 1)] == end);
        collect(q);
        copyOut(q)
    :: atomic { tailWord[q] == known[q] }
    fi
}

/* Of what a thread that has ended did last, it may have told nobody. */
inline lookAtEnd(t) {
    assert(ends[t] != 0);
    endsSeen[t] = ends[t];
    looks = looks | ALL_SOURCES
}

/* Looks at what the ready list names; then gives up the lock. */
inline lookAround() {
    do
    :: atomic {
            looks != 0 ->
            do
            :: looks & (1 << i) -> break
            :: else -> i++
            od;
            looks = looks & ~(1 << i);
            if
            :: i < SOURCES -> armed[i] = true
            :: else
            fi
        };
        /* fence */
        if
        :: atomic { i < SOURCES -> seen[i] = published[i]; i = 0 }
        :: atomic { i >= SOURCES && i < NESTED -> lookAtEnd(i - SOURCES); i = 0 }
        :: atomic { i == NESTED -> i = 0 }; takeEntries(INNER)
        fi
    :: atomic { looks == 0 -> locked = false; break }
    od
}

proctype Consumer(byte me) {
    byte n, end, i, cookie;

    do
    :: atomic { !locked -> locked = true };
        takeEntries(OUTER);
        lookAround();
        wait();
        if
        :: atomic { cookie != 0 && !locked -> locked = true; hint(cookie - 1); cookie = 0 };
            lookAround()
        :: cookie == 0
        fi
    od
}

/* The state changes; whoever is armed is told, and not armed any more. */
proctype Signaller(byte t) {
    byte left = EVENTS, i, to, said, leaving = NOBODY;
    bool tell, in, out, deleted;

    do
    :: atomic {
            left > 0 ->
            left--;
            if
            :: i = t % SOURCES
            :: i = (t + 1) % SOURCES
            fi;
            published[i]++
        };
        /* fence */
        atomic { tell = armed[i]; armed[i] = false };
        if
        :: atomic { tell && dead < DEATHS -> dead++; tell = false };
            threadEnds(t);
            if
            :: goto over
            :: !deleted -> signal(i) /* resumed */
            fi
        :: atomic { tell -> tell = false }; signal(i)
        :: !tell
        fi
    :: atomic { left == 0 -> goto over }
    :: atomic { dead < DEATHS -> dead++ };
        threadEnds(t);
        if
        :: goto over
        :: !deleted
        fi
    od;
over:
    atomic { i = 0; running-- }
}

/* With the lock: attaches, and gives up the lock. If there is no room before the
 * entry of a queue that was detached is collected, that queue has entries, and
 * attaching it tells the consumers. */
inline attachLocked(m, q) {
    do
    :: attach(m, q);
        if
        :: noRoom -> collect(q); copyOut(q)
        :: else -> break
        fi
    od;
    locked = false
}

/* Attaches the threads, which run already. */
proctype Parent() {
    byte t, n, end, to, said, leaving = NOBODY;
    bool noRoom, in, out;

    do
    :: atomic { t < SIGNALLERS && !locked -> locked = true };
        attachLocked(THREAD(t), HOME);
        t++
    :: atomic { t == SIGNALLERS -> t = 0; break }
    od;
    running--
}

/* Takes the inner queue out of the outer one and puts it in again. */
proctype Regrouper() {
    byte left = REGROUPS, n, end, to, said, leaving = NOBODY;
    bool noRoom, in, out;

    do
    :: atomic { left > 0 && !locked -> locked = true; left-- };
        atomic { !busy; detach(NESTED) };
        attachLocked(NESTED, OUTER)
    :: atomic { left == 0 -> break }
    od;
    running--
}

init {
    byte i;

    atomic {
        do
        :: i < SOURCES ->
            home[i] = (i < INNERS -> INNER : OUTER);
            attachments[home[i]]++;
            armed[i] = true;
            i++
        :: else -> break
        od;
        i = 0;
        if :: INNERS > 0 -> home[NESTED] = OUTER; attachments[OUTER]++ :: else fi;
        do
        :: i < CONSUMERS -> run Consumer(i); i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < SIGNALLERS -> run Signaller(i); running++; i++
        :: else -> break
        od;
        i = 0;
        if :: DEATHS > 0 -> run Parent(); running++ :: else fi;
        if :: REGROUPS > 0 -> run Regrouper(); running++ :: else fi
    }
    timeout;
    assert(running == 0 && !locked && !busy);
    assert(head[INNER] == tail[INNER]);
    do
    :: i < SOURCES -> assert(seen[i] == published[i]); i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < SIGNALLERS -> assert(endsSeen[i] == ends[i]); i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < CONSUMERS -> assert(asleep[i] && handed[i] == 0); i++
    :: else -> break
    od
}
