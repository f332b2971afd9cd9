/* SPDX-License-Identifier: MIT
 * Deliveries that the broker has been given and that are not yet certain: when they are, their claims
 * are completed.
 *
 * A message that PASSES is certain once the callback has returned and the broker's thread comes back
 * with anything else: the broker has then queued it to its subscribers. The exception is a broker that
 * ran out of memory right after the callback: it disconnects the client at once, before any other event.
 * Such a claim is left pending, so that the next copy is in doubt.
 *
 * A message that was HANDED ON with mosquitto_broker_publish() is taken from the broker's queue at the
 * start of the next turn of its loop; the tick comes at the end of each turn. So a message event or a
 * tick proves it for what was handed on before the last tick. A disconnection proves it one tick later
 * only, since the broker also reports disconnections while it shuts down, after its last turn. What a
 * tick hands on (intake.h: what was parked) belongs to the turn that the tick is the end of: so the turn
 * is over after that, and not before.
 * Mosquitto 2.0.11 does not tick under `per_listener_settings true`: there it is certain after a second,
 * ten times the longest sleep of the loop.
 *
 * A broker that is stopped while messages wait in that queue throws them away, although their
 * publishers have been told that it has them. They are saved (handover.h) and published at the next
 * start.
 *
 * A crash before a claim is completed leaves it pending: in memory only (forgotten), or on disk (the
 * next copy is in doubt). Never done. */
#ifndef IDEM_MOSQUITTO_SETTLE_H
#define IDEM_MOSQUITTO_SETTLE_H

#include "handover.h"

#include <idem/receiver.h>

struct idem_settlement {
    struct idem_delivery delivery;
    struct idem_handover handover; /* topic NULL: the message passed */
    const void *client;            /* to compare only */
    uint64_t turn;
    int64_t since_ms;
};

struct idem_settle {
    struct idem_receiver *receiver; /* borrowed */
    struct idem_settlement *items;
    size_t count;
    size_t capacity;
    uint64_t turn; /* turns of the broker's loop that have ended */
    bool ticking;
};

void idem_settle_init(struct idem_settle *settle, struct idem_receiver *receiver);
void idem_settle_fini(struct idem_settle *settle);

/* Makes room for one more, before anything is claimed. */
IDEM_MUST_USE enum idem_code idem_settle_reserve(struct idem_settle *settle);

/* A delivery is with the broker: one that is claimed, or, without a claim, one that waits in the broker's
 * queue and may not be lost with it. Needs the room that was reserved; takes over handover. */
void idem_settle_add(struct idem_settle *settle, const struct idem_delivery *delivery,
                     const struct idem_handover *handover, const void *client,
                     int64_t now_ms);

/* Whether the message that claimed the digest is with the broker and not yet certain. */
bool idem_settle_holds(const struct idem_settle *settle,
                       const struct idem_digest *digest);

/* The message that claimed the digest is given up: its claim is no longer to be completed. */
void idem_settle_withdraw(struct idem_settle *settle, const struct idem_digest *digest);

/* The broker's thread came back with a message, with a tick (of the one instance that counts the turns), or
 * with the disconnection of a client. */
void idem_settle_on_message(struct idem_settle *settle, int64_t now_ms);
void idem_settle_on_tick(struct idem_settle *settle, int64_t now_ms);
void idem_settle_on_disconnect(struct idem_settle *settle, const void *client,
                               bool broker_out_of_memory, int64_t now_ms);

/* The tick has handed on what it had to. */
void idem_settle_end_turn(struct idem_settle *settle);

/* The broker has stopped. What is certain is completed; what the broker still had in its queue goes to
 * save, and is completed where save says that it is kept. */
typedef bool idem_settle_save(void *arg, const struct idem_handover *const *handovers,
                              size_t count);
void idem_settle_stop(struct idem_settle *settle, int64_t now_ms, idem_settle_save *save,
                      void *arg);

#endif
