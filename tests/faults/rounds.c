/* SPDX-License-Identifier: MIT
 * The disturbances. */
#include "rounds.h"
#include "stage.h"

#include <idem/clock.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define FALL_MS 60000 /* a point that is not passed by then is never passed */

/* Traffic, up to some moment in the middle of it: after so many deliveries, or after so much time, which
 * also finds a bridge that is only starting. */
static void traffic(struct stage *stage) {
    unsigned before = stage_delivered(stage);
    if (!stage->up[0]) {
        stage_start(stage, 0, NULL);
    }
    if (stage->bridge_count > 1 && chance_below(&stage->chance, 4) > 0) {
        stage_await_consumer(stage, 0); /* or the other one takes everything */
    }
    stage_publish(stage);
    if (chance_below(&stage->chance, 3) == 0) {
        stage_pause(chance_below(&stage->chance, 100));
    } else {
        stage_await(stage, before + 1 + chance_below(&stage->chance, STAGE_SLICE / 2));
    }
}

void round_bridge_killed(struct stage *stage) {
    traffic(stage);
    stage_kill(stage, 0);
}

void round_bridge_away(struct stage *stage) {
    traffic(stage);
    stage_kill(stage, 0);
    stage_pause(STAGE_LEASE_MS + 300);
}

void round_bridge_stopped(struct stage *stage) {
    traffic(stage);
    bridge_signal(stage->bridges[0], SIGSTOP);
    stage->cuts++;
    stage_pause(STAGE_LEASE_MS + 300 + chance_below(&stage->chance, 300));
    bridge_signal(stage->bridges[0], SIGCONT);
}

/* A process that dies leaves the system to send what it has written; a machine that dies does not. Some of
 * its connections are dead a little earlier than the others. */
void round_host_lost(struct stage *stage) {
    traffic(stage);
    for (size_t i = 0; i < STAGE_LINKS; i++) {
        if (stage->links[i] != NULL && chance_below(&stage->chance, 2) == 0) {
            proxy_stall(stage->links[i], true);
        }
    }
    stage_publish(stage); /* some of it comes to where it goes no further */
    stage_pause(chance_below(&stage->chance, 100));
    stage_kill(stage, 0);
    for (size_t i = 0; i < STAGE_LINKS; i++) {
        if (stage->links[i] != NULL) {
            proxy_cut(stage->links[i]);
            proxy_stall(stage->links[i], false);
        }
    }
}

/* What leads to the rarer points: a lost source makes claims be given back, a lost sink makes doubts, a
 * message that the database refuses makes a transaction be undone and executed again. */
static void provoke(struct stage *stage, const char *point) {
    if (strcmp(point, "rolling_back") == 0 || strcmp(point, "careful") == 0) {
        stage_publish_bad(stage);
        return;
    }
    bool source = strcmp(point, "abandoning") == 0;
    if (source || strcmp(point, "doubted") == 0) {
        proxy_cut(stage->links[source ? STAGE_SOURCE : STAGE_SINK]);
    }
}

/* The one that the plan names; else each in its turn, of those on the way to its sink. */
static const struct plan_point *choose_point(const struct stage *stage) {
    unsigned sink = stage_uses_postgres(stage) ? PLAN_TO_DATABASE : PLAN_TO_EXCHANGE;
    const struct plan_point *found[32];
    size_t count = 0;
    for (size_t i = 0; i < plan_point_count; i++) {
        const struct plan_point *point = &plan_points[i];
        bool named =
            stage->plan->point == NULL || strcmp(point->name, stage->plan->point) == 0;
        if (named && (point->sinks & sink) != 0) {
            found[count++] = point;
        }
    }
    assert_true(count > 0);
    return found[stage->round % count];
}

static bool fell_within(struct stage *stage, unsigned ms) {
    int64_t until_ns = idem_clock_monotonic_ns() + (int64_t)ms * 1000000;
    while (!stage_fell(stage, 0)) {
        if (idem_clock_monotonic_ns() >= until_ns) {
            return false;
        }
        testing_pause();
    }
    return true;
}

void round_point(struct stage *stage) {
    const struct plan_point *point = choose_point(stage);
    int64_t until_ns = idem_clock_monotonic_ns() + (int64_t)FALL_MS * 1000000;
    char text[64];
    (void)snprintf(text, sizeof text, "%s:%u", point->name,
                   1 + chance_below(&stage->chance, point->most));
    if (stage->up[0]) {
        stage_kill(stage, 0);
    }
    stage_start(stage, 0, text);
    do {
        if (idem_clock_monotonic_ns() >= until_ns) {
            fail_msg("the bridge never comes to %s", text);
        }
        stage_publish(stage);
        provoke(stage, point->name);
    } while (!fell_within(stage, 100));
}

void round_rabbitmq_killed(struct stage *stage) {
    traffic(stage);
    stage_kill_rabbitmq(stage);
}

static void kill_redis(struct stage *stage) {
    redis_kill(&stage->redis);
    stage->kills++;
}

static void start_redis(struct stage *stage) {
    stage_pause(chance_below(&stage->chance, 500));
    redis_start(&stage->redis, stage->redis.options);
}

void round_redis_killed(struct stage *stage) {
    traffic(stage);
    kill_redis(stage);
    start_redis(stage);
}

void round_both_killed(struct stage *stage) {
    traffic(stage);
    kill_redis(stage);
    stage_kill(stage, 0);
    start_redis(stage);
}

void round_postgres_killed(struct stage *stage) {
    traffic(stage);
    stage_kill_postgres(stage);
    stage_publish(stage); /* what comes meanwhile waits */
    stage_start_postgres(stage);
}

void round_both_lost(struct stage *stage) {
    traffic(stage);
    stage_kill_postgres(stage);
    stage_kill(stage, 0);
    stage_start_postgres(stage);
}

void round_all_killed(struct stage *stage) {
    traffic(stage);
    stage_kill_postgres(stage);
    stage_kill(stage, 0);
    stage_kill_rabbitmq(stage);
    stage_start_postgres(stage);
}

static void cut(struct stage *stage, enum stage_link link) {
    traffic(stage);
    proxy_cut(stage->links[link]);
    stage->cuts++;
}

/* Mostly short; sometimes longer than a lease, so that claims end while their holder waits. */
static void stall(struct stage *stage, enum stage_link link) {
    traffic(stage);
    bool for_long = chance_below(&stage->chance, 4) == 0;
    proxy_stall(stage->links[link], true);
    stage->cuts++;
    stage_pause(100 + chance_below(&stage->chance, 500) +
                (for_long ? STAGE_LEASE_MS : 0));
    proxy_stall(stage->links[link], false);
}

static void slow(struct stage *stage, enum stage_link link) {
    proxy_delay(stage->links[link], 1 + (int)chance_below(&stage->chance, 60));
    stage->cuts++;
    traffic(stage);
    stage_kill(stage, 0);
    proxy_delay(stage->links[link], 0);
}

void round_source_cut(struct stage *stage) {
    cut(stage, STAGE_SOURCE);
}

void round_source_stalled(struct stage *stage) {
    stall(stage, STAGE_SOURCE);
}

void round_source_slow(struct stage *stage) {
    slow(stage, STAGE_SOURCE);
}

void round_sink_cut(struct stage *stage) {
    cut(stage, STAGE_SINK);
}

void round_sink_stalled(struct stage *stage) {
    stall(stage, STAGE_SINK);
}

void round_sink_slow(struct stage *stage) {
    slow(stage, STAGE_SINK);
}

/* As a RabbitMQ that is started again is found by one end seconds before the other. */
void round_ends_apart(struct stage *stage) {
    const enum stage_link ends[] = {STAGE_SOURCE, STAGE_SINK};
    unsigned first = chance_below(&stage->chance, 3) == 0; /* mostly the source */
    traffic(stage);
    for (size_t i = 0; i < 2; i++) {
        proxy_refuse(stage->links[ends[i]], true);
        proxy_cut(stage->links[ends[i]]);
        stage->cuts++;
    }
    stage_pause(chance_below(&stage->chance, 1000));
    proxy_refuse(stage->links[ends[first]], false);
    stage_pause(chance_below(&stage->chance, 2 * STAGE_LEASE_MS));
    proxy_refuse(stage->links[ends[1 - first]], false);
}

void round_store_cut(struct stage *stage) {
    cut(stage, STAGE_STORE);
}

void round_store_stalled(struct stage *stage) {
    stall(stage, STAGE_STORE);
}

void round_store_slow(struct stage *stage) {
    slow(stage, STAGE_STORE);
}

/* All but a RabbitMQ that is killed, which takes too long to come often. */
void round_anything(struct stage *stage) {
    static plan_round *const rounds[] = {
        round_bridge_killed, round_host_lost,     round_bridge_stopped,
        round_point,         round_source_cut,    round_source_stalled,
        round_source_slow,   round_sink_cut,      round_sink_stalled,
        round_sink_slow,     round_redis_killed,  round_both_killed,
        round_store_cut,     round_store_stalled, round_store_slow};
    const unsigned count = sizeof rounds / sizeof rounds[0];
    const unsigned without_redis = 10;
    rounds[chance_below(&stage->chance, stage_uses_redis(stage) ? count : without_redis)](
        stage);
}

void round_anything_to_postgres(struct stage *stage) {
    static plan_round *const rounds[] = {
        round_bridge_killed,  round_host_lost,       round_point,    round_source_cut,
        round_source_stalled, round_source_slow,     round_sink_cut, round_sink_stalled,
        round_sink_slow,      round_postgres_killed, round_both_lost};
    rounds[chance_below(&stage->chance, sizeof rounds / sizeof rounds[0])](stage);
}
