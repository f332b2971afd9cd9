/* SPDX-License-Identifier: MIT
 * A receiver of one rule, on the memory store behind the scripted one, and copies to give it. */
#ifndef TESTS_RECEIVING_H
#define TESTS_RECEIVING_H

#include "scripted_store.h"
#include "sample.h"

#include <idem/receiver.h>

#define NOW_MS INT64_C(1700000000000)

struct receiving {
    struct idem_store *store;
    struct scripted_store *scripted;
    struct idem_ruleset rules;
    struct idem_receiver *receiver;
    struct sample sample;
    unsigned lines;
    char line[512];
};

/* Setup and teardown; the state is a struct receiving. The receiver is "edge-1", incarnation 7, and can
 * hold copies. */
int receiving_open(void **state);
int receiving_close(void **state);
struct idem_receiver_options receiving_options(struct receiving *fixture);

/* Callbacks: arg is an unsigned that counts decisions; an enum idem_code that keeps the answer. */
void receiving_decided(void *arg, struct idem_delivery *delivery);
void receiving_settled(void *arg, enum idem_code code);

/* Submits a copy of that key: a message of its own, gone when this returns. */
void receiving_submit(struct receiving *fixture, const char *key,
                      struct idem_delivery *delivery, unsigned *decisions);

/* The same where the store answers at once. */
struct idem_delivery receiving_submit_now(struct receiving *fixture, const char *key);

struct idem_receiver_counts receiving_totals(struct receiving *fixture);

#endif
