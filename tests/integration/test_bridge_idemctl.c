/* SPDX-License-Identifier: MIT
 * idemctl beside a live bridge: every command, with the embedded store that the bridge holds, and with a Redis that it
 * shares. */
#include "bridge.h"
#include "ctl.h"
#include "http.h"
#include "rabbitmq.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG                                                                           \
    "instance: edge-1\n"                                                                 \
    "store: {url: '%s'}\n"                                                               \
    "bridge:\n"                                                                          \
    "  source: {url: 'amqp://127.0.0.1:@PORT@', queue: in}\n"                            \
    "  sink: {url: 'amqp://127.0.0.1:@PORT@', routing_key: out}\n"                       \
    "  quarantine: {exchange: aside}\n"                                                  \
    "  declare: true\n"                                                                  \
    "  workers: %s\n"                                                                    \
    "http: {listen: '127.0.0.1:@HTTP@'%s}\n"                                             \
    "rules:\n  - {name: orders, match: {queue: in}, key: message-id, scope: rule}\n"

static struct rabbitmq *client;
static struct bridge *bridge;
static char url[64];
static char config[FILES_PATH_MAX + 16];
static char dump[FILES_PATH_MAX + 16];

static int open_dir(void) {
    files_make_dir(ctl_dir);
    (void)snprintf(dump, sizeof dump, "%s/keys", ctl_dir);
    (void)snprintf(config, sizeof config, "%s/ctl.yaml", ctl_dir);
    client = rabbitmq_connect();
    rabbitmq_queue(client, "in", NULL);
    rabbitmq_queue(client, "out", NULL);
    return 0;
}

static int set_up(void **state) {
    (void)state;
    ctl_redis.pid = 0;
    return open_dir();
}

static int set_up_redis(void **state) {
    (void)state;
    memset(&ctl_redis, 0, sizeof ctl_redis);
    (void)open_dir();
    redis_start_in(&ctl_redis, ctl_dir);
    return 0;
}

static int tear_down(void **state) {
    rabbitmq_disconnect(client);
    int status = bridge_tidy(state);
    return ctl_tear_down(state) != 0 ? 1 : status;
}

/* The bridge, and the same configuration where idemctl finds it. */
static void start(const char *more) {
    char text[2048];
    char store[FILES_PATH_MAX + 64];
    (void)snprintf(store, sizeof store,
                   ctl_redis.pid != 0 ? "unix://%s?timeout=10s" : "embedded://%s/store",
                   ctl_redis.pid != 0 ? ctl_redis.socket : ctl_dir);
    (void)snprintf(text, sizeof text, CONFIG, store, ctl_redis.pid != 0 ? "2" : "1",
                   more);
    bridge = bridge_start(text, 0);
    http_await(bridge_http_port(bridge), "/readyz", 200);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", bridge_http_port(bridge));
    char *with_port = files_replace(text, "@PORT@", "5672");
    char *whole = files_replace(with_port, "@HTTP@", "9477");
    files_write(ctl_dir, "ctl.yaml", whole);
    free(whole);
    free(with_port);
}

static void publish(const char *id, const char *body) {
    rabbitmq_publish(client, &(struct rabbitmq_message){
                                 .routing_key = "in", .body = body, .message_id = id});
}

#define idemctl(...) ctl("-c", config, __VA_ARGS__)

/* A four times, once with another payload, and B once. */
static void deliver_some(void) {
    int64_t deadline = testing_deadline();
    for (int copy = 0; copy < 3; copy++) {
        publish("A", "one");
    }
    publish("A", "another");
    publish("B", "two");
    do {
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        testing_pause();
        assert_int_equal(idemctl("--json", "stats", "--http", url), 0);
    } while (strstr(ctl_output, "\"messages/duplicate\": 2") == NULL ||
             strstr(ctl_output, "\"messages/conflict\": 1") == NULL ||
             strstr(ctl_output, "\"done\": 2") == NULL);
}

static void assert_reading_works(void) {
    assert_int_equal(idemctl("check"), 0);
    assert_int_equal(idemctl("lookup", "orders", "A"), 0);
    assert_says("state        done");
    assert_says(" (edge-1)\n");
    assert_says("--http URL asks a running program");
    assert_int_equal(idemctl("lookup", "orders", "A", "--http", url), 0);
    assert_says("bridge\n  at         http://127.0.0.1:");
    assert_says("\n  instance   edge-1\n  duplicates 2\n  conflicts  1\n  last_seen  20");
    assert_int_equal(idemctl("lookup", "orders", "B", "--http", url), 0);
    assert_says("this key is not in it");
    assert_int_equal(idemctl("lookup", "orders", "C", "--http", url), 4);
    assert_int_equal(
        idemctl("explain", "--amqp", "-t", "in", "--queue", "in", "--message-id", "A"),
        0);
    assert_says("store        done");
    assert_int_equal(idemctl("list"), 0);
    assert_says("  done  ");
    assert_int_equal(idemctl("stats"), 0);
    assert_says("done         2");
    assert_int_equal(idemctl("export", dump), 0);
    assert_says("records      2");
    assert_int_equal(idemctl("bench", "--seconds", "1"), 0);
}

static void the_store_of_a_running_bridge_can_be_read_beside_it(void **state) {
    (void)state;
    start("");
    deliver_some();
    assert_reading_works();
    assert_int_equal(idemctl("forget", "--yes", "orders", "A"), 5);
    assert_says("is in use by process");
    assert_int_equal(idemctl("purge"), 5);
    assert_int_equal(idemctl("purge", "--all", "--yes"), 5);
    assert_int_equal(idemctl("import", dump), 5);
    assert_int_equal(idemctl("lookup", "orders", "A"), 0);
    bridge_stop(bridge, 0);
}

static void beside_a_bridge_on_redis_everything_works(void **state) {
    (void)state;
    start("");
    deliver_some();
    assert_reading_works();
    assert_int_equal(idemctl("forget", "--yes", "orders", "A"), 0);
    assert_int_equal(idemctl("lookup", "orders", "A", "--http", url), 4);
    assert_says("duplicates 2"); /* the bridge has seen them all the same */
    assert_int_equal(idemctl("import", dump), 0);
    assert_says("imported     1");
    assert_int_equal(idemctl("lookup", "orders", "A"), 0);
    assert_int_equal(idemctl("purge", "--all", "--yes"), 0);
    assert_says("removed      2");
    assert_int_equal(idemctl("lookup", "orders", "A"), 4);
    bridge_stop(bridge, 0);
}

/* The keys of the sample that are, or are not, this one. */
static size_t count_keys(const char *path, const char *digest, bool same) {
    char *body = http_body(bridge_http_port(bridge), path, 200);
    const char *at = strstr(body, "\"sightings\"");
    size_t count = 0;
    assert_non_null(at);
    while ((at = strstr(at, "\"key\":\"")) != NULL) {
        at += strlen("\"key\":\"");
        count += (memcmp(at, digest, 32) == 0) == same ? 1 : 0;
    }
    free(body);
    return count;
}

/* Of one key, from the samples of all workers, and of no other. */
static void the_sample_of_one_key_can_be_asked_for(void **state) {
    char path[96];
    char digest[33];
    int64_t deadline = testing_deadline();
    (void)state;
    start("");
    deliver_some();
    publish("B", "two");
    assert_int_equal(idemctl("--json", "lookup", "orders", "A"), 0);
    (void)snprintf(digest, sizeof digest, "%.32s",
                   strstr(ctl_output, "\"digest\": \"") + strlen("\"digest\": \""));
    (void)snprintf(path, sizeof path, "/api/stats?key=%s", digest);
    while (count_keys("/api/stats", digest, false) == 0) {
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        testing_pause();
    }
    assert_true(count_keys(path, digest, true) >= 2); /* a duplicate and a conflict */
    assert_int_equal(count_keys(path, digest, false), 0);
    free(http_body(bridge_http_port(bridge), "/api/stats?key=no-digest", 400));
    free(http_body(bridge_http_port(bridge), "/api/stats?key=", 400));
    assert_int_not_equal(count_keys("/api/stats?other=1", digest, false), 0);
    bridge_stop(bridge, 0);
}

static void a_bridge_that_wants_its_token_gets_it(void **state) {
    char token[FILES_PATH_MAX + 16];
    char more[FILES_PATH_MAX + 64];
    (void)state;
    files_write(ctl_dir, "token", "0123456789abcdef0123\n");
    files_write(ctl_dir, "other", "another0123456789\n");
    (void)snprintf(token, sizeof token, "%s/token", ctl_dir);
    (void)snprintf(more, sizeof more, ", token_file: '%s'", token);
    start(more);
    assert_int_equal(idemctl("stats", "--quick", "--http", url, "--token-file", token),
                     0);
    assert_says("  instance ");
    assert_int_equal(idemctl("stats", "--quick", "--http", url), 7);
    assert_says("it wants its token: --token-file FILE");
    (void)snprintf(token, sizeof token, "%s/other", ctl_dir);
    assert_int_equal(
        idemctl("lookup", "orders", "A", "--http", url, "--token-file", token), 7);
    assert_says("it wants its token");
    bridge_stop(bridge, 0);
}

#define WITH(test, up) cmocka_unit_test_setup_teardown(test, up, tear_down)

int main(void) {
    int status;
    if (rabbitmq_cannot_run(&status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        WITH(the_store_of_a_running_bridge_can_be_read_beside_it, set_up),
        WITH(beside_a_bridge_on_redis_everything_works, set_up_redis),
        WITH(the_sample_of_one_key_can_be_asked_for, set_up_redis),
        WITH(a_bridge_that_wants_its_token_gets_it, set_up),
    };
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, NULL));
}
