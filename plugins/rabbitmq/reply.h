/* SPDX-License-Identifier: MIT
 * The reply machine: what becomes of one message in the queue of the workers' replies. Pure.
 *
 *     arrived -> the store has its result -> whoever waits for it is told -> acknowledge
 *
 *   state      what is true in it                          what a crash in it costs
 *   IDLE       nothing is known of it                      nothing
 *   SETTLING   the store has been asked to end the claim   nothing: the reply comes again, and the claim is
 *                                                          ended again, which changes nothing
 *   PAUSING    the store could not; asked again later      nothing
 *   LOOKING    it is not for the store, and the copy that  nothing: it comes again
 *              it answers is not here; the store has been
 *              asked whether its claim still stands
 *   PASSING    it does: to be put back, for another        nothing
 *              instance
 *   ENDED      only the queue has not been told yet        nothing: the claim has ended
 *
 * A reply that is stored answers through the store, wherever its request is. One that is not (a failure, or
 * one too large) can be given only by the instance that holds the request: elsewhere it is put back into the
 * queue after a pause, until it comes to that one, or the lease is over. */
#ifndef IDEM_RABBITMQ_REPLY_H
#define IDEM_RABBITMQ_REPLY_H

#include <idem/error.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum idem_reply_state {
    IDEM_REPLY_IDLE,
    IDEM_REPLY_SETTLING,
    IDEM_REPLY_PAUSING,
    IDEM_REPLY_LOOKING,
    IDEM_REPLY_PASSING,
    IDEM_REPLY_ENDED,
    IDEM_REPLY_STATE_COUNT
};

enum idem_reply_event {
    IDEM_REPLY_ON_FOUND, /* its claim can be ended: the result is for the store, or the request is here */
    IDEM_REPLY_ON_ELSEWHERE, /* it is not for the store, and its request is not here */
    IDEM_REPLY_ON_STRAY,     /* it comes too late to be of any use */
    IDEM_REPLY_ON_ALIEN, /* it is not the reply to anything that this pipeline has asked */
    IDEM_REPLY_ON_SETTLED,   /* the store has ended the claim */
    IDEM_REPLY_ON_OPEN,      /* the claim still stands */
    IDEM_REPLY_ON_DEAD,      /* the claim was another's, or nobody's any more */
    IDEM_REPLY_ON_UNSETTLED, /* the store could not: ask again */
    IDEM_REPLY_ON_WAKE,
    IDEM_REPLY_ON_LOST, /* the connection, and with it the delivery */
    IDEM_REPLY_ON_TOLD, /* the queue has been told: acknowledged or put back */
    IDEM_REPLY_ON_COUNT
};

enum idem_reply_act {
    IDEM_REPLY_DO_NOTHING,
    IDEM_REPLY_DO_SETTLE,
    IDEM_REPLY_DO_LOOK, /* ask the store whether the claim still stands */
    IDEM_REPLY_DO_WAIT,
    IDEM_REPLY_DO_ACK,
    IDEM_REPLY_DO_PUT_BACK,
    IDEM_REPLY_DO_RELEASE, /* it is over: its storage is free */
};

struct idem_reply {
    enum idem_reply_state state; /* written by idem_reply_step only */
    bool orphan; /* the queue will deliver it again: there is nobody to tell */
};

/* Counters only rise; any thread may read them. */
struct idem_reply_counts {
    _Atomic uint64_t on[IDEM_REPLY_ON_COUNT];
    _Atomic uint64_t unexpected; /* events that the state does not know: none, ever */
};

/* The one transition function. Total: an event that makes no sense in a state changes nothing. */
enum idem_reply_act idem_reply_step(struct idem_reply *reply, enum idem_reply_event event,
                                    struct idem_reply_counts *counts);

/* What the store's answer means. */
enum idem_reply_event idem_reply_settlement(enum idem_code code);

#endif
