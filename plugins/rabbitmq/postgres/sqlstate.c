/* SPDX-License-Identifier: MIT
 * What an error of the database means for the messages of a transaction. */
#include "sqlstate.h"

#include <stddef.h>
#include <string.h>

/* Codes, or the two characters of their class; the longest match counts (PostgreSQL 15, appendix A).
 *
 * What is not here is the message's own: data exceptions (22), integrity constraints (23), checks of views
 * (44), limits of a row or a value (54), what functions and triggers raise (P0, 38, 39), and the codes that
 * users invent. Class 42 is not, although it sounds like it: a table that is gone and a privilege that was
 * revoked fail every message, and a quarantine that swallows the whole queue helps nobody. */
static const struct {
    const char *code;
    enum idem_sqlstate meaning;
} rows[] = {
    {"08", IDEM_SQLSTATE_LOST},    /* connection exceptions */
    {"0A000", IDEM_SQLSTATE_LOST}, /* a prepared statement's result has changed its type */
    {"25", IDEM_SQLSTATE_AGAIN},   /* the transaction is in no state for it */
    {"25006", IDEM_SQLSTATE_LOST}, /* read only: this server is a standby by now */
    {"25P03", IDEM_SQLSTATE_LOST}, /* the session was idle inside a transaction for too long */
    {"26", IDEM_SQLSTATE_LOST}, /* prepared statements are gone: somebody reset the session */
    {"28", IDEM_SQLSTATE_LOST}, /* not allowed to log in */
    {"2B", IDEM_SQLSTATE_AGAIN},
    {"2D", IDEM_SQLSTATE_AGAIN},
    {"3B", IDEM_SQLSTATE_AGAIN},
    {"3D", IDEM_SQLSTATE_LOST},
    {"3F", IDEM_SQLSTATE_AGAIN},
    {"40", IDEM_SQLSTATE_AGAIN}, /* serialization, deadlock */
    {"42", IDEM_SQLSTATE_AGAIN}, /* what the statement names is not there, or not allowed */
    {"53", IDEM_SQLSTATE_AGAIN}, /* no disk, no memory, no connection left */
    {"55", IDEM_SQLSTATE_AGAIN}, /* a lock that was not to be had */
    {"57", IDEM_SQLSTATE_AGAIN}, /* cancelled: statement_timeout, an operator */
    {"57P", IDEM_SQLSTATE_LOST}, /* the server is being shut down, or has crashed */
    {"58", IDEM_SQLSTATE_AGAIN}, /* the server's own system failed */
    {"F0", IDEM_SQLSTATE_AGAIN},
    {"HV", IDEM_SQLSTATE_AGAIN}, /* a foreign server */
    {"XX", IDEM_SQLSTATE_AGAIN}, /* a fault of the server */
};

enum idem_sqlstate idem_sqlstate_class(const char *state) {
    enum idem_sqlstate meaning = IDEM_SQLSTATE_REFUSED;
    size_t longest = 0;
    if (state == NULL || strlen(state) != IDEM_SQLSTATE_SIZE - 1) {
        return IDEM_SQLSTATE_LOST; /* libpq's own errors have none */
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t length = strlen(rows[i].code);
        if (length > longest && strncmp(state, rows[i].code, length) == 0) {
            longest = length;
            meaning = rows[i].meaning;
        }
    }
    return meaning;
}
