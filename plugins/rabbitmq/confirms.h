/* SPDX-License-Identifier: MIT
 * Publishes that the sink has not confirmed yet, by their number on the channel (1, 2, ...). Pure. */
#ifndef IDEM_RABBITMQ_CONFIRMS_H
#define IDEM_RABBITMQ_CONFIRMS_H

#include <idem/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct idem_confirms {
    void **items;   /* ring by number; NULL: confirmed out of order */
    size_t mask;    /* room - 1, a power of two */
    uint64_t first; /* the lowest number that is not confirmed */
    uint64_t next;  /* of the next publish */
    size_t open;    /* not confirmed */
};

IDEM_MUST_USE enum idem_code idem_confirms_init(struct idem_confirms *confirms);
void idem_confirms_fini(struct idem_confirms *confirms);

/* A new channel: numbers begin again. Nothing may be open. */
void idem_confirms_reset(struct idem_confirms *confirms);

/* Gives item the next number. IDEM_ERR_NOMEM: it has none. */
IDEM_MUST_USE enum idem_code idem_confirms_add(struct idem_confirms *confirms,
                                               void *item);

/* The lowest open item that a basic.ack or basic.nack of number covers, taken out; NULL: there is none
 * (any more). Numbers that were never given out cover nothing: they come from outside. */
void *idem_confirms_take(struct idem_confirms *confirms, uint64_t number, bool multiple);

/* The open items from the lowest to the highest: *at is 0 at first. NULL: no more. */
void *idem_confirms_each(const struct idem_confirms *confirms, uint64_t *at);

/* The highest open item, taken out for good: for a channel that is gone. NULL: none is open. */
void *idem_confirms_take_last(struct idem_confirms *confirms);

#endif
