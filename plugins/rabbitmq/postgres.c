/* SPDX-License-Identifier: MIT
 * The sink that is a database: its connection coming and going, and its place in the worker's turns. */
#include "postgres.h"

#include "worker_state.h"

#include <idem/clock.h>

#include <stdlib.h>

static struct idem_postgres *postgres_of(struct idem_sink *sink) {
    return (struct idem_postgres *)(void *)sink;
}

/* Connecting. */

static void schedule_retry(struct idem_postgres *postgres) {
    const struct timeval delay = idem_end_backoff(postgres->unreached++);
    if (!postgres->worker->leaving) {
        (void)event_add(postgres->retry, &delay);
    }
}

static enum idem_code check_parameters(struct idem_postgres *postgres,
                                       struct idem_error *error) {
    if (postgres->session.type_count == postgres->statement.count) {
        return IDEM_OK;
    }
    return idem_error_set(error, IDEM_ERR_CONFIG, 0,
                          "sink: bridge.sink.statement has %zu parameters, but "
                          "bridge.sink.parameters lists %zu",
                          postgres->session.type_count, postgres->statement.count);
}

/* Goes on with it as far as possible now. */
static enum idem_code advance(struct idem_postgres *postgres, struct idem_error *error) {
    struct idem_pg_session *session = &postgres->session;
    enum idem_code code = idem_pg_session_advance(session, error);
    if (code != IDEM_OK || session->state != IDEM_PG_READY) {
        return code;
    }
    code = check_parameters(postgres, error);
    if (code != IDEM_OK) {
        idem_pg_session_close(session);
        return code;
    }
    postgres->unreached = 0;
    postgres->connections++;
    postgres->phase = IDEM_POSTGRES_IDLE;
    idem_log_write(&postgres->worker->log, IDEM_LOG_NOTICE, "link.up",
                   "sink: connected to PostgreSQL %d at %s:%s",
                   PQserverVersion(session->connection) / 10000,
                   PQhost(session->connection), PQport(session->connection));
    return IDEM_OK;
}

static void put_off(struct idem_postgres *postgres, const struct idem_error *error) {
    idem_log_write(&postgres->worker->log, IDEM_LOG_WARNING, "link.unreached",
                   "%s; trying again", error->text);
    schedule_retry(postgres);
}

static void retry(evutil_socket_t fd, short what, void *arg) {
    struct idem_postgres *postgres = arg;
    struct idem_error error = IDEM_ERROR_INIT;
    (void)fd;
    (void)what;
    if (idem_pg_session_open(&postgres->session, &error) != IDEM_OK) {
        put_off(postgres, &error);
    }
}

/* The first time somebody is looking: it is waited for. */
static enum idem_code start(struct idem_sink *sink, struct idem_error *error) {
    struct idem_postgres *postgres = postgres_of(sink);
    struct idem_error cause = IDEM_ERROR_INIT;
    enum idem_code code = idem_pg_session_open(&postgres->session, &cause);
    while (code == IDEM_OK && postgres->session.state != IDEM_PG_READY) {
        (void)event_base_loop(postgres->worker->base, EVLOOP_ONCE);
        code = advance(postgres, &cause);
    }
    if (code == IDEM_ERR_UNAVAILABLE) {
        put_off(postgres, &cause);
        return IDEM_OK;
    }
    return code == IDEM_OK
               ? IDEM_OK
               : idem_error_set(error, code, cause.sys_errno, "%s", cause.text);
}

/* Turns. */

static void read_answers(struct idem_postgres *postgres) {
    PGresult *result = NULL;
    while (!postgres->failed) {
        switch (idem_pg_session_next(&postgres->session, &result)) {
        case IDEM_PG_NOTHING:
            return;
        case IDEM_PG_GONE:
            postgres->failed = true;
            break;
        case IDEM_PG_RESULT:
            idem_postgres_result(postgres, result);
            PQclear(result);
            break;
        case IDEM_PG_END:
            postgres->answered++;
            break;
        case IDEM_PG_SYNC:
            idem_postgres_sync(postgres);
            break;
        }
    }
}

static bool read_what_came(struct idem_sink *sink) {
    struct idem_postgres *postgres = postgres_of(sink);
    struct idem_pg_session *session = &postgres->session;
    struct idem_error error = IDEM_ERROR_INIT;
    if (session->state == IDEM_PG_READY) {
        if (session->woken && !postgres->failed) {
            session->woken = false;
            postgres->failed = !idem_pg_session_receive(session);
            read_answers(postgres);
        }
    } else if (session->state != IDEM_PG_DOWN && advance(postgres, &error) != IDEM_OK) {
        put_off(postgres, &error);
    }
    return false;
}

static void deliver(struct idem_sink *sink) {
    struct idem_postgres *postgres = postgres_of(sink);
    if (postgres->session.state == IDEM_PG_READY) {
        idem_postgres_begin(postgres);
    }
}

static void mend(struct idem_sink *sink) {
    struct idem_postgres *postgres = postgres_of(sink);
    if (!postgres->failed) {
        return;
    }
    const char *why = PQerrorMessage(postgres->session.connection);
    idem_log_write(&postgres->worker->log, IDEM_LOG_WARNING, "link.lost",
                   "sink: the connection to PostgreSQL is given up: %.*s",
                   (int)strcspn(why, "\n"), why);
    idem_pg_session_close(&postgres->session);
    postgres->failed = false;
    idem_postgres_lost(postgres);
    schedule_retry(postgres);
}

static bool is_pending(const struct idem_sink *sink) {
    (void)sink; /* all that has come was read */
    return false;
}

static const char *waits_for(const struct idem_sink *sink) {
    const struct idem_postgres *postgres =
        (const struct idem_postgres *)(const void *)sink;
    if (postgres->session.state != IDEM_PG_READY) {
        return "it is not connected";
    }
    switch (postgres->phase) {
    case IDEM_POSTGRES_IDLE:
        return NULL;
    case IDEM_POSTGRES_CLAIMING:
        return "claims are not answered";
    case IDEM_POSTGRES_EXECUTING:
        return "statements are not answered";
    case IDEM_POSTGRES_COMMITTING:
        return "COMMIT is not answered";
    case IDEM_POSTGRES_ROLLING_BACK:
        return "ROLLBACK is not answered";
    case IDEM_POSTGRES_PAUSED:
        return "it failed, and is tried again after a pause";
    case IDEM_POSTGRES_PURGING:
        return "expired rows are being removed";
    }
    return NULL;
}

static void observe(const struct idem_sink *sink, struct idem_observed_end *end) {
    const struct idem_postgres *postgres = (const void *)sink;
    *end = (struct idem_observed_end){
        .name = "sink",
        .up = postgres->session.state == IDEM_PG_READY && !postgres->failed,
        .connections = postgres->connections,
    };
}

static void leave(struct idem_sink *sink) {
    idem_pg_session_close(&postgres_of(sink)->session); /* the server rolls back */
}

static void pause_over(evutil_socket_t fd, short what, void *arg) {
    struct idem_postgres *postgres = arg;
    (void)fd;
    (void)what;
    if (postgres->phase == IDEM_POSTGRES_PAUSED) {
        postgres->phase = IDEM_POSTGRES_IDLE;
    }
    idem_postgres_pause(postgres, IDEM_POSTGRES_PURGE_MS);
}

static void free_postgres(struct idem_sink *sink) {
    struct idem_postgres *postgres = postgres_of(sink);
    idem_pg_session_fini(&postgres->session);
    idem_pg_inbox_fini(&postgres->inbox);
    idem_pg_table_fini(&postgres->table);
    idem_pg_table_rows_fini(&postgres->rows);
    idem_statement_fini(&postgres->statement);
    if (postgres->retry != NULL) {
        event_free(postgres->retry);
    }
    if (postgres->pause != NULL) {
        event_free(postgres->pause);
    }
    free(postgres->items);
    free(postgres);
}

static const struct idem_sink_ops operations = {
    .start = start,
    .read = read_what_came,
    .deliver = deliver,
    .mend = mend,
    .pending = is_pending,
    .waits_for = waits_for,
    .observe = observe,
    .leave = leave,
    .free = free_postgres,
};

static enum idem_code make_parts(struct idem_postgres *postgres) {
    struct idem_worker *worker = postgres->worker;
    const struct idem_config *config = worker->options->config;
    const struct idem_endpoint_config *sink = &config->bridge.sink;
    const struct idem_bridge_database *database = &worker->options->database;
    postgres->options = (struct idem_pg_session_options){
        .url = sink->urls[0],
        .user = database->login.user,
        .password = database->login.password,
        .steps = postgres->table.steps,
        .described = IDEM_POSTGRES_STATEMENT,
    };
    postgres->statement.parameters = database->parameters;
    postgres->statement.count = database->parameter_count;
    postgres->retry = evtimer_new(worker->base, retry, postgres);
    postgres->pause = evtimer_new(worker->base, pause_over, postgres);
    if (postgres->retry == NULL || postgres->pause == NULL ||
        idem_pg_inbox_init(&postgres->inbox, config->bridge.source.prefetch) != IDEM_OK ||
        idem_pg_table_init(&postgres->table, sink->inbox, config->bridge.declare,
                           IDEM_POSTGRES_STATEMENT, sink->statement) != IDEM_OK) {
        return IDEM_ERR_NOMEM;
    }
    return idem_pg_session_init(&postgres->session, worker->base, &worker->log,
                                &postgres->options);
}

static bool wants_keys(const struct idem_bridge_database *database) {
    for (size_t i = 0; i < database->parameter_count; i++) {
        if (database->parameters[i].kind == IDEM_PARAMETER_KEY) {
            return true;
        }
    }
    return false;
}

enum idem_code idem_postgres_open(struct idem_sink **sink, struct idem_worker *worker) {
    struct idem_postgres *postgres = calloc(1, sizeof *postgres);
    *sink = NULL;
    if (postgres == NULL) {
        return IDEM_ERR_NOMEM;
    }
    postgres->sink.ops = &operations;
    postgres->sink.store = &postgres->inbox.store;
    postgres->sink.wants_keys = wants_keys(&worker->options->database);
    postgres->worker = worker;
    TAILQ_INIT(&postgres->sink.line);
    *sink = &postgres->sink;
    return make_parts(postgres);
}
