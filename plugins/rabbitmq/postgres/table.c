/* SPDX-License-Identifier: MIT
 * The inbox table: its statements, what goes into them, and what comes out. */
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Types by their numbers, which are the same in every PostgreSQL (pg_type.dat). */
#define BYTEA       17
#define TIMESTAMPTZ 1184
#define EPOCH_MS    INT64_C(946684800000) /* PostgreSQL counts from the year 2000 */

#define ARRAY_HEADER 20 /* dimensions, nulls, type, length, lower bound */
#define ARRAYS_MAX   4
#define TIME_SIZE    8

static const char lock_sql[] = "SELECT pg_advisory_xact_lock(81985529216486895)";
/* A commit that a crash can undo would be acknowledged all the same; and a bridge that vanished must not keep
 * others out of its keys until the network is found to be dead. */
static const char settings_sql[] =
    "SELECT set_config(name, value, false) FROM (VALUES"
    " ('synchronous_commit', 'off', 'on'),"
    " ('idle_in_transaction_session_timeout', '0', '30s')) AS wanted (name, bad, value)"
    " WHERE current_setting(name) = bad";
static const char create_sql[] =
    "CREATE TABLE IF NOT EXISTS %s (digest bytea PRIMARY KEY, fingerprint bytea,"
    " first_seen timestamptz NOT NULL, expires timestamptz NOT NULL)";
static const char index_sql[] =
    "CREATE INDEX IF NOT EXISTS \"%s_expires\" ON %s (expires)";
/* In the order of digests: two bridges that claim the same keys wait for each other in one direction. */
static const char claim_sql[] =
    "INSERT INTO %s (digest, fingerprint, first_seen, expires)"
    " SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::timestamptz[],"
    " $4::timestamptz[]) AS asked (digest, fingerprint, first_seen, expires)"
    " ORDER BY digest ON CONFLICT (digest) DO NOTHING RETURNING digest";
/* By the index, one after the other, whatever the planner thinks of a table that has just begun to grow: a
 * plain = ANY was planned as a scan of all of it, and kept. */
static const char look_sql[] =
    "SELECT found.* FROM unnest($1::bytea[]) AS asked (digest) CROSS JOIN LATERAL"
    " (SELECT digest, fingerprint, first_seen, expires FROM %s AS inbox"
    " WHERE inbox.digest = asked.digest OFFSET 0) AS found";
static const char forget_sql[] = "DELETE FROM %s WHERE digest = ANY ($1::bytea[])"
                                 " AND expires <= $2::timestamptz";
static const char withdraw_sql[] = "DELETE FROM %s WHERE digest = ANY ($1::bytea[])";
static const char purge_sql[] =
    "DELETE FROM %s WHERE expires <= $1::timestamptz AND digest = ANY (ARRAY("
    "SELECT digest FROM %s WHERE expires <= $1::timestamptz"
    " ORDER BY expires LIMIT $2::bigint FOR UPDATE SKIP LOCKED))";

static bool word_valid(const char *word, size_t length) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz_0123456789";
    return length > 0 && length <= IDEM_PG_TABLE_NAME_MAX &&
           strspn(word, allowed) >= length && (word[0] < '0' || word[0] > '9');
}

bool idem_pg_table_name_valid(const char *name) {
    const char *dot = strchr(name, '.');
    if (dot == NULL) {
        return word_valid(name, strlen(name));
    }
    return word_valid(name, (size_t)(dot - name)) && word_valid(dot + 1, strlen(dot + 1));
}

/* Texts one after the other in one buffer. */
struct writer {
    char *at;
    size_t left;
};

/* Only names that are valid come here. The first name is the index's, which has no schema. */
static const char *write_sql(struct writer *writer, const char *format, const char *first,
                             const char *second) {
    const char *start = writer->at;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    /* cppcheck-suppress wrongPrintfScanfArgNum */
    int length = snprintf(writer->at, writer->left, format, first, second);
#pragma GCC diagnostic pop
    size_t used = length < 0 ? 0 : (size_t)length + 1;
    used = used < writer->left ? used : writer->left;
    writer->at += used;
    writer->left -= used;
    return start;
}

#define QUOTED_MAX (2 * IDEM_PG_TABLE_NAME_MAX + 6) /* "SCHEMA"."NAME" */
#define SQL_MAX    (sizeof claim_sql + 2 * QUOTED_MAX)

static void quote(char quoted[QUOTED_MAX], const char *name) {
    const char *dot = strchr(name, '.');
    if (dot == NULL) {
        (void)snprintf(quoted, QUOTED_MAX, "\"%s\"", name);
    } else {
        (void)snprintf(quoted, QUOTED_MAX, "\"%.*s\".\"%s\"", (int)(dot - name), name,
                       dot + 1);
    }
}

enum idem_code idem_pg_table_init(struct idem_pg_table *table, const char *name,
                                  bool declare, const char *user_name,
                                  const char *user_statement) {
    const char *dot = strchr(name, '.');
    const char *bare = dot != NULL ? dot + 1 : name;
    char quoted[QUOTED_MAX];
    struct writer to = {NULL, sizeof table->steps / sizeof table->steps[0] * SQL_MAX};
    struct idem_pg_session_step *step = table->steps;
    memset(table, 0, sizeof *table);
    table->text = to.at = malloc(to.left);
    if (table->text == NULL) {
        return IDEM_ERR_NOMEM;
    }
    quote(quoted, name);
    *step++ = (struct idem_pg_session_step){"setting the session up", settings_sql, NULL};
    if (declare) {
        const char *create = write_sql(&to, create_sql, quoted, quoted);
        const char *index = write_sql(&to, index_sql, bare, quoted);
        *step++ = (struct idem_pg_session_step){"making the inbox table", lock_sql, NULL};
        *step++ = (struct idem_pg_session_step){"making the inbox table", create, NULL};
        *step++ = (struct idem_pg_session_step){"indexing the inbox table", index, NULL};
    }
    *step++ = (struct idem_pg_session_step){"setting up", NULL, NULL};
    const struct {
        const char *name;
        const char *format;
    } own[] = {{IDEM_PG_CLAIM, claim_sql},
               {IDEM_PG_LOOK, look_sql},
               {IDEM_PG_FORGET, forget_sql},
               {IDEM_PG_WITHDRAW, withdraw_sql},
               {IDEM_PG_PURGE, purge_sql}};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        const char *sql = write_sql(&to, own[i].format, quoted, quoted);
        *step++ = (struct idem_pg_session_step){"bridge.sink.inbox", sql, own[i].name};
    }
    *step =
        (struct idem_pg_session_step){"bridge.sink.statement", user_statement, user_name};
    return IDEM_OK;
}

void idem_pg_table_fini(struct idem_pg_table *table) {
    free(table->text);
    table->text = NULL;
}

void idem_pg_table_rows_fini(struct idem_pg_table_rows *rows) {
    free(rows->buffer);
    rows->buffer = NULL;
}

static void put32(struct idem_pg_table_rows *rows, uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) {
        rows->buffer[rows->used++] = (uint8_t)(value >> shift);
    }
}

static void put64(struct idem_pg_table_rows *rows, uint64_t value) {
    put32(rows, (uint32_t)(value >> 32));
    put32(rows, (uint32_t)value);
}

static void put_digest(struct idem_pg_table_rows *rows,
                       const struct idem_digest *digest) {
    put32(rows, IDEM_DIGEST_SIZE);
    memcpy(rows->buffer + rows->used, digest->bytes, IDEM_DIGEST_SIZE);
    rows->used += IDEM_DIGEST_SIZE;
}

static uint64_t microseconds(int64_t ms) {
    return (uint64_t)((ms - EPOCH_MS) * 1000);
}

static void put_time(struct idem_pg_table_rows *rows, int64_t ms) {
    put32(rows, TIME_SIZE);
    put64(rows, microseconds(ms));
}

/* Room for as many arrays of all claims as a statement can have, so that nothing has to move. */
static enum idem_code start(struct idem_pg_table_rows *rows,
                            const struct idem_pg_inbox *inbox) {
    size_t room =
        ARRAYS_MAX * (ARRAY_HEADER + (inbox->open_count + 1) * (4 + IDEM_DIGEST_SIZE));
    if (rows->room < room) {
        uint8_t *buffer = realloc(rows->buffer, room);
        if (buffer == NULL) {
            return IDEM_ERR_NOMEM;
        }
        rows->buffer = buffer;
        rows->room = room;
    }
    rows->used = 0;
    rows->values.count = 0;
    return IDEM_OK;
}

/* What was written from start on is one parameter. */
static void end_value(struct idem_pg_table_rows *rows, size_t from) {
    struct idem_pg_session_values *values = &rows->values;
    values->values[values->count] = (const char *)rows->buffer + from;
    values->lengths[values->count] = (int)(rows->used - from);
    values->formats[values->count] = 1;
    values->count++;
}

enum column { COLUMN_DIGEST, COLUMN_FINGERPRINT, COLUMN_FIRST_SEEN, COLUMN_EXPIRES };

static void put_column(struct idem_pg_table_rows *rows, const struct idem_claim *claim,
                       enum column column) {
    switch (column) {
    case COLUMN_DIGEST:
        put_digest(rows, &claim->digest);
        break;
    case COLUMN_FINGERPRINT:
        if (claim->has_fingerprint) {
            put_digest(rows, &claim->fingerprint);
        } else {
            put32(rows, UINT32_MAX); /* null */
        }
        break;
    case COLUMN_FIRST_SEEN:
        put_time(rows, claim->now_ms);
        break;
    case COLUMN_EXPIRES:
        put_time(rows, claim->now_ms + claim->ttl_ms);
        break;
    }
}

static size_t put_array(struct idem_pg_table_rows *rows,
                        const struct idem_pg_inbox *inbox, idem_pg_table_choice *choice,
                        enum column column) {
    const struct idem_pg_inbox_claim *claim = NULL;
    bool bytes = column == COLUMN_DIGEST || column == COLUMN_FINGERPRINT;
    size_t from = rows->used;
    size_t count = 0;
    TAILQ_FOREACH(claim, &inbox->open, order) {
        count += choice(claim);
    }
    put32(rows, 1);
    put32(rows, column == COLUMN_FINGERPRINT);
    put32(rows, bytes ? BYTEA : TIMESTAMPTZ);
    put32(rows, (uint32_t)count);
    put32(rows, 1);
    TAILQ_FOREACH(claim, &inbox->open, order) {
        if (choice(claim)) {
            put_column(rows, &claim->claim, column);
        }
    }
    end_value(rows, from);
    return count;
}

enum idem_code idem_pg_table_claims(struct idem_pg_table_rows *rows,
                                    const struct idem_pg_inbox *inbox,
                                    idem_pg_table_choice *choice, size_t *count) {
    enum idem_code code = start(rows, inbox);
    if (code == IDEM_OK) {
        *count = put_array(rows, inbox, choice, COLUMN_DIGEST);
        (void)put_array(rows, inbox, choice, COLUMN_FINGERPRINT);
        (void)put_array(rows, inbox, choice, COLUMN_FIRST_SEEN);
        (void)put_array(rows, inbox, choice, COLUMN_EXPIRES);
    }
    return code;
}

enum idem_code idem_pg_table_digests(struct idem_pg_table_rows *rows,
                                     const struct idem_pg_inbox *inbox,
                                     idem_pg_table_choice *choice, size_t *count) {
    enum idem_code code = start(rows, inbox);
    if (code == IDEM_OK) {
        *count = put_array(rows, inbox, choice, COLUMN_DIGEST);
    }
    return code;
}

static void put_value(struct idem_pg_table_rows *rows, uint64_t value) {
    size_t from = rows->used;
    put64(rows, value);
    end_value(rows, from);
}

enum idem_code idem_pg_table_expired(struct idem_pg_table_rows *rows,
                                     const struct idem_pg_inbox *inbox,
                                     idem_pg_table_choice *choice, int64_t now_ms,
                                     size_t *count) {
    enum idem_code code = idem_pg_table_digests(rows, inbox, choice, count);
    if (code == IDEM_OK) {
        put_value(rows, microseconds(now_ms));
    }
    return code;
}

enum idem_code idem_pg_table_slice(struct idem_pg_table_rows *rows, int64_t now_ms,
                                   size_t most) {
    static const struct idem_pg_inbox none; /* of no claims */
    enum idem_code code = start(rows, &none);
    if (code == IDEM_OK) {
        put_value(rows, microseconds(now_ms));
        put_value(rows, most);
    }
    return code;
}

static bool take_digest(const PGresult *result, int row, int column,
                        struct idem_digest *digest) {
    if (PQgetlength(result, row, column) != IDEM_DIGEST_SIZE) {
        return false;
    }
    memcpy(digest->bytes, PQgetvalue(result, row, column), IDEM_DIGEST_SIZE);
    return true;
}

static bool take_time(const PGresult *result, int row, int column, int64_t *ms) {
    const char *bytes = PQgetvalue(result, row, column);
    uint64_t value = 0;
    if (PQgetlength(result, row, column) != TIME_SIZE) {
        return false;
    }
    for (size_t i = 0; i < TIME_SIZE; i++) {
        value = value << 8 | (uint8_t)bytes[i];
    }
    *ms = (int64_t)value / 1000 + EPOCH_MS;
    return true;
}

static bool has_form(const PGresult *result, int columns) {
    return PQnfields(result) == columns && PQbinaryTuples(result) == 1;
}

bool idem_pg_table_take_claimed(struct idem_pg_inbox *inbox, const PGresult *result) {
    struct idem_digest digest;
    bool good = has_form(result, 1);
    for (int row = 0; good && row < PQntuples(result); row++) {
        good = take_digest(result, row, 0, &digest);
        if (good) {
            idem_pg_inbox_inserted(inbox, &digest);
        }
    }
    return good;
}

bool idem_pg_table_take_found(struct idem_pg_inbox *inbox, const PGresult *result) {
    struct idem_digest digest;
    bool good = has_form(result, 4);
    for (int row = 0; good && row < PQntuples(result); row++) {
        struct idem_record record = {.state = IDEM_RECORD_DONE};
        record.has_fingerprint = PQgetisnull(result, row, 1) == 0;
        good = take_digest(result, row, 0, &digest) &&
               (!record.has_fingerprint ||
                take_digest(result, row, 1, &record.fingerprint)) &&
               take_time(result, row, 2, &record.first_seen_ms) &&
               take_time(result, row, 3, &record.until_ms);
        if (good) {
            idem_pg_inbox_found(inbox, &digest, &record);
        }
    }
    return good;
}
