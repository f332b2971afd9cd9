/* SPDX-License-Identifier: MIT
 * Commands about rules, figures and what was recognised lately: answered at once. */
#include "control_own.h"

#include <idem/sightings.h>

#include <stdlib.h>

/* ---- getStats ---- */

/* The object that the name's branches lead to ("a/b/c": a, then b), made where it is not there. */
static struct json_object *branch_of(struct json_object *root, const char **name) {
    const char *slash = NULL;
    while (root != NULL && (slash = strchr(*name, '/')) != NULL) {
        char branch[IDEM_FIGURE_NAME_MAX];
        size_t len = (size_t)(slash - *name);
        struct json_object *next = NULL;
        memcpy(branch, *name, len);
        branch[len] = '\0';
        if (!json_object_object_get_ex(root, branch, &next)) {
            next = json_object_new_object();
            (void)json_object_object_add(root, branch, next);
        }
        root = next;
        *name = slash + 1;
    }
    return root;
}

static void put_text(void *arg, const char *name, const char *value) {
    const char *leaf = name;
    struct json_object *branch = branch_of(arg, &leaf);
    if (branch != NULL) {
        idem_control_add_text(branch, leaf, value);
    }
}

static void put_number(void *arg, const char *name, uint64_t value) {
    const char *leaf = name;
    struct json_object *branch = branch_of(arg, &leaf);
    if (branch != NULL) {
        idem_control_add_number(branch, leaf, value);
    }
}

void idem_control_get_stats(const struct idem_control_command *command) {
    const struct idem_control *control = command->request->control;
    struct json_object *data = json_object_new_object();
    const struct idem_figure_visitor visitor = {put_text, put_number, data};
    if (data != NULL) {
        control->figures(control->figures_arg, &visitor);
    }
    idem_control_answer(command->request, command->response, data);
}

/* ---- listRules, setRuleState ---- */

static const char *strategy_name(enum idem_strategy strategy) {
    switch (strategy) {
    case IDEM_STRATEGY_NATURAL:
        return "natural";
    case IDEM_STRATEGY_KEY:
        return "key";
    case IDEM_STRATEGY_SEQUENCE:
        return "sequence";
    }
    return "";
}

static const char *scope_name(enum idem_scope_kind kind) {
    switch (kind) {
    case IDEM_SCOPE_GLOBAL:
        return "global";
    case IDEM_SCOPE_RULE:
        return "rule";
    case IDEM_SCOPE_PRINCIPAL:
        return "principal";
    case IDEM_SCOPE_BY:
        return "by";
    }
    return "";
}

static const struct idem_rule_counts *counts_of(const struct idem_rule_counts *rows,
                                                size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

static struct json_object *describe(const struct idem_rule *rule,
                                    const struct idem_rule_counts *counts) {
    struct json_object *object = json_object_new_object();
    if (object == NULL) {
        return NULL;
    }
    idem_control_add_text(object, "name", rule->name);
    idem_control_add_number(object, "line", (uint64_t)rule->line);
    if (rule->match.topic != NULL) {
        idem_control_add_text(object, "topic", rule->match.topic);
    }
    idem_control_add_text(object, "strategy", strategy_name(rule->strategy));
    if (rule->strategy != IDEM_STRATEGY_NATURAL) {
        idem_control_add_text(object, "scope", scope_name(rule->scope.kind));
        idem_control_add_number(object, "ttlMs", (uint64_t)rule->ttl_ms);
        idem_control_add_number(object, "leaseMs", (uint64_t)rule->lease_ms);
    }
    if (counts != NULL) {
        (void)json_object_object_add(object, "enabled",
                                     json_object_new_boolean(!counts->disabled));
        idem_control_add_number(object, "bypassed", counts->bypassed);
    }
    return object;
}

void idem_control_list_rules(const struct idem_control_command *command) {
    const struct idem_control *control = command->request->control;
    struct idem_receiver_counts total;
    struct idem_rule_counts *rows = calloc(IDEM_FIGURE_ROWS, sizeof *rows);
    struct json_object *data = rows != NULL ? json_object_new_object() : NULL;
    struct json_object *list = data != NULL ? json_object_new_array() : NULL;
    if (list != NULL) {
        size_t count =
            idem_receiver_read_counts(control->receiver, &total, rows, IDEM_FIGURE_ROWS);
        size_t most = count < IDEM_FIGURE_ROWS ? count : IDEM_FIGURE_ROWS;
        for (size_t i = 0; i < control->rules->count; i++) {
            const struct idem_rule *rule = &control->rules->rules[i];
            (void)json_object_array_add(
                list, describe(rule, counts_of(rows, most, rule->name)));
        }
        (void)json_object_object_add(data, "rules", list);
    }
    free(rows);
    idem_control_answer(command->request, command->response, data);
}

static void tell_of_state(const struct idem_control_command *command, const char *rule,
                          bool enabled) {
    const struct idem_log *log = command->request->control->log;
    const char *client = command->request->client_id;
    if (enabled) {
        idem_log_write(log, IDEM_LOG_NOTICE, "rule.enabled",
                       "rule %s, by client %.128s, user '%.128s'", rule, client,
                       command->user);
    } else {
        idem_log_write(
            log, IDEM_LOG_WARNING, "rule.disabled",
            "rule %s, by client %.128s, user '%.128s': its messages pass as if "
            "it were not there",
            rule, client, command->user);
    }
}

void idem_control_set_rule_state(const struct idem_control_command *command) {
    struct idem_control_request *request = command->request;
    const struct idem_control *control = request->control;
    const char *name = idem_control_text(command->json, "rule");
    struct json_object *enabled = NULL;
    (void)json_object_object_get_ex(command->json, "enabled", &enabled);
    if (name == NULL || !json_object_is_type(enabled, json_type_boolean)) {
        idem_control_refuse(request, command->response,
                            "it takes rule, a name, and enabled, true or false");
        return;
    }
    bool on = json_object_get_boolean(enabled);
    if (idem_receiver_enable_rule(control->receiver, name, on) != IDEM_OK) {
        idem_control_refuse(request, command->response, "no rule has that name");
        return;
    }
    tell_of_state(command, name, on);
    struct json_object *data = json_object_new_object();
    if (data != NULL) {
        idem_control_add_text(data, "rule", name);
        (void)json_object_object_add(data, "enabled", json_object_new_boolean(on));
    }
    idem_control_answer(request, command->response, data);
}

/* ---- getDuplicates ---- */

static struct json_object *describe_sighting(const struct idem_sighting *sighting) {
    char hex[IDEM_DIGEST_HEX_SIZE];
    struct json_object *object = json_object_new_object();
    if (object != NULL) {
        idem_digest_hex(&sighting->digest, hex);
        idem_control_add_text(object, "digest", hex);
        idem_control_add_text(object, "reason", idem_reason_name(sighting->reason));
        idem_control_add_text(object, "rule", sighting->rule);
        idem_control_add_time(object, "firstSeen", sighting->first_seen_ms);
        idem_control_add_time(object, "lastSeen", sighting->last_seen_ms);
        idem_control_add_number(object, "count", sighting->count);
    }
    return object;
}

/* How many are asked for at most; 0: what is there is no number of them. */
static size_t wanted(struct json_object *json) {
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(json, "count", &value)) {
        return IDEM_SIGHTINGS_MAX;
    }
    int64_t number =
        json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : 0;
    return number > 0 && number <= IDEM_SIGHTINGS_MAX ? (size_t)number : 0;
}

void idem_control_get_duplicates(const struct idem_control_command *command) {
    const struct idem_control *control = command->request->control;
    size_t most = wanted(command->json);
    if (most == 0) {
        idem_control_refuse(command->request, command->response,
                            "count is a number from 1 to %d", IDEM_SIGHTINGS_MAX);
        return;
    }
    struct idem_sighting *sightings = calloc(most, sizeof *sightings);
    struct json_object *data = sightings != NULL ? json_object_new_object() : NULL;
    struct json_object *list = data != NULL ? json_object_new_array() : NULL;
    if (list != NULL) {
        size_t count = idem_receiver_sightings(control->receiver, sightings, most);
        for (size_t i = 0; i < count; i++) {
            (void)json_object_array_add(list, describe_sighting(&sightings[i]));
        }
        (void)json_object_object_add(data, "duplicates", list);
    }
    free(sightings);
    idem_control_answer(command->request, command->response, data);
}
