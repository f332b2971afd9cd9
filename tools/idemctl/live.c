/* SPDX-License-Identifier: MIT
 * What the commands share that look at running programs: addresses, options, questions over HTTP. */
#include "live.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GET_TIMEOUT_S 5
#define BODY_MAX      (4 * 1024 * 1024)
#define DEPTH_MAX     16

bool live_address(char *address, size_t size, uint16_t *port, const char *text) {
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    if (colon == NULL) {
        return false;
    }
    unsigned long number = strtoul(colon + 1, &end, 10);
    size_t length = (size_t)(colon - text);
    bool bracket = text[0] == '[' && length > 2 && text[length - 1] == ']';
    if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || number > 65535 ||
        length == 0 || length >= size) {
        return false;
    }
    memcpy(address, text + (bracket ? 1 : 0), length - (bracket ? 2 : 0));
    address[length - (bracket ? 2 : 0)] = '\0';
    *port = (uint16_t)number;
    return true;
}

void live_take_figure(struct figures *figures, const struct mosquitto_message *message) {
    size_t length = strlen(LIVE_FIGURES);
    if (strncmp(message->topic, LIVE_FIGURES, length) == 0 && message->payloadlen >= 0) {
        figures_set(figures, message->topic + length, message->payload,
                    (size_t)message->payloadlen);
    }
}

/* ---- options ---- */

void live_source_init(struct live_source *source) {
    memset(source, 0, sizeof *source);
    broker_options_init(&source->broker);
}

void live_source_fini(struct live_source *source) {
    broker_options_fini(&source->broker);
    free(source->token);
}

bool live_is_option(int option) {
    return option == 'V' ||
           (option >= BROKER_OPTION_MQTT && option <= LIVE_OPTION_TOKEN_FILE);
}

bool live_option(struct live_source *source, int option, const char *value) {
    switch (option) {
    case LIVE_OPTION_HTTP:
        source->url = value;
        return true;
    case LIVE_OPTION_TOKEN_FILE:
        return broker_read_word(&source->token, "--token-file", value);
    default:
        return broker_option(&source->broker, option, value);
    }
}

bool live_source_settle(const struct live_source *source, const char *command, int count,
                        char **words) {
    if (count > 0) {
        ctl_complain("%s is no option of %s", words[0], command);
        return false;
    }
    bool one = (source->url != NULL) != (source->broker.port != 0);
    if (!one) {
        ctl_complain("name a broker by --mqtt HOST, or a bridge by --http URL");
    }
    return one;
}

/* ---- HTTP ---- */

struct get {
    struct event_base *base;
    struct evhttp_uri *uri;
    struct evhttp_connection *connection;
    int status; /* 0: no answer */
    char *body; /* owned */
    size_t size;
};

static void got(struct evhttp_request *request, void *arg) {
    struct get *get = arg;
    if (request != NULL) {
        struct evbuffer *body = evhttp_request_get_input_buffer(request);
        get->status = evhttp_request_get_response_code(request);
        get->size = evbuffer_get_length(body);
        get->body = malloc(get->size + 1);
        if (get->body != NULL) {
            (void)evbuffer_copyout(body, get->body, get->size);
        }
    }
    (void)event_base_loopbreak(get->base);
}

static bool start(struct get *get, const struct live_source *source, const char *path) {
    const char *host = evhttp_uri_get_host(get->uri);
    int port = evhttp_uri_get_port(get->uri);
    char header[4096 + 16];
    if (host == NULL || strcmp(evhttp_uri_get_scheme(get->uri), "http") != 0) {
        return false;
    }
    get->connection = evhttp_connection_base_new(get->base, NULL, host,
                                                 (uint16_t)(port > 0 ? port : 80));
    struct evhttp_request *request =
        get->connection != NULL ? evhttp_request_new(got, get) : NULL;
    if (request == NULL) {
        return false;
    }
    evhttp_connection_set_timeout(get->connection, GET_TIMEOUT_S);
    evhttp_connection_set_max_body_size(get->connection, BODY_MAX);
    (void)evhttp_add_header(evhttp_request_get_output_headers(request), "Host", host);
    if (source->token != NULL) {
        (void)snprintf(header, sizeof header, "Bearer %s", source->token);
        (void)evhttp_add_header(evhttp_request_get_output_headers(request),
                                "Authorization", header);
    }
    return evhttp_make_request(get->connection, request, EVHTTP_REQ_GET, path) == 0;
}

struct json_object *live_parse(const void *bytes, size_t size) {
    struct json_tokener *tokener =
        size <= BODY_MAX ? json_tokener_new_ex(DEPTH_MAX) : NULL;
    struct json_object *json =
        tokener != NULL ? json_tokener_parse_ex(tokener, bytes, (int)size) : NULL;
    if (tokener != NULL) {
        json_tokener_free(tokener);
    }
    return json;
}

const char *live_text(struct json_object *object, const char *name) {
    struct json_object *value = NULL;
    return json_object_object_get_ex(object, name, &value) &&
                   json_object_is_type(value, json_type_string)
               ? json_object_get_string(value)
               : "";
}

struct json_object *live_get(const struct live_source *source, const char *path,
                             char *trouble, size_t size) {
    struct get get = {.base = event_base_new(), .uri = evhttp_uri_parse(source->url)};
    struct json_object *json = NULL;
    trouble[0] = '\0';
    if (get.base == NULL || get.uri == NULL || evhttp_uri_get_scheme(get.uri) == NULL ||
        !start(&get, source, path)) {
        (void)snprintf(trouble, size, "it is no URL like http://127.0.0.1:9477");
    } else {
        (void)event_base_dispatch(get.base);
        json = get.status == HTTP_OK && get.body != NULL ? live_parse(get.body, get.size)
                                                         : NULL;
        if (get.status == 0) {
            (void)snprintf(trouble, size, "no answer");
        } else if (get.status == 401) {
            (void)snprintf(trouble, size, "it wants its token: --token-file FILE");
        } else if (json == NULL) {
            (void)snprintf(trouble, size, "it answers %d, and no figures", get.status);
        }
    }
    free(get.body);
    if (get.connection != NULL) {
        evhttp_connection_free(get.connection);
    }
    if (get.uri != NULL) {
        evhttp_uri_free(get.uri);
    }
    if (get.base != NULL) {
        event_base_free(get.base);
    }
    return json;
}
