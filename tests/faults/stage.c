/* SPDX-License-Identifier: MIT
 * One scenario under way. */
#include "stage.h"
#include "rounds.h"

#include <idem/clock.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A restarted RabbitMQ is looked for at intervals of up to 15 s. */
#define PATIENCE_MS 90000
#define COPIES      (STAGE_SLICE * 3 / 10)

#define STARTED " bridge.started: "

#define EXCHANGE_SINK "sink: {url: 'amqp://127.0.0.1:%u', routing_key: out}"
/* Each message moves some money, and is written down. The body is "m NUMBER": what is not cannot be cast. */
#define DATABASE_SINK                                                                    \
    "quarantine: {exchange: aside}\n"                                                    \
    "  sink:\n"                                                                          \
    "    url: 'postgresql://idem@127.0.0.1:%u/idem'\n"                                   \
    "    batch: 50\n"                                                                    \
    "    statement: 'WITH m AS (SELECT split_part($1, '' '', 2)::bigint AS n), "         \
    "w AS (INSERT INTO moved SELECT n FROM m) UPDATE account SET cents = cents + "       \
    "1 + n * 7919 %% 100000 FROM m WHERE id = n %% 10'\n"                                \
    "    parameters: [payload]"

static int64_t now_ms(void) {
    return idem_clock_monotonic_ns() / 1000000;
}

void stage_pause(unsigned ms) {
    struct timespec left = {ms / 1000, (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

bool stage_uses_redis(const struct stage *stage) {
    return stage->plan->store == PLAN_REDIS || stage->plan->store == PLAN_REDIS_TWO;
}

bool stage_uses_postgres(const struct stage *stage) {
    return stage->plan->store == PLAN_POSTGRES;
}

static unsigned port_of(const struct stage *stage, enum stage_link link, size_t index) {
    if (index == 0) {
        return proxy_port(stage->links[link]);
    }
    return link == STAGE_STORE ? stage->redis.port : rabbitmq_port();
}

/* A store that fails must not let anything through unprotected, or copies would arrive that nobody had in
 * doubt: refuse. */
static void write_config(const struct stage *stage, size_t index, char *text,
                         size_t size) {
    char store[64] = "embedded://@DIR@/store";
    char sink[640];
    (void)snprintf(sink, sizeof sink,
                   stage_uses_postgres(stage) ? DATABASE_SINK : EXCHANGE_SINK,
                   port_of(stage, STAGE_SINK, index));
    if (stage_uses_redis(stage)) {
        (void)snprintf(store, sizeof store, "redis://127.0.0.1:%u",
                       port_of(stage, STAGE_STORE, index));
    }
    (void)snprintf(text, size,
                   "instance: bridge-%zu\n"
                   "store: {url: '%s', deadline: 200ms}\n"
                   "bridge:\n"
                   "  source: {url: 'amqp://127.0.0.1:%u', queue: in, prefetch: %d}\n"
                   "  %s\n"
                   "  drain: 5s\n"
                   "rules:\n"
                   "  - name: orders\n"
                   "    match: {queue: in}\n"
                   "    key: property:idempotency-key\n"
                   "    scope: global\n"
                   "    lease: %dms\n"
                   "    on_store_failure: refuse\n",
                   index + 1, store, port_of(stage, STAGE_SOURCE, index), STAGE_PREFETCH,
                   sink, STAGE_LEASE_MS);
}

void stage_start(struct stage *stage, size_t index, const char *point) {
    char config[2048];
    assert_false(stage->up[index]);
    if (point != NULL) {
        assert_int_equal(setenv("IDEM_FAULT", point, 1), 0);
    }
    if (stage->bridges[index] == NULL) {
        write_config(stage, index, config, sizeof config);
        stage->bridges[index] = bridge_start(config, 0);
    } else {
        stage->starts[index] = bridge_logged(stage->bridges[index], STARTED);
        bridge_restart(stage->bridges[index]);
    }
    (void)unsetenv("IDEM_FAULT");
    stage->up[index] = true;
}

static void show_log(struct stage *stage, size_t index) {
    char *log = bridge_log(stage->bridges[index]);
    (void)fprintf(stderr, "---- the log of bridge %zu\n%s", index + 1, log);
    free(log);
}

/* What it waits for comes last: a bridge that still runs is asked for it. */
static void show_logs(struct stage *stage) {
    for (size_t i = 0; i < stage->bridge_count; i++) {
        if (stage->up[i]) {
            bridge_signal(stage->bridges[i], SIGUSR1);
            stage_pause(1000);
        }
        show_log(stage, i);
    }
}

void stage_check(struct stage *stage) {
    for (size_t i = 0; i < stage->bridge_count; i++) {
        int status = 0;
        if (stage->up[i] && bridge_ended(stage->bridges[i], &status)) {
            stage->up[i] = false;
            show_log(stage, i);
            fail_msg("bridge %zu has ended by itself: %d", i + 1, status);
        }
    }
}

/* Its worker has tried both ends by then, and consumes where they could be reached. */
void stage_await_consumer(struct stage *stage, size_t index) {
    int64_t until_ms = now_ms() + PATIENCE_MS;
    while (bridge_logged(stage->bridges[index], STARTED) <= stage->starts[index]) {
        stage_check(stage);
        if (now_ms() >= until_ms) {
            show_logs(stage);
            fail_msg("bridge %zu does not start", index + 1);
        }
        testing_pause();
    }
}

void stage_kill(struct stage *stage, size_t index) {
    bridge_kill(stage->bridges[index]);
    stage->up[index] = false;
    stage->kills++;
}

bool stage_fell(struct stage *stage, size_t index) {
    int status = 0;
    if (!bridge_ended(stage->bridges[index], &status)) {
        return false;
    }
    assert_int_equal(status, 128 + SIGKILL); /* and not for a reason of its own */
    stage->up[index] = false;
    stage->kills++;
    return true;
}

void stage_kill_rabbitmq(struct stage *stage) {
    struct rabbitmq *client = stage->client;
    stage->client = NULL;
    stage->kills++;
    stage->client = rabbitmq_crash(client);
}

static void open_postgres(struct stage *stage) {
    postgres_start(&stage->postgres);
    postgres_do(&stage->postgres,
                "CREATE TABLE moved (n bigint);"
                "CREATE TABLE account (id bigint PRIMARY KEY, cents bigint NOT NULL);"
                "INSERT INTO account SELECT id, 0 FROM generate_series(0, 9) AS id;"
                "CREATE TABLE idem_inbox (digest bytea PRIMARY KEY, fingerprint bytea,"
                " first_seen timestamptz NOT NULL, expires timestamptz NOT NULL)");
    rabbitmq_fanout(stage->client, "aside", "aside");
    stage->links[STAGE_SINK] = proxy_start(stage->postgres.port);
}

/* RabbitMQ has to come back with its queues: this is about the bridge. */
static bool kills_rabbitmq(const struct plan *plan) {
    return plan->round == round_rabbitmq_killed || plan->round == round_all_killed;
}

void stage_open(struct stage *stage, const struct plan *plan, uint64_t seed) {
    *stage = (struct stage){.plan = plan};
    chance_init(&stage->chance, seed, plan->title);
    stage->bridge_count = plan->store == PLAN_REDIS_TWO ? 2 : 1;
    stage->client = rabbitmq_open("in out");
    if (kills_rabbitmq(plan)) {
        rabbitmq_keep_declarations();
    }
    stage->links[STAGE_SOURCE] = proxy_start(rabbitmq_port());
    if (stage_uses_postgres(stage)) {
        open_postgres(stage);
    } else {
        stage->links[STAGE_SINK] = proxy_start(rabbitmq_port());
    }
    if (stage_uses_redis(stage)) {
        redis_start(&stage->redis, redis_durable);
        stage->links[STAGE_STORE] = proxy_start(stage->redis.port);
    }
    for (size_t i = 1; i < stage->bridge_count; i++) {
        stage_start(stage, i, NULL);
    }
}

void stage_close(struct stage *stage) {
    (void)bridge_tidy(NULL);
    for (size_t i = 0; i < STAGE_LINKS; i++) {
        proxy_stop(stage->links[i]);
    }
    if (stage->redis.dir[0] != '\0') {
        redis_remove(&stage->redis);
    }
    postgres_remove(&stage->postgres);
    if (stage->client != NULL) {
        rabbitmq_disconnect(stage->client);
    }
    memset(stage, 0, sizeof *stage);
}

static void shuffle(struct chance *chance, unsigned *numbers, unsigned count) {
    for (unsigned i = count - 1; i > 0; i--) {
        unsigned other = chance_below(chance, i + 1);
        unsigned moved = numbers[i];
        numbers[i] = numbers[other];
        numbers[other] = moved;
    }
}

void stage_publish(struct stage *stage) {
    unsigned numbers[STAGE_SLICE + COPIES];
    for (unsigned i = 0; i < STAGE_SLICE; i++) {
        numbers[i] = stage->unique++;
    }
    for (unsigned i = STAGE_SLICE; i < STAGE_SLICE + COPIES; i++) {
        numbers[i] = chance_below(&stage->chance, stage->unique);
    }
    shuffle(&stage->chance, numbers, STAGE_SLICE + COPIES);
    rabbitmq_publish_numbers(stage->client, "in", "m", numbers, STAGE_SLICE + COPIES);
    stage->copies += STAGE_SLICE + COPIES;
}

void stage_publish_copies(struct stage *stage) {
    unsigned numbers[COPIES];
    for (unsigned i = 0; i < COPIES; i++) {
        numbers[i] = chance_below(&stage->chance, stage->unique);
    }
    rabbitmq_publish_numbers(stage->client, "in", "m", numbers, COPIES);
    stage->copies += COPIES;
}

void stage_publish_bad(struct stage *stage) {
    char key[32];
    (void)snprintf(key, sizeof key, "bad %u", stage->bad++);
    struct rabbitmq_message message = {
        .routing_key = "in", .body = "not a number", .key = key};
    rabbitmq_publish(stage->client, &message);
}

void stage_kill_postgres(struct stage *stage) {
    postgres_kill(&stage->postgres);
    stage->kills++;
}

void stage_start_postgres(struct stage *stage) {
    postgres_start(&stage->postgres);
}

unsigned stage_delivered(struct stage *stage) {
    if (stage_uses_postgres(stage)) {
        return (unsigned)postgres_number(&stage->postgres, "SELECT count(*) FROM moved");
    }
    return rabbitmq_depth(stage->client, "out");
}

void stage_await(struct stage *stage, unsigned depth) {
    int64_t until_ms = now_ms() + PATIENCE_MS;
    while (stage_delivered(stage) < depth) {
        if (now_ms() >= until_ms) {
            show_logs(stage);
            fail_msg("nothing moves: %u of %u messages in the sink",
                     stage_delivered(stage), depth);
        }
        testing_pause();
    }
}

static void start_all(struct stage *stage) {
    for (size_t i = 0; i < stage->bridge_count; i++) {
        if (!stage->up[i]) {
            stage_start(stage, i, NULL);
        }
    }
}

static void stop_all(struct stage *stage) {
    for (size_t i = 0; i < stage->bridge_count; i++) {
        stage_await_consumer(stage, i); /* earlier, a signal would just end it */
        bridge_stop(stage->bridges[i], EXIT_SUCCESS);
        stage->up[i] = false;
    }
}

static void soothe(struct stage *stage) {
    for (size_t i = 0; i < STAGE_LINKS; i++) {
        if (stage->links[i] != NULL) {
            proxy_delay(stage->links[i], 0);
            proxy_stall(stage->links[i], false);
        }
    }
}

/* Stopped politely, a bridge ends when the broker has taken back what it held. One that was killed leaves a
 * consumer behind until the broker notices, and what it held comes back with its end. */
static unsigned left_over(struct stage *stage, int64_t until_ms) {
    stop_all(stage);
    while (rabbitmq_consumers(stage->client, "in") > 0 && now_ms() < until_ms) {
        testing_pause();
    }
    return rabbitmq_depth(stage->client, "in");
}

void stage_finish(struct stage *stage) {
    int64_t until_ms = now_ms() + PATIENCE_MS;
    unsigned left;
    soothe(stage);
    do {
        start_all(stage);
        while (rabbitmq_depth(stage->client, "in") > 0 && now_ms() < until_ms) {
            testing_pause();
        }
        left = left_over(stage, until_ms);
        if (now_ms() >= until_ms) {
            show_logs(stage);
            (void)stage_delivered(stage); /* fails where the sink's queue is gone */
            fail_msg("%u messages are stuck in the source", left);
        }
    } while (left > 0);
}
