/* SPDX-License-Identifier: MIT
 * A claim that whoever holds its ticket can settle: another part of the program, another process, another
 * machine. For a delivery that is certain only when its response comes, to whichever instance it comes.
 *
 * A ticket is plain data and proves nothing: one that has been in the hands of strangers is to be signed. */
#ifndef IDEM_TICKET_H
#define IDEM_TICKET_H

#include <idem/receiver.h>

#ifdef __cplusplus
extern "C" {
#endif

struct idem_ticket {
    struct idem_digest digest;
    struct idem_owner owner; /* who claimed */
    int64_t ttl_ms;          /* what its completion asks for */
};

/* The ticket of a claimed delivery, which its holder settles from now on: the delivery is not completed or
 * abandoned any more. False: nothing is claimed, or a number, which has no ticket. */
IDEM_API IDEM_MUST_USE bool idem_receiver_ticket(const struct idem_receiver *receiver,
                                                 const struct idem_delivery *delivery,
                                                 struct idem_ticket *ticket);

/* As idem_receiver_complete_with; the result may be empty. Never deferred: IDEM_OK says that the store has
 * it. NOT_OWNER, NOT_FOUND: the claim has ended, and was another's or nobody's since. */
IDEM_API void idem_receiver_complete_ticket(struct idem_receiver *receiver,
                                            const struct idem_ticket *ticket,
                                            int64_t now_ms, struct idem_span result,
                                            idem_receiver_settled *settled, void *arg);

/* As idem_receiver_abandon: the next copy is new. */
IDEM_API void idem_receiver_abandon_ticket(struct idem_receiver *receiver,
                                           const struct idem_ticket *ticket,
                                           idem_receiver_settled *settled, void *arg);

#ifdef __cplusplus
}
#endif

#endif
