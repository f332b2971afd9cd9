/* SPDX-License-Identifier: MIT
 * The requests of one connection in their order. */
#include "store/redis/line.h"

void idem_line_init(struct idem_line *line) {
    idem_request_list_init(&line->waiting);
    idem_request_list_init(&line->sent);
    idem_request_list_init(&line->held);
    line->punctual = NULL;
}

void idem_line_add_sent(struct idem_line *line, struct idem_request *request) {
    idem_request_list_add(&line->sent, request);
    if (line->punctual == NULL) {
        line->punctual = request;
    }
}

struct idem_request *idem_line_take_sent(struct idem_line *line) {
    struct idem_request *request = idem_request_list_take(&line->sent);
    if (request != NULL && line->punctual == request) {
        line->punctual = request->next;
    }
    return request;
}

struct idem_request *idem_line_overdue(struct idem_line *line, int64_t now_ms) {
    struct idem_request *request = line->punctual;
    if (request == NULL || request->deadline_ms > now_ms) {
        return NULL;
    }
    line->punctual = request->next;
    request->overdue = true;
    return request;
}

struct idem_request *idem_line_expired(struct idem_line *line, int64_t now_ms) {
    struct idem_request *request = line->waiting.first;
    return request != NULL && request->deadline_ms <= now_ms
               ? idem_request_list_take(&line->waiting)
               : NULL;
}

int64_t idem_line_due_ms(const struct idem_line *line) {
    const struct idem_request *sent = line->punctual;
    const struct idem_request *waiting = line->waiting.first;
    int64_t due_ms = sent != NULL ? sent->deadline_ms : INT64_MAX;
    return waiting != NULL && waiting->deadline_ms < due_ms ? waiting->deadline_ms
                                                            : due_ms;
}

size_t idem_line_open_count(const struct idem_line *line) {
    size_t count = line->waiting.count + line->held.count;
    for (const struct idem_request *request = line->punctual; request != NULL;
         request = request->next) {
        count += request->kind->internal ? 0 : 1;
    }
    return count;
}

static void move_all(struct idem_request_list *to, struct idem_request_list *from) {
    struct idem_request *request = NULL;
    while ((request = idem_request_list_take(from)) != NULL) {
        idem_request_list_add(to, request);
    }
}

void idem_line_break(struct idem_line *line, uint64_t sent,
                     struct idem_request_list *seen) {
    struct idem_request_list unseen;
    struct idem_request *request = NULL;
    idem_request_list_init(&unseen);
    idem_request_list_init(seen);
    move_all(seen, &line->held);
    while ((request = idem_request_list_take(&line->sent)) != NULL) {
        bool certain =
            request->end > sent && !request->overdue && !request->kind->internal;
        idem_request_list_add(certain ? &unseen : seen, request);
    }
    move_all(&unseen, &line->waiting);
    move_all(&line->waiting, &unseen);
    line->punctual = NULL;
}

void idem_request_fail(struct idem_request *request, enum idem_code code) {
    if (!request->overdue) {
        request->kind->failed(request, code);
    }
    request->kind->release(request);
}

void idem_requests_fail(struct idem_request_list *list, enum idem_code code) {
    struct idem_request_list detached;
    struct idem_request *request = NULL;
    idem_request_list_init(&detached);
    move_all(&detached, list);
    while ((request = idem_request_list_take(&detached)) != NULL) {
        idem_request_fail(request, code);
    }
}
