/* SPDX-License-Identifier: MIT
 * A worker's own struct, shared by the files that make it up. */
#ifndef IDEM_RABBITMQ_WORKER_STATE_H
#define IDEM_RABBITMQ_WORKER_STATE_H

#include "consumer.h"
#include "glance.h"
#include "options.h"
#include "sink.h"
#include "worker.h"

#include <pthread.h>
#include <stdatomic.h>

#define IDEM_SINKS_MAX     2
#define IDEM_WAITING_LISTS 1024 /* a power of two */

struct idem_outgoing;
struct idem_replies;

struct idem_worker {
    const struct idem_bridge_options *options;
    struct idem_log log;
    struct event_base *base;
    struct event *store_ready;
    struct event *noticed;  /* notice_fd: stop, new rules */
    struct event *deadline; /* of draining */
    struct event *watch;    /* looks now and then whether anything moves */
    uint64_t moves;         /* when it looked last */
    int64_t still_since_ms; /* of the monotonic clock: nothing has moved since */
    bool stalled;           /* that has been said */
    struct event *pulse;    /* a reason to turn; NULL: none is needed */
    int notice_fd;
    atomic_bool turned; /* since somebody looked */
    atomic_bool ended;
    struct idem_store *store;
    struct idem_receiver *receiver;

    struct idem_consumer source;
    struct idem_parcel *incoming;                       /* of which not all has come */
    const amqp_basic_properties_t *incoming_properties; /* decoded by the library */

    struct idem_sink *sinks[IDEM_SINKS_MAX];    /* what delivers, and what sets aside */
    size_t sink_count;                          /* 1: the same one does both */
    struct idem_sink *routes[IDEM_ROUTE_COUNT]; /* which of them is for what; borrowed */

    struct idem_replies *replies;                    /* mode rpc; NULL: none */
    struct idem_waiting waiting[IDEM_WAITING_LISTS]; /* for a reply, by digest */

    struct idem_parcels live;
    struct idem_parcels resting;
    size_t live_count;
    size_t idle_count; /* of the live ones, those that only wait: HELD, WAITING */
    struct idem_transfer_counts counts;
    struct idem_glancing glancing;
    amqp_pool_t scratch;
    bool draining;
    bool leaving;

    pthread_mutex_t mailbox; /* guards what other threads write: */
    bool stop_wanted;
    bool report_wanted;
    struct idem_config *new_config;
    struct idem_config *config; /* of the rules in use, where they were reloaded; owned */
};

/* parcels.c */
struct idem_parcel *idem_parcel_take(struct idem_worker *worker);
void idem_parcel_rest(struct idem_worker *worker, struct idem_parcel *parcel);
void idem_parcels_free(struct idem_worker *worker);
/* Adds those in use to the number for their state, of IDEM_TRANSFER_STATE_COUNT. */
void idem_parcels_count(const struct idem_worker *worker, uint64_t *by_state);
void idem_parcel_join_line(struct idem_parcel *parcel, bool in_front);
void idem_parcel_leave_line(struct idem_parcel *parcel);

/* The one place where events reach a transfer and acts are carried out. The parcel may be at rest when it
 * returns. */
void idem_parcel_step(struct idem_parcel *parcel, enum idem_transfer_event event);

void idem_parcel_log_doubt(const struct idem_parcel *parcel, const char *why);

/* The rules in use now, and the one of that name; NULL: there is none. */
const struct idem_ruleset *idem_worker_rules(const struct idem_worker *worker);
const struct idem_rule *idem_worker_rule(const struct idem_worker *worker,
                                         const char *name);

/* source.c */
IDEM_MUST_USE enum idem_code idem_source_init(struct idem_worker *worker);
void idem_source_lost(struct idem_worker *worker);
void idem_source_flush(struct idem_worker *worker);
void idem_source_reject(struct idem_worker *worker, struct idem_parcel *parcel);
void idem_source_ask(
    struct idem_worker *worker); /* how many messages wait in the queue */

/* standing.c: what the messages wait for, in the log: when it was asked for, and when nothing moves. */
void idem_standing_report(struct idem_worker *worker);
IDEM_MUST_USE enum idem_code idem_standing_watch(struct idem_worker *worker);

/* dispatch.c */
/* The headers that say why it is not delivered, and by which rule. */
void idem_dispatch_reasons(struct idem_outgoing *outgoing,
                           const struct idem_parcel *parcel);
struct idem_span idem_dispatch_exchange(const struct idem_parcel *parcel);
struct idem_span idem_dispatch_routing_key(const struct idem_parcel *parcel);
struct idem_span idem_dispatch_payload(const struct idem_parcel *parcel);
/* Whether the broker is to give it back where no queue takes it. */
bool idem_dispatch_mandatory(const struct idem_parcel *parcel);
IDEM_MUST_USE enum idem_code idem_dispatch_properties(const struct idem_parcel *parcel,
                                                      const struct idem_end *end,
                                                      amqp_basic_properties_t *result);

#endif
