/* SPDX-License-Identifier: MIT
 * The delivery machine: what becomes of one message between the source queue and the sink. Pure.
 *
 * The bridge stands between two brokers that promise nothing to each other, and a store that promises
 * nothing to either. What keeps a message from being lost, and a copy from being delivered twice, is the
 * order in which the three are told:
 *
 *     claim -> publish -> confirm -> complete -> acknowledge
 *
 * The source is acknowledged last, always: as long as it is not, the message is still its own, and any
 * crash gives it back. A record is completed only when the sink has confirmed, since a done record makes
 * every later copy a duplicate. In between stands the claim, which keeps other copies out and, after a
 * crash, tells the next copy that it is in doubt.
 *
 *   state       what is true in it                             what a crash in it costs
 *   IDLE        nothing is known of the message                nothing
 *   CLAIMING    the store has been asked, and not answered     nothing: our dead claim is taken over; the
 *                                                              copy counts as in doubt, and goes out once
 *   HELD        the claim is another copy's, or the store      nothing: the source delivers it again
 *               cannot answer; nothing of it is ours
 *   READY       to be published, waiting in line               as CLAIMING
 *   PUBLISHED   written to the sink's channel; no confirm      the copy is in doubt, and truly so: it may
 *                                                              have arrived
 *   RETURNED    no queue took it; its confirm is to come       as READY: it has not arrived
 *   WAITING     it could not be delivered; the claim has       nothing
 *               been given back; tried again later
 *   AWAITING    a request: the worker has it, or may have      nothing: its claim stands until the reply
 *               it; its claim is the reply's to settle         comes, or its lease ends (rpc.h)
 *   COMPLETING  delivered for certain; the record is not yet   the copy is in doubt, and would be
 *               done                                           delivered twice
 *   ABANDONING  the claim is being given back                  as CLAIMING
 *   SETTLED     only the source has not been told yet          nothing: the copy comes again, is a
 *                                                              duplicate, and is dropped
 *
 * Either broker can be lost at any moment without the bridge dying:
 *
 * SINK_LOST in PUBLISHED. The copy is in doubt although we are alive, since only the confirm would have
 * told. It is counted as that, and the rule's on_in_doubt decides: published again, set aside, or taken as
 * delivered. Published again it keeps its claim and goes before everything that came later.
 *
 * SOURCE_LOST. All that was not acknowledged is delivered again, by a queue that knows nothing of the
 * copies that are still here: they are orphans from now on. What was not yet published gives its claim
 * back, so that the redelivered copy is new. What was published is carried to its end: confirmed, it is
 * completed, and the redelivered copy, held until then by our own claim, is found to be a duplicate,
 * dropped, and acknowledged in its place. An orphan ends without an acknowledgement: its delivery tag
 * belonged to a channel that is gone.
 *
 * A sink that is a database has the claim and the delivery in one transaction (postgres.h). Its claims are
 * done when it confirms, so COMPLETING asks nobody, and what it takes back it takes back whole: UNDONE.
 *
 * In mode rpc (rpc.h) a copy can be a request, with somebody to answer. One that is new is confirmed by the
 * sink and then AWAITING: the reply completes the record, whichever instance it comes to, and the copy finds
 * the result there, as every later copy does. The result goes out on the route ANSWER, which holds no claim:
 * an answer that may be lost is given again, and one that nobody can be given ends with the copy. A request
 * that comes to no worker (a conflict, a doubt, what no queue takes) goes where its rule says first, and then
 * its requester is told on the same route, last before the source: whatever is lost meanwhile, the copy comes
 * again and is refused again.
 *
 * What fails for certain (nacked, returned) gives the claim back and is tried again after a pause that
 * grows; when its budget of attempts is spent it goes to the quarantine exchange. Without one, and where
 * the quarantine itself cannot take it, it is tried for ever at the longest pause: it stays unacknowledged
 * at the source, never lost, never in a hot loop. What the sink refuses for good (SPOILED) is not tried
 * again: it goes to the quarantine at once, where there is one. */
#ifndef IDEM_RABBITMQ_TRANSFER_H
#define IDEM_RABBITMQ_TRANSFER_H

#include <idem/receiver.h>

#include <stdatomic.h>

enum idem_transfer_state {
    IDEM_TRANSFER_IDLE,
    IDEM_TRANSFER_CLAIMING,
    IDEM_TRANSFER_HELD,
    IDEM_TRANSFER_READY,
    IDEM_TRANSFER_PUBLISHED,
    IDEM_TRANSFER_RETURNED,
    IDEM_TRANSFER_WAITING,
    IDEM_TRANSFER_AWAITING,
    IDEM_TRANSFER_COMPLETING,
    IDEM_TRANSFER_ABANDONING,
    IDEM_TRANSFER_SETTLED,
    IDEM_TRANSFER_STATE_COUNT
};

enum idem_transfer_event {
    IDEM_ON_ARRIVED,     /* the source has delivered the whole message */
    IDEM_ON_DELIVER,     /* the receiver's verdict: to the sink */
    IDEM_ON_SET_ASIDE,   /* ... to the quarantine */
    IDEM_ON_DEAD_LETTER, /* ... back to the source, which dead-letters it */
    IDEM_ON_DROP,        /* ... to nobody */
    IDEM_ON_REPLAY,      /* ... to nobody, but the requester is answered from the store */
    IDEM_ON_HOLD,        /* ... not yet: another copy is being delivered */
    IDEM_ON_REFUSE,      /* ... not now: the store cannot answer */
    IDEM_ON_SENT,        /* about to be written to the sink's channel */
    IDEM_ON_CONFIRMED,
    IDEM_ON_RETURNED, /* unroutable; a confirm follows */
    IDEM_ON_NACKED,   /* the sink could not take it */
    IDEM_ON_BARRED,   /* the sink closed the channel over this very message */
    IDEM_ON_SPOILED,  /* the sink refuses this very message, and always will */
    IDEM_ON_UNDONE, /* taken back, with its claim: or it had been done before, and the claim knows */
    IDEM_ON_SETTLED,    /* the store has done what it was asked, or never will */
    IDEM_ON_UNSETTLED,  /* the store could not: ask again */
    IDEM_ON_WAKE,       /* a pause is over */
    IDEM_ON_REPLIED,    /* the reply is here, and is in no store: it is the answer */
    IDEM_ON_LEASE_OVER, /* it waited in line until its claim could be another's */
    IDEM_ON_SOURCE_LOST,
    IDEM_ON_SINK_LOST,
    IDEM_ON_TOLD, /* the source has been told: acknowledged or rejected */
    IDEM_ON_COUNT
};

/* What the caller does next. It does it at once, and looks at the transfer no more: the answer can come
 * before the call returns. */
enum idem_transfer_act {
    IDEM_DO_NOTHING,
    IDEM_DO_CLAIM,   /* ask the receiver for a verdict */
    IDEM_DO_ENQUEUE, /* into the line: in front where it is doubtful */
    IDEM_DO_COMPLETE,
    IDEM_DO_ABANDON,
    IDEM_DO_WAIT,    /* wake it after a pause */
    IDEM_DO_ACK,     /* tell the source that it may forget the message */
    IDEM_DO_REJECT,  /* tell the source to dead-letter it */
    IDEM_DO_RELEASE, /* the transfer is over: its storage is free */
};

enum idem_route {
    IDEM_ROUTE_SINK,
    IDEM_ROUTE_QUARANTINE,
    IDEM_ROUTE_ANSWER, /* to the requester */
    IDEM_ROUTE_COUNT
};

struct idem_transfer {
    enum idem_transfer_state state; /* written by idem_transfer_step only */
    enum idem_route route;
    enum idem_action on_in_doubt; /* of the rule; set with the verdict */
    bool claimed;                 /* a pending record is ours; set with the verdict */
    bool answerable;   /* a request, with somebody to answer; set with the verdict */
    bool asked;        /* the worker has it from us */
    bool refused;      /* no worker gets it; since the last verdict */
    bool orphan;       /* the source will deliver it again: there is nobody to tell */
    bool doubtful;     /* a sink was lost before it confirmed */
    bool dead_letter;  /* ends in a rejection */
    bool failed;       /* gives its claim back since it could not be delivered */
    bool spoiled;      /* gives it back since it never can be */
    unsigned attempts; /* that have failed for certain */
};

struct idem_transfer_policy {
    unsigned attempts_max; /* after as many failures a message goes to the quarantine */
    bool quarantine;       /* there is one */
};

/* Counters only rise; any thread may read them. */
struct idem_transfer_counts {
    _Atomic uint64_t on[IDEM_ON_COUNT];
    _Atomic uint64_t delivered;   /* confirmed by the sink */
    _Atomic uint64_t quarantined; /* confirmed by the quarantine exchange */
    _Atomic uint64_t in_doubt;    /* lost sight of by a lost sink: may arrive twice */
    _Atomic uint64_t asked;       /* requests that a worker has, or may have */
    _Atomic uint64_t answered;    /* confirmed by the requester's queue */
    _Atomic uint64_t replayed;    /* of these, what was given without asking a worker */
    _Atomic uint64_t refused; /* confirmed too, but it told that there will be no reply */
    _Atomic uint64_t unanswerable; /* there was nobody any more to give the answer to */
    _Atomic uint64_t poisoned;     /* gave up and sent to the quarantine */
    _Atomic uint64_t unexpected;   /* events that the state does not know: none, ever */
};

/* The one transition function, and the only writer of state and counters. Total: an event that makes no
 * sense in a state changes nothing. */
enum idem_transfer_act idem_transfer_step(struct idem_transfer *transfer,
                                          enum idem_transfer_event event,
                                          const struct idem_transfer_policy *policy,
                                          struct idem_transfer_counts *counts);

/* Whether it is, or would be once the sink has it, for the reply to settle. */
static inline bool idem_transfer_asks(const struct idem_transfer *transfer) {
    return transfer->route == IDEM_ROUTE_SINK && transfer->claimed &&
           transfer->answerable;
}

/* Whether its requester waits for a reply that nobody will give: its answer says so. */
static inline bool idem_transfer_refuses(const struct idem_transfer *transfer) {
    return transfer->refused && transfer->answerable;
}

/* Whether a sink that is lost now leaves it unknown what became of it. Of a request, its reply will tell; an
 * answer does no harm when it comes twice. */
static inline bool idem_transfer_doubts(const struct idem_transfer *transfer) {
    return transfer->route != IDEM_ROUTE_ANSWER && !idem_transfer_asks(transfer);
}

/* From a verdict to its event. */
enum idem_transfer_event idem_transfer_verdict(enum idem_verdict verdict,
                                               const struct idem_transfer_policy *policy);

/* What the store's answer to complete or abandon means: an answer that will never change settles. */
enum idem_transfer_event idem_transfer_settlement(enum idem_code code);

const char *idem_transfer_state_name(enum idem_transfer_state state);
const char *idem_transfer_event_name(enum idem_transfer_event event);

#endif
