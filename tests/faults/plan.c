/* SPDX-License-Identifier: MIT
 * The scenarios. */
#include "plan.h"
#include "rounds.h"

#define EXCHANGE PLAN_TO_EXCHANGE
#define DATABASE PLAN_TO_DATABASE
#define ANY      (PLAN_TO_EXCHANGE | PLAN_TO_DATABASE)
#define WORKER   PLAN_TO_WORKER

const struct plan_point plan_points[] = {
    {"arrived", 150, ANY | WORKER},
    {"claiming", 150, ANY | WORKER},
    {"claimed", 150, ANY | WORKER},
    {"ready", 100, EXCHANGE | WORKER},
    {"published", 100, EXCHANGE | WORKER},
    {"confirmed", 100, ANY},
    {"completing", 100, ANY},
    {"settled", 100, ANY},
    {"completed", 3, ANY | WORKER},
    {"acknowledged", 3, ANY | WORKER},
    {"abandoning", 20, EXCHANGE},
    {"doubted", 20, EXCHANGE},
    {"asked", 4, DATABASE},
    {"answered", 4, DATABASE},
    {"executing", 4, DATABASE},
    {"committing", 4, DATABASE},
    {"committed", 4, DATABASE},
    {"rolling_back", 2, DATABASE},
    {"careful", 2, DATABASE},
    {"awaiting", 20, WORKER},
    {"replied", 20, WORKER},
    {"recording", 20, WORKER},
    {"recorded", 20, WORKER},
    {"reply_told", 3, WORKER},
    {"answering", 20, WORKER},
    {"requester_told", 20, WORKER},
};
const size_t plan_point_count = sizeof plan_points / sizeof plan_points[0];

#define BOTH_STORES(title, round, brief, full)                                           \
    {title ", embedded", PLAN_EMBEDDED, round, brief, full, NULL}, {                     \
        title ", Redis", PLAN_REDIS, round, brief, full, NULL                            \
    }
#define REDIS(title, round, brief, full)                                                 \
    { title, PLAN_REDIS, round, brief, full, NULL }
#define TWO(title, round, brief, full)                                                   \
    { "two bridges, " title, PLAN_REDIS_TWO, round, brief, full, NULL }
#define POINT(name)                                                                      \
    {"bridge killed at " name ", embedded", PLAN_EMBEDDED, round_point, 0, 5, name}, {   \
        "bridge killed at " name ", Redis", PLAN_REDIS, round_point, 0, 5, name          \
    }

#define POSTGRES(title, round, brief, full)                                              \
    { "PostgreSQL, " title, PLAN_POSTGRES, round, brief, full, NULL }
#define POSTGRES_POINT(name)                                                             \
    { "PostgreSQL, bridge killed at " name, PLAN_POSTGRES, round_point, 0, 5, name }

const struct plan plans[] = {
    BOTH_STORES("bridge killed at random", round_bridge_killed, 8, 40),
    BOTH_STORES("bridge gone for longer than its leases", round_bridge_away, 1, 4),
    BOTH_STORES("bridge's host lost", round_host_lost, 4, 20),
    BOTH_STORES("bridge killed at each point", round_point, 12, 0),
    POINT("arrived"),
    POINT("claiming"),
    POINT("claimed"),
    POINT("ready"),
    POINT("published"),
    POINT("confirmed"),
    POINT("completing"),
    POINT("settled"),
    POINT("completed"),
    POINT("acknowledged"),
    POINT("abandoning"),
    POINT("doubted"),
    BOTH_STORES("source cut", round_source_cut, 3, 12),
    BOTH_STORES("source stalled", round_source_stalled, 0, 8),
    BOTH_STORES("source slow, bridge killed", round_source_slow, 0, 8),
    BOTH_STORES("sink cut", round_sink_cut, 3, 12),
    BOTH_STORES("sink stalled", round_sink_stalled, 2, 8),
    BOTH_STORES("sink slow, bridge killed", round_sink_slow, 2, 8),
    BOTH_STORES("both ends lost, one back later", round_ends_apart, 1, 8),
    REDIS("Redis cut off", round_store_cut, 3, 12),
    REDIS("Redis stalled", round_store_stalled, 3, 8),
    REDIS("Redis slow, bridge killed", round_store_slow, 2, 8),
    REDIS("Redis killed", round_redis_killed, 3, 12),
    REDIS("Redis and bridge killed together", round_both_killed, 2, 8),
    TWO("one killed at random", round_bridge_killed, 6, 40),
    TWO("one's host lost", round_host_lost, 2, 12),
    TWO("one killed at each point", round_point, 0, 24),
    TWO("one stopped for longer than its leases", round_bridge_stopped, 1, 6),
    TWO("one cut off from Redis", round_store_cut, 2, 8),
    TWO("anything at random", round_anything, 0, 30),
    BOTH_STORES("anything at random", round_anything, 0, 30),
    {"RabbitMQ killed, embedded", PLAN_EMBEDDED, round_rabbitmq_killed, 0, 4, NULL},
    {"RabbitMQ killed, Redis", PLAN_REDIS, round_rabbitmq_killed, 1, 4, NULL},
    TWO("RabbitMQ killed", round_rabbitmq_killed, 0, 4),
    POSTGRES("bridge killed at random", round_bridge_killed, 6, 40),
    POSTGRES("bridge's host lost", round_host_lost, 3, 20),
    POSTGRES("bridge killed at each point", round_point, 15, 0),
    POSTGRES_POINT("arrived"),
    POSTGRES_POINT("claiming"),
    POSTGRES_POINT("claimed"),
    POSTGRES_POINT("confirmed"),
    POSTGRES_POINT("completing"),
    POSTGRES_POINT("settled"),
    POSTGRES_POINT("completed"),
    POSTGRES_POINT("acknowledged"),
    POSTGRES_POINT("asked"),
    POSTGRES_POINT("answered"),
    POSTGRES_POINT("executing"),
    POSTGRES_POINT("committing"),
    POSTGRES_POINT("committed"),
    POSTGRES_POINT("rolling_back"),
    POSTGRES_POINT("careful"),
    POSTGRES("killed", round_postgres_killed, 4, 20),
    POSTGRES("killed together with the bridge", round_both_lost, 2, 12),
    POSTGRES("killed together with bridge and RabbitMQ", round_all_killed, 1, 6),
    POSTGRES("RabbitMQ killed", round_rabbitmq_killed, 0, 4),
    POSTGRES("source cut", round_source_cut, 2, 12),
    POSTGRES("cut off", round_sink_cut, 4, 20),
    POSTGRES("stalled", round_sink_stalled, 1, 8),
    POSTGRES("slow, bridge killed", round_sink_slow, 1, 8),
    POSTGRES("anything at random", round_anything_to_postgres, 0, 40),
};
const size_t plan_count = sizeof plans / sizeof plans[0];
