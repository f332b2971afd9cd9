/* SPDX-License-Identifier: MIT
 * How the messages under way stand: how many are in which state, and what the sinks wait for. Changes
 * nothing: a bridge that waits says why, and what is to be done about it is for a person to decide. */
#include "worker_state.h"

#include <idem/clock.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define LOOKS    4 /* within the time after which a stall is told of */
#define TEXT_MAX 512

struct text {
    char bytes[TEXT_MAX];
    size_t used;
};

static void add(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...) {
    va_list values;
    va_start(values, format);
    int length =
        vsnprintf(text->bytes + text->used, TEXT_MAX - text->used, format, values);
    va_end(values);
    text->used += length > 0 ? (size_t)length : 0;
    text->used = text->used < TEXT_MAX ? text->used : TEXT_MAX - 1;
}

static void add_states(struct text *text, const struct idem_worker *worker) {
    uint64_t counts[IDEM_TRANSFER_STATE_COUNT] = {0};
    const char *before = " (";
    idem_parcels_count(worker, counts);
    add(text, "%zu messages under way", worker->live_count);
    for (int state = 0; state < IDEM_TRANSFER_STATE_COUNT; state++) {
        if (counts[state] > 0) {
            add(text, "%s%" PRIu64 " %s", before, counts[state],
                idem_transfer_state_name((enum idem_transfer_state)state));
            before = ", ";
        }
    }
    add(text, "%s", worker->live_count > 0 ? ")" : "");
}

/* The first one keeps all others in the line waiting, until it is ready. */
static void add_sink(struct text *text, const struct idem_sink *sink, const char *name) {
    const struct idem_parcel *first = TAILQ_FIRST(&sink->line);
    const char *why = sink->ops->waits_for(sink);
    char hex[IDEM_DIGEST_HEX_SIZE] = "none";
    if (why != NULL) {
        add(text, "; %s: %s", name, why);
    }
    if (first != NULL) {
        if (first->delivery.has_identity) {
            idem_digest_hex(&first->delivery.digest, hex);
        }
        add(text, "; first in the %s's line: %s%s, key %s", name,
            idem_transfer_state_name(first->transfer.state),
            first->transfer.orphan ? ", its source lost" : "", hex);
    }
}

static void describe(struct text *text, const struct idem_worker *worker) {
    const char *const names[IDEM_SINKS_MAX] = {
        "sink", worker->replies != NULL ? "answers" : "quarantine"};
    add_states(text, worker);
    if (!worker->source.end.up) {
        add(text, "; source: it is not connected");
    }
    for (size_t i = 0; i < worker->sink_count && i < IDEM_SINKS_MAX; i++) {
        add_sink(text, worker->sinks[i], names[i]);
    }
}

void idem_standing_report(struct idem_worker *worker) {
    struct text text = {.used = 0};
    describe(&text, worker);
    idem_log_write(&worker->log, IDEM_LOG_NOTICE, "bridge.standing", "%s", text.bytes);
}

/* Looking at something again in vain is no progress. */
static bool is_move(enum idem_transfer_event event) {
    return event != IDEM_ON_WAKE && event != IDEM_ON_HOLD && event != IDEM_ON_REFUSE &&
           event != IDEM_ON_UNSETTLED;
}

static uint64_t count_moves(const struct idem_worker *worker) {
    uint64_t moves = 0;
    for (int event = 0; event < IDEM_ON_COUNT; event++) {
        moves += is_move((enum idem_transfer_event)event) ? worker->counts.on[event] : 0;
    }
    return moves;
}

static void look(evutil_socket_t fd, short what, void *arg) {
    struct idem_worker *worker = arg;
    uint64_t moves = count_moves(worker);
    int64_t now_ms = idem_clock_monotonic_ns() / 1000000;
    (void)fd;
    (void)what;
    if (worker->live_count == 0 || moves != worker->moves) {
        worker->moves = moves;
        worker->still_since_ms = now_ms;
        worker->stalled = false;
        return;
    }
    int64_t still_ms = now_ms - worker->still_since_ms;
    if (worker->stalled || still_ms < worker->options->config->bridge.stalled_after_ms) {
        return;
    }
    struct text text = {.used = 0};
    describe(&text, worker);
    worker->stalled = true;
    idem_log_write(&worker->log, IDEM_LOG_WARNING, "bridge.stalled",
                   "nothing has moved for %" PRId64 " s: %s", still_ms / 1000,
                   text.bytes);
}

enum idem_code idem_standing_watch(struct idem_worker *worker) {
    int64_t often_ms = worker->options->config->bridge.stalled_after_ms / LOOKS;
    const struct timeval often = {often_ms / 1000, (often_ms % 1000) * 1000};
    if (often_ms == 0) {
        return IDEM_OK;
    }
    worker->watch = event_new(worker->base, -1, EV_PERSIST, look, worker);
    return worker->watch != NULL && event_add(worker->watch, &often) == 0
               ? IDEM_OK
               : IDEM_ERR_NOMEM;
}
