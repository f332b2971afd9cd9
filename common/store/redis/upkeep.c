/* SPDX-License-Identifier: MIT
 * Heartbeats and waits for replicas. */
#include "store/redis/upkeep.h"
#include "store/redis/command.h"
#include "store/redis/fault.h"
#include "store/redis/nodes.h"

#include <stdlib.h>

struct upkeep {
    struct idem_request base;
    struct idem_session *session;
};

static void upkeep_release(struct idem_request *request) {
    free(request);
}

static enum idem_code send_upkeep(struct idem_session *session,
                                  const struct idem_request_kind *kind,
                                  int64_t deadline_ms) {
    struct upkeep *upkeep = calloc(1, sizeof *upkeep);
    if (upkeep == NULL) {
        return IDEM_ERR_NOMEM;
    }
    upkeep->base.kind = kind;
    upkeep->session = session;
    idem_session_write(session, &upkeep->base, deadline_ms);
    return IDEM_OK;
}

/* DBSIZE costs the server as little as PING, and tells something. */
static void heartbeat_write(const struct idem_request *request,
                            const struct idem_server *server, struct idem_bytes *out) {
    (void)request;
    (void)server;
    idem_command_texts(out, (const char *const[]){"DBSIZE", NULL});
}

/* An error is a sign of life as well, unless it is one of those that mean: not me. */
static enum idem_request_next heartbeat_answered(struct idem_request *request,
                                                 struct idem_session *session,
                                                 const redisReply *reply) {
    (void)request;
    if (reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0) {
        idem_session_counted(session, (uint64_t)reply->integer);
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        idem_fault_note(session, reply);
    }
    idem_session_probed(session);
    return IDEM_REQUEST_OVER;
}

static void heartbeat_failed(struct idem_request *request, enum idem_code code) {
    (void)request;
    (void)code;
}

static const struct idem_request_kind heartbeat_kind = {
    .internal = true,
    .write = heartbeat_write,
    .answered = heartbeat_answered,
    .failed = heartbeat_failed,
    .release = upkeep_release,
};

enum idem_code idem_heartbeat_send(struct idem_session *session, int64_t deadline_ms) {
    return send_upkeep(session, &heartbeat_kind, deadline_ms);
}

static void replication_write(const struct idem_request *request,
                              const struct idem_server *server, struct idem_bytes *out) {
    (void)server;
    const struct idem_redis_location *location =
        ((const struct upkeep *)request)->session->options->location;
    idem_command_begin(out, 3);
    idem_command_text(out, "WAIT");
    idem_command_number(out, location->wait_replicas);
    /* Less than our own patience, so that its answer is there in time. */
    idem_command_number(out, (uint64_t)(location->timeout_ms - location->timeout_ms / 4));
}

static void replication_failed(struct idem_request *request, enum idem_code code) {
    (void)code;
    idem_session_replicated(((struct upkeep *)request)->session, false);
}

/* Commands before this one were answered before it, so whatever is held was written before it. */
static enum idem_request_next replication_answered(struct idem_request *request,
                                                   struct idem_session *session,
                                                   const redisReply *reply) {
    (void)request;
    idem_session_replicated(session, reply->type == REDIS_REPLY_INTEGER &&
                                         reply->integer >=
                                             session->options->location->wait_replicas);
    return IDEM_REQUEST_OVER;
}

static const struct idem_request_kind replication_kind = {
    .internal = true,
    .write = replication_write,
    .answered = replication_answered,
    .failed = replication_failed,
    .release = upkeep_release,
};

enum idem_code idem_replication_send(struct idem_session *session, int64_t deadline_ms) {
    return send_upkeep(session, &replication_kind, deadline_ms);
}

static void asking_write(const struct idem_request *request,
                         const struct idem_server *server, struct idem_bytes *out) {
    (void)request;
    (void)server;
    idem_command_texts(out, (const char *const[]){"ASKING", NULL});
}

/* Whatever it says: the command behind it is answered by itself. */
static enum idem_request_next asking_answered(struct idem_request *request,
                                              struct idem_session *session,
                                              const redisReply *reply) {
    (void)request;
    (void)session;
    (void)reply;
    return IDEM_REQUEST_OVER;
}

static const struct idem_request_kind asking_kind = {
    .internal = true,
    .write = asking_write,
    .answered = asking_answered,
    .failed = heartbeat_failed,
    .release = upkeep_release,
};

enum idem_code idem_asking_send(struct idem_session *session, int64_t deadline_ms) {
    return send_upkeep(session, &asking_kind, deadline_ms);
}

static void map_write(const struct idem_request *request,
                      const struct idem_server *server, struct idem_bytes *out) {
    (void)request;
    (void)server;
    idem_command_texts(out, (const char *const[]){"CLUSTER", "SLOTS", NULL});
}

static enum idem_request_next map_answered(struct idem_request *request,
                                           struct idem_session *session,
                                           const redisReply *reply) {
    (void)request;
    idem_nodes_learn(session->options->nodes, &session->endpoint, reply);
    return IDEM_REQUEST_OVER;
}

static const struct idem_request_kind map_kind = {
    .internal = true,
    .write = map_write,
    .answered = map_answered,
    .failed = heartbeat_failed,
    .release = upkeep_release,
};

enum idem_code idem_map_send(struct idem_session *session, int64_t deadline_ms) {
    return send_upkeep(session, &map_kind, deadline_ms);
}
