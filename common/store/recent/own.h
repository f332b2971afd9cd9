/* SPDX-License-Identifier: MIT
 * What the files of the recent keys share. */
#ifndef IDEM_RECENT_OWN_H
#define IDEM_RECENT_OWN_H

#include "base/pool.h"
#include "store/recent/debts.h"
#include "store/recent/generations.h"
#include "store/recent/patience.h"

struct idem_recent {
    struct idem_store base;
    struct idem_store_ops ops; /* under the name of the store behind */
    struct idem_store *behind;
    struct idem_log log;
    struct idem_generations memory;
    struct idem_debts debts;
    struct idem_patience patience;
    struct idem_pool passages;
    size_t paying;
    size_t paying_most;
    size_t paid;       /* since there were none */
    int64_t pay_at_ms; /* of the monotonic clock: not before, since one was not taken */
    bool numbered;     /* some of what is remembered are numbers */
    bool closing;
    int64_t now_ms; /* as last told */
};

/* An operation on its way to the store behind. */
struct idem_passage {
    struct idem_patient patient;
    struct idem_answer held; /* while it waits: what it was answered last */
    struct idem_recent *recent;
    struct idem_claim claim;
    struct idem_completion completion; /* without its result, of which debt has a copy */
    struct idem_debt debt;
    idem_store_done *done;
    void *arg;
};

static inline bool idem_same_owner(const struct idem_owner *a,
                                   const struct idem_owner *b) {
    return a->instance == b->instance && a->incarnation == b->incarnation;
}

/* What is remembered of a number is remembered by its own digest: to this process it is a key like any
 * other. */
static inline const struct idem_digest *
idem_own_digest(const struct idem_digest *digest, const struct idem_number *number) {
    return number->present ? &number->message : digest;
}

/* NULL: no memory. */
struct idem_passage *idem_passage_new(struct idem_recent *recent, idem_store_done *done,
                                      void *arg);
void idem_passage_free(struct idem_passage *passage);

/* Whether the store behind may yet take a completion that it answered so: it did not answer, or it has
 * lost the claim. */
bool idem_can_be_owed(enum idem_code code);

/* The key of a completion is done, and the store behind has to be told; record is what the memory has. False:
 * there was a result with it that is not kept, for want of room or memory. */
IDEM_MUST_USE bool idem_recent_owe(struct idem_recent *recent,
                                   struct idem_passage *passage,
                                   const struct idem_record *record);

/* Owing up to that many keys, and nothing so far. */
void idem_recent_init_paying(struct idem_recent *recent, size_t most);

/* Tells the store behind some of what it is owed, if it answers. False: nothing was owed, or can be told
 * now. */
bool idem_recent_pay(struct idem_recent *recent);

/* For closing: tells the store behind as much as it takes in a few seconds; not at all where it does not
 * answer. */
void idem_recent_settle(struct idem_recent *recent);

void idem_recent_say_what_is_lost(struct idem_recent *recent);

#endif
