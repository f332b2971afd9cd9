/* SPDX-License-Identifier: MIT
 * Events in, acts out: what the delivery machine asks for is carried out here, and only here. */
#include "fault.h"
#include "rpc.h"
#include "view.h"

#include <idem/clock.h>

#include <inttypes.h>
#include <stdlib.h>

#define LOOK_MIN_MS   20 /* at a copy that another holds: its holder is mostly quick */
#define LOOK_MAX_MS   2000
#define GAP_MAX_MS    80 /* at a number that waits for others, which may be just behind it */
#define LOOKS_SOON    4   /* 300 ms */
#define REFUSE_MIN_MS 100 /* a store that cannot answer */
#define RETRY_MIN_MS  100 /* a sink that cannot take it */
#define RETRY_MAX_MS  30000

static void woken(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    idem_parcel_step(arg, IDEM_ON_WAKE);
}

struct idem_parcel *idem_parcel_take(struct idem_worker *worker) {
    struct idem_parcel *parcel = TAILQ_FIRST(&worker->resting);
    if (parcel != NULL) {
        TAILQ_REMOVE(&worker->resting, parcel, live);
    } else {
        parcel = calloc(1, sizeof *parcel);
        if (parcel == NULL) {
            return NULL;
        }
        parcel->worker = worker;
        if (event_assign(&parcel->pause, worker->base, -1, 0, woken, parcel) != 0) {
            free(parcel);
            return NULL;
        }
    }
    memset(&parcel->transfer, 0, sizeof parcel->transfer);
    parcel->suspect = false;
    parcel->trouble = NULL;
    parcel->sqlstate[0] = '\0';
    parcel->pauses = 0;
    parcel->arrived_ms = 0;
    parcel->answer_len = 0;
    TAILQ_INSERT_TAIL(&worker->live, parcel, live);
    worker->live_count++;
    return parcel;
}

void idem_parcel_leave_line(struct idem_parcel *parcel) {
    if (parcel->in_line != NULL) {
        TAILQ_REMOVE(parcel->in_line, parcel, line);
        parcel->in_line = NULL;
    }
}

static struct idem_parcels *line_of(const struct idem_parcel *parcel) {
    return &parcel->worker->routes[parcel->transfer.route]->line;
}

/* One that stands there already keeps its place. */
void idem_parcel_join_line(struct idem_parcel *parcel, bool in_front) {
    struct idem_parcels *line = line_of(parcel);
    if (parcel->in_line == line) {
        return;
    }
    idem_parcel_leave_line(parcel);
    if (in_front) {
        TAILQ_INSERT_HEAD(line, parcel, line);
    } else {
        TAILQ_INSERT_TAIL(line, parcel, line);
    }
    parcel->in_line = line;
}

void idem_parcel_rest(struct idem_worker *worker, struct idem_parcel *parcel) {
    idem_parcel_leave_line(parcel);
    idem_rpc_forget(parcel);
    (void)event_del(&parcel->pause);
    idem_letter_rest(&parcel->letter);
    TAILQ_REMOVE(&worker->live, parcel, live);
    TAILQ_INSERT_HEAD(&worker->resting, parcel, live);
    worker->live_count--;
}

static void free_all(struct idem_parcels *parcels) {
    struct idem_parcel *parcel = TAILQ_FIRST(parcels);
    while (parcel != NULL) {
        struct idem_parcel *next = TAILQ_NEXT(parcel, live);
        (void)event_del(&parcel->pause);
        idem_letter_fini(&parcel->letter);
        free(parcel->answer);
        free(parcel);
        parcel = next;
    }
    TAILQ_INIT(parcels);
}

void idem_parcels_free(struct idem_worker *worker) {
    free_all(&worker->live);
    free_all(&worker->resting);
}

void idem_parcels_count(const struct idem_worker *worker, uint64_t *by_state) {
    const struct idem_parcel *parcel = NULL;
    TAILQ_FOREACH(parcel, &worker->live, live) {
        by_state[parcel->transfer.state]++;
    }
}

/* A copy whose earlier delivery is unknown: whoever finds two of them can look here for why. */
void idem_parcel_log_doubt(const struct idem_parcel *parcel, const char *why) {
    char hex[IDEM_DIGEST_HEX_SIZE] = "";
    if (parcel->delivery.has_identity) {
        idem_digest_hex(&parcel->delivery.digest, hex);
    }
    idem_log_write(&parcel->worker->log, IDEM_LOG_NOTICE, "copy.in_doubt",
                   "rule %s, key %s: %s", parcel->delivery.rule_name, hex, why);
}

/* The key goes with the message, as a header to add or as a parameter: its text does not outlive this call.
 * Without memory for it the message goes without: it is of use to the next receiver, but the message is of
 * more. A statement is not executed without it. */
static void keep_key(struct idem_worker *worker, struct idem_parcel *parcel) {
    static const char *const none[] = {NULL};
    const char *const *as = none;
    const char *text = NULL;
    size_t len =
        worker->sinks[0]->wants_keys
            ? idem_receiver_key(worker->receiver, &parcel->delivery, &text)
            : idem_receiver_propagation(worker->receiver, &parcel->delivery, &as, &text);
    if (len > 0 &&
        idem_letter_set_key(&parcel->letter, as, idem_span_of(text, len)) != IDEM_OK) {
        idem_log_write(&worker->log, IDEM_LOG_WARNING, "bridge.memory",
                       "no memory for a message's key");
    }
}

/* False: there is no memory for the answer; asked again, it is still in the store. */
static bool note_request(struct idem_parcel *parcel) {
    struct idem_span result = {NULL, 0};
    idem_rpc_note(parcel);
    if (parcel->delivery.verdict != IDEM_VERDICT_REPLAY) {
        return true;
    }
    (void)idem_receiver_result(parcel->worker->receiver, &parcel->delivery, &result);
    return idem_rpc_keep_answer(parcel, result) == IDEM_OK;
}

static void decided(void *arg, struct idem_delivery *delivery) {
    struct idem_parcel *parcel = arg;
    struct idem_worker *worker = parcel->worker;
    const struct idem_rule *rule = delivery->rule;
    IDEM_FAULT_POINT("claimed");
    if (delivery->has_identity) {
        idem_glancing_answered(worker, IDEM_OPERATION_CLAIM, parcel->asked_ns,
                               delivery->store_code);
    }
    parcel->transfer.claimed = delivery->claimed;
    parcel->transfer.on_in_doubt =
        rule != NULL ? rule->policies.on_in_doubt : IDEM_ACTION_DELIVER;
    parcel->lease_until_ms = 0;
    if (delivery->claimed && rule != NULL) {
        parcel->lease_until_ms = parcel->submitted_ms + rule->lease_ms * 3 / 4;
        parcel->claim_until_ms = parcel->submitted_ms + rule->lease_ms;
    }
    parcel->trouble = NULL;
    if (worker->replies != NULL && !note_request(parcel)) {
        idem_parcel_step(parcel, IDEM_ON_REFUSE);
        return;
    }
    if (delivery->verdict == IDEM_VERDICT_DELIVER) {
        keep_key(worker, parcel);
    }
    if (delivery->reason == IDEM_REASON_IN_DOUBT) {
        idem_parcel_log_doubt(parcel,
                              "its holder died, or its lease ended, before it was done");
    }
    idem_parcel_step(parcel,
                     idem_transfer_verdict(delivery->verdict, &worker->options->policy));
}

static void submit(struct idem_worker *worker, struct idem_parcel *parcel) {
    struct idem_view view;
    void *decoded = (void *)(uintptr_t)worker->incoming_properties;
    if (parcel != worker->incoming || decoded == NULL) {
        struct idem_span raw = idem_letter_properties(&parcel->letter);
        if (amqp_decode_properties(AMQP_BASIC_CLASS, &worker->scratch,
                                   idem_rabbit_bytes(raw), &decoded) != AMQP_STATUS_OK) {
            idem_parcel_step(parcel,
                             IDEM_ON_REFUSE); /* no memory: it was decoded before */
            return;
        }
    }
    parcel->submitted_ms = idem_clock_wall_ms();
    if (parcel->arrived_ms == 0) {
        parcel->arrived_ms = parcel->submitted_ms;
    }
    parcel->asked_ns = idem_clock_monotonic_ns();
    idem_view_init(&view, &parcel->letter, decoded,
                   idem_span_text(worker->options->config->bridge.source.queue));
    idem_receiver_submit(worker->receiver, &view.message, parcel->submitted_ms,
                         &parcel->delivery, decided, parcel);
    IDEM_FAULT_POINT("claiming");
    recycle_amqp_pool(&worker->scratch);
}

static void settled(void *arg, enum idem_code code) {
    struct idem_parcel *parcel = arg;
    IDEM_FAULT_POINT("settled");
    idem_glancing_answered(parcel->worker,
                           parcel->transfer.state == IDEM_TRANSFER_ABANDONING
                               ? IDEM_OPERATION_ABANDON
                               : IDEM_OPERATION_COMPLETE,
                           parcel->asked_ns, code);
    idem_parcel_step(parcel, idem_transfer_settlement(code));
}

static void complete(struct idem_worker *worker, struct idem_parcel *parcel) {
    IDEM_FAULT_POINT("confirmed");
    parcel->delivery.claimed =
        true; /* also the second time, after the store had failed */
    parcel->asked_ns = idem_clock_monotonic_ns();
    idem_receiver_complete(worker->receiver, &parcel->delivery, idem_clock_wall_ms(),
                           settled, parcel);
    IDEM_FAULT_POINT("completing");
}

static int64_t growing(int64_t first_ms, unsigned times, int64_t most_ms) {
    int64_t delay = times < 16 ? first_ms << times : most_ms;
    return delay < most_ms ? delay : most_ms;
}

static int64_t pause_ms(const struct idem_parcel *parcel) {
    if (parcel->transfer.state == IDEM_TRANSFER_WAITING) {
        return growing(RETRY_MIN_MS, parcel->transfer.attempts, RETRY_MAX_MS);
    }
    if (parcel->transfer.state != IDEM_TRANSFER_HELD ||
        parcel->delivery.verdict != IDEM_VERDICT_HOLD) {
        return growing(REFUSE_MIN_MS, parcel->pauses, LOOK_MAX_MS);
    }
    /* Its holder may settle it at any time, and at the latest its lease ends. */
    int64_t lease_ms = parcel->delivery.retry_at_ms - idem_clock_wall_ms();
    bool gap = parcel->delivery.reason == IDEM_REASON_GAP;
    int64_t look_ms =
        growing(LOOK_MIN_MS, parcel->pauses, gap ? GAP_MAX_MS : LOOK_MAX_MS);
    return lease_ms > 0 && lease_ms < look_ms ? lease_ms : look_ms;
}

static void wait(struct idem_parcel *parcel) {
    int64_t delay_ms = pause_ms(parcel);
    struct timeval delay = {delay_ms / 1000, (delay_ms % 1000) * 1000};
    parcel->pauses++;
    (void)event_add(&parcel->pause, &delay);
}

/* What was published once, or had to be in front of what came later, goes in front again. */
static void enqueue(struct idem_parcel *parcel) {
    parcel->pauses = 0;
    idem_parcel_join_line(parcel, parcel->transfer.doubtful);
}

/* Whether it has nothing to wait for but time. A copy that was held only now is under way: mostly by one
 * of our own that is nearly through, so that a stop can still see it off. */
static bool only_waits(const struct idem_parcel *parcel) {
    return parcel->transfer.state == IDEM_TRANSFER_WAITING ||
           (parcel->transfer.state == IDEM_TRANSFER_HELD && parcel->pauses >= LOOKS_SOON);
}

static void count_idle(struct idem_worker *worker, struct idem_parcel *parcel) {
    bool idle = only_waits(parcel);
    worker->idle_count += (size_t)idle;
    worker->idle_count -= (size_t)parcel->idle;
    parcel->idle = idle;
}

static void carry_out(struct idem_worker *worker, struct idem_parcel *parcel,
                      enum idem_transfer_act act) {
    switch (act) {
    case IDEM_DO_NOTHING:
        break;
    case IDEM_DO_CLAIM:
        submit(worker, parcel);
        break;
    case IDEM_DO_ENQUEUE:
        enqueue(parcel);
        break;
    case IDEM_DO_COMPLETE:
        complete(worker, parcel);
        break;
    case IDEM_DO_ABANDON:
        parcel->asked_ns = idem_clock_monotonic_ns();
        idem_receiver_abandon(worker->receiver, &parcel->delivery, settled, parcel);
        IDEM_FAULT_POINT("abandoning");
        break;
    case IDEM_DO_WAIT:
        wait(parcel);
        break;
    case IDEM_DO_ACK:
        idem_acks_settle(&worker->source.acks, &parcel->ack);
        break;
    case IDEM_DO_REJECT:
        idem_source_reject(worker, parcel);
        break;
    case IDEM_DO_RELEASE:
        idem_parcel_rest(worker, parcel);
        break;
    }
}

void idem_parcel_step(struct idem_parcel *parcel, enum idem_transfer_event event) {
    struct idem_worker *worker = parcel->worker;
    enum idem_transfer_act act = idem_transfer_step(
        &parcel->transfer, event, &worker->options->policy, &worker->counts);
    count_idle(worker, parcel);
    idem_rpc_watch(parcel);
    if (act != IDEM_DO_NOTHING && act != IDEM_DO_ENQUEUE && act != IDEM_DO_CLAIM) {
        idem_parcel_leave_line(parcel);
    }
    carry_out(worker, parcel, act);
}
