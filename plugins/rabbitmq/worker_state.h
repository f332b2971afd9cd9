/* SPDX-License-Identifier: MIT
 * A worker's own struct, shared by the files that make it up. */
#ifndef IDEM_RABBITMQ_WORKER_STATE_H
#define IDEM_RABBITMQ_WORKER_STATE_H

#include "confirms.h"
#include "link.h"
#include "options.h"
#include "parcel.h"
#include "worker.h"

#include <event2/event.h>
#include <pthread.h>

/* One side: its connection, and how it comes back. */
struct idem_end {
    struct idem_link link;
    const struct idem_addresses *addresses;
    const struct idem_address *address; /* whose turn it is: the connected one */
    struct event *readable;             /* NULL: not connected */
    struct event *retry;
    unsigned failures; /* since it was last up */
    bool up;
    bool failed; /* to be taken down at the end of the turn */
};

struct idem_worker {
    const struct idem_bridge_options *options;
    struct idem_log log;
    struct event_base *base;
    struct event *store_ready;
    struct event *noticed;  /* notice_fd: stop, new rules */
    struct event *writable; /* the sink's, while it is full */
    struct event *deadline; /* of draining */
    int notice_fd;
    struct idem_store *store;
    struct idem_receiver *receiver;

    struct idem_end source;
    struct idem_acks acks;
    struct idem_parcel *incoming; /* of which not all has come */
    uint64_t incoming_tag;
    const amqp_basic_properties_t *incoming_properties; /* decoded by the library */

    struct idem_end sink;
    struct idem_confirms confirms;
    struct idem_parcels line;
    struct idem_letter returned; /* coming back */
    bool returning;
    bool suspect_out; /* nothing else may be published */

    struct idem_parcels live;
    struct idem_parcels resting;
    size_t live_count;
    size_t idle_count; /* of the live ones, those that only wait: HELD, WAITING */
    struct idem_transfer_counts counts;
    amqp_pool_t scratch;
    bool draining;
    bool leaving;

    pthread_mutex_t mailbox; /* guards what other threads write: */
    bool stop_wanted;
    struct idem_config *new_config;
    struct idem_config *config; /* of the rules in use, where they were reloaded; owned */
};

/* parcels.c */
struct idem_parcel *idem_parcel_take(struct idem_worker *worker);
void idem_parcel_rest(struct idem_worker *worker, struct idem_parcel *parcel);
void idem_parcels_free(struct idem_worker *worker);

/* The one place where events reach a transfer and acts are carried out. The parcel may be at rest when it
 * returns. */
void idem_parcel_step(struct idem_parcel *parcel, enum idem_transfer_event event);

void idem_parcel_log_doubt(const struct idem_parcel *parcel, const char *why);

/* source.c */
IDEM_MUST_USE enum idem_code idem_source_start(struct idem_worker *worker,
                                               struct idem_error *error);
bool idem_source_read(struct idem_worker *worker); /* whether there is more to read */
void idem_source_lost(struct idem_worker *worker);
void idem_source_flush(struct idem_worker *worker);
void idem_source_reject(struct idem_worker *worker, struct idem_parcel *parcel);
void idem_source_cancel(struct idem_worker *worker);

/* sink.c */
IDEM_MUST_USE enum idem_code idem_sink_start(struct idem_worker *worker,
                                             struct idem_error *error);
bool idem_sink_read(struct idem_worker *worker);
void idem_sink_lost(struct idem_worker *worker);
void idem_sink_publish(
    struct idem_worker *worker); /* what is in line, as far as possible */

/* dispatch.c */
struct idem_span idem_dispatch_exchange(const struct idem_parcel *parcel);
struct idem_span idem_dispatch_routing_key(const struct idem_parcel *parcel);
IDEM_MUST_USE enum idem_code idem_dispatch_properties(const struct idem_parcel *parcel,
                                                      amqp_basic_properties_t *result);

#endif
