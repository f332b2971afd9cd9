/* SPDX-License-Identifier: MIT
 * TLS to every server that a sentinel or a cluster names, and to those who name it. */
#include "redis_tls.h"
#include "stores.h"

#include <stdio.h>
#include <string.h>

#define HOUR  INT64_C(3600000)
#define T0    INT64_C(1700000000000)
#define NODES 2
#define KEYS  100

static char dir[FILES_PATH_MAX]; /* of the certificates */
static struct redis_server servers[NODES];
static struct redis_tls tls[NODES];
static struct stores_box box;

static int setup(void **state) {
    (void)state;
    memset(servers, 0, sizeof servers);
    memset(&box, 0, sizeof box);
    files_make_dir(dir);
    redis_tls_certify(dir, "ca", NULL, "DNS:ca");
    redis_tls_certify(dir, "server", "ca", "IP:127.0.0.1");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    stores_close(&box);
    for (size_t i = 0; i < NODES; i++) {
        redis_remove(&servers[i]);
    }
    files_remove_dir(dir);
    return 0;
}

static void start(size_t i, const char *const *more) {
    redis_tls_start(&servers[i], &tls[i], dir, "server", "ca", more);
}

/* Every server wants our certificate, so a connection without TLS, or without it, gets nowhere. */
static void open_store(const char *scheme, unsigned port, const char *path) {
    (void)snprintf(box.url, sizeof box.url,
                   "%s://127.0.0.1:%u%s?timeout=10s&ca=%s/ca.pem&cert=%s/server.pem"
                   "&key=%s/server.key",
                   scheme, port, path, dir, dir, dir);
    stores_open(&box);
}

static void put_keys(void) {
    for (uint64_t n = 0; n < KEYS; n++) {
        stores_put_done(&box, n, T0, HOUR);
    }
    for (uint64_t n = 0; n < KEYS; n++) {
        assert_int_equal(stores_claim(&box, n, &stores_other, T0, 1000).outcome,
                         IDEM_CLAIM_DONE);
    }
}

static void a_sentinel_and_its_server_are_both_asked_over_tls(void **state) {
    static const char *const more[] = {"--sentinel", "--tls-replication", "yes", NULL};
    struct redis_server *sentinel = &servers[1];
    char text[256];
    (void)state;
    start(0, NULL);
    files_make_dir(sentinel->dir);
    (void)snprintf(text, sizeof text, "sentinel monitor orders 127.0.0.1 %u 1\n",
                   tls[0].port);
    files_write(sentinel->dir, "sentinel.conf", text);
    (void)snprintf(sentinel->config, sizeof sentinel->config, "%s/sentinel.conf",
                   sentinel->dir);
    start(1, more);
    open_store("rediss+sentinel", tls[1].port, "/orders");
    put_keys();
    assert_in_range(redis_tell(&servers[0], "DBSIZE"), KEYS, KEYS + 1);
}

static void await_cluster(size_t i) {
    int64_t deadline = testing_deadline();
    bool well = false;
    while (!well) {
        redisReply *reply = redis_ask(&servers[i], "CLUSTER INFO");
        well = reply->str != NULL && strstr(reply->str, "cluster_state:ok") != NULL &&
               strstr(reply->str, "cluster_slots_ok:16384") != NULL;
        freeReplyObject(reply);
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        testing_pause();
    }
}

static void every_node_of_a_cluster_is_asked_over_tls(void **state) {
    static char bus[NODES][8];
    (void)state;
    for (size_t i = 0; i < NODES; i++) {
        (void)snprintf(bus[i], sizeof bus[i], "%u", redis_free_port());
        const char *const more[] = {"--cluster-enabled",
                                    "yes",
                                    "--cluster-port",
                                    bus[i],
                                    "--tls-cluster",
                                    "yes",
                                    NULL};
        start(i, more);
        (void)redis_tell(&servers[i], "CLUSTER SET-CONFIG-EPOCH %d", (int)i + 1);
    }
    (void)redis_tell(&servers[0], "CLUSTER ADDSLOTSRANGE 0 8191");
    (void)redis_tell(&servers[1], "CLUSTER ADDSLOTSRANGE 8192 16383");
    (void)redis_tell(&servers[0], "CLUSTER MEET 127.0.0.1 %u %s", tls[1].port, bus[1]);
    await_cluster(0);
    await_cluster(1);
    open_store("rediss+cluster", tls[0].port, "");
    put_keys();
    for (size_t i = 0; i < NODES; i++) {
        assert_in_range(redis_tell(&servers[i], "DBSIZE"), 10, KEYS);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    static const struct CMUnitTest tests[] = {
        CASE(a_sentinel_and_its_server_are_both_asked_over_tls),
        CASE(every_node_of_a_cluster_is_asked_over_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
