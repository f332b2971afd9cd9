/* SPDX-License-Identifier: MIT
 * The stack of docker/compose.yaml: duplicates dropped, over both protocols, while its containers are killed.
 * IDEM_STACK names the directory with the names of its containers; tests/docker/run.sh has started them. */
#include "mqtt.h"
#include "rabbitmq_tally.h"
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGES    6000
#define COMMAND_MAX 1024

static struct rabbitmq *client;

/* The first line that `docker WORDS` prints, where $c is the container; the command has to succeed. */
static const char *docker(const char *words, const char *name) {
    static char line[256];
    char command[COMMAND_MAX];
    (void)snprintf(command, sizeof command, "c=$(cat '%s/%s') && docker %s 2>&1",
                   getenv("IDEM_STACK"), name, words);
    FILE *output = popen(command, "re"); /* NOLINT(cert-env33-c) */
    assert_non_null(output);
    if (fgets(line, sizeof line, output) == NULL) {
        line[0] = '\0';
    }
    while (fgetc(output) != EOF) {
        continue;
    }
    if (pclose(output) != 0) {
        fail_msg("docker %s (%s): %s", words, name, line);
    }
    return line;
}

static void await(const char *words, const char *name, const char *answer) {
    int64_t deadline = testing_deadline() + 60000000000;
    while (strncmp(docker(words, name), answer, strlen(answer)) != 0) {
        if (testing_remaining_ms(deadline) == 0) {
            fail_msg("docker %s (%s) does not say %s", words, name, answer);
        }
        testing_pause();
    }
}

static void kill_container(const char *name) {
    (void)docker("kill $c", name);
}

static void start_container(const char *name) {
    (void)docker("start $c", name);
    await("inspect -f '{{.State.Health.Status}}' $c", name, "healthy");
}

static unsigned in_doubt(void) {
    return (unsigned)strtoul(
        docker("logs $c 2>&1 | grep -c copy.in_doubt || true", "bridge"), NULL, 10);
}

static int set_up(void **state) {
    (void)state;
    client = rabbitmq_connect();
    rabbitmq_queue(client, "out", NULL);
    rabbitmq_bind(client, "out", "orders", "#");
    return 0;
}

static int tear_down(void **state) {
    rabbitmq_disconnect(client);
    return testing_tidy(state);
}

static unsigned port(const char *variable) {
    const char *text = getenv(variable);
    assert_non_null(text);
    return (unsigned)strtoul(text, NULL, 10);
}

static struct mqtt *mqtt_client(const char *id, enum mqtt_version version) {
    const struct mqtt_options options = {
        .port = port("IDEM_MQTT_PORT"), .version = version, .client_id = id};
    return mqtt_connect(&options);
}

static void publish_order(struct mqtt *publisher, uint8_t qos, const char *id) {
    char payload[64];
    (void)snprintf(payload, sizeof payload, "{\"id\":\"%s\"}", id);
    mqtt_publish_ok(
        publisher,
        &(struct mqtt_message){.topic = "orders/new", .payload = payload, .qos = qos});
}

static void a_copy_is_dropped_at_every_qos_and_version(void **state) {
    static const enum mqtt_version versions[] = {MQTT_311, MQTT_5};
    struct mqtt *watcher = mqtt_client("watcher", MQTT_5);
    (void)state;
    mqtt_subscribe(watcher, "orders/#", 2);
    mqtt_subscribe(watcher, "$idem/duplicate/#", 2);
    for (unsigned i = 0; i < 6; i++) {
        char id[32];
        char delivered[64];
        char dropped[96];
        struct mqtt *publisher = mqtt_client("publisher", versions[i / 3]);
        (void)snprintf(id, sizeof id, "mqtt-%u", i);
        (void)snprintf(delivered, sizeof delivered, "orders/new {\"id\":\"%s\"}", id);
        (void)snprintf(dropped, sizeof dropped, "$idem/duplicate/%s", delivered);
        publish_order(publisher, (uint8_t)(i % 3), id);
        publish_order(publisher, (uint8_t)(i % 3), id);
        EXPECT_NEXT(watcher, delivered, dropped);
        mqtt_disconnect(publisher);
    }
}

static void what_came_over_mqtt_is_a_duplicate_over_amqp(void **state) {
    struct mqtt *publisher = mqtt_client("publisher", MQTT_5);
    (void)state;
    publish_order(publisher, 1, "both");
    mqtt_sync(publisher);
    rabbitmq_publish(client, &(struct rabbitmq_message){.routing_key = "orders.in",
                                                        .body = "{\"id\":\"both\"}"});
    rabbitmq_publish(client,
                     &(struct rabbitmq_message){.routing_key = "orders.in",
                                                .body = "{\"id\":\"amqp only\"}"});
    assert_string_equal(rabbitmq_take(client, "out"), "{\"id\":\"amqp only\"}");
    rabbitmq_wait_unheld("orders.in");
    assert_int_equal(rabbitmq_depth(client, "out"), 0);
}

static unsigned long figure(struct mqtt *watcher) {
    return strtoul(mqtt_receive(watcher)->payload, NULL, 10);
}

/* What was acknowledged and not yet completed would be in doubt, and delivered again. */
static void publish_and_await_completion(unsigned count) {
    struct mqtt *watcher = mqtt_client("figures", MQTT_5);
    struct mqtt *publisher = mqtt_client("publisher", MQTT_5);
    char id[32];
    mqtt_subscribe(watcher, "$SYS/broker/idem/completed", 1);
    unsigned long before = figure(watcher);
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(id, sizeof id, "killed-%u", i);
        publish_order(publisher, 1, id);
    }
    while (figure(watcher) < before + count) {
        continue; /* mqtt_receive has the deadline */
    }
    mqtt_drop(publisher);
    mqtt_drop(watcher);
}

static void keys_outlive_a_kill_of_the_broker(void **state) {
    const unsigned count = 50;
    char id[32];
    (void)state;
    publish_and_await_completion(count);
    kill_container("mosquitto");
    start_container("mosquitto");
    struct mqtt *watcher = mqtt_client("watcher", MQTT_5);
    mqtt_subscribe(watcher, "orders/#", 1);
    struct mqtt *publisher = mqtt_client("publisher", MQTT_5);
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(id, sizeof id, "killed-%u", i);
        publish_order(publisher, 1, id);
    }
    publish_order(publisher, 1, "after the kill");
    EXPECT_NEXT(watcher, "orders/new {\"id\":\"after the kill\"}");
}

static void publish_numbers(struct mqtt *publisher) {
    for (unsigned i = 0; i < MESSAGES; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "%u", i);
        publish_order(publisher, 1, id);
    }
}

/* The same all at once, without waiting for an answer. */
static void send_numbers(struct mqtt *publisher) {
    for (unsigned i = 0; i < MESSAGES; i++) {
        char payload[64];
        (void)snprintf(payload, sizeof payload, "{\"id\":\"%u\"}", i);
        (void)mqtt_send(
            publisher,
            &(struct mqtt_message){.topic = "orders/new", .payload = payload, .qos = 1});
    }
}

static unsigned seen[MESSAGES];

static void count_seen(const struct mqtt_message *message) {
    unsigned long number = strtoul(message->payload + strlen("{\"id\":\""), NULL, 10);
    assert_in_range(number, 0, MESSAGES - 1);
    seen[number]++;
}

/* How many numbers were seen; *extra: arrivals beyond the first of one. */
static unsigned count_numbers(unsigned *extra) {
    unsigned count = 0;
    *extra = 0;
    for (unsigned i = 0; i < MESSAGES; i++) {
        count += seen[i] > 0;
        *extra += seen[i] > 1 ? seen[i] - 1 : 0;
    }
    return count;
}

static void count_all(const struct mqtt_message *message) {
    for (; message != NULL; message = message->next) {
        count_seen(message);
    }
}

/* At QoS 0 it sends nothing: a broker's end does not take back what was written to it. */
static struct mqtt *number_watcher(void) {
    struct mqtt *watcher = mqtt_client("watcher", MQTT_5);
    mqtt_subscribe(watcher, "orders/#", 0);
    return watcher;
}

static void kill_amid_numbers(void) {
    unsigned extra = 0;
    struct mqtt *watcher = number_watcher();
    send_numbers(mqtt_client("publisher", MQTT_311));
    count_seen(mqtt_receive(watcher));
    kill_container("mosquitto");
    count_all(mqtt_collect_rest(watcher));
    assert_in_range(count_numbers(&extra), 1, MESSAGES - 1); /* in the middle it was */
    assert_int_equal(extra, 0);
    start_container("mosquitto");
}

/* Of what was delivered twice, each copy has been counted as in doubt; the figures begin with the broker. */
static void assert_in_doubt(unsigned extra) {
    struct mqtt *figures = mqtt_client("figures", MQTT_5);
    mqtt_subscribe(figures, "$SYS/broker/idem/messages/in_doubt", 1);
    while (figure(figures) < extra) {
        continue; /* mqtt_receive has the deadline */
    }
}

/* The publisher cannot know what was delivered, and sends everything again; then everything is a copy. */
static void killing_the_broker_in_the_middle_loses_nothing(void **state) {
    unsigned extra = 0;
    const struct mqtt_message *message;
    (void)state;
    memset(seen, 0, sizeof seen);
    kill_amid_numbers();
    struct mqtt *watcher = number_watcher();
    struct mqtt *publisher = mqtt_client("publisher", MQTT_311);
    publish_numbers(publisher);
    publish_numbers(publisher);
    publish_order(publisher, 1, "end");
    while (strstr((message = mqtt_receive(watcher))->payload, "end") == NULL) {
        count_seen(message);
    }
    assert_int_equal(count_numbers(&extra), MESSAGES);
    assert_in_doubt(extra);
}

static void wait_until_through(void) {
    rabbitmq_wait_depth(client, "orders.in", 0);
    rabbitmq_wait_unheld("orders.in");
}

/* Messages, and copies of the first third, of which the bridge has moved some. */
static void fill_and_move_some(const char *prefix) {
    (void)docker("pause $c", "bridge");
    rabbitmq_publish_many(client, "orders.in", prefix, MESSAGES);
    rabbitmq_publish_many(client, "orders.in", prefix, MESSAGES / 3);
    (void)docker("unpause $c", "bridge");
    rabbitmq_wait_more(client, "out", 200);
}

/* With the bridge dead or paused: a kill after the last message would show nothing. */
static void assert_in_the_middle(void) {
    rabbitmq_wait_unheld("orders.in");
    assert_in_range(rabbitmq_depth(client, "out"), 200, MESSAGES - 1);
    assert_in_range(rabbitmq_depth(client, "orders.in"), 1, MESSAGES + MESSAGES / 3);
}

static void killing_the_bridge_in_the_middle_loses_nothing(void **state) {
    unsigned before = in_doubt();
    (void)state;
    fill_and_move_some("m");
    kill_container("bridge");
    assert_in_the_middle();
    start_container("bridge");
    wait_until_through();
    tally_check(client, "out", MESSAGES, in_doubt() - before);
}

/* The keys have to be others than those of the test before: they are known. */
static void killing_rabbitmq_in_the_middle_loses_nothing(void **state) {
    unsigned before = in_doubt();
    (void)state;
    fill_and_move_some("n");
    rabbitmq_disconnect(client);
    rabbitmq_kill();
    (void)docker("pause $c", "bridge");
    rabbitmq_start_again();
    client = rabbitmq_connect();
    assert_in_the_middle();
    (void)docker("unpause $c", "bridge");
    await("inspect -f '{{.State.Health.Status}}' $c", "bridge", "healthy");
    wait_until_through();
    tally_check(client, "out", MESSAGES, in_doubt() - before);
}

/* The name of a container that is gone can take the resolver a while. */
static void wait_long_for(const char *queue, unsigned depth) {
    int64_t deadline = testing_deadline() + 120000000000;
    while (rabbitmq_depth(client, queue) != depth) {
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        testing_pause();
    }
}

static void a_kill_of_redis_stops_nothing(void **state) {
    (void)state;
    kill_container("redis");
    rabbitmq_publish_many(client, "orders.in", "r", 200);
    wait_long_for("out", 200);
    start_container("redis");
    await("inspect -f '{{.State.Health.Status}}' $c", "bridge", "healthy");
    rabbitmq_publish_many(client, "orders.in", "r", 200);
    wait_until_through();
    assert_int_equal(rabbitmq_depth(client, "out"), 200);
}

static void prometheus_reads_the_bridge_s_figures(void **state) {
    (void)state;
    await("exec $c promtool query instant http://127.0.0.1:9090 'up{job=\"idem\"}' | sed "
          "'s/.*=> \\([0-9]*\\).*/\\1/'",
          "prometheus", "1");
    assert_string_equal(docker("exec $c promtool check rules /etc/idem/idem-alerts.yml | "
                               "grep -o SUCCESS | head -n 1",
                               "prometheus"),
                        "SUCCESS\n");
}

static void postgres_lets_the_bridge_s_user_in(void **state) {
    (void)state;
    assert_string_equal(docker("exec -e PGPASSWORD=idem $c psql -h 127.0.0.1 -U idem -d "
                               "idem -Atc 'SELECT 1'",
                               "postgres"),
                        "1\n");
}

static void nothing_runs_as_root(void **state) {
    static const char *const names[] = {"mosquitto", "bridge",   "rabbitmq",
                                        "redis",     "postgres", "prometheus"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_string_not_equal(docker("exec $c id -u", names[i]), "0\n");
    }
}

#define STACK(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    if (getenv("IDEM_STACK") == NULL) {
        (void)fprintf(stderr, "skipped: make docker-test runs this\n");
        return TESTING_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        STACK(a_copy_is_dropped_at_every_qos_and_version),
        STACK(what_came_over_mqtt_is_a_duplicate_over_amqp),
        STACK(prometheus_reads_the_bridge_s_figures),
        STACK(postgres_lets_the_bridge_s_user_in),
        STACK(nothing_runs_as_root),
        STACK(keys_outlive_a_kill_of_the_broker),
        STACK(killing_the_broker_in_the_middle_loses_nothing),
        STACK(killing_the_bridge_in_the_middle_loses_nothing),
        STACK(killing_rabbitmq_in_the_middle_loses_nothing),
        STACK(a_kill_of_redis_stops_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
