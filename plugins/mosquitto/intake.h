/* SPDX-License-Identifier: MIT
 * What happens to an arriving message, and when: at once, after a wait, or parked.
 *
 * A store that answers at once decides within the event, and act.c carries the verdict out on the message
 * itself. A store on the network answers later; then there are two ways:
 *
 *   park   The message is copied, the arriving one becomes a sink (so that the publisher is told that all
 *          is well), and the loop goes on. Claims go down one pipeline. Each tick takes the answers and
 *          hands the copies on that are decided, in order of arrival, as far as the first that is not.
 *   block  The event waits for the answer, for the broker's every client, at most store.deadline; where
 *          the store has failed it says so at once until it answers again. So the claim comes before the
 *          acknowledgement.
 *
 * Blocked are, whatever store.wait says: messages under a rule with `on_store_failure: refuse`, since what
 * is parked has been acknowledged and can be refused no more; and all messages where the broker does not
 * tick (2.0.11 under per_listener_settings), since nothing would hand on what is parked.
 *
 * Order. Copies are handed on in ticks only, and the broker takes them before it reads from any client. A
 * message that is decided at once must not overtake those that wait: under a rule it joins the line as
 * long as there is one; under none, or under a natural one, only where its client has a message to the
 * same topic in it (the order that MQTT promises; a retained delete belongs behind what it deletes). */
#ifndef IDEM_MOSQUITTO_INTAKE_H
#define IDEM_MOSQUITTO_INTAKE_H

#include "latency.h"
#include "park.h"
#include "replay.h"
#include "settle.h"
#include "waker.h"

#include <idem/config.h>

struct idem_intake {
    struct idem_receiver *receiver; /* borrowed, as is all else that is pointed to */
    struct idem_store *store;
    struct idem_settle *settle;
    struct idem_replay *replay;
    const struct idem_log *log;
    int store_fd; /* -1: the store answers at once */
    bool parks;   /* as configured */
    bool told_of_blocking;
    struct idem_park park;
    struct idem_latency latency;
    bool asked; /* somebody else waits for the store, too */
    struct idem_waker waker;
    int64_t dispatched_ns;                     /* when the store was looked at last */
    const struct mosquitto_evt_message *event; /* while it is submitted */
    const struct idem_parked *arriving;        /* the same */
    /* Places in a row: most messages take one that was used before. */
    struct idem_parked *spare;
    size_t spares;
};

/* answers_later: false for a store that answers all that is not durable at once, as those do that are not
 * on a network. Nothing the plugin asks for is, so it has neither to be looked after, nor to wake the
 * broker. store may be NULL for a node that fails to start: fini does nothing then. */
void idem_intake_init(struct idem_intake *intake, struct idem_store *store,
                      bool answers_later, struct idem_settle *settle,
                      struct idem_replay *replay, const struct idem_log *log);
void idem_intake_fini(struct idem_intake *intake);

/* Once the receiver is there. IDEM_ERR_NOMEM; IDEM_ERR_IO: see waker.h. */
IDEM_MUST_USE enum idem_code idem_intake_start(struct idem_intake *intake,
                                               struct idem_receiver *receiver,
                                               struct idem_error *error);
void idem_intake_configure(struct idem_intake *intake, const struct idem_config *config);

/* For idem_receiver_options.room; arg is the intake. */
idem_receiver_room idem_intake_room;

/* The event; returns what the callback returns. The settle list has room for one. */
int idem_intake_message(struct idem_intake *intake, struct mosquitto_evt_message *event,
                        int64_t now_ms);

/* The end of a turn of the loop. */
void idem_intake_turn(struct idem_intake *intake, int64_t now_ms);

/* Other occasions to look at the store, for brokers that do not tick. */
void idem_intake_occasion(struct idem_intake *intake);

/* The broker has stopped: waits for the answers, at most store.deadline, and gives the broker's queue what
 * is parked, from where idem_settle_stop() saves it. */
void idem_intake_stop(struct idem_intake *intake, int64_t now_ms);

#endif
