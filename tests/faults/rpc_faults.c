/* SPDX-License-Identifier: MIT
 * Bridges in mode rpc, their stores, brokers and connections, killed and cut in the middle of requests. */
#include "rpc_faults.h"

#include "plan.h"
#include "rpc_stage.h"

#include <idem/clock.h>

#include <stdio.h>

#define PATIENCE_MS 60000
#define POINT_MOST  20

typedef void rpc_round(unsigned round);

struct scenario {
    const char *title;
    struct rpc_setting setting;
    rpc_round *round;
    unsigned short_rounds;
    unsigned long_rounds;
};

static bool is_long;
static uint64_t seed;
static struct rpc_stage stage;

static int64_t now_ms(void) {
    return idem_clock_monotonic_ns() / 1000000;
}

/* Requests, up to some moment in the middle of them. */
static void traffic(void) {
    if (!stage.up[0]) {
        rpc_stage_start(&stage, 0, NULL);
    }
    rpc_stage_ask(&stage);
    rpc_stage_pump(&stage, 50 + chance_below(&stage.chance, 400));
}

static void round_killed(unsigned round) {
    (void)round;
    traffic();
    rpc_stage_kill(&stage, 0);
}

static const struct plan_point *choose_point(unsigned round) {
    const struct plan_point *found[32];
    size_t count = 0;
    for (size_t i = 0; i < plan_point_count && count < 32; i++) {
        if ((plan_points[i].sinks & PLAN_TO_WORKER) != 0) {
            found[count++] = &plan_points[i];
        }
    }
    assert_true(count > 0);
    return found[round % count];
}

static void round_point(unsigned round) {
    const struct plan_point *point = choose_point(round);
    const int64_t until_ms = now_ms() + PATIENCE_MS;
    unsigned most = point->most < POINT_MOST ? point->most : POINT_MOST;
    char text[64];
    (void)snprintf(text, sizeof text, "%s:%u", point->name,
                   1 + chance_below(&stage.chance, most));
    rpc_stage_start(&stage, 0, text);
    do {
        if (now_ms() >= until_ms) {
            fail_msg("the bridge never comes to %s", text);
        }
        rpc_stage_ask(&stage);
        rpc_stage_pump(&stage, 300);
    } while (!rpc_stage_fell(&stage, 0));
}

static void cut(enum rpc_link link) {
    traffic();
    proxy_cut(stage.links[link]);
    stage.cuts++;
}

static void round_source_cut(unsigned round) {
    (void)round;
    cut(RPC_SOURCE);
}

/* With it goes the connection of the replies. */
static void round_sink_cut(unsigned round) {
    (void)round;
    cut(RPC_SINK);
}

static void round_store_cut(unsigned round) {
    (void)round;
    cut(RPC_STORE);
}

static void kill_redis(void) {
    redis_kill(&stage.redis);
    stage.kills++;
}

static void start_redis(void) {
    rpc_stage_pump(&stage, chance_below(&stage.chance, 500)); /* replies come meanwhile */
    redis_start(&stage.redis, stage.redis.options);
}

static void round_redis_killed(unsigned round) {
    (void)round;
    traffic();
    kill_redis();
    start_redis();
}

static void round_both_killed(unsigned round) {
    (void)round;
    traffic();
    kill_redis();
    rpc_stage_kill(&stage, 0);
    start_redis();
}

static void round_rabbitmq_killed(unsigned round) {
    (void)round;
    traffic();
    rpc_stage_kill_rabbitmq(&stage);
}

#define EMBEDDED                                                                         \
    { .bridges = 1 }
#define REDIS                                                                            \
    { .bridges = 1, .redis = true }
#define TWO                                                                              \
    { .bridges = 2, .redis = true }
#define RABBITMQ(with_redis)                                                             \
    { .bridges = 1, .redis = (with_redis), .kills_rabbitmq = true }

static const struct scenario scenarios[] = {
    {"rpc: killed at each point", EMBEDDED, round_point, 14, 70},
    {"rpc: killed at random", EMBEDDED, round_killed, 3, 30},
    {"rpc: two bridges, one killed at each point", TWO, round_point, 0, 70},
    {"rpc: two bridges, one killed at random", TWO, round_killed, 3, 30},
    {"rpc: source cut, embedded", EMBEDDED, round_source_cut, 3, 20},
    {"rpc: source cut, Redis", REDIS, round_source_cut, 0, 20},
    {"rpc: sink and replies cut, embedded", EMBEDDED, round_sink_cut, 3, 20},
    {"rpc: sink and replies cut, Redis", REDIS, round_sink_cut, 0, 20},
    {"rpc: Redis cut off", REDIS, round_store_cut, 3, 20},
    {"rpc: Redis killed", REDIS, round_redis_killed, 3, 20},
    {"rpc: Redis and bridge killed together", REDIS, round_both_killed, 2, 12},
    {"rpc: RabbitMQ killed, embedded", RABBITMQ(false), round_rabbitmq_killed, 0, 4},
    {"rpc: RabbitMQ killed, Redis", RABBITMQ(true), round_rabbitmq_killed, 1, 4},
};
#define SCENARIOS (sizeof scenarios / sizeof scenarios[0])
_Static_assert(SCENARIOS <= RPC_FAULTS_MAX, "raise RPC_FAULTS_MAX");

static struct rpc_figures figures[SCENARIOS];

static int tear_down(void **state) {
    (void)state;
    rpc_stage_close(&stage);
    return 0;
}

static void play(void **state) {
    const struct scenario *scenario = *state;
    unsigned rounds = is_long ? scenario->long_rounds : scenario->short_rounds;
    rpc_stage_open(&stage, &scenario->setting, seed, scenario->title);
    for (unsigned round = 0; round < rounds; round++) {
        scenario->round(round);
    }
    rpc_stage_finish(&stage);
    rpc_stage_judge(&stage, &figures[scenario - scenarios]);
}

size_t rpc_faults_collect(struct CMUnitTest *tests, bool full, uint64_t chosen) {
    size_t count = 0;
    is_long = full;
    seed = chosen;
    for (size_t i = 0; i < SCENARIOS; i++) {
        if (full ? scenarios[i].long_rounds > 0 : scenarios[i].short_rounds > 0) {
            tests[count++] =
                (struct CMUnitTest){.name = scenarios[i].title,
                                    .test_func = play,
                                    .teardown_func = tear_down,
                                    .initial_state = (void *)(uintptr_t)&scenarios[i]};
        }
    }
    return count;
}

void rpc_faults_print(void) {
    (void)printf("\n| mode rpc | kills | cuts | keys | requests | answers | refused | "
                 "executions | given again | in doubt |\n"
                 "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
    for (size_t i = 0; i < SCENARIOS; i++) {
        const struct rpc_figures *row = &figures[i];
        if (row->keys > 0) {
            (void)printf("| %s | %u | %u | %u | %u | %u | %u | %u | %u | %u |\n",
                         scenarios[i].title, row->kills, row->cuts, row->keys,
                         row->copies, row->answers, row->refusals, row->executions,
                         row->again, row->doubts);
        }
    }
}
