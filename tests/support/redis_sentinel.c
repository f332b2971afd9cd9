/* SPDX-License-Identifier: MIT
 * A Redis server, its replica, and a sentinel. */
#include "redis_sentinel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A sentinel that did not find a replica fit to be promoted tries again after twice its failover-timeout. */
#define FAILOVERS 3

static bool says(const struct redis_server *server, const char *command,
                 const char *text) {
    redisReply *reply = redis_ask(server, command);
    bool found = reply->str != NULL && strstr(reply->str, text) != NULL;
    freeReplyObject(reply);
    return found;
}

static long long offset(const struct redis_server *server) {
    redisReply *reply = redis_ask(server, "INFO replication");
    const char *at = strstr(reply->str, "master_repl_offset:");
    assert_non_null(at);
    long long value = strtoll(strchr(at, ':') + 1, NULL, 10);
    freeReplyObject(reply);
    return value;
}

/* WAIT would not do: it waits for what its own connection has written, and that is nothing. */
void redis_sentinel_sync(const struct redis_sentinel *set) {
    int64_t deadline = testing_deadline();
    long long wanted = offset(&set->master);
    while (!says(&set->replica, "INFO replication", "master_link_status:up") ||
           offset(&set->replica) < wanted) {
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        testing_pause();
    }
}

/* Off its schedule for two seconds, as on a busy machine, a sentinel does nothing for the next thirty: not
 * here. */
static void start_sentinel(struct redis_sentinel *set) {
    static const char *const options[] = {"--sentinel", NULL};
    struct redis_server *sentinel = &set->sentinel;
    char text[512];
    files_make_dir(sentinel->dir);
    (void)snprintf(text, sizeof text,
                   "sentinel monitor " REDIS_SENTINEL_MASTER " 127.0.0.1 %u 1\n"
                   "sentinel down-after-milliseconds " REDIS_SENTINEL_MASTER " 1000\n"
                   "sentinel failover-timeout " REDIS_SENTINEL_MASTER " 2000\n",
                   set->master.port);
    files_write(sentinel->dir, "sentinel.conf", text);
    (void)snprintf(sentinel->config, sizeof sentinel->config, "%s/sentinel.conf",
                   sentinel->dir);
    redis_start(sentinel, options);
    redisReply *reply = redis_ask(sentinel, "SENTINEL DEBUG tilt-trigger 600000");
    freeReplyObject(reply); /* servers before 7.0 do not know it */
}

static bool sees_the_replica(const struct redis_server *sentinel) {
    redisReply *reply = redis_ask(sentinel, "SENTINEL replicas " REDIS_SENTINEL_MASTER);
    bool sees = reply->type == REDIS_REPLY_ARRAY && reply->elements == 1;
    freeReplyObject(reply);
    return sees;
}

void redis_sentinel_start(struct redis_sentinel *set) {
    static const char *const lasting[] = {"--appendonly", "yes",
                                          "--repl-diskless-sync-delay", "0", NULL};
    redis_start(&set->master, lasting);
    redis_start(&set->replica, lasting);
    (void)redis_tell(&set->replica, "REPLICAOF 127.0.0.1 %u", set->master.port);
    redis_sentinel_sync(set);
    start_sentinel(set);
    int64_t deadline = testing_deadline();
    while (!sees_the_replica(&set->sentinel)) {
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        testing_pause();
    }
}

void redis_sentinel_await_promotion(const struct redis_sentinel *set) {
    for (unsigned i = 0; i < FAILOVERS; i++) {
        int64_t deadline = testing_deadline();
        while (testing_remaining_ms(deadline) > 0) {
            if (says(&set->replica, "INFO replication", "role:master")) {
                return;
            }
            testing_pause();
        }
    }
    fail_msg("the sentinel does not promote the replica");
}

void redis_sentinel_remove(struct redis_sentinel *set) {
    redis_remove(&set->sentinel);
    redis_remove(&set->replica);
    redis_remove(&set->master);
}
