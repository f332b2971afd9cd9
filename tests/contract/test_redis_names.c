/* SPDX-License-Identifier: MIT
 * The Redis store and hosts that are named: the resolver holds up nobody, and every address has its turn. */
#include "logged.h"
#include "names.h"
#include "redis_cluster.h"
#include "redis_sentinel.h"
#include "redis_tls.h"
#include "stores.h"

#include <idem/clock.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOUR INT64_C(3600000)
#define T0   INT64_C(1700000000000)
#define KEYS 100

static const char *const here[] = {"127.0.0.1", NULL};
static const char *const nowhere[] = {NULL};
/* Nobody listens to the first two. */
static const char *const several[] = {"127.0.0.2", "::1", "127.0.0.1", NULL};

static struct redis_server server;
static struct stores_box box;

static int setup(void **state) {
    (void)state;
    memset(&box, 0, sizeof box);
    box.log = logged_open();
    names_reset();
    names_add("redis.test", here);
    return 0;
}

static int setup_server(void **state) {
    redis_start(&server, NULL);
    return setup(state);
}

static int teardown(void **state) {
    (void)state;
    stores_close(&box);
    redis_remove(&server);
    return 0;
}

static void open_store(const char *host, const char *more) {
    (void)snprintf(box.url, sizeof box.url, "redis://%s:%u?%s", host, server.port, more);
    stores_open(&box);
}

static void expect_logged(const char *text) {
    if (!logged_has(text)) {
        fail_msg("no '%s' in: %s", text, logged_lines());
    }
}

static enum idem_code put(uint64_t n) {
    return stores_claim(&box, n, &stores_me, T0, 1000).code;
}

static void turn_until_it_answers(void) {
    int64_t deadline = testing_deadline();
    while (put(0) != IDEM_OK) {
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        idem_store_dispatch(box.store);
        testing_pause();
    }
}

/* What a call that waits for the resolver takes: for ever. */
static void within(int64_t start_ns, int64_t most_ms) {
    int64_t took_ms = (idem_clock_monotonic_ns() - start_ns) / 1000000;
    assert_in_range(took_ms, 0, most_ms * (testing_instrumented() ? 3 : 1));
}

static void a_resolver_that_says_nothing_holds_up_nobody(void **state) {
    (void)state;
    int64_t start_ns = idem_clock_monotonic_ns();
    names_silence("redis.test", true);
    open_store("redis.test", "timeout=100ms&connect_timeout=10s");
    struct stores_answer answer = {.calls = 0};
    stores_submit_claim(&box, 1, T0, &answer);
    stores_await(box.store, &answer);
    assert_int_equal(answer.answer.code, IDEM_ERR_UNAVAILABLE);
    stores_submit_claim(&box, 2, T0, &answer);
    stores_close(&box);
    within(start_ns, 10000 + 5000); /* opening waits for as long as it may */
}

static void a_claim_has_its_own_time_while_a_name_is_looked_up(void **state) {
    (void)state;
    open_store("redis.test", "timeout=100ms&connect_timeout=60s");
    names_silence("redis.test", true);
    redis_kill(&server);
    struct stores_answer answer = {.calls = 0};
    int64_t start_ns = idem_clock_monotonic_ns();
    int64_t deadline = testing_deadline();
    while (names_asked() < 2) {
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        answer.calls = 0;
        stores_submit_claim(&box, 1, T0, &answer);
        stores_await(box.store, &answer);
        idem_store_dispatch(box.store);
    }
    assert_int_not_equal(answer.answer.code, IDEM_OK);
    stores_close(&box);
    within(start_ns, 15000); /* and not the minute that connecting may take */
}

static void a_late_answer_is_used_and_asked_for_once(void **state) {
    (void)state;
    names_silence("redis.test", true);
    open_store("redis.test", "timeout=5s&connect_timeout=100ms");
    expect_logged("its name has not been looked up in time");
    int64_t deadline = testing_deadline();
    while (!logged_has("store.available")) {
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        names_silence("redis.test",
                      testing_remaining_ms(deadline) > testing_deadline_ms() - 1000);
        idem_store_dispatch(box.store);
        testing_pause();
    }
    assert_int_equal(names_asked(), 1);
    assert_int_equal(put(1), IDEM_OK);
}

static void a_name_that_nobody_knows_is_told(void **state) {
    (void)state;
    names_add("nobody.test", nowhere);
    open_store("nobody.test", "timeout=5s");
    expect_logged("cannot resolve nobody.test");
    assert_int_equal(put(1), IDEM_ERR_UNAVAILABLE);
}

static void addresses_that_refuse_are_passed_over_in_one_go(void **state) {
    (void)state;
    names_add("several.test", several);
    open_store("several.test", "timeout=5s");
    assert_int_equal(put(1), IDEM_OK);
    assert_string_equal(logged_lines(), "");
    assert_int_equal(names_asked(), 1);
}

/* A listener whose queue is full answers nothing. */
static void stop_answering(int sockets[4]) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)server.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    for (int i = 0; i < 4; i++) {
        int type = SOCK_STREAM | (i > 0 ? SOCK_NONBLOCK : 0);
        sockets[i] = socket(AF_INET, type, 0);
        assert_true(sockets[i] >= 0);
        if (i == 0) {
            assert_int_equal(bind(sockets[0], (void *)&address, sizeof address), 0);
            assert_int_equal(listen(sockets[0], 0), 0);
        } else {
            (void)connect(sockets[i], (void *)&address, sizeof address);
        }
    }
}

static void an_address_that_swallows_packets_does_not_take_all_the_time(void **state) {
    int sockets[4];
    (void)state;
    names_add("several.test", several);
    stop_answering(sockets);
    open_store("several.test", "timeout=5s&connect_timeout=9s");
    assert_int_equal(put(1), IDEM_OK);
    assert_string_equal(logged_lines(), "");
    for (int i = 0; i < 4; i++) {
        (void)close(sockets[i]);
    }
}

static void addresses_ask_nobody(void **state) {
    (void)state;
    open_store("127.0.0.1", "timeout=5s");
    assert_int_equal(put(1), IDEM_OK);
    stores_close(&box);
    open_store("[::1]", "timeout=5s");
    assert_int_equal(names_asked(), 0);
}

static void the_system_s_names_are_found_too(void **state) {
    (void)state;
    open_store("localhost", "timeout=5s");
    assert_int_equal(names_asked(), 1);
    turn_until_it_answers();
}

static void a_certificate_has_to_be_for_the_name(void **state) {
    char dir[FILES_PATH_MAX];
    struct redis_tls tls;
    struct idem_store *store = NULL;
    struct idem_error error;
    (void)state;
    files_make_dir(dir);
    redis_tls_certify(dir, "ca", NULL, "DNS:ca");
    redis_tls_certify(dir, "server", "ca", "DNS:redis.test");
    redis_tls_start(&server, &tls, dir, "server", NULL, NULL);
    names_add("other.test", here);
    (void)snprintf(box.url, sizeof box.url,
                   "rediss://redis.test:%u?timeout=5s&connect_timeout=10s&ca=%s/ca.pem",
                   tls.port, dir);
    stores_open(&box);
    assert_int_equal(put(1), IDEM_OK);
    stores_close(&box);
    (void)snprintf(box.url, sizeof box.url,
                   "rediss://other.test:%u?timeout=5s&connect_timeout=10s&ca=%s/ca.pem",
                   tls.port, dir);
    assert_int_equal(stores_try(&box, false, &store, &error), IDEM_ERR_INVALID);
    assert_non_null(strstr(error.text, "ostname mismatch"));
    (void)snprintf(box.url, sizeof box.url,
                   "rediss://127.0.0.1:%u?timeout=5s&connect_timeout=10s&ca=%s/ca.pem",
                   tls.port, dir);
    assert_int_equal(stores_try(&box, false, &store, &error), IDEM_ERR_INVALID);
    files_remove_dir(dir);
}

static void a_sentinel_without_an_address_leads_to_the_next(void **state) {
    static struct redis_sentinel set;
    (void)state;
    redis_sentinel_start(&set);
    names_add("silent.test", here);
    names_silence("silent.test", true);
    (void)snprintf(box.url, sizeof box.url,
                   "redis+sentinel://silent.test:%u,redis.test:%u/" REDIS_SENTINEL_MASTER
                   "?timeout=5s&connect_timeout=200ms",
                   set.sentinel.port, set.sentinel.port);
    stores_open(&box);
    turn_until_it_answers();
    stores_close(&box);
    redis_sentinel_remove(&set);
}

static void announce(const struct redis_cluster *cluster, size_t i, const char *name) {
    (void)redis_tell(&cluster->nodes[i], "CONFIG SET cluster-announce-hostname %s", name);
    for (size_t k = 0; k < REDIS_CLUSTER_NODES; k++) {
        int64_t deadline = testing_deadline();
        bool told = false;
        while (!told) {
            redisReply *reply = redis_ask(&cluster->nodes[k], "CLUSTER NODES");
            told = reply->str != NULL && strstr(reply->str, name) != NULL;
            freeReplyObject(reply);
            assert_int_not_equal(testing_remaining_ms(deadline), 0);
            testing_pause();
        }
    }
}

static void name_nodes(const struct redis_cluster *cluster) {
    static const char *const hosts[REDIS_CLUSTER_NODES] = {"node-0.test", "node-1.test",
                                                           "node-2.test", "node-3.test"};
    for (size_t i = 0; i < REDIS_CLUSTER_NODES; i++) {
        (void)redis_tell(&cluster->nodes[i],
                         "CONFIG SET cluster-preferred-endpoint-type hostname");
        names_add(hosts[i], here);
        announce(cluster, i, hosts[i]);
    }
}

static void nodes_of_a_cluster_are_found_by_name_each_by_itself(void **state) {
    static struct redis_cluster cluster;
    size_t counts[2] = {0, 0}; /* answered, refused */
    (void)state;
    redis_cluster_start(&cluster);
    name_nodes(&cluster);
    (void)snprintf(box.url, sizeof box.url, "redis+cluster://redis.test:%u?timeout=5s",
                   cluster.nodes[0].port);
    stores_open(&box);
    for (uint64_t n = 0; n < KEYS; n++) {
        assert_int_equal(put(n), IDEM_OK);
    }
    stores_close(&box);
    assert_true(names_asked() >= 1 + REDIS_CLUSTER_MASTERS);
    names_silence("node-1.test", true);
    box.url[strlen(box.url) - 2] = '\0';
    (void)strcat(box.url, "500ms&connect_timeout=500ms");
    stores_open(&box);
    for (uint64_t n = KEYS; n < 2 * (uint64_t)KEYS; n++) {
        enum idem_code code = put(n);
        assert_true(code == IDEM_OK || code == IDEM_ERR_UNAVAILABLE);
        counts[code == IDEM_OK ? 0 : 1]++;
    }
    assert_in_range(counts[0], KEYS / 3, KEYS - 1);
    stores_close(&box);
    redis_cluster_remove(&cluster);
}

#define CASE(name)      cmocka_unit_test_setup_teardown(name, setup_server, teardown)
#define BARE_CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    static const struct CMUnitTest tests[] = {
        CASE(a_resolver_that_says_nothing_holds_up_nobody),
        CASE(a_claim_has_its_own_time_while_a_name_is_looked_up),
        CASE(a_late_answer_is_used_and_asked_for_once),
        CASE(a_name_that_nobody_knows_is_told),
        CASE(addresses_that_refuse_are_passed_over_in_one_go),
        CASE(an_address_that_swallows_packets_does_not_take_all_the_time),
        CASE(addresses_ask_nobody),
        CASE(the_system_s_names_are_found_too),
        BARE_CASE(a_certificate_has_to_be_for_the_name),
        BARE_CASE(a_sentinel_without_an_address_leads_to_the_next),
        BARE_CASE(nodes_of_a_cluster_are_found_by_name_each_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
