/* SPDX-License-Identifier: MIT
 * Requesters and a worker around bridges in mode rpc that are killed. The test is both, step by step. */
#include "rpc_faults.h"

#include "bridge.h"
#include "chance.h"
#include "plan.h"
#include "redis.h"
#include "rpc.h"

#include <idem/clock.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX    4000
#define COPIES_MAX  (2 * KEYS_MAX)
#define SLICE       40
#define PATIENCE_MS 60000
#define POINT_MOST  20

struct scenario {
    const char *title;
    size_t bridges; /* 2: they share a Redis; the first one is killed */
    bool points;    /* killed at each point in its turn; else at random */
    unsigned short_rounds;
    unsigned long_rounds;
};

static const struct scenario scenarios[] = {
    {"rpc: killed at each point", 1, true, 14, 70},
    {"rpc: killed at random", 1, false, 3, 30},
    {"rpc: two bridges, one killed at each point", 2, true, 0, 70},
    {"rpc: two bridges, one killed at random", 2, false, 3, 30},
};
#define SCENARIOS (sizeof scenarios / sizeof scenarios[0])
_Static_assert(SCENARIOS <= RPC_FAULTS_MAX, "raise RPC_FAULTS_MAX");

struct figures {
    bool played;
    unsigned kills;
    unsigned keys;
    unsigned copies;
    unsigned answers;
    unsigned executions;
    unsigned doubts;
};

static bool is_long;
static uint64_t seed;
static struct figures figures[SCENARIOS];

static struct rabbitmq *client;
static struct redis_server redis;
static struct bridge *bridges[2];
static struct chance chance;
static unsigned key_count;
static unsigned copy_count;
static unsigned copy_key[COPIES_MAX];       /* whose copy it is */
static unsigned answered[COPIES_MAX];       /* how often */
static unsigned executed[KEYS_MAX];         /* how often */
static char result[KEYS_MAX][RPC_TEXT_MAX]; /* "": not answered yet */

static int64_t now_ms(void) {
    return idem_clock_monotonic_ns() / 1000000;
}

static void ask(unsigned key) {
    char text[16];
    char correlation_id[16];
    assert_true(copy_count < COPIES_MAX);
    (void)snprintf(text, sizeof text, "%u", key);
    (void)snprintf(correlation_id, sizeof correlation_id, "%u", copy_count);
    const struct rpc_request request = {.queue = "in",
                                        .key = text,
                                        .body = text,
                                        .reply_to = "answers",
                                        .correlation_id = correlation_id};
    copy_key[copy_count++] = key;
    rpc_ask(client, &request);
}

static void ask_slice(void) {
    for (unsigned i = 0; i < SLICE; i++) {
        assert_true(key_count < KEYS_MAX);
        ask(key_count++);
        if (chance_below(&chance, 3) == 0) {
            ask(chance_below(&chance, key_count));
        }
    }
}

/* Each execution says something else, so that answers from two of them differ. */
static bool work_once(void) {
    struct rpc_work work;
    char reply[RPC_TEXT_MAX];
    if (rabbitmq_depth(client, "work") == 0) {
        return false;
    }
    rpc_take(client, "work", &work);
    unsigned key = (unsigned)strtoul(work.body, NULL, 10);
    assert_true(key < key_count);
    (void)snprintf(reply, sizeof reply, "%u done %u", key, ++executed[key]);
    rpc_reply(client, &work, reply, NULL);
    return true;
}

static bool read_answer(void) {
    char copy[RPC_TEXT_MAX];
    struct rpc_work answer;
    if (rabbitmq_depth(client, "answers") == 0) {
        return false;
    }
    rpc_take(client, "answers", &answer);
    (void)snprintf(copy, sizeof copy, "%s", answer.correlation_id);
    unsigned index = (unsigned)strtoul(copy, NULL, 10);
    assert_true(index < copy_count);
    unsigned key = copy_key[index];
    if (result[key][0] == '\0') {
        (void)snprintf(result[key], sizeof result[key], "%s", answer.body);
    }
    assert_string_equal(answer.body, result[key]);
    answered[index]++;
    return true;
}

static void pump(void) {
    bool worked = work_once();
    bool read = read_answer();
    if (!worked && !read) {
        testing_pause();
    }
}

static void pump_for(unsigned ms) {
    int64_t until_ms = now_ms() + ms;
    do {
        pump();
    } while (now_ms() < until_ms);
}

static bool all_answered(void) {
    for (unsigned i = 0; i < copy_count; i++) {
        if (answered[i] == 0) {
            return false;
        }
    }
    return true;
}

static void start(size_t index, const char *point) {
    char config[2048];
    char store[1024];
    if (point != NULL) {
        assert_int_equal(setenv("IDEM_FAULT", point, 1), 0);
    }
    if (bridges[index] != NULL) {
        bridge_restart(bridges[index]);
    } else {
        (void)snprintf(store, sizeof store, "%s%s",
                       redis.pid != 0 ? "unix://" : "embedded://@DIR@/store",
                       redis.pid != 0 ? redis.socket : "");
        (void)snprintf(config, sizeof config,
                       "instance: bridge-%zu\nstore: {url: '%s'}\n"
                       "bridge:\n"
                       "  mode: rpc\n"
                       "  source: {url: 'amqp://127.0.0.1:@PORT@', queue: in, "
                       "prefetch: 50}\n"
                       "  sink: {url: 'amqp://127.0.0.1:@PORT@', routing_key: work}\n"
                       "  replies: replies\n"
                       "rules:\n"
                       "  - {name: r, match: {queue: in}, key: "
                       "property:idempotency-key, scope: global, lease: 2s, "
                       "on_duplicate: replay, on_store_failure: refuse}\n",
                       index, store);
        bridges[index] = bridge_start(config, 0);
    }
    (void)unsetenv("IDEM_FAULT");
}

static const struct plan_point *choose_point(unsigned round) {
    size_t count = 0;
    for (size_t turn = 0; turn < 2; turn++) {
        size_t wanted = count > 0 ? round % count : 0;
        size_t seen = 0;
        for (size_t i = 0; i < plan_point_count; i++) {
            bool ours = (plan_points[i].sinks & PLAN_TO_WORKER) != 0;
            if (ours && turn == 1 && seen == wanted) {
                return &plan_points[i];
            }
            seen += ours;
        }
        count = seen;
    }
    fail_msg("no points");
    return NULL;
}

static void fall_at_point(unsigned round, struct figures *row) {
    const struct plan_point *point = choose_point(round);
    const int64_t until_ms = now_ms() + PATIENCE_MS;
    unsigned most = point->most < POINT_MOST ? point->most : POINT_MOST;
    char text[64];
    int status = 0;
    (void)snprintf(text, sizeof text, "%s:%u", point->name,
                   1 + chance_below(&chance, most));
    start(0, text);
    do {
        if (now_ms() >= until_ms) {
            fail_msg("the bridge never comes to %s", text);
        }
        ask_slice();
        pump_for(300);
    } while (!bridge_ended(bridges[0], &status));
    assert_int_equal(status, 128 + SIGKILL);
    row->kills++;
}

static void fall_at_random(struct figures *row) {
    start(0, NULL);
    ask_slice();
    pump_for(50 + chance_below(&chance, 400));
    bridge_kill(bridges[0]);
    row->kills++;
}

static void finish(size_t count) {
    const int64_t until_ms = now_ms() + PATIENCE_MS;
    unsigned starts = bridge_logged(bridges[0], "bridge.started: ");
    start(0, NULL);
    bridge_await(bridges[0], "bridge.started: ", starts + 1);
    while (!all_answered()) {
        if (now_ms() >= until_ms) {
            fail_msg("not every request is answered");
        }
        pump();
    }
    for (size_t i = 0; i < count; i++) {
        bridge_run_until_through(bridges[i], client, "in");
    }
    while (read_answer()) {
    }
}

static void judge(size_t count, struct figures *row) {
    row->played = true;
    row->keys = key_count;
    row->copies = copy_count;
    for (size_t i = 0; i < count; i++) {
        row->doubts += bridge_logged(bridges[i], "copy.in_doubt");
    }
    for (unsigned i = 0; i < key_count; i++) {
        assert_true(executed[i] > 0);
        row->executions += executed[i];
    }
    for (unsigned i = 0; i < copy_count; i++) {
        row->answers += answered[i];
    }
    if (row->executions - row->keys > row->doubts) {
        fail_msg("%u executions of %u keys, but %u doubts", row->executions, row->keys,
                 row->doubts);
    }
}

static int set_up(void **state) {
    static const char *const queues[] = {"in", "work", "replies", "answers"};
    static const char *const options[] = {
        "--save", "", "--appendonly", "yes", "--appendfsync", "always", NULL};
    const struct scenario *scenario = *state;
    client = rabbitmq_connect();
    for (size_t i = 0; i < sizeof queues / sizeof queues[0]; i++) {
        rabbitmq_queue(client, queues[i], NULL);
    }
    if (scenario->bridges > 1) {
        redis_start(&redis, options);
    }
    memset(bridges, 0, sizeof bridges);
    memset(answered, 0, sizeof answered);
    memset(executed, 0, sizeof executed);
    memset(result, 0, sizeof result);
    key_count = 0;
    copy_count = 0;
    chance_init(&chance, seed, scenario->title);
    return 0;
}

static int tear_down(void **state) {
    rabbitmq_disconnect(client);
    int status = bridge_tidy(state);
    if (redis.pid != 0) {
        redis_remove(&redis);
        redis.pid = 0;
    }
    return status;
}

static void play(void **state) {
    const struct scenario *scenario = *state;
    struct figures *row = &figures[scenario - scenarios];
    unsigned rounds = is_long ? scenario->long_rounds : scenario->short_rounds;
    if (scenario->bridges > 1) {
        start(1, NULL);
    }
    for (unsigned round = 0; round < rounds; round++) {
        if (scenario->points) {
            fall_at_point(round, row);
        } else {
            fall_at_random(row);
        }
    }
    finish(scenario->bridges);
    judge(scenario->bridges, row);
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
                                    .setup_func = set_up,
                                    .teardown_func = tear_down,
                                    .initial_state = (void *)(uintptr_t)&scenarios[i]};
        }
    }
    return count;
}

void rpc_faults_print(void) {
    (void)printf(
        "\n| mode rpc | kills | keys | requests | answers | executions | in doubt "
        "|\n|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < SCENARIOS; i++) {
        const struct figures *row = &figures[i];
        if (row->played) {
            (void)printf("| %s | %u | %u | %u | %u | %u | %u |\n", scenarios[i].title,
                         row->kills, row->keys, row->copies, row->answers,
                         row->executions, row->doubts);
        }
    }
}
