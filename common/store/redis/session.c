/* SPDX-License-Identifier: MIT
 * The conversation with one server.
 *
 * Replies come in the order of the commands, so a request whose time is up keeps its place in the line
 * until its reply has come or the connection is given up: it is overdue, and only its caller has been
 * told. A timeout opens the breaker and leaves the connection as it is, since the server is more often
 * slow than dead, and the answers on their way are worth having. The probe decides: answered in time,
 * operations are sent again; if not, the connection is given up and a new one is the next probe.
 *
 * What a lost connection means for a request depends on how far its command got:
 *
 *   not written, or not wholly taken by the operating system   it is written again to the next
 *                                                              connection, or fails UNAVAILABLE
 *   taken by the operating system                              MAY have been carried out: TIMEOUT
 *
 * A connection on which operations were answered has earned one new connection at once, without opening
 * the breaker: a server that was restarted costs nothing but the time that takes.
 *
 * Callbacks run from here and may submit requests; so lists are detached before they are walked, and a
 * connection that breaks while its replies are read is only marked (broken), and given up afterwards. */
#include "store/redis/session.h"
#include "store/redis/greeting.h"
#include "store/redis/nodes.h"
#include "store/redis/upkeep.h"

#include <inttypes.h>
#include <sys/epoll.h>

#define OPEN_MAX ((size_t)65536)
#define OUT_MAX  ((size_t)64 << 20)
#define SEND_AT  ((size_t)16384)
#define CHUNKS_AHEAD                                                                     \
    16 /* read in one turn, so that a busy server does not keep others waiting */
#define RETRY_LEAST_MS 100
#define RETRY_MOST_MS  5000

void idem_session_init(struct idem_session *session,
                       const struct idem_session_options *options,
                       const struct idem_endpoint *endpoint, uint64_t seed) {
    *session = (struct idem_session){.options = options};
    if (endpoint != NULL) {
        session->endpoint = *endpoint;
        session->endpoint_known = true;
    }
    idem_redis_link_init(&session->link);
    idem_breaker_init(&session->breaker, RETRY_LEAST_MS, RETRY_MOST_MS, seed);
    idem_line_init(&session->line);
}

/* Tells epoll what the socket is watched for, where that has changed. */
static void watch(struct idem_session *session, uint32_t events) {
    if (events == session->watched) {
        return;
    }
    struct epoll_event event = {.events = events, .data.ptr = session};
    int operation = session->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (epoll_ctl(session->options->epoll_fd, operation, session->link.fd, &event) != 0) {
        (void)idem_error_set(&session->broken, IDEM_ERR_UNAVAILABLE, 0,
                             "the socket cannot be watched");
        return;
    }
    session->watched = events;
}

static void breaker_event(struct idem_session *session, enum idem_breaker_event event) {
    enum idem_breaker_state before = session->breaker.state;
    idem_breaker_event(&session->breaker, event, session->now_ms);
    if (session->breaker.state == before) {
        return;
    }
    char where[IDEM_ENDPOINT_TEXT_MAX];
    idem_endpoint_text(&session->endpoint, where);
    if (before == IDEM_BREAKER_CLOSED) {
        idem_log_write(session->options->log, IDEM_LOG_WARNING, "store.unavailable",
                       "Redis %s: %s; operations are refused until it answers again",
                       where, session->refusal.text);
    } else if (session->breaker.state == IDEM_BREAKER_CLOSED) {
        idem_log_write(session->options->log, IDEM_LOG_NOTICE, "store.available",
                       "Redis %s answers again", where);
    }
}

static void close_link(struct idem_session *session) {
    idem_redis_link_close(&session->link);
    session->watched = 0;
    session->replicate = false;
}

/* Gives the connection up, for the reason in session->broken. */
static void give_up(struct idem_session *session) {
    struct idem_request_list seen;
    idem_line_break(&session->line, session->link.sent, &seen);
    close_link(session);
    idem_approach_end(&session->approach);
    session->refusal = session->broken;
    session->broken = (struct idem_error)IDEM_ERROR_INIT;
    bool earned = session->proven && session->breaker.state == IDEM_BREAKER_CLOSED;
    session->proven = false;
    session->state = IDEM_SESSION_DOWN;
    if (session->options->location->kind == IDEM_REDIS_SENTINEL) {
        session->endpoint_known = false;
    }
    if (!earned) {
        breaker_event(session, IDEM_BREAKER_FAILED);
        idem_requests_fail(&session->line.waiting, IDEM_ERR_UNAVAILABLE);
    }
    idem_requests_fail(&seen, IDEM_ERR_TIMEOUT);
}

static void break_off(struct idem_session *session, const char *why) {
    (void)idem_error_set(&session->broken, IDEM_ERR_UNAVAILABLE, 0, "%s", why);
}

static const struct idem_endpoint *next_sentinel(struct idem_session *session) {
    const struct idem_redis_location *location = session->options->location;
    return &location->endpoints[session->asked++ % location->endpoint_count];
}

static void tick_connecting(struct idem_session *session) {
    bool begun = false;
    if (session->broken.code == IDEM_OK &&
        idem_approach_tick(&session->approach, &session->link, session->now_ms, &begun,
                           &session->broken) == IDEM_OK &&
        begun) {
        session->watched = 0;
        watch(session, EPOLLOUT);
    }
}

static void connect_now(struct idem_session *session) {
    const struct idem_session_options *options = session->options;
    session->state = IDEM_SESSION_CONNECTING;
    session->state_until_ms = session->now_ms + options->location->connect_timeout_ms;
    idem_approach_begin(
        &session->approach,
        session->endpoint_known ? &session->endpoint : next_sentinel(session),
        options->tls, session->attempts++, session->now_ms, session->state_until_ms);
    tick_connecting(session);
}

void idem_session_write(struct idem_session *session, struct idem_request *request,
                        int64_t deadline_ms) {
    struct idem_bytes *out = &session->link.out;
    if (request->asking && idem_asking_send(session, deadline_ms) != IDEM_OK) {
        break_off(session, "no memory to ask");
        idem_request_fail(request, IDEM_ERR_NOMEM);
        return;
    }
    size_t before = out->end - out->start;
    request->kind->write(request, &session->server, out);
    if (out->failed || before > OUT_MAX) {
        out->failed = false;
        out->end = out->start + before;
        if (request->asking) {
            break_off(session,
                      "no memory for what was asked"); /* another must not follow */
        }
        idem_request_fail(request, before > OUT_MAX ? IDEM_ERR_FULL : IDEM_ERR_NOMEM);
        return;
    }
    request->deadline_ms = deadline_ms;
    request->end = idem_redis_link_end(&session->link);
    request->overdue = false;
    idem_line_add_sent(&session->line, request);
}

static void ask_replicas(struct idem_session *session) {
    session->replicate = false;
    int64_t deadline_ms = session->now_ms + session->options->location->timeout_ms;
    if (idem_replication_send(session, deadline_ms) != IDEM_OK) {
        break_off(session, "no memory to wait for replicas");
    }
}

static void send_now(struct idem_session *session) {
    if (session->replicate) {
        ask_replicas(session);
    }
    if (session->broken.code == IDEM_OK &&
        idem_redis_link_send(&session->link, &session->broken) == IDEM_OK) {
        bool more = idem_redis_link_unsent(&session->link);
        watch(session, EPOLLIN | (more ? (uint32_t)EPOLLOUT : 0));
    }
}

static void write_waiting(struct idem_session *session) {
    struct idem_request *request = NULL;
    while (session->state == IDEM_SESSION_UP &&
           (request = idem_request_list_take(&session->line.waiting)) != NULL) {
        idem_session_write(session, request, request->deadline_ms);
    }
}

static void begin_greeting(struct idem_session *session) {
    struct idem_error error = IDEM_ERROR_INIT;
    if (idem_redis_link_connected(&session->link, &error) != IDEM_OK) {
        if (idem_approach_again(&session->approach)) {
            close_link(session);
        } else {
            session->broken = error;
        }
        return;
    }
    idem_approach_end(&session->approach);
    session->state = IDEM_SESSION_GREETING;
    enum idem_code code = session->endpoint_known ? idem_greeting_server(session)
                                                  : idem_greeting_sentinel(session);
    if (code != IDEM_OK) {
        (void)idem_error_set(&session->broken, code, 0, "no memory for a greeting");
    }
    send_now(session);
}

static void send_heartbeat(struct idem_session *session) {
    const struct idem_redis_location *location = session->options->location;
    session->heartbeat_at_ms = session->now_ms + location->idle_ms;
    enum idem_code code =
        idem_heartbeat_send(session, session->now_ms + location->timeout_ms);
    if (code != IDEM_OK) {
        break_off(session, "no memory for a heartbeat");
    }
}

void idem_session_probed(struct idem_session *session) {
    breaker_event(session, IDEM_BREAKER_PROBED);
}

/* The check value of the secret is a key too, but no record. */
void idem_session_counted(struct idem_session *session, uint64_t keys) {
    session->keys = keys - (session->server.holds_check && keys > 0 ? 1 : 0);
    session->keys_changed = 0;
    session->counted = true;
}

void idem_session_replicated(struct idem_session *session, bool confirmed) {
    struct idem_request_list held = session->line.held;
    idem_request_list_init(&session->line.held);
    struct idem_request *request = NULL;
    while ((request = idem_request_list_take(&held)) != NULL) {
        if (confirmed) {
            request->kind->replicated(request);
        } else {
            request->kind->failed(request, IDEM_ERR_TIMEOUT);
        }
        request->kind->release(request);
    }
}

void idem_session_greeted(struct idem_session *session) {
    session->state = IDEM_SESSION_UP;
    session->heartbeat_at_ms =
        INT64_MIN; /* the first one follows at once, as a probe too */
}

void idem_session_found(struct idem_session *session,
                        const struct idem_endpoint *endpoint) {
    session->endpoint = *endpoint;
    session->endpoint_known = true;
    session->moved = true;
}

/* From the sentinel to the server that it named. */
static void move_on(struct idem_session *session) {
    struct idem_request_list greetings;
    idem_line_break(&session->line, session->link.sent, &greetings);
    close_link(session);
    session->moved = false;
    session->state = IDEM_SESSION_DOWN;
    idem_requests_fail(&greetings, IDEM_ERR_UNAVAILABLE);
}

static void answer(struct idem_session *session, struct idem_request *request,
                   const redisReply *reply) {
    if (request->overdue) {
        request->kind->release(request);
        return;
    }
    if (!request->kind->internal) {
        session->proven = true;
        breaker_event(session, IDEM_BREAKER_ANSWERED);
    }
    switch (request->kind->answered(request, session, reply)) {
    case IDEM_REQUEST_OVER:
        request->kind->release(request);
        return;
    case IDEM_REQUEST_ELSEWHERE:
        idem_nodes_redirect(session->options->nodes, request, &session->redirect);
        return;
    case IDEM_REQUEST_HOLD:
        idem_request_list_add(&session->line.held, request);
        session->replicate = true;
        return;
    case IDEM_REQUEST_AGAIN:
        idem_session_write(session, request,
                           session->now_ms + session->options->location->timeout_ms);
        return;
    }
}

static void answer_next(struct idem_session *session, const redisReply *reply) {
    struct idem_request *request = idem_line_take_sent(&session->line);
    if (request == NULL) {
        (void)idem_error_set(&session->broken, IDEM_ERR_FORMAT, 0,
                             "a reply that nothing was asked for: not a Redis server?");
        return;
    }
    answer(session, request, reply);
}

static void take_replies(struct idem_session *session) {
    while (session->broken.code == IDEM_OK) {
        redisReply *reply = NULL;
        if (idem_reader_next(&session->link.reader, &reply) != IDEM_OK) {
            (void)idem_error_set(&session->broken, IDEM_ERR_FORMAT, 0,
                                 "what answers does not speak the Redis protocol");
            return;
        }
        if (reply == NULL) {
            return;
        }
        answer_next(session, reply);
        freeReplyObject(reply);
    }
}

/* Replies that came before an error count: the error is noted after them. */
static void receive(struct idem_session *session) {
    bool more = true;
    for (int i = 0; i < CHUNKS_AHEAD && more && session->broken.code == IDEM_OK; i++) {
        struct idem_error error = IDEM_ERROR_INIT;
        enum idem_code code = idem_redis_link_receive(&session->link, &more, &error);
        take_replies(session);
        if (code != IDEM_OK && session->broken.code == IDEM_OK) {
            session->broken = error;
        }
    }
}

void idem_session_ready(struct idem_session *session, uint32_t events, int64_t now_ms) {
    session->now_ms = now_ms;
    switch (session->state) {
    case IDEM_SESSION_DOWN:
        return;
    case IDEM_SESSION_CONNECTING:
        begin_greeting(session);
        return;
    case IDEM_SESSION_GREETING:
    case IDEM_SESSION_UP:
        if ((events & ~(uint32_t)EPOLLOUT) != 0) {
            receive(session);
        }
        return;
    }
}

/* Tells the callers of requests whose time is up. */
static void fail_overdue(struct idem_session *session) {
    bool any = false;
    bool probe = false;
    struct idem_request *request = NULL;
    while ((request = idem_line_overdue(&session->line, session->now_ms)) != NULL) {
        any = true;
        probe |= request->kind->internal;
        request->kind->failed(request, IDEM_ERR_TIMEOUT);
    }
    if (probe && session->breaker.state == IDEM_BREAKER_HALF_OPEN) {
        break_off(session, "no answer in time");
    } else if (any) {
        session->refusal = (struct idem_error)IDEM_ERROR_INIT;
        (void)idem_error_set(&session->refusal, IDEM_ERR_TIMEOUT, 0, "no answer in time");
        breaker_event(session, IDEM_BREAKER_FAILED);
    }
    while ((request = idem_line_expired(&session->line, session->now_ms)) != NULL) {
        idem_request_fail(request, IDEM_ERR_UNAVAILABLE);
    }
}

static void tick_up(struct idem_session *session) {
    bool probe = session->breaker.state == IDEM_BREAKER_OPEN &&
                 session->now_ms >= session->breaker.retry_at_ms;
    if (probe) {
        breaker_event(session, IDEM_BREAKER_DUE);
    }
    if (probe || session->now_ms >= session->heartbeat_at_ms) {
        send_heartbeat(session);
    }
    if (session->breaker.state == IDEM_BREAKER_CLOSED) {
        write_waiting(session);
    }
}

static void tick_down(struct idem_session *session) {
    breaker_event(session, IDEM_BREAKER_DUE);
    if (session->breaker.state != IDEM_BREAKER_OPEN) {
        connect_now(session);
    }
}

static const char *too_late(const struct idem_session *session) {
    if (session->state == IDEM_SESSION_CONNECTING) {
        return idem_approach_looking(&session->approach)
                   ? "its name has not been looked up in time"
                   : "no connection in time";
    }
    return idem_redis_link_shaking(&session->link)
               ? "connected, but no TLS handshake in time; does it speak TLS there?"
               : "connected, but no answer in time";
}

static void tick_state(struct idem_session *session) {
    switch (session->state) {
    case IDEM_SESSION_DOWN:
        tick_down(session);
        return;
    case IDEM_SESSION_CONNECTING:
    case IDEM_SESSION_GREETING:
        if (session->now_ms >= session->state_until_ms) {
            break_off(session, too_late(session));
        } else if (session->state == IDEM_SESSION_CONNECTING) {
            tick_connecting(session);
        }
        return;
    case IDEM_SESSION_UP:
        tick_up(session);
        return;
    }
}

void idem_session_tick(struct idem_session *session, int64_t now_ms) {
    session->now_ms = now_ms;
    fail_overdue(session);
    if (session->moved) {
        move_on(session);
    }
    tick_state(session);
    if (session->replicate || idem_redis_link_unsent(&session->link)) {
        send_now(session);
    }
    if (session->broken.code != IDEM_OK) {
        give_up(session);
    }
}

void idem_session_submit(struct idem_session *session, struct idem_request *request,
                         int64_t now_ms) {
    session->now_ms = now_ms;
    request->overdue = false;
    request->deadline_ms = session->now_ms + session->options->location->timeout_ms;
    if (session->breaker.state != IDEM_BREAKER_CLOSED) {
        idem_request_fail(request, IDEM_ERR_UNAVAILABLE);
        return;
    }
    if (session->line.sent.count + session->line.waiting.count >= OPEN_MAX) {
        idem_request_fail(request, IDEM_ERR_FULL);
        return;
    }
    if (session->state != IDEM_SESSION_UP || session->broken.code != IDEM_OK ||
        session->line.waiting.first != NULL) {
        idem_request_list_add(&session->line.waiting, request);
        return;
    }
    bool idle = session->line.sent.count == 0;
    idem_session_write(session, request, request->deadline_ms);
    if (idle || session->link.out.end - session->link.out.start >= SEND_AT) {
        send_now(session);
    }
}

void idem_session_fini(struct idem_session *session) {
    struct idem_request_list seen;
    idem_line_break(&session->line, session->link.sent, &seen);
    idem_redis_link_close(&session->link);
    idem_approach_fini(&session->approach);
    session->state = IDEM_SESSION_DOWN;
    session->breaker.state =
        IDEM_BREAKER_OPEN; /* callbacks that submit more are refused */
    idem_requests_fail(&session->line.waiting, IDEM_ERR_UNAVAILABLE);
    idem_requests_fail(&seen, IDEM_ERR_TIMEOUT);
}
