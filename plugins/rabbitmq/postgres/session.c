/* SPDX-License-Identifier: MIT
 * One connection to PostgreSQL in pipeline mode. */
#include "session.h"

#include "sqlstate.h"

#include <stdio.h>
#include <string.h>

/* Not overridden where the URL says otherwise: it is expanded after these. */
#define NETWORK_PATIENCE_MS "30000"

static void on_socket(evutil_socket_t fd, short what, void *arg) {
    (void)fd; /* the loop turns: it is looked at then */
    (void)what;
    ((struct idem_pg_session *)arg)->woken = true;
}

static void on_timeout(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    ((struct idem_pg_session *)arg)->expired = true;
}

enum idem_code idem_pg_session_init(struct idem_pg_session *session,
                                    struct event_base *base, const struct idem_log *log,
                                    const struct idem_pg_session_options *options) {
    session->base = base;
    session->log = log;
    session->options = options;
    session->timeout = evtimer_new(base, on_timeout, session);
    return session->timeout != NULL ? IDEM_OK : IDEM_ERR_NOMEM;
}

void idem_pg_session_fini(struct idem_pg_session *session) {
    idem_pg_session_close(session);
    if (session->timeout != NULL) {
        event_free(session->timeout);
        session->timeout = NULL;
    }
}

void idem_pg_session_close(struct idem_pg_session *session) {
    if (session->event != NULL) {
        event_free(session->event);
        session->event = NULL;
    }
    if (session->timeout != NULL) {
        (void)event_del(session->timeout);
    }
    PQfinish(session->connection);
    session->connection = NULL;
    session->state = IDEM_PG_DOWN;
    session->in_command = false;
    session->writing = false;
}

/* libpq would print it. Its text can be a trigger's own, with a message's values in it. */
static void log_notice(void *arg, const PGresult *result) {
    const struct idem_pg_session *session = arg;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    idem_log_write(session->log, IDEM_LOG_DEBUG, "sink.notice", "%s, SQLSTATE %s",
                   severity != NULL ? severity : "?", state != NULL ? state : "?");
}

/* The socket can be another one at each step of connecting. */
static bool watch(struct idem_pg_session *session, short what) {
    if (session->event != NULL) {
        event_free(session->event);
    }
    session->event = event_new(session->base, PQsocket(session->connection),
                               (short)(what | EV_PERSIST), on_socket, session);
    return session->event != NULL && event_add(session->event, NULL) == 0;
}

static void first_line(char *text, size_t size, const char *from) {
    size_t length = strcspn(from, "\n");
    (void)snprintf(text, size, "%.*s", (int)(length < size ? length : size - 1), from);
}

/* libpq tells no code of an error while connecting but within its text: "FATAL:  28P01: password ...". */
static enum idem_code refusal(const char *text) {
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char *const final[] = {"28", "3D", "42"}; /* login, database, right */
    for (const char *at = strstr(text, ":  "); at != NULL; at = strstr(at + 1, ":  ")) {
        const char *code = at + 3;
        bool is_code = strspn(code, digits) == IDEM_SQLSTATE_SIZE - 1 &&
                       code[IDEM_SQLSTATE_SIZE - 1] == ':';
        for (size_t i = 0; is_code && i < sizeof final / sizeof final[0]; i++) {
            if (strncmp(code, final[i], 2) == 0) {
                return IDEM_ERR_CONFIG;
            }
        }
    }
    return IDEM_ERR_UNAVAILABLE;
}

static enum idem_code unreached(struct idem_pg_session *session,
                                struct idem_error *error) {
    const char *whole = PQerrorMessage(session->connection);
    char text[IDEM_PG_TEXT_MAX];
    first_line(text, sizeof text, whole);
    enum idem_code code = session->expired ? IDEM_ERR_UNAVAILABLE : refusal(whole);
    (void)idem_error_set(error, code, 0, "sink: %s",
                         session->expired ? "PostgreSQL does not answer" : text);
    idem_pg_session_close(session);
    return code;
}

enum idem_code idem_pg_session_open(struct idem_pg_session *session,
                                    struct idem_error *error) {
    const struct timeval limit = {IDEM_PG_CONNECT_MS / 1000,
                                  (IDEM_PG_CONNECT_MS % 1000) * 1000};
    const struct idem_pg_session_options *options = session->options;
    const char *const names[] = {"fallback_application_name",
                                 "tcp_user_timeout",
                                 "dbname",
                                 "client_encoding",
                                 options->user != NULL ? "user" : "dbname",
                                 options->password != NULL ? "password" : "dbname",
                                 NULL};
    const char *const values[] = {"idem-bridge", NETWORK_PATIENCE_MS, options->url,
                                  "UTF8",        options->user,       options->password,
                                  NULL};
    session->expired = false;
    session->woken = false;
    session->connection = PQconnectStartParams(names, values, 1);
    if (session->connection == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    (void)PQsetErrorVerbosity(session->connection, PQERRORS_VERBOSE);
    (void)PQsetNoticeReceiver(session->connection, log_notice, session);
    if (PQstatus(session->connection) == CONNECTION_BAD) {
        return unreached(session, error);
    }
    session->state = IDEM_PG_CONNECTING;
    if (!watch(session, EV_WRITE) || event_add(session->timeout, &limit) != 0) {
        idem_pg_session_close(session);
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    return IDEM_OK;
}

static bool send_step(struct idem_pg_session *session,
                      const struct idem_pg_session_step *step) {
    if (step->sql == NULL) {
        return idem_pg_session_sync(session);
    }
    if (step->name == NULL) {
        return idem_pg_session_command(session, step->sql);
    }
    return PQsendPrepare(session->connection, step->name, step->sql, 0, NULL) == 1;
}

static bool send_steps(struct idem_pg_session *session) {
    const struct idem_pg_session_options *options = session->options;
    bool sent = PQsetnonblocking(session->connection, 1) == 0 &&
                PQenterPipelineMode(session->connection) == 1;
    for (const struct idem_pg_session_step *step = options->steps;
         step->what != NULL && sent; step++) {
        sent = send_step(session, step);
    }
    return sent && PQsendDescribePrepared(session->connection, options->described) == 1 &&
           idem_pg_session_sync(session) && idem_pg_session_flush(session);
}

static enum idem_code connected(struct idem_pg_session *session,
                                struct idem_error *error) {
    (void)PQsetErrorVerbosity(session->connection, PQERRORS_DEFAULT);
    session->state = IDEM_PG_PREPARING;
    session->step = 0;
    session->type_count = 0;
    if (!watch(session, EV_READ) || !send_steps(session)) {
        return unreached(session, error);
    }
    return IDEM_OK;
}

static enum idem_code go_on_connecting(struct idem_pg_session *session,
                                       struct idem_error *error) {
    if (!session->woken && !session->expired) {
        return IDEM_OK; /* not before its socket is ready: libpq takes that for granted */
    }
    session->woken = false;
    PostgresPollingStatusType status = PQconnectPoll(session->connection);
    if (status == PGRES_POLLING_OK) {
        return connected(session, error);
    }
    if (status == PGRES_POLLING_FAILED || session->expired ||
        !watch(session, status == PGRES_POLLING_READING ? EV_READ : EV_WRITE)) {
        return unreached(session, error);
    }
    return IDEM_OK;
}

/* What is not there, not allowed or not understood stays so until somebody does something about it. */
static enum idem_code step_failed(const char *what, const PGresult *result,
                                  struct idem_error *error) {
    char code[IDEM_SQLSTATE_SIZE];
    char text[IDEM_PG_TEXT_MAX];
    idem_pg_session_error(result, code, text, sizeof text);
    bool final = strncmp(code, "42", 2) == 0 || strncmp(code, "3F", 2) == 0 ||
                 idem_sqlstate_class(code) == IDEM_SQLSTATE_REFUSED;
    return idem_error_set(error, final ? IDEM_ERR_CONFIG : IDEM_ERR_UNAVAILABLE, 0,
                          "sink: %s: SQLSTATE %s: %s", what, code, text);
}

static void keep_types(struct idem_pg_session *session, const PGresult *result) {
    session->type_count = (size_t)PQnparams(result);
    for (size_t i = 0; i < session->type_count && i < IDEM_PG_VALUES_MAX; i++) {
        session->types[i] = PQparamtype(result, (int)i);
    }
}

/* true: the last one has been answered. */
static bool step_answered(struct idem_pg_session *session) {
    const struct idem_pg_session_step *step = &session->options->steps[session->step];
    if (step->what != NULL) {
        session->step++;
        return false;
    }
    return true;
}

static enum idem_code take_step(struct idem_pg_session *session, const PGresult *result,
                                struct idem_error *error) {
    const struct idem_pg_session_step *step = &session->options->steps[session->step];
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        return step_failed(step->what != NULL ? step->what : "describing", result, error);
    }
    if (step->what == NULL) {
        keep_types(session, result);
    }
    return IDEM_OK;
}

static enum idem_code go_on_preparing(struct idem_pg_session *session,
                                      struct idem_error *error) {
    PGresult *result = NULL;
    enum idem_code code = IDEM_OK;
    bool done = false;
    if (session->expired || !idem_pg_session_receive(session)) {
        return unreached(session, error);
    }
    while (code == IDEM_OK && !done) {
        switch (idem_pg_session_next(session, &result)) {
        case IDEM_PG_NOTHING:
            return IDEM_OK;
        case IDEM_PG_GONE:
            return unreached(session, error);
        case IDEM_PG_RESULT:
            code = take_step(session, result, error);
            PQclear(result);
            break;
        case IDEM_PG_END:
            (void)step_answered(session);
            break;
        case IDEM_PG_SYNC:
            done = step_answered(session);
            break;
        }
    }
    if (code != IDEM_OK) {
        idem_pg_session_close(session);
        return code;
    }
    (void)event_del(session->timeout);
    session->state = IDEM_PG_READY;
    return IDEM_OK;
}

enum idem_code idem_pg_session_advance(struct idem_pg_session *session,
                                       struct idem_error *error) {
    enum idem_code code = IDEM_OK;
    if (session->state == IDEM_PG_CONNECTING) {
        code = go_on_connecting(session, error);
    }
    if (code == IDEM_OK && session->state == IDEM_PG_PREPARING) {
        code = go_on_preparing(session, error);
    }
    return code;
}

bool idem_pg_session_command(struct idem_pg_session *session, const char *sql) {
    return PQsendQueryParams(session->connection, sql, 0, NULL, NULL, NULL, NULL, 1) == 1;
}

bool idem_pg_session_execute(struct idem_pg_session *session, const char *name,
                             const struct idem_pg_session_values *values) {
    return PQsendQueryPrepared(session->connection, name, (int)values->count,
                               values->values, values->lengths, values->formats, 1) == 1;
}

bool idem_pg_session_sync(struct idem_pg_session *session) {
    return PQpipelineSync(session->connection) == 1;
}

bool idem_pg_session_flush(struct idem_pg_session *session) {
    int left = PQflush(session->connection);
    if (left < 0) {
        return false;
    }
    if ((left == 1) == session->writing) {
        return true;
    }
    session->writing = left == 1;
    return watch(session, session->writing ? EV_READ | EV_WRITE : EV_READ);
}

bool idem_pg_session_receive(struct idem_pg_session *session) {
    return PQconsumeInput(session->connection) == 1 && idem_pg_session_flush(session);
}

enum idem_pg_session_event idem_pg_session_next(struct idem_pg_session *session,
                                                PGresult **result) {
    *result = NULL;
    if (PQstatus(session->connection) == CONNECTION_BAD) {
        return IDEM_PG_GONE;
    }
    if (PQisBusy(session->connection) == 1) {
        return IDEM_PG_NOTHING;
    }
    *result = PQgetResult(session->connection);
    if (*result == NULL) {
        bool end = session->in_command;
        session->in_command = false;
        return end ? IDEM_PG_END : IDEM_PG_NOTHING;
    }
    if (PQresultStatus(*result) == PGRES_PIPELINE_SYNC) {
        PQclear(*result);
        *result = NULL;
        return IDEM_PG_SYNC;
    }
    session->in_command = true;
    return IDEM_PG_RESULT;
}

void idem_pg_session_error(const PGresult *result, char code[6], char *text,
                           size_t size) {
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    (void)snprintf(code, IDEM_SQLSTATE_SIZE, "%s", state != NULL ? state : "");
    first_line(text, size, primary != NULL ? primary : PQresultErrorMessage(result));
}

void idem_pg_session_failure(const PGresult *result, char code[6], char *text,
                             size_t size) {
    idem_pg_session_error(result, code, text, size);
    if (idem_sqlstate_class(code) != IDEM_SQLSTATE_REFUSED) {
        return;
    }
    const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
    if (constraint != NULL) {
        (void)snprintf(text, size, "constraint %s", constraint);
    } else {
        (void)snprintf(text, size,
                       "the database's log has the reason, which may quote the message");
    }
}

enum idem_code idem_pg_session_check_url(const char *url, struct idem_error *error) {
    char *why = NULL;
    PQconninfoOption *parsed = PQconninfoParse(url, &why);
    if (parsed == NULL) {
        PQfreemem(why); /* it repeats the URL, with the password */
        return idem_error_set(error, IDEM_ERR_CONFIG, 0,
                              "not a URL that libpq understands; write "
                              "postgresql://USER@HOST:PORT/DATABASE?sslmode=verify-full "
                              "(special characters as %%XX)");
    }
    PQconninfoFree(parsed);
    return IDEM_OK;
}
