/* SPDX-License-Identifier: MIT
 * Commands on $CONTROL/idem/v1: from a request to its response. */
#include "control_own.h"

#include "compat.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    idem_control_handler *run;
    bool changes;
} commands[] = {
    {"getStats", idem_control_get_stats, false},
    {"listRules", idem_control_list_rules, false},
    {"getDuplicates", idem_control_get_duplicates, false},
    {"lookupKey", idem_control_lookup_key, false},
    {"forgetKey", idem_control_forget_key, true},
    {"setRuleState", idem_control_set_rule_state, true},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

/* ---- answering ---- */

static size_t size_of(struct json_object *object) {
    size_t size = 0;
    (void)json_object_to_json_string_length(object, JSON_C_TO_STRING_PLAIN, &size);
    return size;
}

void idem_control_answer(struct idem_control_request *request,
                         struct json_object *response, struct json_object *data) {
    if (data == NULL) {
        idem_control_refuse(request, response, "out of memory");
        return;
    }
    (void)json_object_object_add(response, "data", data);
    request->size += size_of(data);
}

void idem_control_refuse(struct idem_control_request *request,
                         struct json_object *response, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    request->control->counts.refused++;
    idem_control_add_text(response, "error", text);
}

static void send_response(const struct idem_control_request *request) {
    struct json_object *whole = json_object_new_object();
    if (whole == NULL) {
        return;
    }
    (void)json_object_object_add(whole, "responses", json_object_get(request->responses));
    const char *text = json_object_to_json_string_ext(
        whole, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    int rc =
        text == NULL
            ? MOSQ_ERR_NOMEM
            : idem_compat_publish_to(request->client_id, IDEM_CONTROL_RESPONSE_TOPIC,
                                     idem_span_text(text), request->qos, false, NULL);
    if (rc != MOSQ_ERR_SUCCESS) {
        idem_log_write(request->control->log, IDEM_LOG_WARNING, "control.unanswered",
                       "a response could not be sent: error %d", rc);
    }
    (void)json_object_put(whole);
}

static void request_free(struct idem_control_request *request) {
    struct idem_control_request **at = &request->control->open;
    while (*at != NULL && *at != request) {
        at = &(*at)->next;
    }
    if (*at == request) {
        *at = request->next;
    }
    (void)json_object_put(request->responses);
    free(request->client_id);
    free(request);
}

void idem_control_hold(struct idem_control_request *request) {
    request->open++;
}

void idem_control_release(struct idem_control_request *request) {
    if (--request->open > 0) {
        return;
    }
    if (request->client != NULL && !request->control->stopped) {
        send_response(request);
    }
    request_free(request);
}

/* ---- reading ---- */

/* A file that is published with its last newline is as good as without it. */
static bool only_space(const char *text, size_t length) {
    size_t i = 0;
    while (i < length && strchr(" \t\r\n", text[i]) != NULL && text[i] != '\0') {
        i++;
    }
    return i == length;
}

static struct json_object *parse(const struct mosquitto_evt_control *event) {
    if (event->payload == NULL || event->payloadlen > IDEM_CONTROL_REQUEST_MAX) {
        return NULL;
    }
    struct json_tokener *tokener = json_tokener_new_ex(IDEM_CONTROL_DEPTH_MAX);
    if (tokener == NULL) {
        return NULL;
    }
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *json =
        json_tokener_parse_ex(tokener, event->payload, (int)event->payloadlen);
    size_t end = json_tokener_get_parse_end(tokener);
    bool whole = json_tokener_get_error(tokener) == json_tokener_success &&
                 only_space((const char *)event->payload + end, event->payloadlen - end);
    json_tokener_free(tokener);
    if (!whole) {
        (void)json_object_put(json);
        return NULL;
    }
    return json;
}

static struct json_object *member(struct json_object *json, const char *name,
                                  enum json_type type) {
    struct json_object *value = NULL;
    bool found = json_object_is_type(json, json_type_object) &&
                 json_object_object_get_ex(json, name, &value) &&
                 json_object_is_type(value, type);
    return found ? value : NULL;
}

static void run(struct idem_control_command *command, const char *name) {
    struct idem_control_request *request = command->request;
    const struct idem_control *control = request->control;
    size_t i = 0;
    while (i < COMMAND_COUNT && strcmp(commands[i].name, name) != 0) {
        i++;
    }
    if (i == COMMAND_COUNT) {
        idem_control_refuse(request, command->response, "Unknown command");
    } else if (control->mode == IDEM_CONTROL_OFF) {
        idem_control_refuse(request, command->response,
                            "not allowed: mqtt.control is off");
    } else if (commands[i].changes && control->mode != IDEM_CONTROL_FULL) {
        idem_control_refuse(request, command->response,
                            "not allowed: it takes mqtt.control: full");
    } else if (request->size > IDEM_CONTROL_RESPONSE_MAX) {
        idem_control_refuse(request, command->response, "the response is too large");
    } else {
        commands[i].run(command);
    }
}

/* A response of its own for each command, in their order. False: no memory. */
static struct json_object *new_response(struct idem_control_request *request,
                                        const char *name, const char *correlation) {
    struct json_object *response = json_object_new_object();
    if (response == NULL || json_object_array_add(request->responses, response) != 0) {
        (void)json_object_put(response);
        return NULL;
    }
    idem_control_add_text(response, "command", name);
    if (correlation != NULL) {
        idem_control_add_text(response, "correlationData", correlation);
    }
    return response;
}

static void read_command(struct idem_control_request *request, struct json_object *json,
                         const char *user) {
    const char *name = idem_control_text(json, "command");
    struct idem_control_command command = {
        .request = request,
        .json = json,
        .user = user,
        .response = new_response(request, name != NULL ? name : "Unknown command",
                                 idem_control_text(json, "correlationData")),
    };
    request->control->counts.commands++;
    if (command.response == NULL) {
        return;
    }
    if (name == NULL) {
        idem_control_refuse(request, command.response, "Missing command");
        return;
    }
    run(&command, name);
}

static void refuse_all(struct idem_control_request *request, const char *why) {
    struct json_object *response = new_response(request, "Unknown command", NULL);
    if (response != NULL) {
        idem_control_refuse(request, response, "%s", why);
    }
}

static void read_request(struct idem_control_request *request,
                         const struct mosquitto_evt_control *event) {
    const char *user = mosquitto_client_username(event->client);
    struct json_object *json = parse(event);
    struct json_object *list = member(json, "commands", json_type_array);
    if (json == NULL) {
        refuse_all(request, event->payloadlen > IDEM_CONTROL_REQUEST_MAX
                                ? "Payload too large"
                                : "Payload not valid JSON");
    } else if (list == NULL) {
        refuse_all(request, "Invalid/missing commands");
    } else if (json_object_array_length(list) > IDEM_CONTROL_COMMANDS_MAX) {
        refuse_all(request, "Too many commands");
    } else {
        for (size_t i = 0; i < json_object_array_length(list); i++) {
            read_command(request, json_object_array_get_idx(list, i),
                         user != NULL ? user : "");
        }
    }
    (void)json_object_put(json);
}

static struct idem_control_request *
request_new(struct idem_control *control, const struct mosquitto_evt_control *event) {
    const char *client_id = mosquitto_client_id(event->client);
    struct idem_control_request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return NULL;
    }
    request->control = control;
    request->client = event->client;
    request->client_id = strdup(client_id != NULL ? client_id : "");
    request->qos = event->qos > 0 ? 1 : 0;
    request->responses = json_object_new_array();
    if (request->client_id == NULL || request->responses == NULL) {
        request_free(request);
        return NULL;
    }
    request->next = control->open;
    control->open = request;
    return request;
}

int idem_control_event(struct idem_control *control,
                       const struct mosquitto_evt_control *event, int64_t now_ms) {
    struct idem_control_request *request = request_new(control, event);
    control->counts.requests++;
    if (request == NULL) {
        return MOSQ_ERR_SUCCESS;
    }
    request->now_ms = now_ms;
    idem_control_hold(request);
    read_request(request, event);
    idem_control_release(request);
    return MOSQ_ERR_SUCCESS;
}

void idem_control_client_gone(struct idem_control *control, const void *client) {
    for (struct idem_control_request *at = control->open; at != NULL; at = at->next) {
        if (at->client == client) {
            at->client = NULL;
        }
    }
}

void idem_control_stop(struct idem_control *control) {
    control->stopped = true;
}
