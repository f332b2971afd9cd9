/* SPDX-License-Identifier: MIT
 * One scenario under way: queues, store, proxies and bridges of its own, and what was published and done. */
#ifndef TESTS_FAULTS_STAGE_H
#define TESTS_FAULTS_STAGE_H

#include "bridge.h"
#include "chance.h"
#include "plan.h"
#include "postgres.h"
#include "proxy.h"
#include "rabbitmq.h"
#include "redis.h"

#define STAGE_LEASE_MS    2000
#define STAGE_SLICE       400 /* unique messages a round publishes at a time */
#define STAGE_BRIDGES_MAX 2
#define STAGE_PREFETCH    200

enum stage_link { STAGE_SOURCE, STAGE_SINK, STAGE_STORE, STAGE_LINKS };

struct stage {
    const struct plan *plan;
    struct chance chance;
    struct rabbitmq *client;
    struct redis_server redis;
    struct postgres_server postgres;
    struct proxy
        *links[STAGE_LINKS]; /* the first bridge's; the second connects directly */
    struct bridge *bridges[STAGE_BRIDGES_MAX];
    bool up[STAGE_BRIDGES_MAX];
    unsigned starts[STAGE_BRIDGES_MAX]; /* that its log tells of before the present one */
    size_t bridge_count;
    unsigned round;
    unsigned unique; /* published: numbers 0 to unique - 1 */
    unsigned copies; /* published in all */
    unsigned bad;    /* published for the quarantine */
    unsigned kills;  /* processes: bridges, RabbitMQ, Redis, PostgreSQL */
    unsigned cuts; /* connections cut, stalled or slowed; processes stopped for a while */
};

void stage_open(struct stage *stage, const struct plan *plan, uint64_t seed);

/* Ends everything that still runs; also after a failure, also twice. */
void stage_close(struct stage *stage);

/* A slice of new messages, and 30 % as many copies of any that were published so far, in any order. */
void stage_publish(struct stage *stage);

/* Only copies, of any that were published so far. */
void stage_publish_copies(struct stage *stage);

/* Waits until the sink queue holds that many messages. */
void stage_await(struct stage *stage, unsigned depth);
unsigned stage_delivered(struct stage *stage);

void stage_pause(unsigned ms);

/* Starts a bridge that is down; point: "NAME:N", where it is to end itself, or NULL. */
void stage_start(struct stage *stage, size_t index, const char *point);
/* Fails where a bridge that should run has ended. */
void stage_check(struct stage *stage);

/* Until it has started, and consumes. */
void stage_await_consumer(struct stage *stage, size_t index);
void stage_kill(struct stage *stage, size_t index);

/* Whether a bridge that was started with a point has ended there. */
bool stage_fell(struct stage *stage, size_t index);

bool stage_uses_redis(const struct stage *stage);
bool stage_uses_postgres(const struct stage *stage);

/* A message that the database refuses; it goes to the quarantine, and counts nowhere. */
void stage_publish_bad(struct stage *stage);

/* The server and all its processes; then the same one again. */
void stage_kill_postgres(struct stage *stage);
void stage_start_postgres(struct stage *stage);

/* The client does not survive a RabbitMQ that is killed. */
void stage_kill_rabbitmq(struct stage *stage);

/* Everything undisturbed, until all messages are through and no bridge runs any more. */
void stage_finish(struct stage *stage);

#endif
