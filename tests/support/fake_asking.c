/* SPDX-License-Identifier: MIT
 * The stage of tests of the control topic: rules, a store that answers when the test lets it, two clients. */
#include "fake_asking.h"

#include "control.h"

#include "compat.h"

#include <idem/config.h>

#include <stdio.h>
#include <stdlib.h>

size_t asking_refuse;
bool asking_refused;
static const char configuration[] =
    "instance: unit\nstore: {url: 'memory:'}\nrules:\n"
    "  - {name: orders, match: {topic: orders/#}, key: property:id, scope: global}\n"
    "  - {name: own, match: {topic: own/#}, key: {all: [topic:2, property:id]}, "
    "scope: principal}\n"
    "  - {name: plain, match: {topic: plain/#}, strategy: natural}\n"
    "  - {name: count, match: {topic: count/#}, strategy: sequence, scope: global, "
    "sequence: {producer: client, number: property:id, window: 8}}\n";

static struct idem_config config;
static struct idem_receiver *receiver;
struct idem_control asking_control;
struct mosquitto asking_clients[] = {{"first", "alice", 5}, {"second", NULL, 4}};

char asking_log[2048];

static void keep_line(void *context, enum idem_log_level level, const char *event,
                      const char *text) {
    (void)context;
    (void)level;
    size_t used = strlen(asking_log);
    (void)snprintf(asking_log + used, sizeof asking_log - used, "%s: %s\n", event, text);
}

/* ---- the memory store, and one in front of it that may answer later, or with a code ---- */

struct waiting {
    struct waiting *next;
    struct idem_digest digest;
    bool forget;
    idem_store_done *done;
    void *arg;
};

static struct idem_store *behind;
bool asking_slow;
enum idem_code asking_code;
static struct waiting *waiting;

static void carry_out(const struct waiting *asked) {
    if (asking_code != IDEM_OK) {
        asked->done(asked->arg, &(struct idem_answer){.code = asking_code});
    } else if (asked->forget) {
        idem_store_forget(behind, &asked->digest, asked->done, asked->arg);
    } else {
        idem_store_lookup(behind, &asked->digest, NOW_MS, asked->done, asked->arg);
    }
}

void asking_answer(void) {
    struct waiting *first = waiting;
    assert_non_null(first);
    waiting = first->next;
    carry_out(first);
    free(first);
}

void asking_answer_all(void) {
    while (waiting != NULL) {
        asking_answer();
    }
}

static void take(const struct waiting *asked) {
    if (!asking_slow) {
        carry_out(asked);
        return;
    }
    struct waiting **end = &waiting;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = malloc(sizeof **end);
    assert_non_null(*end);
    **end = *asked;
}

static void slow_lookup(struct idem_store *self, const struct idem_digest *digest,
                        int64_t now_ms, idem_store_done *done, void *arg) {
    (void)self;
    (void)now_ms;
    take(&(struct waiting){.digest = *digest, .done = done, .arg = arg});
}

static void slow_forget(struct idem_store *self, const struct idem_digest *digest,
                        idem_store_done *done, void *arg) {
    (void)self;
    take(&(struct waiting){.digest = *digest, .forget = true, .done = done, .arg = arg});
}

static const struct idem_store_ops slow_ops = {.lookup = slow_lookup,
                                               .forget = slow_forget};
static struct idem_store slow_store = {.ops = &slow_ops};

static const struct idem_log kept = {.sink = keep_line, .level = IDEM_LOG_DEBUG};

static void figures_of_test(void *arg, const struct idem_figure_visitor *visitor) {
    (void)arg;
    visitor->text(visitor->arg, "version", "1.2");
    visitor->number(visitor->arg, "messages/new", 7);
    visitor->number(visitor->arg, "rules/orders/messages/new", UINT64_C(1) << 60);
}

int asking_start(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    fake_broker_start(FAKE_2_0_11);
    idem_compat_learn();
    asking_log[0] = '\0';
    assert_int_equal(idem_digest_init(&error), IDEM_OK);
    assert_int_equal(idem_config_parse(&config, "unit.yaml", configuration,
                                       strlen(configuration), NULL, NULL, &error),
                     IDEM_OK);
    struct idem_store_options store_options = {.url = config.store.url};
    assert_int_equal(idem_store_open(&behind, &store_options, &error), IDEM_OK);
    asking_slow = false;
    asking_code = IDEM_OK;
    struct idem_receiver_options options = {
        .store = behind, .rules = &config.rules, .instance = config.instance};
    assert_int_equal(idem_receiver_open(&receiver, &options, &error), IDEM_OK);
    asking_control = (struct idem_control){.mode = IDEM_CONTROL_FULL,
                                           .receiver = receiver,
                                           .store = &slow_store,
                                           .rules = &config.rules,
                                           .log = &kept,
                                           .figures = figures_of_test};
    return 0;
}

int asking_stop(void **state) {
    (void)state;
    idem_control_stop(&asking_control);
    idem_receiver_close(receiver);
    asking_answer_all();
    idem_store_close(behind);
    assert_null(asking_control.open);
    idem_config_fini(&config);
    fake_broker_stop();
    return 0;
}

void asking_send(size_t client, const char *payload, size_t size) {
    char *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy, payload, size);
    struct mosquitto_evt_control event = {.client = &asking_clients[client],
                                          .topic = IDEM_CONTROL_TOPIC,
                                          .payload = copy,
                                          .payloadlen = (uint32_t)size,
                                          .qos = 1};
    if (asking_refuse > 0) {
        fake_broker_refuse(asking_refuse, 1);
        asking_refuse = 0;
    }
    assert_int_equal(idem_control_event(&asking_control, &event, NOW_MS),
                     MOSQ_ERR_SUCCESS);
    asking_refused = fake_broker_refused();
    free(copy);
}

/* The one response that is in the queue; the caller frees it. */
struct json_object *asking_taken(const char *client) {
    const struct fake_published *at = fake_broker_queue();
    assert_int_equal(fake_broker_queued(), 1);
    assert_string_equal(at->topic, "$CONTROL/idem/v1/response");
    assert_string_equal(at->client_id, client);
    assert_false(at->retain);
    struct json_tokener *tokener = json_tokener_new();
    struct json_object *json = json_tokener_parse_ex(tokener, at->payload, (int)at->size);
    assert_non_null(json);
    json_tokener_free(tokener);
    fake_broker_take_queue();
    return json;
}

/* Asks, and compares the response as it stands with what is wanted. */
void asking_expect(const char *request, const char *response) {
    asking_send(0, request, strlen(request));
    struct json_object *json = asking_taken("first");
    assert_string_equal(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN),
                        response);
    (void)json_object_put(json);
}

void asking_expect_error(const char *command, const char *error) {
    char request[2048];
    (void)snprintf(request, sizeof request, "{\"commands\":[%s]}", command);
    asking_send(0, request, strlen(request));
    struct json_object *json = asking_taken("first");
    const char *text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN);
    if (strstr(text, "\"error\":") == NULL || strstr(text, error) == NULL) {
        fail_msg("%s was answered %s", command, text);
    }
    (void)json_object_put(json);
}

/* A copy of an order, delivered for certain. */
static void decided(void *arg, struct idem_delivery *delivery) {
    (void)arg;
    if (delivery->claimed) {
        idem_receiver_complete(receiver, delivery, NOW_MS, NULL, NULL);
    }
}

static bool find_id(void *source, struct idem_span name, struct idem_span *value) {
    *value = idem_span_text(source);
    return idem_span_equal(name, idem_span_text("id"));
}

enum idem_reason asking_submit(const char *topic, const char *id) {
    char copy[64];
    struct idem_delivery delivery;
    (void)snprintf(copy, sizeof copy, "%s", id);
    struct idem_message message = {.protocol = IDEM_PROTOCOL_MQTT,
                                   .topic = idem_span_text(topic),
                                   .client = idem_span_text("c1"),
                                   .payload = idem_span_text("payload"),
                                   .property = find_id,
                                   .property_source = copy};
    idem_receiver_submit(receiver, &message, NOW_MS, &delivery, decided, NULL);
    return delivery.reason;
}

/* Asks one command, and returns its response; the caller frees it. */
struct json_object *asking_ask(const char *command) {
    char request[2048];
    (void)snprintf(request, sizeof request, "{\"commands\":[%s]}", command);
    asking_send(0, request, strlen(request));
    struct json_object *json = asking_taken("first");
    struct json_object *list = NULL;
    assert_true(json_object_object_get_ex(json, "responses", &list));
    assert_int_equal(json_object_array_length(list), 1);
    struct json_object *response = json_object_get(json_object_array_get_idx(list, 0));
    (void)json_object_put(json);
    return response;
}

/* A member of the response's data as a text; free with the response. */
const char *asking_data(struct json_object *response, const char *name) {
    struct json_object *data = NULL;
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(response, "data", &data)) {
        fail_msg("%s", json_object_to_json_string(response));
    }
    return json_object_object_get_ex(data, name, &value) ? json_object_get_string(value)
                                                         : NULL;
}

void asking_expect_data(const char *command, const char *name, const char *value) {
    struct json_object *response = asking_ask(command);
    const char *found = asking_data(response, name);
    if (found == NULL) {
        fail_msg("%s has no %s", json_object_to_json_string(response), name);
    }
    assert_string_equal(found, value);
    (void)json_object_put(response);
}
