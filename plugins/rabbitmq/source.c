/* SPDX-License-Identifier: MIT
 * The source: each message of the queue becomes a parcel, and is acknowledged, in batches, when the parcel
 * has ended. */
#include "fault.h"
#include "worker_state.h"

static struct idem_letter *begin(void *arg) {
    struct idem_worker *worker = arg;
    worker->incoming = idem_parcel_take(worker);
    return worker->incoming != NULL ? &worker->incoming->letter : NULL;
}

static void broken(void *arg) {
    struct idem_worker *worker = arg;
    idem_parcel_rest(worker, worker->incoming);
    worker->incoming = NULL;
}

static void arrived(void *arg, const struct idem_consumed *consumed) {
    struct idem_worker *worker = arg;
    struct idem_parcel *parcel = worker->incoming;
    IDEM_FAULT_POINT("arrived");
    worker->incoming_properties = consumed->properties;
    idem_acks_open(&worker->source.acks, &parcel->ack, consumed->tag);
    idem_parcel_join_line(parcel, false);
    idem_parcel_step(parcel, IDEM_ON_ARRIVED);
    worker->incoming = NULL;
    worker->incoming_properties = NULL;
}

static void measured(void *arg, uint32_t messages, uint32_t consumers) {
    idem_glancing_queue(arg, messages, consumers);
}

enum idem_code idem_source_init(struct idem_worker *worker) {
    static const struct idem_consumer_ops ops = {begin, arrived, broken, measured};
    const struct idem_bridge_options *options = worker->options;
    const struct idem_consumer_terms terms = {
        .name = "source",
        .queue = options->config->bridge.source.queue,
        .label = "idem",
        .prefetch = options->config->bridge.source.prefetch,
        .ops = &ops,
        .arg = worker,
    };
    return idem_consumer_init(&worker->source, worker, &options->source, &terms);
}

void idem_source_lost(struct idem_worker *worker) {
    idem_consumer_reset(&worker->source);
    struct idem_parcel *parcel = TAILQ_FIRST(&worker->live);
    while (parcel != NULL) {
        struct idem_parcel *next = TAILQ_NEXT(parcel, live);
        if (!parcel->transfer.orphan) {
            idem_parcel_step(parcel, IDEM_ON_SOURCE_LOST);
        }
        parcel = next;
    }
}

static bool send_ack(void *arg, uint64_t tag, bool multiple) {
    struct idem_worker *worker = arg;
    IDEM_FAULT_POINT("completed");
    if (!idem_consumer_ack(&worker->source, tag, multiple)) {
        return false;
    }
    IDEM_FAULT_POINT("acknowledged");
    return true;
}

static void told(void *arg, struct idem_ack_node *node) {
    (void)arg;
    idem_parcel_step(idem_parcel_of_ack(node), IDEM_ON_TOLD);
}

void idem_source_flush(struct idem_worker *worker) {
    const struct idem_acks_sink sink = {send_ack, told, worker};
    if (idem_consumer_usable(&worker->source)) {
        (void)idem_acks_flush(&worker->source.acks, &sink);
    }
}

/* Where it cannot be told, the source is lost, which ends the parcel, too. */
void idem_source_reject(struct idem_worker *worker, struct idem_parcel *parcel) {
    if (idem_consumer_reject(&worker->source, &parcel->ack, false)) {
        idem_parcel_step(parcel, IDEM_ON_TOLD);
    }
}

void idem_source_ask(struct idem_worker *worker) {
    if (!worker->draining) {
        idem_consumer_ask(&worker->source);
    }
}
