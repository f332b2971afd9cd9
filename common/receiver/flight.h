/* SPDX-License-Identifier: MIT
 * What the receiver must remember while the store has not answered: one flight for each open question. */
#ifndef IDEM_RECEIVER_FLIGHT_H
#define IDEM_RECEIVER_FLIGHT_H

#include "receiver/counters.h"

/* What a delivered copy carries on, copied since neither message nor rule need outlive submit. */
struct idem_propagation {
    const struct idem_delivery *delivery; /* whose it is; only compared */
    size_t len;                           /* of text */
    size_t key_len;
    const char *as[IDEM_PROPAGATED_MAX + 1]; /* of names; NULL ends them */
    char names[IDEM_PROPAGATED_MAX][IDEM_NAME_MAX + 1];
    char text[IDEM_KEY_MAX + 1];
    char key[IDEM_KEY_MAX + 1];
};

struct idem_flight {
    /* NULL: it was closed while the store had the question. */
    struct idem_receiver *receiver;
    struct idem_flight *next;
    struct idem_flight **link; /* what points to this one; NULL while it is at rest */
    void *arg;

    /* A copy waiting for its claim. */
    idem_receiver_decided *decided;
    struct idem_delivery *delivery;
    struct idem_counter_row *row;
    struct idem_policies policies;
    uint64_t rules_generation;
    struct idem_propagation *propagation; /* owned; NULL until one was needed */

    /* A claim waiting to be settled. */
    idem_receiver_settled *settled;
    _Atomic uint64_t *success;
    _Atomic uint64_t *results; /* NULL: it brings none */
};

/* Open flights in one list, flights at rest in another: no allocation per message. */
struct idem_flights {
    struct idem_flight *open;
    struct idem_flight *resting;
};

/* NULL: no memory. */
struct idem_flight *idem_flight_take(struct idem_flights *flights,
                                     struct idem_receiver *receiver);
void idem_flight_rest(struct idem_flights *flights, struct idem_flight *flight);
void idem_flight_free(struct idem_flight *flight);

/* Frees those at rest; those that are open lose their receiver and are freed by their answer. */
void idem_flights_fini(struct idem_flights *flights);

#endif
