/* SPDX-License-Identifier: MIT
 * The requests of one connection in their order: waiting to be written, sent, or held for the replicas. */
#ifndef IDEM_REDIS_LINE_H
#define IDEM_REDIS_LINE_H

#include "store/redis/request.h"

struct idem_line {
    struct idem_request_list waiting; /* not written yet */
    struct idem_request_list sent;    /* written; answered in this order */
    struct idem_request_list held;    /* answered, not replicated yet */
    struct idem_request *punctual;    /* the first of sent that is not overdue */
};

void idem_line_init(struct idem_line *line);

void idem_line_add_sent(struct idem_line *line, struct idem_request *request);

/* The request that the next reply answers; NULL: none. */
struct idem_request *idem_line_take_sent(struct idem_line *line);

/* The next request whose time is up, which is marked overdue and keeps its place; NULL: none. */
struct idem_request *idem_line_overdue(struct idem_line *line, int64_t now_ms);

/* The next waiting request whose time is up, taken out; NULL: none. */
struct idem_request *idem_line_expired(struct idem_line *line, int64_t now_ms);

/* When the next of them is; INT64_MAX: never. */
int64_t idem_line_due_ms(const struct idem_line *line);

/* Requests that have neither been answered nor failed, internal ones aside. */
size_t idem_line_open_count(const struct idem_line *line);

/* The connection is over, sent bytes of commands were taken by the operating system. What the server may
 * have seen goes to *seen; what it certainly has not is first among what is waiting. */
void idem_line_break(struct idem_line *line, uint64_t sent,
                     struct idem_request_list *seen);

/* Tells whoever has not been told yet, and releases. The list is detached first: callbacks may submit. */
void idem_request_fail(struct idem_request *request, enum idem_code code);
void idem_requests_fail(struct idem_request_list *list, enum idem_code code);

#endif
