/* SPDX-License-Identifier: MIT
 * The transactions of the database sink: what is sent in each phase, and what its answers mean. */
#include "fault.h"
#include "postgres.h"
#include "worker_state.h"

#include <idem/clock.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PAUSE_MIN_MS 20
#define PAUSE_MAX_MS 10000

static void break_off(struct idem_postgres *postgres) {
    postgres->failed = true; /* the end of the turn takes it down */
}

static void send_command(struct idem_postgres *postgres, const char *sql) {
    if (!postgres->failed && !idem_pg_session_command(&postgres->session, sql)) {
        break_off(postgres);
    }
    postgres->sent++;
}

static void send_prepared(struct idem_postgres *postgres, const char *name,
                          const struct idem_pg_session_values *values) {
    if (!postgres->failed && !idem_pg_session_execute(&postgres->session, name, values)) {
        break_off(postgres);
    }
    postgres->sent++;
}

static void send_sync(struct idem_postgres *postgres) {
    if (!postgres->failed && !idem_pg_session_sync(&postgres->session)) {
        break_off(postgres);
    }
    postgres->syncs++;
}

static void start_phase(struct idem_postgres *postgres, enum idem_postgres_phase phase) {
    postgres->phase = phase;
    postgres->sent = 0;
    postgres->answered = 0;
    postgres->syncs = 0;
    postgres->cursor = 0;
    postgres->trouble = (struct idem_postgres_trouble){.is = false};
}

static void end_of_sending(struct idem_postgres *postgres) {
    if (!postgres->failed && !idem_pg_session_flush(&postgres->session)) {
        break_off(postgres);
    }
}

static void begin_once(struct idem_postgres *postgres) {
    if (!postgres->begun) {
        send_command(postgres, "BEGIN");
        postgres->begun = true;
    }
}

/* Claims. */

static bool is_unresolved(const struct idem_pg_inbox_claim *claim) {
    return !claim->withdrawn && (claim->reply == IDEM_PG_INBOX_UNKNOWN ||
                                 claim->reply == IDEM_PG_INBOX_EXPIRED);
}

static void no_memory(struct idem_postgres *postgres) {
    idem_log_write(&postgres->worker->log, IDEM_LOG_WARNING, "bridge.memory",
                   "no memory for a transaction");
    break_off(postgres);
}

/* Before the second round what has expired is removed: mostly there is nothing of the kind. */
static void ask(struct idem_postgres *postgres) {
    bool again = postgres->begun;
    size_t count = 0;
    start_phase(postgres, IDEM_POSTGRES_CLAIMING);
    begin_once(postgres);
    if (again) {
        if (idem_pg_table_expired(&postgres->rows, &postgres->inbox, is_unresolved,
                                  idem_clock_wall_ms(), &count) != IDEM_OK) {
            no_memory(postgres);
            return;
        }
        send_prepared(postgres, IDEM_PG_FORGET, &postgres->rows.values);
    }
    if (idem_pg_table_claims(&postgres->rows, &postgres->inbox, is_unresolved, &count) !=
        IDEM_OK) {
        no_memory(postgres);
        return;
    }
    send_prepared(postgres, IDEM_PG_CLAIM, &postgres->rows.values);
    postgres->rows.values.count = 1; /* the digests come first */
    send_prepared(postgres, IDEM_PG_LOOK, &postgres->rows.values);
    send_sync(postgres);
    end_of_sending(postgres);
    IDEM_FAULT_POINT("asked");
}

/* The second to last command claims, the last one looks. */
static void take_claims(struct idem_postgres *postgres, const PGresult *result) {
    bool good = true;
    if (postgres->answered + 2 == postgres->sent) {
        good = idem_pg_table_take_claimed(&postgres->inbox, result);
    } else if (postgres->answered + 1 == postgres->sent) {
        good = idem_pg_table_take_found(&postgres->inbox, result);
    }
    if (!good) {
        idem_log_write(&postgres->worker->log, IDEM_LOG_ERROR, "sink.inbox",
                       "the inbox table does not have the columns that it should have; "
                       "see docs/guide/postgresql.md");
        break_off(postgres);
    }
}

/* Statements. */

static void execute_item(struct idem_postgres *postgres,
                         struct idem_postgres_item *item) {
    struct idem_pg_session_values values = {.count = 0};
    const char *trouble = idem_postgres_bind(postgres, item->parcel, &values);
    item->refused[0] = '\0';
    item->command = SIZE_MAX;
    if (trouble != NULL) {
        idem_postgres_refuse(postgres, item, trouble,
                             "a parameter cannot be had from the message");
    } else {
        item->command = postgres->sent;
        send_prepared(postgres, IDEM_POSTGRES_STATEMENT, &values);
    }
    recycle_amqp_pool(&postgres->worker->scratch);
}

static bool must_go(const struct idem_pg_inbox_claim *claim) {
    return claim->withdrawn || claim->refused;
}

static void commit(struct idem_postgres *postgres) {
    size_t count = 0;
    if (idem_pg_table_digests(&postgres->rows, &postgres->inbox, must_go, &count) !=
        IDEM_OK) {
        no_memory(postgres);
        return;
    }
    if (count > 0) {
        send_prepared(postgres, IDEM_PG_WITHDRAW, &postgres->rows.values);
    }
    send_command(postgres, "COMMIT");
    send_sync(postgres);
    postgres->committed = false;
    postgres->committing = true;
    end_of_sending(postgres);
    IDEM_FAULT_POINT("committing");
}

static void execute_together(struct idem_postgres *postgres) {
    for (size_t i = 0; i < postgres->count; i++) {
        execute_item(postgres, &postgres->items[i]);
    }
    IDEM_FAULT_POINT("executing");
    commit(postgres);
}

/* Constraints that wait for the commit would blame nobody. */
static void execute_carefully(struct idem_postgres *postgres) {
    send_command(postgres, "SET CONSTRAINTS ALL IMMEDIATE");
    send_command(postgres, "SAVEPOINT m");
    send_sync(postgres);
    for (size_t i = 0; i < postgres->count; i++) {
        execute_item(postgres, &postgres->items[i]);
        if (postgres->items[i].command != SIZE_MAX) {
            send_command(postgres, "RELEASE SAVEPOINT m");
            send_command(postgres, "SAVEPOINT m");
            send_sync(postgres);
            send_command(postgres, "ROLLBACK TO SAVEPOINT m");
            send_sync(postgres);
        }
    }
    end_of_sending(postgres);
    IDEM_FAULT_POINT("careful");
}

static void execute(struct idem_postgres *postgres) {
    if (!idem_postgres_pick(postgres)) {
        idem_log_write(&postgres->worker->log, IDEM_LOG_ERROR, "sink.claims",
                       "not every claim has its message: no memory, or a fault");
        break_off(postgres);
        return;
    }
    if (postgres->count == 0 && !postgres->begun) {
        return; /* nothing is left */
    }
    start_phase(postgres, IDEM_POSTGRES_EXECUTING);
    begin_once(postgres);
    if (postgres->careful) {
        execute_carefully(postgres);
    } else {
        execute_together(postgres);
    }
}

/* Its end. */

static void roll_back(struct idem_postgres *postgres) {
    start_phase(postgres, IDEM_POSTGRES_ROLLING_BACK);
    send_command(postgres, "ROLLBACK");
    send_sync(postgres);
    end_of_sending(postgres);
    IDEM_FAULT_POINT("rolling_back");
}

void idem_postgres_pause(struct idem_postgres *postgres, int64_t delay_ms) {
    const struct timeval delay = {delay_ms / 1000, (delay_ms % 1000) * 1000};
    (void)event_add(postgres->pause, &delay);
}

/* Two bridges that collided must not do so again at the same moment. */
static int64_t pause_ms(const struct idem_postgres *postgres) {
    uint32_t random = 0;
    int64_t most_ms = PAUSE_MIN_MS << (postgres->failures < 10 ? postgres->failures : 10);
    most_ms = most_ms < PAUSE_MAX_MS ? most_ms : PAUSE_MAX_MS;
    evutil_secure_rng_get_bytes(&random, sizeof random);
    return most_ms / 2 + random % (most_ms / 2);
}

/* Nothing is known against the messages: all of it again, later. */
static void try_later(struct idem_postgres *postgres) {
    const struct idem_postgres_trouble *trouble = &postgres->trouble;
    postgres->failures++;
    idem_log_write(&postgres->worker->log, IDEM_LOG_WARNING, "sink.retry",
                   "a transaction of %zu messages failed: SQLSTATE %s: %s; trying again",
                   postgres->count, trouble->code, trouble->text);
    if (idem_sqlstate_class(trouble->code) == IDEM_SQLSTATE_LOST) {
        break_off(postgres);
    } else {
        roll_back(postgres);
    }
}

static void rolled_back(struct idem_postgres *postgres) {
    postgres->begun = false;
    if (postgres->failures > 0) {
        postgres->phase = IDEM_POSTGRES_PAUSED;
        idem_postgres_pause(postgres, pause_ms(postgres));
    } else {
        postgres->phase = IDEM_POSTGRES_IDLE;
    }
}

static void conclude(struct idem_parcel *parcel, const char *refused) {
    (void)snprintf(parcel->sqlstate, sizeof parcel->sqlstate, "%s", refused);
    if (refused[0] != '\0') {
        parcel->trouble = "refused";
    }
    idem_parcel_step(parcel, refused[0] != '\0' ? IDEM_ON_SPOILED : IDEM_ON_CONFIRMED);
}

static void committed(struct idem_postgres *postgres) {
    IDEM_FAULT_POINT("committed");
    postgres->begun = false;
    postgres->committing = false;
    postgres->careful = false;
    postgres->failures = 0;
    postgres->phase = IDEM_POSTGRES_IDLE;
    idem_pg_inbox_committed(&postgres->inbox);
    for (size_t i = 0; i < postgres->count; i++) {
        conclude(postgres->items[i].parcel, postgres->items[i].refused);
    }
    postgres->count = 0;
}

/* COMMIT that finds the transaction aborted is answered by ROLLBACK, and is no error. */
static void executed(struct idem_postgres *postgres) {
    bool sent = postgres->committing;
    postgres->committing = false; /* it has been answered, whatever the answer is */
    if (!postgres->trouble.is && !sent) {
        start_phase(postgres, IDEM_POSTGRES_COMMITTING);
        commit(postgres);
    } else if (!postgres->trouble.is && postgres->committed) {
        committed(postgres);
    } else if (!postgres->careful &&
               idem_sqlstate_class(postgres->trouble.code) == IDEM_SQLSTATE_REFUSED) {
        postgres->careful = true;
        postgres->failures = 0;
        roll_back(postgres);
    } else {
        try_later(postgres);
    }
}

static void purge(struct idem_postgres *postgres) {
    size_t most = 2 * (size_t)postgres->worker->options->config->bridge.sink.batch;
    start_phase(postgres, IDEM_POSTGRES_PURGING);
    if (idem_pg_table_slice(&postgres->rows, idem_clock_wall_ms(), most) != IDEM_OK) {
        no_memory(postgres);
        return;
    }
    postgres->slice = 0;
    send_prepared(postgres, IDEM_PG_PURGE, &postgres->rows.values);
    send_sync(postgres);
    end_of_sending(postgres);
}

/* A full slice is followed by the next after the next transaction. */
static void purged(struct idem_postgres *postgres) {
    size_t most = 2 * (size_t)postgres->worker->options->config->bridge.sink.batch;
    int64_t wait_ms =
        !postgres->trouble.is && postgres->slice >= most ? 0 : IDEM_POSTGRES_PURGE_MS;
    postgres->phase = IDEM_POSTGRES_IDLE;
    postgres->purged = true;
    postgres->inbox.purged += postgres->slice;
    postgres->purge_at_ms = idem_clock_wall_ms() + wait_ms;
    idem_postgres_pause(postgres, wait_ms);
    if (postgres->trouble.is) {
        idem_log_write(&postgres->worker->log, IDEM_LOG_WARNING, "sink.purge",
                       "expired rows were not removed: SQLSTATE %s: %s",
                       postgres->trouble.code, postgres->trouble.text);
    }
}

static bool is_time_to_purge(const struct idem_postgres *postgres, bool has_work) {
    bool again = postgres->purged && has_work; /* in turns, where there is much of both */
    return !again && idem_clock_wall_ms() >= postgres->purge_at_ms;
}

static bool has_work(const struct idem_postgres *postgres) {
    const struct idem_parcel *first = TAILQ_FIRST(&postgres->sink.line);
    return postgres->count > 0 || postgres->inbox.open_count > 0 ||
           !TAILQ_EMPTY(&postgres->inbox.waiting) ||
           (first != NULL && first->transfer.state == IDEM_TRANSFER_READY);
}

void idem_postgres_begin(struct idem_postgres *postgres) {
    if (postgres->phase != IDEM_POSTGRES_IDLE || postgres->failed) {
        return;
    }
    bool work = has_work(postgres);
    if (is_time_to_purge(postgres, work)) {
        purge(postgres);
    } else if (work) {
        postgres->purged = false;
        idem_pg_inbox_begin(&postgres->inbox,
                            postgres->worker->options->config->bridge.sink.batch);
        postgres->begun = false;
        if (postgres->inbox.open_count > 0) {
            ask(postgres);
        } else {
            execute(postgres);
        }
    }
}

/* Answers. */

static void keep_trouble(struct idem_postgres *postgres, const PGresult *result) {
    struct idem_postgres_trouble *trouble = &postgres->trouble;
    if (!trouble->is) {
        trouble->is = true;
        idem_pg_session_failure(result, trouble->code, trouble->text,
                                sizeof trouble->text);
    }
}

static struct idem_postgres_item *item_answered(struct idem_postgres *postgres) {
    while (postgres->cursor < postgres->count) {
        struct idem_postgres_item *item = &postgres->items[postgres->cursor];
        if (item->command != SIZE_MAX && item->command >= postgres->answered) {
            return item->command == postgres->answered ? item : NULL;
        }
        postgres->cursor++;
    }
    return NULL;
}

static void failed_result(struct idem_postgres *postgres, const PGresult *result) {
    char code[IDEM_SQLSTATE_SIZE];
    char text[IDEM_PG_TEXT_MAX];
    struct idem_postgres_item *item =
        postgres->phase == IDEM_POSTGRES_EXECUTING && postgres->careful
            ? item_answered(postgres)
            : NULL;
    idem_pg_session_failure(result, code, text, sizeof text);
    if (item != NULL && idem_sqlstate_class(code) == IDEM_SQLSTATE_REFUSED) {
        idem_postgres_refuse(postgres, item, code, text);
    } else {
        keep_trouble(postgres, result);
    }
}

static void good_result(struct idem_postgres *postgres, PGresult *result) {
    if (postgres->phase == IDEM_POSTGRES_CLAIMING) {
        take_claims(postgres, result);
    } else if (postgres->phase == IDEM_POSTGRES_PURGING) {
        postgres->slice = strtoull(PQcmdTuples(result), NULL, 10);
    } else if (postgres->committing && postgres->answered + 1 == postgres->sent) {
        postgres->committed = strcmp(PQcmdStatus(result), "COMMIT") == 0;
    }
}

void idem_postgres_result(struct idem_postgres *postgres, PGresult *result) {
    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        good_result(postgres, result);
        break;
    case PGRES_PIPELINE_ABORTED: /* skipped after an error that is known */
        break;
    case PGRES_FATAL_ERROR:
    case PGRES_BAD_RESPONSE:
    case PGRES_NONFATAL_ERROR:
    case PGRES_COPY_OUT:
    case PGRES_COPY_IN:
    case PGRES_COPY_BOTH:
    case PGRES_SINGLE_TUPLE:
    case PGRES_PIPELINE_SYNC:
#ifdef LIBPQ_HAS_CHUNK_MODE /* since libpq 17 */
    case PGRES_TUPLES_CHUNK:
#endif
        failed_result(postgres, result);
        break;
    }
}

static void claimed(struct idem_postgres *postgres) {
    if (postgres->trouble.is) {
        try_later(postgres);
    } else if (idem_pg_inbox_unresolved(&postgres->inbox)) {
        ask(postgres);
    } else {
        idem_pg_inbox_answer(&postgres->inbox);
        IDEM_FAULT_POINT("answered");
        execute(postgres);
    }
}

void idem_postgres_sync(struct idem_postgres *postgres) {
    if (postgres->syncs == 0 || --postgres->syncs > 0) {
        return;
    }
    switch (postgres->phase) {
    case IDEM_POSTGRES_CLAIMING:
        claimed(postgres);
        break;
    case IDEM_POSTGRES_EXECUTING:
    case IDEM_POSTGRES_COMMITTING:
        executed(postgres);
        break;
    case IDEM_POSTGRES_ROLLING_BACK:
        rolled_back(postgres);
        break;
    case IDEM_POSTGRES_PURGING:
        purged(postgres);
        break;
    case IDEM_POSTGRES_IDLE:
    case IDEM_POSTGRES_PAUSED:
        break;
    }
}

/* Those whose keys tell are kept, and asked for again. */
void idem_postgres_lost(struct idem_postgres *postgres) {
    for (size_t i = postgres->count; i > 0 && postgres->committing; i--) {
        struct idem_parcel *parcel = postgres->items[i - 1].parcel;
        if (!parcel->transfer.claimed) {
            idem_postgres_take_out(postgres, i - 1);
            idem_parcel_log_doubt(parcel,
                                  "it has no key, and its COMMIT was not answered");
            idem_parcel_step(parcel, IDEM_ON_SINK_LOST);
        }
    }
    postgres->committing = false;
    postgres->begun = false;
    postgres->phase = IDEM_POSTGRES_IDLE;
}
