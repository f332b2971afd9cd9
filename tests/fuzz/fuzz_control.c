/* SPDX-License-Identifier: MIT
 * Fuzz target: any bytes as a request on the control topic. Each is answered once, with JSON of the form that
 * is documented, and nothing stays open. The first byte says what the configuration allows. */
#include "control.h"

#include "compat.h"

#include <idem/store.h>

#include <stdio.h>
#include <stdlib.h>

#define T0 INT64_C(1700000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char configuration[] =
    "instance: fuzz\nstore: {url: 'memory:'}\nrules:\n"
    "  - {name: orders, match: {topic: orders/#}, key: property:id, scope: global}\n"
    "  - {name: own, match: {topic: own/#}, key: {all: [topic:2, property:id]}, "
    "scope: principal}\n"
    "  - {name: plain, match: {topic: plain/#}, strategy: natural}\n"
    "  - {name: count, match: {topic: count/#}, strategy: sequence, scope: global, "
    "sequence: {producer: client, number: property:id, window: 8}}\n";

static struct idem_config config;
static struct idem_store *store;
static struct idem_receiver *receiver;
static size_t responses;

static void require(bool holds, const char *what) {
    if (!holds) {
        (void)fprintf(stderr, "%s\n", what);
        abort();
    }
}

/* The broker's part. */
const char *mosquitto_client_id(const struct mosquitto *client) {
    (void)client;
    return "client";
}

const char *mosquitto_client_username(const struct mosquitto *client) {
    (void)client;
    return NULL;
}

int idem_compat_publish_to(const char *client_id, const char *topic,
                           struct idem_span payload, int qos, bool retain,
                           mosquitto_property *properties) {
    struct json_tokener *tokener = json_tokener_new();
    require(tokener != NULL, "out of memory");
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *json =
        json_tokener_parse_ex(tokener, (const char *)payload.data, (int)payload.len);
    struct json_object *list = NULL;
    require(json != NULL && json_tokener_get_parse_end(tokener) == payload.len,
            "a response that is no JSON");
    require(json_object_object_get_ex(json, "responses", &list) &&
                json_object_is_type(list, json_type_array),
            "a response without responses");
    require(strcmp(client_id, "client") == 0 &&
                strcmp(topic, IDEM_CONTROL_RESPONSE_TOPIC) == 0 && qos < 2 && !retain &&
                properties == NULL,
            "a response to another client or topic");
    (void)json_object_put(json);
    json_tokener_free(tokener);
    responses++;
    return MOSQ_ERR_SUCCESS;
}

static void figures(void *arg, const struct idem_figure_visitor *visitor) {
    (void)arg;
    visitor->text(visitor->arg, "version", "1.2");
    visitor->number(visitor->arg, "rules/orders/messages/new", UINT64_C(1) << 60);
}

static void drop_line(void *context, enum idem_log_level level, const char *event,
                      const char *text) {
    (void)context;
    (void)level;
    (void)event;
    (void)text;
}

static void set_up(void) {
    struct idem_store_options store_options = {.url = "memory:"};
    struct idem_receiver_options options = {.rules = &config.rules};
    require(idem_digest_init(NULL) == IDEM_OK, "no hash");
    require(idem_config_parse(&config, "fuzz.yaml", configuration, strlen(configuration),
                              NULL, NULL, NULL) == IDEM_OK,
            "no configuration");
    require(idem_store_open(&store, &store_options, NULL) == IDEM_OK, "no store");
    options.store = store;
    options.instance = config.instance;
    require(idem_receiver_open(&receiver, &options, NULL) == IDEM_OK, "no receiver");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct idem_log log = {.sink = drop_line, .level = IDEM_LOG_DEBUG};
    static const enum idem_control_mode modes[] = {IDEM_CONTROL_FULL, IDEM_CONTROL_READ,
                                                   IDEM_CONTROL_OFF};
    if (receiver == NULL) {
        set_up();
    }
    if (size == 0) {
        return 0;
    }
    struct idem_control control = {.mode = modes[data[0] % 3],
                                   .receiver = receiver,
                                   .store = store,
                                   .rules = &config.rules,
                                   .log = &log,
                                   .figures = figures};
    /* exactly as long as it is, so that a byte read behind it is seen */
    void *payload = malloc(size > 1 ? size - 1 : 1);
    require(payload != NULL, "out of memory");
    memcpy(payload, data + 1, size - 1);
    struct mosquitto_evt_control event = {.client = (struct mosquitto *)&control,
                                          .topic = IDEM_CONTROL_TOPIC,
                                          .payload = payload,
                                          .payloadlen = (uint32_t)(size - 1),
                                          .qos = (uint8_t)(data[0] & 1)};
    responses = 0;
    require(idem_control_event(&control, &event, T0) == MOSQ_ERR_SUCCESS,
            "the client would be disconnected");
    require(responses == 1, "not one response");
    require(control.open == NULL && control.questions == 0, "something stayed open");
    free(payload);
    return 0;
}
