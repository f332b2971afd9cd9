/* SPDX-License-Identifier: MIT
 * The messages of a transaction: which ones they are, what their statements are given, who is refused. */
#include "postgres.h"
#include "worker_state.h"

#include <stdio.h>
#include <stdlib.h>

static bool make_room(struct idem_postgres *postgres) {
    if (postgres->count < postgres->room) {
        return true;
    }
    size_t room = postgres->room > 0 ? 2 * postgres->room : 64;
    struct idem_postgres_item *items = realloc(postgres->items, room * sizeof *items);
    if (items == NULL) {
        return false;
    }
    postgres->items = items;
    postgres->room = room;
    return true;
}

void idem_postgres_take_out(struct idem_postgres *postgres, size_t index) {
    postgres->count--;
    memmove(&postgres->items[index], &postgres->items[index + 1],
            (postgres->count - index) * sizeof *postgres->items);
}

static struct idem_pg_inbox_claim *claim_of(const struct idem_postgres *postgres,
                                            const struct idem_parcel *parcel) {
    return parcel->transfer.claimed
               ? idem_pg_inbox_ours(&postgres->inbox, &parcel->delivery.digest)
               : NULL;
}

/* Messages of an earlier attempt whose keys are another's by now: mostly our own, committed after all. */
static void part_with_the_lost(struct idem_postgres *postgres) {
    size_t kept = 0;
    for (size_t i = 0; i < postgres->count; i++) {
        struct idem_parcel *parcel = postgres->items[i].parcel;
        if (parcel->transfer.claimed && claim_of(postgres, parcel) == NULL) {
            idem_parcel_step(parcel, IDEM_ON_UNDONE);
        } else {
            postgres->items[kept++].parcel = parcel;
        }
    }
    postgres->count = kept;
}

static size_t count_unexecuted(const struct idem_postgres *postgres) {
    const struct idem_pg_inbox_claim *claim = NULL;
    size_t count = 0;
    TAILQ_FOREACH(claim, &postgres->inbox.open, order) {
        count += !claim->withdrawn;
    }
    return count;
}

static bool take(struct idem_postgres *postgres, struct idem_parcel *parcel) {
    if (!make_room(postgres)) {
        return false;
    }
    idem_parcel_leave_line(parcel);
    idem_parcel_step(parcel, IDEM_ON_SENT);
    postgres->items[postgres->count++].parcel = parcel;
    return true;
}

/* A copy that was held, and whose claim is ours now since its holder gave it back, stands behind messages that
 * have come since: they may still wait for the next transaction to claim them. */
static bool pick_from_behind(struct idem_postgres *postgres, size_t *open) {
    struct idem_parcel *parcel = TAILQ_FIRST(&postgres->sink.line);
    while (parcel != NULL && *open > 0) {
        struct idem_parcel *next = TAILQ_NEXT(parcel, line);
        if (parcel->transfer.state == IDEM_TRANSFER_READY &&
            claim_of(postgres, parcel) != NULL) {
            if (!take(postgres, parcel)) {
                return false;
            }
            (*open)--;
        }
        parcel = next;
    }
    return true;
}

/* Every claim that is ours finds its statement here. One that did not would be committed without its effect,
 * so that is looked after all the same. */
bool idem_postgres_pick(struct idem_postgres *postgres) {
    size_t most = postgres->worker->options->config->bridge.sink.batch;
    size_t open = count_unexecuted(postgres);
    struct idem_parcel *parcel;
    part_with_the_lost(postgres);
    for (size_t i = 0; i < postgres->count; i++) {
        open -= postgres->items[i].parcel->transfer.claimed;
    }
    while ((parcel = TAILQ_FIRST(&postgres->sink.line)) != NULL &&
           parcel->transfer.state == IDEM_TRANSFER_READY &&
           (postgres->count < most || open > 0)) {
        if (parcel->transfer.claimed && claim_of(postgres, parcel) == NULL) {
            idem_parcel_step(parcel, IDEM_ON_LEASE_OVER); /* asked for again */
            continue;
        }
        bool claimed = parcel->transfer.claimed;
        if (!take(postgres, parcel)) {
            return false;
        }
        open -= claimed;
    }
    return pick_from_behind(postgres, &open) && open == 0;
}

const char *idem_postgres_bind(struct idem_postgres *postgres,
                               const struct idem_parcel *parcel,
                               struct idem_pg_session_values *values) {
    struct idem_worker *worker = postgres->worker;
    struct idem_span raw = idem_letter_properties(&parcel->letter);
    void *decoded = NULL;
    if (amqp_decode_properties(AMQP_BASIC_CLASS, &worker->scratch, idem_rabbit_bytes(raw),
                               &decoded) != AMQP_STATUS_OK) {
        return "53200"; /* malformed ones never came this far */
    }
    idem_view_init(&postgres->view, &parcel->letter, decoded,
                   idem_span_text(worker->options->config->bridge.source.queue));
    bool keyless = parcel->transfer.claimed && postgres->sink.wants_keys &&
                   idem_letter_key_text(&parcel->letter).len == 0;
    if (keyless) {
        return "53200"; /* there was no memory for it */
    }
    const struct idem_parameter_source source = {
        .message = &postgres->view.message,
        .key = idem_letter_key_text(&parcel->letter),
        .digest = parcel->delivery.has_identity ? &parcel->delivery.digest : NULL,
    };
    return idem_statement_bind(&postgres->statement, &source, postgres->session.types,
                               values);
}

void idem_postgres_refuse(struct idem_postgres *postgres, struct idem_postgres_item *item,
                          const char *code, const char *text) {
    struct idem_pg_inbox_claim *claim = claim_of(postgres, item->parcel);
    char hex[IDEM_DIGEST_HEX_SIZE] = "none";
    (void)snprintf(item->refused, sizeof item->refused, "%s", code);
    if (claim != NULL) {
        claim->refused = true;
        idem_digest_hex(&claim->claim.digest, hex);
    }
    idem_log_write(&postgres->worker->log, IDEM_LOG_NOTICE, "sink.refused",
                   "rule %s, key %s: SQLSTATE %s: %s", item->parcel->delivery.rule_name,
                   hex, code, text);
}
