/* SPDX-License-Identifier: MIT
 * Acknowledgements of the source channel, batched: one with `multiple` for the run of settled deliveries
 * that nothing unsettled precedes, single ones beyond the first gap. Pure; nodes are the caller's.
 *
 * A delivery that is held can stay for a long time, so what is behind it must not wait. A `multiple` must
 * name a delivery that is still outstanding, and covers every outstanding one before it. */
#ifndef IDEM_RABBITMQ_ACKS_H
#define IDEM_RABBITMQ_ACKS_H

#include <stdbool.h>
#include <stdint.h>

struct idem_ack_node {
    uint64_t tag;
    bool settled;
    struct idem_ack_node *before;
    struct idem_ack_node *after;
    struct idem_ack_node *settled_before;
    struct idem_ack_node *settled_after;
};

struct idem_acks {
    struct idem_ack_node *first; /* outstanding, by tag */
    struct idem_ack_node *last;
    struct idem_ack_node *settled_first; /* settled and not yet flushed, by time */
    struct idem_ack_node *settled_last;
};

void idem_acks_init(struct idem_acks *acks);

/* A delivery has come: tags rise within a channel. */
void idem_acks_open(struct idem_acks *acks, struct idem_ack_node *node, uint64_t tag);

/* It may be acknowledged with the next flush. */
void idem_acks_settle(struct idem_acks *acks, struct idem_ack_node *node);

/* It has been told in another way (rejected). Not for one that is settled. */
void idem_acks_withdraw(struct idem_acks *acks, struct idem_ack_node *node);

/* Calls send for each acknowledgement, then told for each node that it covered, which may be freed or
 * opened again by then. Where send fails, the flush stops: what is left is as it was. */
struct idem_acks_sink {
    bool (*send)(void *arg, uint64_t tag, bool multiple);
    void (*told)(void *arg, struct idem_ack_node *node);
    void *arg;
};
bool idem_acks_flush(struct idem_acks *acks, const struct idem_acks_sink *sink);

#endif
