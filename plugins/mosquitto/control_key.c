/* SPDX-License-Identifier: MIT
 * Commands about one key: asked of the store, and answered when it answers. */
#include "control_own.h"

#include <idem/identity.h>
#include <idem/sightings.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct question {
    struct idem_control_request *request;
    struct json_object *response; /* in the request's list */
    struct idem_digest digest;
};

/* ---- which key ---- */

/* "a", or ["a", "b"]: values that are borrowed from the request. False: it is nothing like that. */
static bool read_values(struct json_object *json, const char *name,
                        struct idem_span *values, size_t *count) {
    struct json_object *given = NULL;
    *count = 0;
    if (!json_object_object_get_ex(json, name, &given)) {
        return true;
    }
    bool list = json_object_is_type(given, json_type_array);
    size_t length = list ? json_object_array_length(given) : 1;
    if (length > IDEM_EXTRACTORS_MAX) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        struct json_object *value = list ? json_object_array_get_idx(given, i) : given;
        if (!json_object_is_type(value, json_type_string)) {
            return false;
        }
        values[i] = idem_span_of(json_object_get_string(value),
                                 (size_t)json_object_get_string_len(value));
    }
    *count = length;
    return true;
}

static const struct idem_rule *find_rule(const struct idem_control *control,
                                         const char *name) {
    for (size_t i = 0; i < control->rules->count; i++) {
        if (strcmp(control->rules->rules[i].name, name) == 0) {
            return &control->rules->rules[i];
        }
    }
    return NULL;
}

static bool has(struct json_object *json, const char *name) {
    return json_object_object_get_ex(json, name, NULL);
}

static enum idem_code digest_of_key(struct idem_digest *digest,
                                    const struct idem_control_command *command,
                                    const char *rule_name, struct idem_error *error) {
    const struct idem_control *control = command->request->control;
    const struct idem_rule *rule = find_rule(control, rule_name);
    struct idem_span values[IDEM_EXTRACTORS_MAX];
    struct idem_span scope[IDEM_EXTRACTORS_MAX];
    struct idem_known_key known = {.values = values, .scope = scope};
    known.scope_is_client = has(command->json, "client");
    const char *scope_name = known.scope_is_client        ? "client"
                             : has(command->json, "user") ? "user"
                                                          : "scope";
    if (rule == NULL) {
        return idem_error_set(error, IDEM_ERR_INVALID, 0, "no rule has that name");
    }
    if (!read_values(command->json, "key", values, &known.count) ||
        !read_values(command->json, scope_name, scope, &known.scope_count)) {
        return idem_error_set(
            error, IDEM_ERR_INVALID, 0,
            "key, user, client and scope are a text or a list of texts");
    }
    return idem_identify_known(digest, rule, &control->rules->secret, &known, error);
}

static enum idem_code read_key(struct idem_digest *digest,
                               const struct idem_control_command *command,
                               struct idem_error *error) {
    const char *hex = idem_control_text(command->json, "digest");
    const char *rule = idem_control_text(command->json, "rule");
    if (hex != NULL) {
        return idem_digest_parse(digest, hex)
                   ? IDEM_OK
                   : idem_error_set(error, IDEM_ERR_INVALID, 0,
                                    "a digest is 32 hexadecimal digits");
    }
    if (rule == NULL || !has(command->json, "key")) {
        return idem_error_set(error, IDEM_ERR_INVALID, 0,
                              "it takes digest, or rule and key");
    }
    return digest_of_key(digest, command, rule, error);
}

/* ---- asking ---- */

static struct question *ask(const struct idem_control_command *command) {
    struct idem_control_request *request = command->request;
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_digest digest;
    if (read_key(&digest, command, &error) != IDEM_OK) {
        idem_control_refuse(request, command->response, "%s", error.text);
        return NULL;
    }
    if (request->control->questions >= IDEM_CONTROL_QUESTIONS_MAX) {
        idem_control_refuse(request, command->response,
                            "too many questions wait for the store");
        return NULL;
    }
    struct question *question = calloc(1, sizeof *question);
    if (question == NULL) {
        idem_control_refuse(request, command->response, "out of memory");
        return NULL;
    }
    question->request = request;
    question->response = command->response;
    question->digest = digest;
    request->control->questions++;
    idem_control_hold(request);
    return question;
}

static struct json_object *new_data(const struct question *question) {
    char hex[IDEM_DIGEST_HEX_SIZE];
    struct json_object *data = json_object_new_object();
    if (data != NULL) {
        idem_digest_hex(&question->digest, hex);
        idem_control_add_text(data, "digest", hex);
    }
    return data;
}

static void answered(struct question *question, enum idem_code code,
                     struct json_object *data) {
    struct idem_control_request *request = question->request;
    request->control->questions--;
    if (code != IDEM_OK) {
        idem_control_refuse(request, question->response, "%s", idem_code_text(code));
        (void)json_object_put(data);
    } else {
        idem_control_answer(request, question->response, data);
    }
    idem_control_release(request);
    free(question);
}

/* ---- lookupKey ---- */

static const char *state_name(enum idem_record_state state) {
    switch (state) {
    case IDEM_RECORD_NONE:
        return "none";
    case IDEM_RECORD_PENDING:
        return "pending";
    case IDEM_RECORD_DONE:
        return "done";
    case IDEM_RECORD_SEQUENCE:
        return "sequence";
    }
    return "unknown";
}

static void add_sequence(struct json_object *data, const struct idem_record *record) {
    const struct idem_claim claim = {
        .number = {.present = true}, .terms = {.ttl_ms = 1}, .lease_ms = 1};
    struct idem_sequence_report report;
    struct idem_answer answer;
    memset(&report, 0, sizeof report);
    if (idem_sequence_preview(record, &claim, &answer, &report) != IDEM_OK) {
        return;
    }
    idem_control_add_number(data, "epoch", report.epoch);
    if (report.has_mark) {
        idem_control_add_number(data, "mark", report.mark);
    }
    idem_control_add_number(data, "claimed", report.claimed);
    idem_control_add_number(data, "givenBack", report.given_back);
}

static void add_record(struct json_object *data, const struct idem_record *record) {
    char text[IDEM_DIGEST_HEX_SIZE];
    idem_control_add_text(data, "state", state_name(record->state));
    if (record->state == IDEM_RECORD_NONE) {
        return;
    }
    idem_control_add_time(data, "firstSeen", record->first_seen_ms);
    idem_control_add_time(data, "until", record->until_ms);
    if (record->has_fingerprint) {
        idem_digest_hex(&record->fingerprint, text);
        idem_control_add_text(data, "fingerprint", text);
    }
    if (record->state == IDEM_RECORD_SEQUENCE) {
        add_sequence(data, record);
        return;
    }
    (void)snprintf(text, sizeof text, "%016" PRIx64, record->owner.instance);
    idem_control_add_text(data, "owner", text);
    idem_control_add_number(data, "resultBytes", record->result.len);
}

/* Of this process, since it has the key in its sample. */
static void add_sightings(struct json_object *data, const struct question *question) {
    struct idem_sighting *all = calloc(IDEM_SIGHTINGS_MAX, sizeof *all);
    size_t count = all == NULL
                       ? 0
                       : idem_receiver_sightings(question->request->control->receiver,
                                                 all, IDEM_SIGHTINGS_MAX);
    int64_t last_seen_ms = 0;
    for (size_t i = 0; i < count; i++) {
        if (idem_digest_equal(&all[i].digest, &question->digest)) {
            idem_control_add_number(data, idem_reason_name(all[i].reason), all[i].count);
            last_seen_ms =
                all[i].last_seen_ms > last_seen_ms ? all[i].last_seen_ms : last_seen_ms;
        }
    }
    idem_control_add_time(data, "lastSeen", last_seen_ms);
    free(all);
}

static void looked_up(void *arg, const struct idem_answer *answer) {
    static const struct idem_record none = {.state = IDEM_RECORD_NONE};
    struct question *question = arg;
    bool absent = answer->code == IDEM_ERR_NOT_FOUND;
    struct json_object *data = NULL;
    if (answer->code == IDEM_OK || absent) {
        data = new_data(question);
        if (data != NULL) {
            add_record(data, absent ? &none : &answer->record);
            add_sightings(data, question);
        }
    }
    answered(question, absent ? IDEM_OK : answer->code, data);
}

void idem_control_lookup_key(const struct idem_control_command *command) {
    struct idem_control_request *request = command->request;
    struct question *question = ask(command);
    if (question != NULL) {
        idem_store_lookup(request->control->store, &question->digest, request->now_ms,
                          looked_up, question);
    }
}

/* ---- forgetKey ---- */

static void forgotten(void *arg, const struct idem_answer *answer) {
    struct question *question = arg;
    bool absent = answer->code == IDEM_ERR_NOT_FOUND;
    struct json_object *data = NULL;
    if (answer->code == IDEM_OK || absent) {
        data = new_data(question);
        if (data != NULL) {
            (void)json_object_object_add(data, "forgotten",
                                         json_object_new_boolean(!absent));
        }
    }
    answered(question, absent ? IDEM_OK : answer->code, data);
}

void idem_control_forget_key(const struct idem_control_command *command) {
    struct idem_control_request *request = command->request;
    char hex[IDEM_DIGEST_HEX_SIZE];
    struct question *question = ask(command);
    if (question == NULL) {
        return;
    }
    idem_digest_hex(&question->digest, hex);
    idem_log_write(request->control->log, IDEM_LOG_NOTICE, "key.forget",
                   "digest %s, by client %.128s, user '%.128s': its next copy is new",
                   hex, request->client_id, command->user);
    idem_store_forget(request->control->store, &question->digest, forgotten, question);
}
