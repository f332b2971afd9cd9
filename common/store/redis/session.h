/* SPDX-License-Identifier: MIT
 * A standing conversation with one server: connects, greets, sends requests down the pipeline, gives the
 * answers out in order, notices silence, and comes back after failures. */
#ifndef IDEM_REDIS_SESSION_H
#define IDEM_REDIS_SESSION_H

#include "store/redis/approach.h"
#include "store/redis/breaker.h"
#include "store/redis/line.h"
#include "store/redis/slot.h"

#include <idem/digest.h>
#include <idem/log.h>

enum idem_session_state {
    IDEM_SESSION_DOWN, /* no socket; connects when connect_at_ms or the breaker says */
    IDEM_SESSION_CONNECTING, /* the host is looked up, or the socket is not connected yet */
    IDEM_SESSION_GREETING,   /* only greetings are under way; requests wait */
    IDEM_SESSION_UP,         /* requests are sent */
};

/* What all sessions of a store share; borrowed, outlives them. */
struct idem_session_options {
    const struct idem_redis_location *location;
    const struct idem_log *log;
    struct idem_tls_context *tls; /* NULL: plain */
    struct idem_nodes *nodes;     /* that the sessions are of */
    int epoll_fd;
    bool has_check; /* the secret's check value must match what is in the store */
    bool read_only; /* ... and is not written where there is none */
    struct idem_digest check;
};

struct idem_session {
    const struct idem_session_options *options;
    struct idem_endpoint endpoint; /* of the server itself, once it is known */
    bool endpoint_known;           /* false: a sentinel has to be asked first */
    enum idem_session_state state;
    struct idem_approach approach; /* CONNECTING */
    struct idem_redis_link link;
    struct idem_breaker breaker;
    struct idem_server server;
    struct idem_line line;
    int64_t state_until_ms;  /* CONNECTING, GREETING: gives up then */
    int64_t heartbeat_at_ms; /* UP */
    int64_t now_ms;          /* of the monotonic clock, as last told */
    unsigned attempts;       /* to connect to the server */
    unsigned asked;          /* sentinels, in turn */
    uint32_t watched;        /* by epoll */
    bool proven;             /* an operation was answered on this connection */
    bool moved;              /* a sentinel has told where the server is */
    bool replicate;          /* something was written that replicas have to confirm */
    /* Code != IDEM_OK: the connection is to be given up, and why. */
    struct idem_error broken;
    struct idem_error refusal; /* why the last attempt failed */
    /* Where the last request that was redirected belongs. */
    struct idem_redirect redirect;
    unsigned warned;      /* bits of what has been warned about */
    bool counted;         /* keys has been told at least once */
    uint64_t keys;        /* in the database, when last asked ... */
    int64_t keys_changed; /* ... and what our own operations made of that since */
    uint64_t bytes;       /* of the server's memory, when it was greeted */
};

/* endpoint: NULL where the location's sentinels have to be asked. Connects at the first tick. */
void idem_session_init(struct idem_session *session,
                       const struct idem_session_options *options,
                       const struct idem_endpoint *endpoint, uint64_t seed);

/* Fails what is open (TIMEOUT where it may have been carried out, UNAVAILABLE otherwise) and closes. */
void idem_session_fini(struct idem_session *session);

/* Takes the request over. May fail it before it returns. */
void idem_session_submit(struct idem_session *session, struct idem_request *request,
                         int64_t now_ms);

/* The socket is ready, as epoll says. */
void idem_session_ready(struct idem_session *session, uint32_t events, int64_t now_ms);

/* Does what is due, sends what is written. */
void idem_session_tick(struct idem_session *session, int64_t now_ms);

/* When tick is to be called at the latest. */
int64_t idem_session_due_ms(const struct idem_session *session);

/* Requests that have not been answered, those that are overdue excepted. */
size_t idem_session_open_count(const struct idem_session *session);

/* For greetings and other requests of the session's own. */
void idem_session_write(struct idem_session *session, struct idem_request *request,
                        int64_t deadline_ms);
void idem_session_greeted(struct idem_session *session);
void idem_session_probed(struct idem_session *session);
void idem_session_counted(struct idem_session *session, uint64_t keys);
/* Whether the replicas have confirmed everything that is held. */
void idem_session_replicated(struct idem_session *session, bool confirmed);
void idem_session_found(struct idem_session *session,
                        const struct idem_endpoint *endpoint);

#endif
