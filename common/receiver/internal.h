/* SPDX-License-Identifier: MIT
 * The receiver's own struct, shared by the files that make it up. */
#ifndef IDEM_RECEIVER_INTERNAL_H
#define IDEM_RECEIVER_INTERNAL_H

#include "receiver/flight.h"
#include "receiver/sightings.h"

/* The result that the copy decided last is answered with, copied, since the store lends it for the length of
 * its callback. */
struct idem_held_result {
    const struct idem_delivery *delivery; /* whose it is; only compared */
    uint8_t *bytes;                       /* owned */
    size_t len;
    size_t room;
};

struct idem_receiver {
    struct idem_store *store;
    const struct idem_ruleset *rules;
    struct idem_counter_row **rows; /* one for each of rules, owned */
    bool *without;             /* one for each of rules, owned: whether it is taken out */
    size_t without_count;      /* how many are */
    uint64_t rules_generation; /* which set of rules this is */
    struct idem_owner owner;
    bool durable;
    bool can_hold;
    idem_receiver_delivering *delivering;
    void *delivering_arg;
    idem_receiver_room *room;
    void *room_arg;
    bool completes_unprotected;
    bool keeps_keys;
    struct idem_log log;
    struct idem_workspace *workspace;
    struct idem_flights flights;
    struct idem_propagation *propagation; /* of the copy decided last; NULL: none yet */
    struct idem_held_result result;
    struct idem_counters counters;
    struct idem_sightings sightings;
    int64_t now_ms; /* as last told */
};

/* No rule is taken out any more. */
void idem_receiver_put_back(struct idem_receiver *receiver);

/* Keeps what the store has answered for the copy that is being decided. False: there is no result, or no
 * memory for it. */
IDEM_MUST_USE bool idem_receiver_hold_result(struct idem_receiver *receiver,
                                             const struct idem_delivery *delivery,
                                             const struct idem_answer *answer);

/* Settling: the flight to ask the store with, and what takes its answer. NULL: there is no memory, and settled
 * has been told so. */
struct idem_flight *idem_receiver_start_settling(struct idem_receiver *receiver,
                                                 _Atomic uint64_t *success,
                                                 idem_receiver_settled *settled,
                                                 void *arg);
void idem_receiver_settle_answered(void *arg, const struct idem_answer *answer);

#endif
