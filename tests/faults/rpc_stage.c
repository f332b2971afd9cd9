/* SPDX-License-Identifier: MIT
 * Requesters and a worker around bridges in mode rpc. */
#include "rpc_stage.h"

#include <idem/clock.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLICE 40
#define PATIENCE_MS                                                                      \
    90000 /* a restarted RabbitMQ is looked for at intervals of up to 15 s */
#define STARTED " bridge.started: "

static int64_t now_ms(void) {
    return idem_clock_monotonic_ns() / 1000000;
}

/* ---- the requesters ---- */

static void ask(struct rpc_stage *stage, unsigned key, unsigned variant) {
    char text[16];
    char body[32];
    char correlation_id[16];
    assert_true(stage->copy_count < RPC_COPIES_MAX);
    (void)snprintf(text, sizeof text, "%u", key);
    (void)snprintf(body, sizeof body, "%u %u", key, variant);
    (void)snprintf(correlation_id, sizeof correlation_id, "%u", stage->copy_count);
    const struct rpc_request request = {.queue = "in",
                                        .key = text,
                                        .body = body,
                                        .reply_to = "answers",
                                        .correlation_id = correlation_id};
    stage->copies[stage->copy_count++] =
        (struct rpc_copy){.key = key, .variant = variant};
    rpc_ask(stage->client, &request);
}

void rpc_stage_ask(struct rpc_stage *stage) {
    for (unsigned i = 0; i < SLICE; i++) {
        assert_true(stage->key_count < RPC_KEYS_MAX);
        ask(stage, stage->key_count++, 0);
        if (chance_below(&stage->chance, 3) == 0) {
            ask(stage, chance_below(&stage->chance, stage->key_count), 0);
        }
        if (chance_below(&stage->chance, 8) == 0) {
            ask(stage, chance_below(&stage->chance, stage->key_count), 1);
        }
    }
}

static struct rpc_copy *copy_of(struct rpc_stage *stage, const char *correlation_id) {
    char *end = NULL;
    unsigned long index = strtoul(correlation_id, &end, 10);
    assert_true(end != correlation_id && *end == '\0' && index < stage->copy_count);
    return &stage->copies[index];
}

static void read_refusal(struct rpc_stage *stage, struct rpc_copy *copy) {
    const char *reason = rabbitmq_header(stage->client, "x-idem-reason");
    assert_non_null(reason);
    assert_string_equal(reason, "conflict");
    copy->refused++;
}

static void read_result(struct rpc_stage *stage, struct rpc_copy *copy,
                        const char *body) {
    struct rpc_deed *deed = &stage->deeds[copy->key];
    if (deed->result[0] == '\0') {
        (void)snprintf(deed->result, sizeof deed->result, "%s", body);
        assert_int_equal(sscanf(body, "%*u %u", &deed->variant), 1);
    }
    assert_string_equal(body, deed->result);
    copy->answered++;
}

static bool read_answer(struct rpc_stage *stage) {
    struct rpc_work answer;
    if (rabbitmq_depth(stage->client, "answers") == 0) {
        return false;
    }
    rpc_take(stage->client, "answers", &answer);
    struct rpc_copy *copy = copy_of(stage, answer.correlation_id);
    const char *own = rabbitmq_header(stage->client, "x-idem-result");
    if (own == NULL) {
        read_result(stage, copy, answer.body);
    } else {
        assert_string_equal(own, "refused"); /* none: a result was lost */
        read_refusal(stage, copy);
    }
    return true;
}

/* ---- the worker ---- */

/* A request that is executed; false: it has been, under this very claim. */
static bool note_token(struct rpc_deed *deed, const char *token) {
    for (unsigned i = 0; i < RPC_TOKENS_KEPT; i++) {
        if (strcmp(deed->tokens[i], token) == 0) {
            return false;
        }
    }
    (void)snprintf(deed->tokens[deed->executed++ % RPC_TOKENS_KEPT], RPC_TEXT_MAX, "%s",
                   token);
    return true;
}

/* Each execution says something else, so that answers from two of them differ. A claim that is asked for once
 * has one token: only a RabbitMQ that was killed gives it twice, since it has forgotten that it was taken. */
static bool work_once(struct rpc_stage *stage) {
    struct rpc_work work;
    char reply[RPC_TEXT_MAX];
    unsigned key = 0;
    unsigned variant = 0;
    if (rabbitmq_depth(stage->client, "work") == 0) {
        return false;
    }
    rpc_take(stage->client, "work", &work);
    assert_int_equal(sscanf(work.body, "%u %u", &key, &variant), 2);
    assert_true(key < stage->key_count);
    struct rpc_deed *deed = &stage->deeds[key];
    bool again = !note_token(deed, work.correlation_id);
    assert_true(!again || stage->setting.kills_rabbitmq);
    stage->again += again;
    (void)snprintf(reply, sizeof reply, "%u %u done %u%s", key, variant, deed->executed,
                   again ? " again" : "");
    rpc_reply(stage->client, &work, reply, NULL);
    return true;
}

static void pump_once(struct rpc_stage *stage) {
    bool worked = work_once(stage);
    bool read = read_answer(stage);
    if (!worked && !read) {
        testing_pause();
    }
}

void rpc_stage_pump(struct rpc_stage *stage, unsigned ms) {
    int64_t until_ms = now_ms() + ms;
    do {
        pump_once(stage);
    } while (now_ms() < until_ms);
}

/* ---- bridges and servers ---- */

static unsigned port_of(const struct rpc_stage *stage, enum rpc_link link, size_t index) {
    if (index == 0) {
        return proxy_port(stage->links[link]);
    }
    return link == RPC_STORE ? stage->redis.port : rabbitmq_port();
}

/* A store that fails must not let anything through unprotected, or the worker would be asked twice without
 * anybody's doubt: refuse. */
static void write_config(const struct rpc_stage *stage, size_t index, char *text,
                         size_t size) {
    char store[64] = "embedded://@DIR@/store";
    if (stage->setting.redis) {
        (void)snprintf(store, sizeof store, "redis://127.0.0.1:%u",
                       port_of(stage, RPC_STORE, index));
    }
    (void)snprintf(text, size,
                   "instance: bridge-%zu\nstore: {url: '%s', deadline: 200ms}\n"
                   "bridge:\n"
                   "  mode: rpc\n"
                   "  source: {url: 'amqp://127.0.0.1:%u', queue: in, prefetch: 50}\n"
                   "  sink: {url: 'amqp://127.0.0.1:%u', routing_key: work}\n"
                   "  replies: replies\n"
                   "  quarantine: {exchange: aside}\n"
                   "rules:\n"
                   "  - {name: r, match: {queue: in}, key: property:idempotency-key,\n"
                   "     scope: global, lease: 2s, on_duplicate: replay,\n"
                   "     on_store_failure: refuse}\n",
                   index, store, port_of(stage, RPC_SOURCE, index),
                   port_of(stage, RPC_SINK, index));
}

void rpc_stage_start(struct rpc_stage *stage, size_t index, const char *point) {
    char config[2048];
    assert_false(stage->up[index]);
    if (point != NULL) {
        assert_int_equal(setenv("IDEM_FAULT", point, 1), 0);
    }
    if (stage->bridges[index] != NULL) {
        bridge_restart(stage->bridges[index]);
    } else {
        write_config(stage, index, config, sizeof config);
        stage->bridges[index] = bridge_start(config, 0);
    }
    (void)unsetenv("IDEM_FAULT");
    stage->up[index] = true;
}

void rpc_stage_kill(struct rpc_stage *stage, size_t index) {
    bridge_kill(stage->bridges[index]);
    stage->up[index] = false;
    stage->kills++;
}

bool rpc_stage_fell(struct rpc_stage *stage, size_t index) {
    int status = 0;
    if (!bridge_ended(stage->bridges[index], &status)) {
        return false;
    }
    assert_int_equal(status, 128 + SIGKILL);
    stage->up[index] = false;
    stage->kills++;
    return true;
}

void rpc_stage_kill_rabbitmq(struct rpc_stage *stage) {
    struct rabbitmq *client = stage->client;
    stage->client = NULL;
    stage->kills++;
    stage->client = rabbitmq_crash(client);
}

void rpc_stage_open(struct rpc_stage *stage, const struct rpc_setting *setting,
                    uint64_t seed, const char *title) {
    memset(stage, 0, sizeof *stage);
    stage->setting = *setting;
    chance_init(&stage->chance, seed, title);
    stage->client = rabbitmq_open("in work replies answers");
    rabbitmq_fanout(stage->client, "aside", "aside");
    if (setting->kills_rabbitmq) {
        rabbitmq_keep_declarations();
    }
    stage->links[RPC_SOURCE] = proxy_start(rabbitmq_port());
    stage->links[RPC_SINK] = proxy_start(rabbitmq_port());
    if (setting->redis) {
        redis_start(&stage->redis, redis_durable);
        stage->links[RPC_STORE] = proxy_start(stage->redis.port);
    }
    for (size_t i = 1; i < setting->bridges; i++) {
        rpc_stage_start(stage, i, NULL);
    }
}

void rpc_stage_close(struct rpc_stage *stage) {
    (void)bridge_tidy(NULL);
    for (size_t i = 0; i < RPC_LINKS; i++) {
        proxy_stop(stage->links[i]);
    }
    if (stage->redis.dir[0] != '\0') {
        redis_remove(&stage->redis);
    }
    if (stage->client != NULL) {
        rabbitmq_disconnect(stage->client);
    }
    memset(stage, 0, sizeof *stage);
}

/* ---- the end ---- */

static bool all_answered(const struct rpc_stage *stage) {
    for (unsigned i = 0; i < stage->copy_count; i++) {
        if (stage->copies[i].answered + stage->copies[i].refused == 0) {
            return false;
        }
    }
    return true;
}

static void fail_unanswered(const struct rpc_stage *stage) {
    for (unsigned i = 0; i < stage->copy_count; i++) {
        const struct rpc_copy *copy = &stage->copies[i];
        if (copy->answered + copy->refused == 0) {
            (void)fprintf(stderr, "request %u, key %u, variant %u: executed %u times\n",
                          i, copy->key, copy->variant, stage->deeds[copy->key].executed);
        }
    }
    fail_msg("not every request is answered");
}

void rpc_stage_finish(struct rpc_stage *stage) {
    const int64_t until_ms = now_ms() + PATIENCE_MS;
    for (size_t i = 0; i < stage->setting.bridges; i++) {
        if (!stage->up[i]) {
            unsigned starts = bridge_logged(stage->bridges[i], STARTED);
            rpc_stage_start(stage, i, NULL);
            bridge_await(stage->bridges[i], STARTED, starts + 1);
        }
    }
    while (!all_answered(stage)) {
        if (now_ms() >= until_ms) {
            fail_unanswered(stage);
        }
        pump_once(stage);
    }
    for (size_t i = 0; i < stage->setting.bridges; i++) {
        bridge_run_until_through(stage->bridges[i], stage->client, "in");
        stage->up[i] = false;
    }
    while (read_answer(stage)) {
    }
}

static void read_quarantine(struct rpc_stage *stage) {
    struct rpc_work copy;
    while (rabbitmq_depth(stage->client, "aside") > 0) {
        rpc_take(stage->client, "aside", &copy);
        copy_of(stage, copy.correlation_id)->aside++;
    }
}

/* A request is answered or refused, and refused requests are what the quarantine has. Where a doubt has let a
 * key be asked for twice with different bodies, the answer can be the other one's: *crossed. */
static void judge_copy(const struct rpc_stage *stage, const struct rpc_copy *copy,
                       unsigned *crossed) {
    bool same = copy->variant == stage->deeds[copy->key].variant;
    if ((copy->answered > 0) == (copy->refused > 0) ||
        (copy->refused > 0) != (copy->aside > 0)) {
        fail_msg("a request of key %u: %u answers, %u refusals, %u times aside",
                 copy->key, copy->answered, copy->refused, copy->aside);
    }
    *crossed += same != (copy->answered > 0);
}

void rpc_stage_judge(struct rpc_stage *stage, struct rpc_figures *figures) {
    unsigned crossed = 0;
    *figures = (struct rpc_figures){.kills = stage->kills,
                                    .cuts = stage->cuts,
                                    .keys = stage->key_count,
                                    .copies = stage->copy_count,
                                    .again = stage->again};
    for (size_t i = 0; i < stage->setting.bridges; i++) {
        figures->doubts += bridge_logged(stage->bridges[i], "copy.in_doubt");
    }
    read_quarantine(stage);
    for (unsigned i = 0; i < stage->key_count; i++) {
        assert_true(stage->deeds[i].executed > 0);
        figures->executions += stage->deeds[i].executed;
    }
    for (unsigned i = 0; i < stage->copy_count; i++) {
        const struct rpc_copy *copy = &stage->copies[i];
        judge_copy(stage, copy, &crossed);
        figures->answers += copy->answered;
        figures->refusals += copy->refused;
    }
    if (figures->executions - figures->keys > figures->doubts ||
        crossed > figures->doubts) {
        fail_msg("%u executions of %u keys and %u answers to other bodies, but %u doubts",
                 figures->executions, figures->keys, crossed, figures->doubts);
    }
}
