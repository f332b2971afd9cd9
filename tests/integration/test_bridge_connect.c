/* SPDX-License-Identifier: MIT
 * How the bridge finds its brokers and who it says it is: several URLs, the environment, TLS. */
#include "bridge.h"
#include "files.h"
#include "proxy.h"
#include "rabbitmq.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOP                                                                              \
    "instance: one\nstore: {url: 'memory:'}\n"                                           \
    "rules: [{name: r, match: {queue: in}, key: message-id}]\nbridge:\n"
#define SINK "  sink: {url: 'amqp://127.0.0.1:@PORT@', routing_key: out}\n"

static struct rabbitmq *client;
static char config[2048];

static int set_up(void **state) {
    (void)state;
    client = rabbitmq_open("in out");
    return 0;
}

static int tear_down(void **state) {
    rabbitmq_disconnect(client);
    return bridge_tidy(state);
}

static void expect_through(const char *body) {
    struct rabbitmq_message message = {.routing_key = "in", .body = body};
    rabbitmq_publish(client, &message);
    while (strcmp(rabbitmq_take(client, "out"), body) != 0) {
        continue; /* one without a key, whose acknowledgement a cut connection took along */
    }
}

static void refused(const char *text, int status, const char *why) {
    struct bridge *bridge = bridge_run_expecting(text, NULL, status, why);
    assert_int_equal(bridge_logged(bridge, "s3cret"), 0);
}

static void several_urls_are_tried_in_turn(void **state) {
    struct proxy *first = proxy_start(rabbitmq_port());
    struct proxy *second = proxy_start(rabbitmq_port());
    (void)state;
    (void)snprintf(config, sizeof config,
                   TOP "  source: {url: ['amqp://127.0.0.1:%u', 'amqp://127.0.0.1:%u'], "
                       "queue: in}\n"
                       "  sink: {url: ['amqp://127.0.0.1:%u', 'amqp://127.0.0.1:%u'], "
                       "routing_key: out}\n",
                   proxy_port(first), proxy_port(second), proxy_port(first),
                   proxy_port(second));
    proxy_refuse(first, true);
    struct bridge *bridge = bridge_start(config, 0);
    expect_through("by the second");
    assert_int_equal(proxy_accepted(second), 2);
    proxy_refuse(first, false);
    proxy_refuse(second, true);
    proxy_cut(second);
    expect_through("by the first");
    proxy_refuse(second, false);
    proxy_refuse(first, true);
    proxy_cut(first);
    expect_through("by the second again");
    bridge_stop(bridge, EXIT_SUCCESS);
    proxy_stop(first);
    proxy_stop(second);
}

static void credentials_come_from_the_environment(void **state) {
    static const char text[] =
        TOP "  source: {url: 'amqp://nobody:wrong@127.0.0.1:@PORT@', queue: in, "
            "user_env: IDEM_TEST_USER, password_env: IDEM_TEST_PASSWORD}\n" SINK;
    (void)state;
    assert_int_equal(setenv("IDEM_TEST_USER", "guest", 1), 0);
    assert_int_equal(setenv("IDEM_TEST_PASSWORD", "guest", 1), 0);
    struct bridge *bridge = bridge_start(text, 0);
    expect_through("known");
    bridge_stop(bridge, EXIT_SUCCESS);
    assert_int_equal(setenv("IDEM_TEST_PASSWORD", "s3cret", 1), 0);
    refused(text, 1, "ACCESS_REFUSED");
    assert_int_equal(unsetenv("IDEM_TEST_PASSWORD"), 0);
    refused(text, 2, "bridge.source: the environment variable IDEM_TEST_PASSWORD is not");
}

static void one_place_for_the_password_is_enough(void **state) {
    (void)state;
    refused(TOP "  source: {url: 'amqp://127.0.0.1:@PORT@', queue: in, "
                "password_env: HOME, password_file: /nowhere}\n" SINK,
            2, "password_file and password_env exclude each other");
}

static unsigned tls_port(void) {
    char path[FILES_PATH_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/tls_port", getenv("IDEM_RABBITMQ"));
    char *text = files_read(path);
    unsigned port = (unsigned)strtoul(text, NULL, 10);
    free(text);
    if (port == 0) {
        skip(); /* no openssl */
    }
    return port;
}

static const char *over_tls(const char *host, const char *authority) {
    const char *dir = getenv("IDEM_RABBITMQ");
    unsigned port = tls_port();
    (void)snprintf(
        config, sizeof config,
        TOP "  source: {url: 'amqps://%s:%u', queue: in, ca_file: '%s/%s.pem'}\n"
            "  sink: {url: 'amqps://%s:%u', routing_key: out, ca_file: '%s/%s.pem'}\n",
        host, port, dir, authority, host, port, dir, authority);
    return config;
}

static void a_broker_with_a_good_certificate_is_trusted(void **state) {
    (void)state;
    struct bridge *bridge = bridge_start(over_tls("localhost", "ca"), 0);
    expect_through("private");
    bridge_stop(bridge, EXIT_SUCCESS);
}

/* Either could be cured by whoever runs the broker, so it is tried again. */
static void not_connected(const char *text) {
    struct bridge *bridge = bridge_start(text, 0);
    bridge_await(bridge, "SSL", 4);
    assert_int_equal(bridge_logged(bridge, "link.up"), 0);
    bridge_stop(bridge, EXIT_SUCCESS);
}

static void a_certificate_of_somebody_else_is_not_trusted(void **state) {
    (void)state;
    not_connected(over_tls("localhost", "stranger"));
}

static void a_certificate_for_another_host_is_not_trusted(void **state) {
    (void)state;
    not_connected(over_tls("127.0.0.1", "ca"));
}

static void authorities_that_cannot_be_read_are_an_error_at_start(void **state) {
    (void)state;
    refused(over_tls("localhost", "absent"), 1, "absent.pem: not a file of CA");
}

int main(void) {
    int status;
    if (rabbitmq_cannot_run(&status)) {
        return status;
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(several_urls_are_tried_in_turn),
        TEST(credentials_come_from_the_environment),
        TEST(one_place_for_the_password_is_enough),
        TEST(a_broker_with_a_good_certificate_is_trusted),
        TEST(a_certificate_of_somebody_else_is_not_trusted),
        TEST(a_certificate_for_another_host_is_not_trusted),
        TEST(authorities_that_cannot_be_read_are_an_error_at_start),
    };
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, NULL));
}
