/* SPDX-License-Identifier: MIT
 * The sessions of a store: one, or one for each master of a cluster, and which slot is whose. */
#ifndef IDEM_REDIS_NODES_H
#define IDEM_REDIS_NODES_H

#include "store/redis/session.h"

#define IDEM_NODES_MAX 256

struct idem_nodes {
    const struct idem_session_options *options;
    struct idem_session *sessions[IDEM_NODES_MAX]; /* owned; NULL: a free place */
    uint16_t owner[IDEM_SLOTS];                    /* place + 1; 0: not known */
    size_t places;                                 /* that have been in use */
    bool cluster;
    bool mapped;       /* some slot has an owner */
    bool whole;        /* every slot has */
    bool review;       /* there may be sessions that nobody needs any more */
    unsigned asked;    /* whom to ask next, in turn */
    unsigned moves;    /* changes of the map that were noticed */
    int64_t ask_at_ms; /* when a node is asked for the map again */
    int64_t asked_at_ms;
    int64_t now_ms;
    uint64_t seed;
};

/* IDEM_ERR_NOMEM. */
IDEM_MUST_USE enum idem_code idem_nodes_init(struct idem_nodes *nodes,
                                             const struct idem_session_options *options,
                                             uint64_t seed);
void idem_nodes_fini(struct idem_nodes *nodes);

/* Takes the request over, for the node that has the key's slot. May fail it before it returns. */
void idem_nodes_submit(struct idem_nodes *nodes, struct idem_request *request,
                       const struct idem_digest *digest, int64_t now_ms);

void idem_nodes_tick(struct idem_nodes *nodes, int64_t now_ms);
int64_t idem_nodes_due_ms(const struct idem_nodes *nodes);
size_t idem_nodes_open_count(const struct idem_nodes *nodes);

/* The next session from *place on that has records, *place behind it; NULL: none is left. */
struct idem_session *idem_nodes_next(const struct idem_nodes *nodes, size_t *place);

/* Whether an error says that the request belongs elsewhere; session->redirect tells where. */
bool idem_nodes_redirects(struct idem_session *session, const redisReply *reply);

/* Whether the node of the key is known not to answer. */
bool idem_nodes_refuse(const struct idem_nodes *nodes, const struct idem_digest *digest);

/* Sends a request where a node said that it belongs. */
void idem_nodes_redirect(struct idem_nodes *nodes, struct idem_request *request,
                         const struct idem_redirect *redirect);

/* The map may be out of date. */
void idem_nodes_doubt(struct idem_nodes *nodes);

/* The answer to CLUSTER SLOTS. */
void idem_nodes_learn(struct idem_nodes *nodes, const struct idem_endpoint *from,
                      const redisReply *reply);

#endif
