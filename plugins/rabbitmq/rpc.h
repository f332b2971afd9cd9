/* SPDX-License-Identifier: MIT
 * Mode rpc: requests whose answers are stored, and given again to whoever asks the same again.
 *
 * A request of a rule with on_duplicate: replay, with a reply_to, goes to the worker with another one: the
 * queue of replies, which is the bridge's, and a correlation id that tells whose claim the reply is to end
 * (token.h). From the sink's confirm on, the claim is the reply's: neither a pause nor a crash of the bridge
 * makes it end before its lease does.
 *
 *     request: claim -> publish to the worker -> confirm ------------------------------- held ... answer -> ack
 *     reply:                                             arrived -> complete with result ^     -> ack
 *
 * Whichever instance the reply comes to completes the record with it. Every copy of the request, the first one
 * not excepted, then finds the record done, and is answered with what is in it: so that all answers to a key
 * are the same, and any instance can give them. Copies that wait in the same worker are woken at once; those
 * in other ones look again, less and less often.
 *
 * The source keeps each copy until its answer is confirmed: nothing is lost with the bridge, and the prefetch
 * bounds what is under way. A dead bridge's requests come again, and are held by their own claim: instances in
 * this mode have an incarnation that does not change with a restart, so that a claim is never taken over
 * before its lease is over. Then nobody knows whether the worker has done it: on_in_doubt decides.
 *
 * docs/design/rpc.md has the crash windows one by one. */
#ifndef IDEM_RABBITMQ_RPC_H
#define IDEM_RABBITMQ_RPC_H

#include "worker_state.h"

/* The most that asking adds to the encoded properties of a request: reply_to and correlation id. */
#define IDEM_RPC_ROOM 512

/* Of the copy that has just been decided: whether there is somebody to answer, and where. */
void idem_rpc_note(struct idem_parcel *parcel);

/* Keeps an encoded result (empty: none is stored) for the parcel to be answered with. IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code idem_rpc_keep_answer(struct idem_parcel *parcel,
                                                  struct idem_span result);

/* After each step of a parcel: whether a reply would have to find it. */
void idem_rpc_watch(struct idem_parcel *parcel);

/* It comes to rest: nobody waits, and no answer is kept. */
void idem_rpc_forget(struct idem_parcel *parcel);

/* The parcels that wait for the reply to a request, in the order in which they came, taken out. */
void idem_rpc_take_waiting(struct idem_worker *worker, const struct idem_digest *digest,
                           struct idem_waiting *taken);

/* Whether this worker may give an answer that is in no store: it has the request that was asked. again: the
 * reply has been elsewhere before; then a copy that waits will do. */
bool idem_rpc_may_answer(const struct idem_worker *worker,
                         const struct idem_digest *digest, bool again);

/* All in the list: they look at the store again; or they are answered with this. It is empty afterwards. */
void idem_rpc_wake(struct idem_waiting *waiting);
void idem_rpc_answer(struct idem_waiting *waiting, struct idem_span result);

/* Properties as they came, changed so that the reply comes to the bridge. IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code idem_rpc_ask(const struct idem_parcel *parcel,
                                          amqp_basic_properties_t *properties);

/* The answer of a parcel: its properties, payload and address. */
IDEM_MUST_USE enum idem_code idem_rpc_answer_properties(const struct idem_parcel *parcel,
                                                        size_t room,
                                                        amqp_basic_properties_t *result);
struct idem_span idem_rpc_answer_payload(const struct idem_parcel *parcel);
struct idem_span idem_rpc_reply_to(const struct idem_parcel *parcel);

/* Whether the broker tells when nobody is there: RabbitMQ counts the pseudo-queues of direct reply-to as
 * unroutable, living or not. */
bool idem_rpc_answer_is_routed(const struct idem_parcel *parcel);

#endif
