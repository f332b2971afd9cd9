/* SPDX-License-Identifier: MIT
 * The bridge's web server: what it tells, to whom, and what it does with those who mean it ill. */
#include "bridge.h"
#include "files.h"
#include "http.h"
#include "proxy.h"
#include "rabbitmq.h"
#include "redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STORE "instance: edge-1\nstore: {url: 'memory:'}\n"
#define ENDS                                                                             \
    "bridge:\n"                                                                          \
    "  source: {url: 'amqp://127.0.0.1:@PORT@', queue: in}\n"                            \
    "  sink: {url: 'amqp://127.0.0.1:@PORT@', routing_key: out}\n"                       \
    "  quarantine: {exchange: aside}\n"                                                  \
    "  declare: true\n"
#define RULE                                                                             \
    "rules:\n  - name: orders\n    match: {queue: in}\n    key: message-id\n"            \
    "    scope: rule\n    fingerprint: payload\n"
#define HTTP "http: {listen: '127.0.0.1:@HTTP@'}\n"

static struct rabbitmq *client;
static struct proxy *proxy;
static struct redis_server redis;

static int set_up(void **state) {
    (void)state;
    client = rabbitmq_open("in out");
    return 0;
}

static int tear_down(void **state) {
    rabbitmq_disconnect(client);
    proxy_stop(proxy);
    proxy = NULL;
    redis_remove(&redis);
    return bridge_tidy(state);
}

static void publish(const char *id, const char *body) {
    rabbitmq_publish(client, &(struct rabbitmq_message){
                                 .routing_key = "in", .body = body, .message_id = id});
}

static unsigned start(struct bridge **bridge, const char *config) {
    *bridge = bridge_start(config, 0);
    http_await(bridge_http_port(*bridge), "/readyz", 200);
    return bridge_http_port(*bridge);
}

static void assert_holds(unsigned port, const char *path, int status, const char *text) {
    char *body = http_body(port, path, status);
    if (strstr(body, text) == NULL) {
        fail_msg("%s: no %s in %s", path, text, body);
    }
    free(body);
}

static void figures_tell_what_became_of_the_messages(void **state) {
    struct bridge *bridge;
    (void)state;
    unsigned port = start(&bridge, STORE ENDS RULE HTTP);
    for (int copy = 0; copy < 3; copy++) {
        publish("A", "one");
        publish("B", "two");
    }
    publish("A", "another");
    http_await_figure(port, "idem_source_settled_total", 7);
    assert_int_equal(
        http_figure(port, "idem_messages_total{rule=\"orders\",verdict=\"deliver\"}"), 2);
    assert_int_equal(
        http_figure(port, "idem_messages_total{rule=\"orders\",verdict=\"drop\"}"), 4);
    assert_int_equal(
        http_figure(port,
                    "idem_message_reasons_total{rule=\"orders\",reason=\"conflict\"}"),
        1);
    assert_int_equal(http_figure(port, "idem_delivered_total"), 2);
    assert_int_equal(http_figure(port, "idem_quarantined_total"), 1);
    assert_true(
        http_figure(port, "idem_store_operation_seconds_count{operation=\"claim\"}") >=
        7);
    assert_int_equal(
        http_figure(port, "idem_store_operation_seconds_count{operation=\"complete\"}"),
        2);
    http_await_figure(port, "idem_store_keys", 2);
    http_await_figure(port, "idem_source_queue_consumers", 1);
    assert_holds(port, "/api/stats", 200, "\"reason\":\"conflict\"");
    assert_holds(port, "/api/stats", 200, "\"count\":2}");
    bridge_stop(bridge, 0);
}

static void messages_on_their_way_are_seen_by_state_and_age(void **state) {
    struct bridge *bridge;
    (void)state;
    unsigned port = start(&bridge, STORE ENDS RULE HTTP);
    rabbitmq_delete_queue(client, "out"); /* unroutable: it waits */
    publish("A", "one");
    http_await_figure(port, "idem_in_flight_messages{state=\"waiting\"}", 1);
    assert_true(http_figure(port, "idem_unroutable_total") > 0);
    http_await_figure(port, "idem_oldest_unacknowledged_seconds", 1);
    bridge_kill(bridge);
}

static void prometheus_accepts_the_figures(void **state) {
    struct bridge *bridge;
    (void)state;
    unsigned port = start(&bridge, STORE ENDS RULE HTTP);
    publish("A", "one");
    http_await_figure(port, "idem_source_settled_total", 1);
    http_check_metrics(port);
    bridge_stop(bridge, 0);
}

static void readiness_names_what_is_not_there(void **state) {
    char config[2048];
    (void)state;
    proxy = proxy_start(rabbitmq_port());
    redis_start(&redis, NULL);
    (void)snprintf(config, sizeof config,
                   "instance: edge-1\n"
                   "store: {url: 'redis://127.0.0.1:%u'}\n"
                   "bridge:\n"
                   "  source: {url: 'amqp://127.0.0.1:@PORT@', queue: in}\n"
                   "  sink: {url: 'amqp://127.0.0.1:%u', routing_key: out}\n" RULE HTTP,
                   redis.port, proxy_port(proxy));
    struct bridge *bridge;
    unsigned port = start(&bridge, config);
    assert_holds(port, "/readyz", 200, "{\"ready\":true,\"missing\":[]}");
    proxy_refuse(proxy, true);
    proxy_cut(proxy);
    http_await(port, "/readyz", 503);
    assert_holds(port, "/readyz", 503, "{\"ready\":false,\"missing\":[\"sink\"]}");
    assert_holds(port, "/metrics", 200, "idem_connection_up{end=\"sink\"} 0");
    assert_holds(port, "/metrics", 200, "idem_connection_up{end=\"source\"} 1");
    assert_holds(port, "/healthz", 200, "ok\n");
    proxy_refuse(proxy, false);
    http_await(port, "/readyz", 200);
    assert_holds(port, "/metrics", 200, "idem_reconnections_total{end=\"sink\"} 1");
    redis_stop(&redis);
    publish("A", "one"); /* finds out */
    http_await(port, "/readyz", 503);
    assert_holds(port, "/readyz", 503, "\"missing\":[\"store\"]");
    http_await_figure(port, "idem_unprotected_total", 1);
    assert_holds(port, "/metrics", 200, "\nidem_store_up 0\n");
    bridge_kill(bridge);
}

static void only_reading_is_possible(void **state) {
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"};
    static const char *const paths[] = {"/healthz", "/readyz", "/metrics", "/api/stats"};
    struct bridge *bridge;
    (void)state;
    unsigned port = start(&bridge, STORE ENDS RULE HTTP);
    for (size_t path = 0; path < 4; path++) {
        for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
            struct http_reply reply = http_ask(port, methods[i], paths[path], NULL);
            assert_int_equal(reply.status, 405);
            assert_non_null(strstr(reply.headers, "\r\nAllow: GET, HEAD\r\n"));
            http_free(&reply);
        }
        struct http_reply get = http_get(port, paths[path]);
        struct http_reply head = http_ask(port, "HEAD", paths[path], NULL);
        assert_int_equal(head.status, get.status);
        assert_string_equal(head.body, "");
        assert_non_null(strstr(head.headers, "\r\nContent-Length: "));
        assert_non_null(strstr(get.headers, "\r\nX-Content-Type-Options: nosniff\r\n"));
        http_free(&get);
        http_free(&head);
    }
    static const char *const nowhere[] = {
        "/api", "/metrics/", "/..", "//metrics", "/%6detrics", "/api/stats%00", "*"};
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
        struct http_reply reply = http_get(port, nowhere[i]);
        assert_true(reply.status == 404 || reply.status == 421);
        http_free(&reply);
    }
    assert_holds(port, "/metrics?x=1", 200, "idem_build_info");
    bridge_stop(bridge, 0);
}

static void the_page_is_whole_and_lets_nothing_else_in(void **state) {
    static const struct {
        const char *path;
        const char *type;
        const char *holds;
    } files[] = {
        {"/", "text/html; charset=utf-8", "<title>Idem bridge</title>"},
        {"/page.css", "text/css; charset=utf-8", "prefers-color-scheme: dark"},
        {"/page.js", "text/javascript; charset=utf-8", "/api/stats"},
        {"/chart.js", "text/javascript; charset=utf-8", "Released under the MIT License"},
        {"/icon.svg", "image/svg+xml", "<svg"},
        {"/licences.txt", "text/plain; charset=utf-8", "Chart.js Contributors"},
    };
    struct bridge *bridge;
    (void)state;
    unsigned port = start(&bridge, STORE ENDS RULE HTTP);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char type[64];
        struct http_reply reply = http_get(port, files[i].path);
        (void)snprintf(type, sizeof type, "\r\nContent-Type: %s\r\n", files[i].type);
        assert_int_equal(reply.status, 200);
        assert_non_null(strstr(reply.headers, type));
        assert_non_null(
            strstr(reply.headers, "\r\nContent-Security-Policy: default-src 'none'; "));
        assert_non_null(strstr(reply.body, files[i].holds));
        http_free(&reply);
    }
    struct http_reply reply = http_ask(port, "POST", "/", NULL);
    assert_int_equal(reply.status, 405);
    http_free(&reply);
    bridge_stop(bridge, 0);
}

static void only_this_machine_is_a_host_without_a_token(void **state) {
    struct bridge *bridge;
    (void)state;
    unsigned port = start(&bridge, STORE ENDS RULE HTTP);
    static const struct {
        const char *headers;
        int status;
    } cases[] = {
        {"Host: localhost:80\r\n", 200},    {"Host: 127.0.0.1\r\n", 200},
        {"Host: [::1]:9477\r\n", 200},      {"Host: evil.example\r\n", 421},
        {"Host: evil.example:80\r\n", 421}, {"Host: 10.0.0.1\r\n", 421},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_reply reply = http_ask(port, "GET", "/api/stats", cases[i].headers);
        assert_int_equal(reply.status, cases[i].status);
        http_free(&reply);
    }
    bridge_stop(bridge, 0);
}

static void a_token_guards_what_is_worth_reading(void **state) {
    char config[2048];
    char dir[FILES_PATH_MAX];
    struct bridge *bridge;
    (void)state;
    files_make_dir(dir);
    files_write(dir, "token", "0123456789abcdef-secret\nsecond line\n");
    (void)snprintf(config, sizeof config,
                   STORE ENDS RULE
                   "http: {listen: '0.0.0.0:@HTTP@', token_file: '%s/token'}\n",
                   dir);
    unsigned port = start(&bridge, config); /* /readyz needs none */
    static const struct {
        const char *path;
        const char *headers;
        int status;
    } cases[] = {
        {"/metrics", "Host: bridge.example\r\n", 401},
        {"/api/stats", "Authorization: Bearer wrong\r\n", 401},
        {"/api/stats", "Authorization: Bearer 0123456789abcdef-secret\r\n", 200},
        {"/metrics", "authorization: bearer 0123456789abcdef-secret\r\n", 200},
        {"/healthz", "Host: bridge.example\r\n", 200},
        {"/nothing", "Host: bridge.example\r\n", 404},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_reply reply = http_ask(port, "GET", cases[i].path, cases[i].headers);
        assert_int_equal(reply.status, cases[i].status);
        assert_null(strstr(reply.text, "secret"));
        http_free(&reply);
    }
    struct http_reply reply = http_get(port, "/metrics");
    assert_non_null(strstr(reply.headers, "\r\nWWW-Authenticate: Bearer "));
    http_free(&reply);
    files_remove_dir(dir);
    bridge_stop(bridge, 0);
}

static char *of_bytes(size_t length, const char *before, char filler, const char *after) {
    char *text = malloc(strlen(before) + length + strlen(after) + 1);
    assert_non_null(text);
    char *at = stpcpy(text, before);
    memset(at, filler, length);
    (void)strcpy(at + length, after);
    return text;
}

static void requests_are_bounded_and_rubbish_is_refused(void **state) {
    struct bridge *bridge;
    (void)state;
    unsigned port = start(&bridge, STORE ENDS RULE HTTP);
    char *rubbish[] = {
        of_bytes(20000, "GET /", 'a', " HTTP/1.1\r\n\r\n"),
        of_bytes(20000, "GET / HTTP/1.1\r\nX: ", 'a', "\r\n\r\n"),
        of_bytes(30000, "", '\n', "\r\n"),
        of_bytes(30000, "", 'x', ""),
        of_bytes(30000, "GET / HTTP/1.1\r\n", ':', "\r\n\r\n"),
        of_bytes(5000, "POST /metrics HTTP/1.1\r\nContent-Length: 5000\r\n\r\n", 'x', ""),
        of_bytes(1, "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999", '9',
                 "\r\n\r\n"),
        of_bytes(1, "GET / HTTP/1.1\r\nContent-Length: -", '1', "\r\n\r\n"),
        of_bytes(1, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff", 'f',
                 "\r\n"),
        of_bytes(1, "BREW /metrics HTTP/1.", '1', "\r\n\r\n"),
        of_bytes(1, "GET http://[ HTTP/1.", '1', "\r\n\r\n"),
        of_bytes(1, "CONNECT a:1 HTTP/1.", '1', "\r\n\r\n"),
        of_bytes(9, "\x16\x03\x01\x02", '\xff', "\r\n\r\n"), /* TLS */
        of_bytes(1, "GET / HTTP/9.", '9', "\r\n\r\n"),
    };
    for (size_t i = 0; i < sizeof rubbish / sizeof rubbish[0]; i++) {
        struct http_reply reply = http_exchange(port, rubbish[i], strlen(rubbish[i]));
        assert_true(reply.status == 0 || reply.status >= 400);
        http_free(&reply);
        free(rubbish[i]);
    }
    assert_holds(port, "/healthz", 200, "ok\n");
    publish("A", "one");
    assert_string_equal(rabbitmq_take(client, "out"), "one");
    bridge_stop(bridge, 0);
}

static void a_port_that_was_asked_for_must_be_free(void **state) {
    struct bridge *first;
    char config[2048];
    (void)state;
    unsigned port = start(&first, STORE ENDS RULE HTTP);
    (void)snprintf(config, sizeof config,
                   STORE ENDS RULE "http: {listen: '127.0.0.1:%u'}\n", port);
    struct bridge *second;
    assert_int_equal(bridge_run(&second, config, NULL), 1);
    bridge_await(second, "choose another port, or off", 1);
    bridge_stop(first, 0);
}

static void two_bridges_that_ask_for_none_both_deliver(void **state) {
    (void)state;
    struct bridge *first = bridge_start(STORE ENDS RULE "# http: by default\n", 0);
    bridge_await(first, "bridge.started", 1);
    struct bridge *second = bridge_start(STORE ENDS RULE "# http: by default\n", 0);
    bridge_await(second, "http.none: no page and no metrics: 127.0.0.1:9477", 1);
    bridge_await(second, "bridge.started", 1);
    bridge_stop(first, 0);
    publish("A", "one");
    assert_string_equal(rabbitmq_take(client, "out"), "one");
    bridge_stop(second, 0);
}

static void expect_refused(const char *dir, const char *name, const char *text) {
    struct bridge *bridge;
    char config[2048];
    (void)snprintf(config, sizeof config,
                   STORE ENDS RULE
                   "http: {listen: '0.0.0.0:@HTTP@', token_file: '%s/%s'}\n",
                   dir, name);
    assert_int_equal(bridge_run(&bridge, config, "--check"), 2);
    bridge_await(bridge, text, 1);
}

static void tokens_that_are_none_are_refused_by_the_check(void **state) {
    char dir[FILES_PATH_MAX];
    struct bridge *bridge;
    (void)state;
    files_make_dir(dir);
    files_write(dir, "short", "0123456789abcde\n");
    files_write(dir, "empty", "\n");
    expect_refused(dir, "short", "a token has 16 bytes at least");
    expect_refused(dir, "empty", "http.token_file: ");
    expect_refused(dir, "absent", "No such file");
    assert_int_equal(bridge_run(&bridge,
                                STORE ENDS RULE "http: {listen: '0.0.0.0:@HTTP@'}\n",
                                "--check"),
                     2);
    bridge_await(bridge, "others than this machine could read it", 1);
    files_remove_dir(dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(figures_tell_what_became_of_the_messages),
        TEST(messages_on_their_way_are_seen_by_state_and_age),
        TEST(prometheus_accepts_the_figures),
        TEST(readiness_names_what_is_not_there),
        TEST(only_reading_is_possible),
        TEST(the_page_is_whole_and_lets_nothing_else_in),
        TEST(only_this_machine_is_a_host_without_a_token),
        TEST(a_token_guards_what_is_worth_reading),
        TEST(requests_are_bounded_and_rubbish_is_refused),
        TEST(a_port_that_was_asked_for_must_be_free),
        TEST(two_bridges_that_ask_for_none_both_deliver),
        TEST(tokens_that_are_none_are_refused_by_the_check),
    };
    int status = 0;
    if (rabbitmq_cannot_run(&status)) {
        return status;
    }
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, NULL));
}
