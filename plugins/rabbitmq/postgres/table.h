/* SPDX-License-Identifier: MIT
 * The inbox table: its statements, what goes into them, and what comes out.
 *
 *     digest       bytea primary key     16 bytes: of scope and key
 *     fingerprint  bytea                 16 bytes; null: the rule keeps none
 *     first_seen   timestamptz not null
 *     expires      timestamptz not null  with an index, for purging
 *
 * Every statement names rows by digest or by expires alone and states no other wish, so that the table may
 * be partitioned: by hash of digest, since PostgreSQL wants the partition key in the primary key. */
#ifndef IDEM_RABBITMQ_POSTGRES_TABLE_H
#define IDEM_RABBITMQ_POSTGRES_TABLE_H

#include "inbox.h"
#include "session.h"

/* The names that its statements are prepared under. */
#define IDEM_PG_CLAIM                                                                    \
    "idem_claim" /* inserts what is not there; returns what it inserted */
#define IDEM_PG_LOOK     "idem_look"   /* what is there */
#define IDEM_PG_FORGET   "idem_forget" /* removes what has expired, of those asked for */
#define IDEM_PG_WITHDRAW "idem_withdraw" /* removes what was inserted */
#define IDEM_PG_PURGE    "idem_purge"    /* removes some of what has expired */

#define IDEM_PG_TABLE_NAME_MAX                                                           \
    55 /* the index's is longer, and PostgreSQL's own end at 63 */

struct idem_pg_table {
    char *text; /* owned: what the steps point into */
    struct idem_pg_session_step steps[16];
};

/* [SCHEMA.]NAME, each of a-z, 0-9 and _, not beginning with a digit. They are quoted: any word will do. */
bool idem_pg_table_name_valid(const char *name);

/* Prepares everything, user_statement under user_name included. declare: makes the table where it is not
 * there. The statement is borrowed. IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code idem_pg_table_init(struct idem_pg_table *table,
                                                const char *name, bool declare,
                                                const char *user_name,
                                                const char *user_statement);
void idem_pg_table_fini(struct idem_pg_table *table);

/* Claims as the parameters of a statement; one buffer, used again for the next. */
struct idem_pg_table_rows {
    uint8_t *buffer; /* owned */
    size_t room;
    size_t used;
    struct idem_pg_session_values values;
};
void idem_pg_table_rows_fini(struct idem_pg_table_rows *rows);

/* Which of the claims in the transaction a statement is for. */
typedef bool idem_pg_table_choice(const struct idem_pg_inbox_claim *claim);

/* The parameters of CLAIM; of LOOK and WITHDRAW; of FORGET; of PURGE. They live until the next use of rows.
 * *count: how many claims were chosen. IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code idem_pg_table_claims(struct idem_pg_table_rows *rows,
                                                  const struct idem_pg_inbox *inbox,
                                                  idem_pg_table_choice *choice,
                                                  size_t *count);
IDEM_MUST_USE enum idem_code idem_pg_table_digests(struct idem_pg_table_rows *rows,
                                                   const struct idem_pg_inbox *inbox,
                                                   idem_pg_table_choice *choice,
                                                   size_t *count);
IDEM_MUST_USE enum idem_code idem_pg_table_expired(struct idem_pg_table_rows *rows,
                                                   const struct idem_pg_inbox *inbox,
                                                   idem_pg_table_choice *choice,
                                                   int64_t now_ms, size_t *count);
IDEM_MUST_USE enum idem_code idem_pg_table_slice(struct idem_pg_table_rows *rows,
                                                 int64_t now_ms, size_t most);

/* Tells the inbox what CLAIM and LOOK returned. false: not what they return. */
bool idem_pg_table_take_claimed(struct idem_pg_inbox *inbox, const PGresult *result);
bool idem_pg_table_take_found(struct idem_pg_inbox *inbox, const PGresult *result);

#endif
