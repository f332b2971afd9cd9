/* SPDX-License-Identifier: MIT
 * The user's statement: a message's values, in the form that each parameter's type wants. */
#ifndef IDEM_RABBITMQ_POSTGRES_STATEMENT_H
#define IDEM_RABBITMQ_POSTGRES_STATEMENT_H

#include "session.h"

#include <idem/parameter.h>

struct idem_statement {
    const struct idem_parameter *parameters; /* borrowed */
    size_t count;                            /* at most IDEM_PG_VALUES_MAX */
    uint8_t *room;                           /* owned: values that had to be copied */
    size_t size;
};

void idem_statement_fini(struct idem_statement *statement);

/* The values of one message, for parameters of these types; what is absent is null. They live until the
 * next use, and no longer than what source borrows. NULL, or the SQLSTATE of why there are none: 22021 (a
 * NUL byte where the type has none), 54000 (JSON too large to be looked into), 53200 (no memory). */
const char *idem_statement_bind(struct idem_statement *statement,
                                const struct idem_parameter_source *source,
                                const Oid *types, struct idem_pg_session_values *values);

/* The highest $N outside of quotes and comments: how many parameters a statement has. */
size_t idem_statement_parameters(const char *sql);

#endif
