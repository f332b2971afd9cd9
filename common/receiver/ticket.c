/* SPDX-License-Identifier: MIT
 * Claims that are settled by their ticket. What can be wrong with a ticket, the store finds: its owner is not
 * the one who claims now, or nothing is claimed at all. */
#include <idem/ticket.h>

#include "receiver/internal.h"

bool idem_receiver_ticket(const struct idem_receiver *receiver,
                          const struct idem_delivery *delivery,
                          struct idem_ticket *ticket) {
    memset(ticket, 0, sizeof *ticket);
    if (!delivery->claimed || delivery->number.present) {
        return false;
    }
    ticket->digest = delivery->digest;
    ticket->owner = receiver->owner;
    ticket->ttl_ms = delivery->ttl_ms;
    return true;
}

void idem_receiver_complete_ticket(struct idem_receiver *receiver,
                                   const struct idem_ticket *ticket, int64_t now_ms,
                                   struct idem_span result,
                                   idem_receiver_settled *settled, void *arg) {
    const struct idem_completion completion = {
        .digest = ticket->digest,
        .owner = ticket->owner,
        .now_ms = now_ms,
        .ttl_ms = ticket->ttl_ms,
        .durable = receiver->durable,
        .result = result,
    };
    struct idem_counters *counters = &receiver->counters;
    receiver->now_ms = now_ms;
    struct idem_flight *flight =
        idem_receiver_start_settling(receiver, &counters->completed, settled, arg);
    if (flight != NULL) {
        flight->results = result.len > 0 ? &counters->results : NULL;
        idem_store_complete(receiver->store, &completion, idem_receiver_settle_answered,
                            flight);
    }
}

void idem_receiver_abandon_ticket(struct idem_receiver *receiver,
                                  const struct idem_ticket *ticket,
                                  idem_receiver_settled *settled, void *arg) {
    const struct idem_abandonment abandonment = {
        .digest = ticket->digest,
        .owner = ticket->owner,
    };
    struct idem_flight *flight = idem_receiver_start_settling(
        receiver, &receiver->counters.abandoned, settled, arg);
    if (flight != NULL) {
        idem_store_abandon(receiver->store, &abandonment, idem_receiver_settle_answered,
                           flight);
    }
}
