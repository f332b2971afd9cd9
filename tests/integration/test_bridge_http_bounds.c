/* SPDX-License-Identifier: MIT
 * The bounds of the bridge's web server (docs/reference/http.md), and that those who push at them keep no message
 * from its way. */
#include "bridge.h"
#include "http.h"
#include "rabbitmq.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GUESTS_MAX  64   /* connections that the server has at once */
#define HEADERS_MAX 8192 /* bytes */
#define BODY_MAX    1024
#define STAY_NS     (INT64_C(10) * 1000000000) /* how long a connection may last */

static const char config[] =
    "instance: edge-1\nstore: {url: 'memory:'}\n"
    "bridge:\n"
    "  source: {url: 'amqp://127.0.0.1:@PORT@', queue: in}\n"
    "  sink: {url: 'amqp://127.0.0.1:@PORT@', routing_key: out}\n"
    "rules:\n  - {name: orders, match: {queue: in}, key: message-id, scope: rule}\n"
    "http: {listen: '127.0.0.1:@HTTP@'}\n";

static struct rabbitmq *client;
static struct bridge *bridge;
static unsigned port;
static unsigned sent; /* messages */

static int set_up(void **state) {
    (void)state;
    client = rabbitmq_open("in out");
    bridge = bridge_start(config, 0);
    port = bridge_http_port(bridge);
    http_await(port, "/readyz", 200);
    return 0;
}

static int tear_down(void **state) {
    rabbitmq_disconnect(client);
    return bridge_tidy(state);
}

/* A message goes its way, whatever the web server is busy with. */
static void deliver_one(void) {
    char id[32];
    (void)snprintf(id, sizeof id, "id-%u", sent++);
    rabbitmq_publish(client, &(struct rabbitmq_message){
                                 .routing_key = "in", .body = id, .message_id = id});
    assert_string_equal(rabbitmq_take(client, "out"), id);
}

static bool over(int fd) {
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    return poll(&readable, 1, 0) == 1;
}

struct crowd {
    int fds[GUESTS_MAX];
    size_t there;
};

static void gather(struct crowd *crowd) {
    crowd->there = GUESTS_MAX;
    for (size_t i = 0; i < GUESTS_MAX; i++) {
        crowd->fds[i] = http_connect(port);
        assert_true(crowd->fds[i] >= 0);
    }
}

/* A byte of a request that never ends from each of them that has not been shown out. */
static void trickle(struct crowd *crowd) {
    crowd->there = 0;
    for (size_t i = 0; i < GUESTS_MAX; i++) {
        int *fd = &crowd->fds[i];
        if (*fd >= 0 && over(*fd)) {
            (void)close(*fd);
            *fd = -1;
        }
        if (*fd >= 0) {
            (void)send(*fd, "G", 1, MSG_NOSIGNAL);
            crowd->there++;
        }
    }
}

static void a_crowd_that_says_little_is_shown_out_and_keeps_no_message(void **state) {
    struct crowd crowd;
    unsigned delivered = 0;
    (void)state;
    gather(&crowd);
    int64_t deadline = testing_deadline() + STAY_NS;
    for (trickle(&crowd); crowd.there > 0; trickle(&crowd)) {
        delivered += crowd.there == GUESTS_MAX ? 1 : 0;
        deliver_one();
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        testing_pause();
    }
    assert_true(delivered > 1); /* while all were there */
    http_await(port, "/healthz", 200);
    bridge_stop(bridge, EXIT_SUCCESS);
}

/* Nobody is turned away: whoever comes when all places are taken waits until one is free. */
static void one_more_waits_until_there_is_a_place(void **state) {
    static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct crowd crowd;
    (void)state;
    gather(&crowd);
    trickle(&crowd);
    int late = http_connect(port);
    assert_true(late >= 0);
    assert_int_equal(send(late, request, sizeof request - 1, MSG_NOSIGNAL),
                     sizeof request - 1);
    int64_t deadline = testing_deadline() + STAY_NS;
    while (!over(late)) {
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        deliver_one();
        testing_pause();
        if (!over(late)) {
            trickle(&crowd);
        }
    }
    char reply[32] = "";
    assert_true(recv(late, reply, sizeof reply - 1, 0) > 0);
    assert_non_null(strstr(reply, " 200 "));
    trickle(&crowd);
    assert_true(crowd.there < GUESTS_MAX); /* only then */
    (void)close(late);
    for (size_t i = 0; i < GUESTS_MAX; i++) {
        if (crowd.fds[i] >= 0) {
            (void)close(crowd.fds[i]);
        }
    }
    http_await(port, "/healthz", 200);
    bridge_stop(bridge, EXIT_SUCCESS);
}

/* Silence from the start, in the middle of the headers, and in the middle of a body. */
static void silence_ends_a_connection(void **state) {
    static const char *const beginnings[] = {
        "", "GET /metrics HTTP/1.1\r\nHost: local",
        "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx"};
    int fds[3];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        fds[i] = http_connect(port);
        assert_true(fds[i] >= 0);
        (void)send(fds[i], beginnings[i], strlen(beginnings[i]), MSG_NOSIGNAL);
    }
    int64_t deadline = testing_deadline();
    for (size_t i = 0; i < 3; i++) {
        while (!over(fds[i])) {
            assert_int_not_equal(testing_remaining_ms(deadline), 0);
            deliver_one();
            testing_pause();
        }
        (void)close(fds[i]);
    }
    http_await(port, "/healthz", 200);
    bridge_stop(bridge, EXIT_SUCCESS);
}

static int ask_with(size_t headers, size_t body) {
    char *request = calloc(1, headers + body + 256);
    assert_non_null(request);
    size_t used = (size_t)sprintf(request,
                                  "%s /healthz HTTP/1.1\r\nHost: localhost\r\n"
                                  "Content-Length: %zu\r\nX: ",
                                  body > 0 ? "POST" : "GET", body);
    while (used + 4 < headers) {
        request[used++] = 'x';
    }
    used += (size_t)sprintf(request + used, "\r\n\r\n");
    memset(request + used, 'b', body);
    struct http_reply reply = http_exchange(port, request, used + body);
    int status = reply.status;
    http_free(&reply);
    free(request);
    return status;
}

static void headers_and_bodies_are_bounded(void **state) {
    (void)state;
    assert_int_equal(ask_with(HEADERS_MAX / 2, 0), 200);
    assert_int_equal(ask_with(HEADERS_MAX - 200, 0), 200);
    assert_int_not_equal(ask_with(HEADERS_MAX + 200, 0), 200);
    assert_int_equal(ask_with(0, BODY_MAX), 405); /* read, and of no use */
    assert_int_equal(ask_with(0, BODY_MAX + 1), 413);
    deliver_one();
    http_await(port, "/healthz", 200);
    bridge_stop(bridge, EXIT_SUCCESS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_crowd_that_says_little_is_shown_out_and_keeps_no_message),
        TEST(one_more_waits_until_there_is_a_place),
        TEST(silence_ends_a_connection),
        TEST(headers_and_bodies_are_bounded),
    };
    int status = 0;
    if (rabbitmq_cannot_run(&status)) {
        return status;
    }
    return rabbitmq_done(cmocka_run_group_tests(tests, NULL, NULL));
}
