/* SPDX-License-Identifier: MIT
 * One connection to PostgreSQL in pipeline mode: opened and made ready without blocking, written and read
 * without blocking, given up at the first sign of trouble.
 *
 * What is sent is answered in order: each command by its results and an END, each sync by a SYNC. After an
 * error the server skips all commands up to the next sync; they are answered too, as skipped ones. One
 * thread. Names of hosts are looked up by the system, which blocks. */
#ifndef IDEM_RABBITMQ_POSTGRES_SESSION_H
#define IDEM_RABBITMQ_POSTGRES_SESSION_H

#include <idem/error.h>
#include <idem/log.h>

#include <event2/event.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#define IDEM_PG_CONNECT_MS 5000 /* to connect, log in and get ready */
#define IDEM_PG_VALUES_MAX 16

enum idem_pg_session_state {
    IDEM_PG_DOWN,
    IDEM_PG_CONNECTING,
    IDEM_PG_PREPARING, /* connected; the first commands are under way */
    IDEM_PG_READY,
};

/* What was read. */
enum idem_pg_session_event {
    IDEM_PG_NOTHING, /* not yet */
    IDEM_PG_RESULT,  /* of the command whose turn it is; clear it with PQclear */
    IDEM_PG_END,     /* of that command */
    IDEM_PG_SYNC,
    IDEM_PG_GONE, /* the connection is of no more use */
};

/* What is executed before anything else, in one transaction up to each sync. */
struct idem_pg_session_step {
    const char *what; /* for errors */
    const char *sql;  /* NULL: a sync */
    const char *name; /* to prepare it under; NULL: executed at once */
};

struct idem_pg_session_options {
    const char *url;
    const char *user;                         /* NULL: of the URL */
    const char *password;                     /* the same */
    const struct idem_pg_session_step *steps; /* ended by what == NULL */
    const char *described; /* the prepared statement whose parameters are to be told */
};

struct idem_pg_session {
    struct event_base *base;
    const struct idem_log *log;
    const struct idem_pg_session_options *options;
    enum idem_pg_session_state state;
    PGconn *connection;    /* NULL: down */
    struct event *event;   /* of its socket, for what is waited for */
    struct event *timeout; /* of connecting */
    bool woken;            /* its socket is ready */
    bool expired;
    bool in_command;               /* results of it have come, its end has not */
    bool writing;                  /* the socket was full */
    size_t step;                   /* PREPARING: answered so far */
    Oid types[IDEM_PG_VALUES_MAX]; /* of the described statement's parameters */
    size_t type_count;
};

/* Values of one execution, as libpq wants them. */
struct idem_pg_session_values {
    const char *values[IDEM_PG_VALUES_MAX];
    int lengths[IDEM_PG_VALUES_MAX];
    int formats[IDEM_PG_VALUES_MAX]; /* 1: binary */
    size_t count;
};

/* session is zeroed before; fini it in any case. The rest is borrowed. IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code
idem_pg_session_init(struct idem_pg_session *session, struct event_base *base,
                     const struct idem_log *log,
                     const struct idem_pg_session_options *options);
void idem_pg_session_fini(struct idem_pg_session *session);

/* Begins to connect. Where that fails at once, it is DOWN, and the error tells why. */
IDEM_MUST_USE enum idem_code idem_pg_session_open(struct idem_pg_session *session,
                                                  struct idem_error *error);

/* Goes on connecting and preparing as far as possible now. IDEM_ERR_UNAVAILABLE: it is DOWN, and may be
 * better later; IDEM_ERR_CONFIG: it is DOWN since the server says no. */
IDEM_MUST_USE enum idem_code idem_pg_session_advance(struct idem_pg_session *session,
                                                     struct idem_error *error);
void idem_pg_session_close(struct idem_pg_session *session);

/* Hand a command over. false: the connection is of no more use. */
bool idem_pg_session_command(struct idem_pg_session *session, const char *sql);
bool idem_pg_session_execute(struct idem_pg_session *session, const char *name,
                             const struct idem_pg_session_values *values);
bool idem_pg_session_sync(struct idem_pg_session *session);

/* Writes as much as the socket takes, and waits for more room where there is need. */
bool idem_pg_session_flush(struct idem_pg_session *session);

/* Takes in what has come, once before a run of nexts. */
bool idem_pg_session_receive(struct idem_pg_session *session);
enum idem_pg_session_event idem_pg_session_next(struct idem_pg_session *session,
                                                PGresult **result);

/* The code and the first line of an error; code is "" where there is none. */
#define IDEM_PG_TEXT_MAX 256
void idem_pg_session_error(const PGresult *result, char code[6], char *text, size_t size);

/* The same of a statement that had a message's values: what is the message's own fault is told without the
 * server's text, which may quote it. */
void idem_pg_session_failure(const PGresult *result, char code[6], char *text,
                             size_t size);

/* Checks a URL without connecting: IDEM_ERR_CONFIG, IDEM_ERR_NOMEM. The text names no password. */
IDEM_MUST_USE enum idem_code idem_pg_session_check_url(const char *url,
                                                       struct idem_error *error);

#endif
