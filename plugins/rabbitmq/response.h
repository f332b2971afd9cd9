/* SPDX-License-Identifier: MIT
 * A worker's reply as a stored result, and back: between AMQP's properties and the form that all protocols
 * share. Pure. */
#ifndef IDEM_RABBITMQ_RESPONSE_H
#define IDEM_RABBITMQ_RESPONSE_H

#include "field.h"

#include <idem/error.h>
#include <idem/result.h>

/* How headers are put. */
enum idem_response_form {
    /* As texts, wherever they have one: what says whether the reply tells of a failure. */
    IDEM_RESPONSE_TO_JUDGE,
    /* With the types that they came with: what is stored, so that every answer is like the first one. */
    IDEM_RESPONSE_TO_STORE,
};

/* What a result borrows numbers and encoded headers from. */
struct idem_response {
    struct idem_result result;
    char numbers[IDEM_RESULT_FIELD_COUNT][IDEM_FIELD_NUMBER_SIZE];
    char values[IDEM_RESULT_HEADERS_MAX][IDEM_FIELD_NUMBER_SIZE];
};

/* The result borrows from properties, payload, pool and from *response. Of a reply with more headers than a
 * result can hold it has none, and *whole is false. IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code idem_response_read(struct idem_response *response,
                                                const amqp_basic_properties_t *properties,
                                                struct idem_span payload,
                                                enum idem_response_form form,
                                                amqp_pool_t *pool, bool *whole);

/* The properties to answer with; they borrow from result and pool. What cannot be read is left out. */
IDEM_MUST_USE enum idem_code idem_response_write(amqp_basic_properties_t *properties,
                                                 const struct idem_result *result,
                                                 amqp_pool_t *pool);

#endif
