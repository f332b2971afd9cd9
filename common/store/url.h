/* SPDX-License-Identifier: MIT
 * The parameters of a store's URL: ?name=value&name=value. */
#ifndef IDEM_STORE_URL_H
#define IDEM_STORE_URL_H

#include <idem/error.h>
#include <idem/span.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct idem_url_unit {
    const char *name;
    uint64_t factor;
};

struct idem_url_parameter {
    const char *name;
    /* Ends with a NULL name; NULL: a text, no number. */
    const struct idem_url_unit *units;
    uint64_t least;
    uint64_t most;
    /* What is right, for messages: "a size from 1MiB to 1TiB, such as 64MiB". */
    const char *form;
    uint64_t value; /* the default before, what was given afterwards */
    bool given;
    struct idem_span text; /* of a text: what was given, as it stands in the query */
};

/* query: what follows the question mark; NULL: nothing. IDEM_ERR_INVALID: unknown or
 * repeated names, values that are not as the form says. */
IDEM_MUST_USE enum idem_code idem_url_parameters(const char *query,
                                                 struct idem_url_parameter *parameters,
                                                 size_t count, struct idem_error *error);

#endif
