/* SPDX-License-Identifier: MIT
 * Requests answered a second time without being delivered a second time (`on_duplicate: replay`).
 *
 * The plugin remembers each delivered request that has a response topic. A message that a client publishes
 * to that topic with that correlation data is its response, whoever sent it: the broker has checked that he
 * may. It passes like any other, and is stored with the request's record. A repeat of the request is
 * answered with it; one that comes before the response waits, or has the response coming anyway.
 *
 * Who receives a replay. It is published like any message, so that the broker delivers it to those who have
 * subscribed to its topic and may read it, and to nobody else (mosquitto_broker_publish() with a client's
 * id would go past both checks: subscriptions and ACL). What the broker does not check is whether somebody
 * may write there. So a replay goes to the very topic on which the response was published, by somebody who
 * might: a repeat that names another response topic is not answered. All that a repeat can bring about is
 * that its topic's readers get once more what its responder has sent there, which a new request brings
 * about as well.
 *
 * What a crash costs: requests that wait are remembered by this process only. A response that comes after a
 * restart is delivered, and not stored: repeats are then dropped without an answer. Never delivered. */
#ifndef IDEM_MOSQUITTO_REPLAY_H
#define IDEM_MOSQUITTO_REPLAY_H

#include "response.h"
#include "settle.h"

#include <idem/config.h>

/* What has become of repeats, then of responses and requests; each has a name and a figure. */
enum idem_replay_event {
    IDEM_REPLAY_ANSWERED,   /* from the store */
    IDEM_REPLAY_AWAITED,    /* the response was still to come */
    IDEM_REPLAY_NO_ADDRESS, /* no response topic, or none that may be answered to */
    IDEM_REPLAY_OTHER_TOPIC, /* not the one of the response, or another request waits for one there */
    IDEM_REPLAY_WITHOUT_RESULT, /* none is stored and none is awaited */
    IDEM_REPLAY_UNSENT,         /* the broker had no memory for the answer */
    IDEM_REPLAY_TOO_LARGE,      /* responses that are not stored */
    IDEM_REPLAY_FAILED,         /* the same, and their requests are forgotten */
    IDEM_REPLAY_UNPAIRED, /* requests whose response would not be known, or for which there is no room */
    IDEM_REPLAY_EVENT_COUNT
};

struct idem_replay {
    struct idem_receiver *receiver;   /* borrowed, as is all that is pointed to */
    const struct idem_ruleset *rules; /* those in force */
    struct idem_settle *settle;
    struct idem_pairs pairs;
    uint64_t counts[IDEM_REPLAY_EVENT_COUNT];
};

void idem_replay_init(struct idem_replay *replay, struct idem_settle *settle);
void idem_replay_fini(struct idem_replay *replay);

/* When the receiver is there, and again when the rules are others. */
void idem_replay_configure(struct idem_replay *replay, struct idem_receiver *receiver,
                           const struct idem_config *config);

/* A message has come: it may be a response. Before anything is done with it. */
void idem_replay_response(struct idem_replay *replay,
                          const struct mosquitto_evt_message *event, int64_t now_ms);

/* Whether a decided message is a request that may have to be remembered, or a repeat that may have to be
 * answered: then its exchange is read before it is given away. */
bool idem_replay_concerns(const struct idem_delivery *delivery);

/* It has been delivered, or dropped. result: as the receiver handed it out; empty: none. */
void idem_replay_done(struct idem_replay *replay, const struct idem_exchange *exchange,
                      const struct idem_delivery *delivery, struct idem_span result,
                      int qos, int64_t now_ms);

/* "answered", "other_topic", ...: static. */
const char *idem_replay_event_name(enum idem_replay_event event);

#endif
