/* SPDX-License-Identifier: MIT
 * The sessions of a store.
 *
 * Of a cluster each master has a session of its own, with its own line, breaker and deadlines: a node
 * that is gone refuses its own slots and no others. The map of the slots is asked for at start, every few
 * seconds, after a redirection, and often while a node is not well, since a fail-over changes it. It may
 * be out of date at any time; nodes know better and redirect (MOVED, ASK), and what was redirected has
 * not been carried out.
 *
 * Sessions come when a slot or a redirection names them and go when no slot does; they go at the end of
 * a tick only, never from inside an answer. */
#include "store/redis/nodes.h"
#include "store/redis/layout.h"
#include "store/redis/upkeep.h"

#include <stdlib.h>

#define ASK_LEAST_MS   50 /* between two questions */
#define ASK_TROUBLE_MS 200
#define ASK_CALM_MS    10000

static bool same_endpoint(const struct idem_endpoint *a, const struct idem_endpoint *b) {
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* The place of the session with a node, which is made where there is none; IDEM_NODES_MAX: no memory, or
 * too many. */
static size_t place_of(struct idem_nodes *nodes, const struct idem_endpoint *endpoint) {
    size_t vacant = IDEM_NODES_MAX;
    for (size_t i = IDEM_NODES_MAX; i-- > 0;) {
        const struct idem_session *session = nodes->sessions[i];
        vacant = session == NULL ? i : vacant;
        if (session != NULL && same_endpoint(&session->endpoint, endpoint)) {
            return i;
        }
    }
    struct idem_session *made = vacant < IDEM_NODES_MAX ? calloc(1, sizeof *made) : NULL;
    if (made == NULL) {
        return IDEM_NODES_MAX;
    }
    idem_session_init(made, nodes->options, endpoint, nodes->seed += 0x9e3779b97f4a7c15);
    made->now_ms = nodes->now_ms;
    nodes->sessions[vacant] = made;
    nodes->places = vacant < nodes->places ? nodes->places : vacant + 1;
    return vacant;
}

static bool add_seeds(struct idem_nodes *nodes) {
    const struct idem_redis_location *location = nodes->options->location;
    for (size_t i = 0; i < location->endpoint_count; i++) {
        if (place_of(nodes, &location->endpoints[i]) == IDEM_NODES_MAX) {
            return false;
        }
    }
    return true;
}

enum idem_code idem_nodes_init(struct idem_nodes *nodes,
                               const struct idem_session_options *options,
                               uint64_t seed) {
    const struct idem_redis_location *location = options->location;
    memset(nodes, 0, sizeof *nodes);
    nodes->options = options;
    nodes->seed = seed;
    nodes->cluster = location->kind == IDEM_REDIS_CLUSTER;
    nodes->ask_at_ms = nodes->cluster ? INT64_MIN : INT64_MAX;
    if (nodes->cluster) {
        return add_seeds(nodes) ? IDEM_OK : IDEM_ERR_NOMEM;
    }
    nodes->sessions[0] = calloc(1, sizeof *nodes->sessions[0]);
    if (nodes->sessions[0] == NULL) {
        return IDEM_ERR_NOMEM;
    }
    nodes->places = 1;
    bool known = location->kind == IDEM_REDIS_SINGLE;
    idem_session_init(nodes->sessions[0], options, known ? &location->endpoints[0] : NULL,
                      seed);
    return IDEM_OK;
}

static void end_session(struct idem_nodes *nodes, size_t place) {
    struct idem_session *session = nodes->sessions[place];
    if (session != NULL) {
        idem_session_fini(session);
        nodes->sessions[place] = NULL;
        free(session);
    }
}

void idem_nodes_fini(struct idem_nodes *nodes) {
    for (size_t i = 0; i < nodes->places; i++) {
        end_session(nodes, i);
    }
}

/* Where nothing is known of a slot any node will do: it knows whose it is. */
static struct idem_session *session_for(const struct idem_nodes *nodes, unsigned slot) {
    if (nodes->owner[slot] != 0) {
        return nodes->sessions[nodes->owner[slot] - 1];
    }
    struct idem_session *any = NULL;
    for (size_t i = 0; i < nodes->places; i++) {
        struct idem_session *session = nodes->sessions[i];
        if (session != NULL && session->breaker.state == IDEM_BREAKER_CLOSED) {
            return session;
        }
        any = session != NULL ? session : any;
    }
    return any;
}

static unsigned slot_for(const struct idem_digest *digest) {
    uint8_t key[IDEM_LAYOUT_KEY_SIZE];
    idem_layout_key(key, digest);
    return idem_slot_of(idem_span_of(key, sizeof key));
}

bool idem_nodes_refuse(const struct idem_nodes *nodes, const struct idem_digest *digest) {
    const struct idem_session *session = nodes->sessions[0];
    if (nodes->cluster) {
        size_t place = nodes->owner[slot_for(digest)];
        session = place != 0 ? nodes->sessions[place - 1] : NULL;
    }
    return session == NULL || session->breaker.state != IDEM_BREAKER_CLOSED;
}

void idem_nodes_submit(struct idem_nodes *nodes, struct idem_request *request,
                       const struct idem_digest *digest, int64_t now_ms) {
    struct idem_session *session = nodes->sessions[0];
    nodes->now_ms = now_ms;
    if (nodes->cluster) {
        session = session_for(nodes, slot_for(digest));
    }
    if (session == NULL) {
        idem_request_fail(request, IDEM_ERR_UNAVAILABLE);
        return;
    }
    idem_session_submit(session, request, now_ms);
}

void idem_nodes_doubt(struct idem_nodes *nodes) {
    int64_t earliest_ms = nodes->asked_at_ms + ASK_LEAST_MS;
    if (nodes->cluster && nodes->ask_at_ms > earliest_ms) {
        nodes->ask_at_ms = earliest_ms;
    }
}

bool idem_nodes_redirects(struct idem_session *session, const redisReply *reply) {
    return session->options->location->kind == IDEM_REDIS_CLUSTER &&
           idem_redirect_read(&session->redirect, idem_reply_text(reply),
                              &session->endpoint);
}

void idem_nodes_redirect(struct idem_nodes *nodes, struct idem_request *request,
                         const struct idem_redirect *redirect) {
    size_t place = place_of(nodes, &redirect->to);
    nodes->moves++;
    if (place == IDEM_NODES_MAX) {
        idem_request_fail(request, IDEM_ERR_UNAVAILABLE);
        return;
    }
    if (!redirect->ask) {
        nodes->owner[redirect->slot] = (uint16_t)(place + 1);
        idem_nodes_doubt(nodes);
    }
    request->asking = redirect->ask;
    idem_session_submit(nodes->sessions[place], request, nodes->now_ms);
}

/* What the answer says of a slot replaces what was known; what it does not mention has no owner. */
void idem_nodes_learn(struct idem_nodes *nodes, const struct idem_endpoint *from,
                      const redisReply *reply) {
    if (reply->type != REDIS_REPLY_ARRAY) {
        return;
    }
    uint16_t owner[IDEM_SLOTS] = {0};
    size_t owned = 0;
    for (size_t i = 0; i < reply->elements; i++) {
        struct idem_slot_range range;
        size_t place = idem_slot_range_read(&range, reply->element[i], from)
                           ? place_of(nodes, &range.master)
                           : IDEM_NODES_MAX;
        for (unsigned slot = range.first; place < IDEM_NODES_MAX && slot <= range.last;
             slot++) {
            owned += owner[slot] == 0 ? 1 : 0;
            owner[slot] = (uint16_t)(place + 1);
        }
    }
    if (owned > 0 && memcmp(owner, nodes->owner, sizeof owner) != 0) {
        memcpy(nodes->owner, owner, sizeof owner);
        nodes->moves++;
    }
    nodes->mapped = nodes->mapped || owned > 0;
    nodes->whole = owned == IDEM_SLOTS;
    nodes->review = nodes->mapped;
}

static bool well(const struct idem_session *session) {
    return session->state == IDEM_SESSION_UP &&
           session->breaker.state == IDEM_BREAKER_CLOSED &&
           session->broken.code == IDEM_OK;
}

/* Asks one node that is well for the map; the next one the next time. */
static void ask_map(struct idem_nodes *nodes) {
    struct idem_session *chosen = NULL;
    bool trouble = !nodes->whole;
    for (size_t i = 0; i < nodes->places; i++) {
        struct idem_session *session =
            nodes->sessions[(i + nodes->asked) % nodes->places];
        if (session != NULL && well(session) && chosen == NULL) {
            chosen = session;
            nodes->asked += (unsigned)i + 1;
        }
        trouble |= session != NULL && !well(session);
    }
    nodes->asked_at_ms = nodes->now_ms;
    nodes->ask_at_ms = nodes->now_ms + (trouble ? ASK_TROUBLE_MS : ASK_CALM_MS);
    if (chosen == NULL) {
        (void)add_seeds(nodes); /* without memory now: again next time */
    } else if (idem_map_send(chosen,
                             nodes->now_ms + nodes->options->location->timeout_ms) !=
               IDEM_OK) {
        nodes->ask_at_ms = nodes->now_ms + ASK_LEAST_MS;
    }
}

/* Ends the sessions that have no slot, once nothing is open on them; as long as one is well. */
static void end_unneeded(struct idem_nodes *nodes) {
    bool needed[IDEM_NODES_MAX] = {false};
    bool any_well = false;
    for (unsigned slot = 0; slot < IDEM_SLOTS; slot++) {
        size_t place = nodes->owner[slot];
        if (place != 0) {
            needed[place - 1] = true;
            any_well = any_well || well(nodes->sessions[place - 1]);
        }
    }
    nodes->review = false;
    for (size_t i = 0; i < nodes->places; i++) {
        if (nodes->sessions[i] == NULL || needed[i]) {
            continue;
        }
        if (any_well && idem_session_open_count(nodes->sessions[i]) == 0) {
            end_session(nodes, i);
        } else {
            nodes->review = true;
        }
    }
}

void idem_nodes_tick(struct idem_nodes *nodes, int64_t now_ms) {
    bool trouble = false;
    nodes->now_ms = now_ms;
    if (now_ms >= nodes->ask_at_ms) {
        ask_map(nodes);
    }
    for (size_t i = 0; i < nodes->places; i++) {
        if (nodes->sessions[i] != NULL) {
            idem_session_tick(nodes->sessions[i], now_ms);
            trouble |= !well(nodes->sessions[i]);
        }
    }
    if (nodes->cluster && trouble && nodes->ask_at_ms > now_ms + ASK_TROUBLE_MS) {
        nodes->ask_at_ms = now_ms + ASK_TROUBLE_MS;
    }
    if (nodes->review) {
        end_unneeded(nodes);
    }
}

int64_t idem_nodes_due_ms(const struct idem_nodes *nodes) {
    int64_t due_ms = nodes->ask_at_ms;
    for (size_t i = 0; i < nodes->places; i++) {
        if (nodes->sessions[i] != NULL) {
            int64_t one_ms = idem_session_due_ms(nodes->sessions[i]);
            due_ms = one_ms < due_ms ? one_ms : due_ms;
        }
    }
    return due_ms;
}

size_t idem_nodes_open_count(const struct idem_nodes *nodes) {
    size_t count = 0;
    for (size_t i = 0; i < nodes->places; i++) {
        count +=
            nodes->sessions[i] != NULL ? idem_session_open_count(nodes->sessions[i]) : 0;
    }
    return count;
}

static bool has_slots(const struct idem_nodes *nodes, size_t place) {
    for (unsigned slot = 0; slot < IDEM_SLOTS; slot++) {
        if (nodes->owner[slot] == place + 1) {
            return true;
        }
    }
    return !nodes->cluster;
}

struct idem_session *idem_nodes_next(const struct idem_nodes *nodes, size_t *place) {
    while (*place < nodes->places) {
        size_t here = (*place)++;
        if (nodes->sessions[here] != NULL && has_slots(nodes, here)) {
            return nodes->sessions[here];
        }
    }
    return NULL;
}
