/* SPDX-License-Identifier: MIT
 * The sink that is a database: the record of the key and the user's statement in one transaction.
 *
 *     BEGIN, claims, look          -> verdicts            one round trip for many messages
 *     statements in order, COMMIT  -> confirmed           another one
 *
 * The inbox table is the store (postgres/inbox.h): a claim is a row that is inserted in the open
 * transaction, and the statement of its message is executed in the same one. So there is no moment at which
 * one is there without the other, and nothing is ever in doubt:
 *
 *   phase         what is true in it                           what a crash in it costs
 *   IDLE          nothing is under way                         nothing
 *   CLAIMING      claims were sent, verdicts are to come       nothing: the server rolls back
 *   EXECUTING     statements were sent, and COMMIT with them   nothing: either all of it is there and
 *                 unless each is on its own                    each message comes again as a duplicate,
 *                                                              or none of it is, and each is new
 *   COMMITTING    COMMIT was sent after them                   the same
 *   ROLLING_BACK  it failed, and is being undone               nothing
 *   PAUSED        it failed over nothing that a message has    nothing
 *                 done, and is tried again later
 *   PURGING       a slice of expired rows is being removed     nothing
 *
 * That holds for the bridge, for the server and for the connection between them alike. A transaction whose
 * fate is not known since the connection went during COMMIT is simply begun again: its claims are asked for
 * again, and the table knows. Those that are not ours any more were committed, by us or by another bridge:
 * their messages are judged anew (IDEM_ON_UNDONE), are duplicates, and are acknowledged.
 *
 * First all statements are executed as they come, without savepoints, which would cost a transaction number
 * and two more commands each. Where one fails over its message the transaction is rolled back and executed
 * again carefully: between savepoints that move along, all in one go,
 *
 *     SAVEPOINT m;  { statement; RELEASE m; SAVEPOINT m; }  ROLLBACK TO m;  { next ... }
 *
 * where { } is what the server skips from an error on. A statement that fails takes its own work back and
 * nobody else's, without a question in between. The rows of the refused are withdrawn before the COMMIT,
 * and only after it their messages are set aside: a crash leaves them new.
 *
 * Messages without a key are executed in the same transactions, but no row tells whether they were: where
 * the fate of a COMMIT is not known they are in doubt, counted, and executed again. */
#ifndef IDEM_RABBITMQ_POSTGRES_H
#define IDEM_RABBITMQ_POSTGRES_H

#include "postgres/session.h"
#include "postgres/sqlstate.h"
#include "postgres/statement.h"
#include "postgres/table.h"
#include "sink.h"
#include "view.h"

enum idem_postgres_phase {
    IDEM_POSTGRES_IDLE,
    IDEM_POSTGRES_CLAIMING,
    IDEM_POSTGRES_EXECUTING,
    IDEM_POSTGRES_COMMITTING,
    IDEM_POSTGRES_ROLLING_BACK,
    IDEM_POSTGRES_PAUSED,
    IDEM_POSTGRES_PURGING,
};

#define IDEM_POSTGRES_STATEMENT "idem_statement" /* the user's, as it is prepared */
#define IDEM_POSTGRES_PURGE_MS                                                           \
    10000 /* between two looks for expired rows, where few were found */

/* One message of the transaction. */
struct idem_postgres_item {
    struct idem_parcel *parcel; /* PUBLISHED */
    size_t command;             /* its statement's number; SIZE_MAX: none was sent */
    char refused[IDEM_SQLSTATE_SIZE]; /* "": not */
};

/* What went wrong first in a phase. */
struct idem_postgres_trouble {
    bool is;
    char code[IDEM_SQLSTATE_SIZE];
    char text[IDEM_PG_TEXT_MAX];
};

struct idem_postgres {
    struct idem_sink sink;
    struct idem_worker *worker;
    struct idem_pg_session_options options;
    struct idem_pg_session session;
    struct idem_pg_table table;
    struct idem_pg_inbox inbox;
    struct idem_pg_table_rows rows;
    struct idem_statement statement;
    struct idem_view view; /* of the message whose statement is being sent */

    /* The transaction: kept until it has been committed, over rollbacks and reconnections. */
    enum idem_postgres_phase phase; /* while the session is READY */
    struct idem_postgres_item *items;
    size_t count;
    size_t room;
    bool careful;    /* each statement on its own */
    bool begun;      /* BEGIN has been sent */
    bool committing; /* COMMIT has been sent, and not been answered */
    size_t sent;     /* commands, in this phase */
    size_t answered;
    size_t syncs;  /* still to be answered */
    size_t cursor; /* the item whose command was answered last */
    struct idem_postgres_trouble trouble;
    bool committed;    /* COMMIT was answered by COMMIT */
    unsigned failures; /* in a row, over nothing that a message has done */
    int64_t purge_at_ms;
    uint64_t slice; /* rows that were purged last */
    bool purged;    /* more recently than anything was executed */

    struct event *retry;  /* of connecting */
    struct event *pause;  /* after a failure; otherwise until the next purge */
    unsigned unreached;   /* in a row */
    uint64_t connections; /* made so far */
    bool failed;          /* to be taken down at the end of the turn */
};

/* transaction.c: begins one where there is something to do and nothing under way. */
void idem_postgres_begin(struct idem_postgres *postgres);

/* What the server answered; the numbers of commands are the caller's to count. */
void idem_postgres_result(struct idem_postgres *postgres, PGresult *result);
void idem_postgres_sync(struct idem_postgres *postgres);

/* The connection is gone: what that means for what was under way. */
void idem_postgres_lost(struct idem_postgres *postgres);
void idem_postgres_pause(struct idem_postgres *postgres, int64_t delay_ms);

/* effects.c: after the claims were answered: the messages whose statements are to be executed now. false:
 * there is a claim whose message is not among them. */
bool idem_postgres_pick(struct idem_postgres *postgres);
void idem_postgres_take_out(struct idem_postgres *postgres, size_t index);

/* As idem_statement_bind; what the values borrow lives until the worker's pool is recycled. */
const char *idem_postgres_bind(struct idem_postgres *postgres,
                               const struct idem_parcel *parcel,
                               struct idem_pg_session_values *values);

/* The message is the reason that its statement failed, or cannot be executed at all. */
void idem_postgres_refuse(struct idem_postgres *postgres, struct idem_postgres_item *item,
                          const char *code, const char *text);

#endif
