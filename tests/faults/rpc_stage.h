/* SPDX-License-Identifier: MIT
 * Requesters and a worker around bridges in mode rpc: what they ask, do and get, and whether all of that agrees
 * in the end. The test is all of them, step by step. */
#ifndef TESTS_FAULTS_RPC_STAGE_H
#define TESTS_FAULTS_RPC_STAGE_H

#include "bridge.h"
#include "chance.h"
#include "proxy.h"
#include "redis.h"
#include "rpc.h"

#define RPC_KEYS_MAX    4000
#define RPC_COPIES_MAX  (2 * RPC_KEYS_MAX)
#define RPC_BRIDGES_MAX 2
#define RPC_TOKENS_KEPT 8 /* of a key, the latest */

enum rpc_link { RPC_SOURCE, RPC_SINK, RPC_STORE, RPC_LINKS };

struct rpc_setting {
    size_t bridges; /* 2: they share a Redis; what happens, happens to the first */
    bool redis;
    bool
        kills_rabbitmq; /* which gives again what was taken: the worker tells by the token */
};

/* One request. */
struct rpc_copy {
    unsigned key;
    unsigned variant;  /* of its body: another one is a conflict */
    unsigned answered; /* how often, with the worker's reply */
    unsigned refused;  /* how often, as a conflict */
    unsigned aside;    /* how often it is in the quarantine */
};

/* What the worker has done. */
struct rpc_deed {
    unsigned executed;
    unsigned variant;          /* of the one that is answered with */
    char result[RPC_TEXT_MAX]; /* that everybody gets; "": nobody has yet */
    char tokens[RPC_TOKENS_KEPT][RPC_TEXT_MAX]; /* of the claims it was asked for with */
};

struct rpc_stage {
    struct rpc_setting setting;
    struct chance chance;
    struct rabbitmq *client;
    struct redis_server redis;
    struct proxy *links[RPC_LINKS]; /* the first bridge's; NULL: it has none */
    struct bridge *bridges[RPC_BRIDGES_MAX];
    bool up[RPC_BRIDGES_MAX];
    unsigned key_count;
    unsigned copy_count;
    unsigned again; /* requests that RabbitMQ has given to the worker again */
    unsigned kills;
    unsigned cuts;
    struct rpc_copy copies[RPC_COPIES_MAX];
    struct rpc_deed deeds[RPC_KEYS_MAX];
};

struct rpc_figures {
    unsigned kills;
    unsigned cuts;
    unsigned keys;
    unsigned copies;
    unsigned answers;
    unsigned refusals;
    unsigned executions;
    unsigned again;
    unsigned doubts;
};

void rpc_stage_open(struct rpc_stage *stage, const struct rpc_setting *setting,
                    uint64_t seed, const char *title);
/* Also after a failure. */
void rpc_stage_close(struct rpc_stage *stage);

/* A bridge that is down; point: "NAME:N", where it is to end itself, or NULL. */
void rpc_stage_start(struct rpc_stage *stage, size_t index, const char *point);
void rpc_stage_kill(struct rpc_stage *stage, size_t index);
/* Whether one that was started with a point has ended there. */
bool rpc_stage_fell(struct rpc_stage *stage, size_t index);
/* The node, which is there again when it returns. */
void rpc_stage_kill_rabbitmq(struct rpc_stage *stage);

/* New requests; one in three of them is followed by a repeat, one in eight by a conflict, of any so far. */
void rpc_stage_ask(struct rpc_stage *stage);
/* The worker works, and the requesters read. */
void rpc_stage_pump(struct rpc_stage *stage, unsigned ms);

/* Everything undisturbed, until all is answered and no bridge runs any more. */
void rpc_stage_finish(struct rpc_stage *stage);

/* Fails unless it all agrees. */
void rpc_stage_judge(struct rpc_stage *stage, struct rpc_figures *figures);

#endif
