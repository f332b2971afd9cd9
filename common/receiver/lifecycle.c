/* SPDX-License-Identifier: MIT
 * A receiver's life: opening, its rules, its owner's name, closing. */
#include "receiver/internal.h"

#include "base/options.h"
#include "receiver/owner.h"

#include <idem/version.h>

#include <stdlib.h>

static enum idem_code check_rule(const struct idem_rule *rule, struct idem_error *error) {
    if (rule->name == NULL || strlen(rule->name) > IDEM_NAME_MAX) {
        return idem_error_set(error, IDEM_ERR_INVALID, 0,
                              "a rule needs a name of at most %d bytes", IDEM_NAME_MAX);
    }
    switch (rule->strategy) {
    case IDEM_STRATEGY_NATURAL:
        return IDEM_OK;
    case IDEM_STRATEGY_SEQUENCE:
        if (rule->sequence.window > IDEM_WINDOW_MAX ||
            rule->sequence.wrap > IDEM_WRAP_MAX ||
            (rule->policies.on_gap == IDEM_ACTION_HOLD && rule->sequence.hold_ms <= 0)) {
            return idem_error_set(
                error, IDEM_ERR_INVALID, 0,
                "rule %s: a window is at most %d, numbers wrap after at "
                "most 32 bits, and what is held is held for a time",
                rule->name, IDEM_WINDOW_MAX);
        }
        break;
    case IDEM_STRATEGY_KEY:
        break;
    }
    if (rule->ttl_ms <= 0 || rule->lease_ms <= 0) {
        return idem_error_set(error, IDEM_ERR_INVALID, 0,
                              "rule %s: ttl and lease must be above zero", rule->name);
    }
    for (size_t i = 0; rule->propagate.as[i] != NULL; i++) {
        if (i == IDEM_PROPAGATED_MAX || strlen(rule->propagate.as[i]) > IDEM_NAME_MAX) {
            return idem_error_set(error, IDEM_ERR_INVALID, 0,
                                  "rule %s: %d properties at most, with names of at "
                                  "most %d bytes, carry the key on",
                                  rule->name, IDEM_PROPAGATED_MAX, IDEM_NAME_MAX);
        }
    }
    return IDEM_OK;
}

static enum idem_code check_rules(const struct idem_ruleset *rules,
                                  struct idem_error *error) {
    if (rules == NULL || rules->count > IDEM_RULES_MAX) {
        return idem_error_set(error, IDEM_ERR_INVALID, 0,
                              "a receiver needs a set of at most %d rules",
                              IDEM_RULES_MAX);
    }
    for (size_t i = 0; i < rules->count; i++) {
        enum idem_code code = check_rule(&rules->rules[i], error);
        if (code != IDEM_OK) {
            return code;
        }
    }
    return IDEM_OK;
}

static struct idem_counter_row **find_rows(struct idem_counters *counters,
                                           const struct idem_ruleset *rules) {
    struct idem_counter_row **rows =
        calloc(rules->count + 1, sizeof(struct idem_counter_row *));
    for (size_t i = 0; rows != NULL && i < rules->count; i++) {
        rows[i] = idem_counters_row(counters, rules->rules[i].name);
        if (rows[i] == NULL) {
            free(rows);
            return NULL;
        }
    }
    return rows;
}

enum idem_code idem_receiver_set_rules(struct idem_receiver *receiver,
                                       const struct idem_ruleset *rules,
                                       struct idem_error *error) {
    enum idem_code code = check_rules(rules, error);
    if (code != IDEM_OK) {
        return code;
    }
    struct idem_counter_row **rows = find_rows(&receiver->counters, rules);
    if (rows == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    bool *without = calloc(rules->count + 1, sizeof *without);
    if (without == NULL) {
        free(rows);
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    idem_receiver_put_back(receiver);
    free(receiver->rows);
    free(receiver->without);
    receiver->rows = rows;
    receiver->without = without;
    receiver->rules = rules;
    receiver->rules_generation++;
    return IDEM_OK;
}

static enum idem_code receiver_init(struct idem_receiver *receiver,
                                    const struct idem_receiver_options *options,
                                    struct idem_error *error) {
    idem_counters_init(&receiver->counters);
    receiver->store = options->store;
    receiver->durable = options->durable;
    receiver->can_hold = options->can_hold;
    receiver->delivering = options->delivering;
    receiver->delivering_arg = options->delivering_arg;
    receiver->room = options->room;
    receiver->room_arg = options->room_arg;
    receiver->completes_unprotected = options->completes_unprotected;
    receiver->keeps_keys = options->keeps_keys;
    receiver->log = options->log;
    enum idem_code code = idem_digest_init(error);
    if (code != IDEM_OK) {
        return code;
    }
    receiver->owner = idem_owner_of(options->instance, options->incarnation);
    code = idem_workspace_open(&receiver->workspace);
    if (code != IDEM_OK) {
        return idem_error_set(error, code, 0, "out of memory");
    }
    return idem_receiver_set_rules(receiver, options->rules, error);
}

enum idem_code idem_receiver_open_sized(struct idem_receiver **receiver,
                                        const struct idem_receiver_options *options,
                                        size_t options_size, struct idem_error *error) {
    struct idem_receiver_options own;
    *receiver = NULL;
    if (!idem_options_read(&own, sizeof own, options, options_size)) {
        return idem_error_set(error, IDEM_ERR_UNSUPPORTED, 0,
                              "libidem %s does not know all of these receiver options",
                              idem_version());
    }
    if (own.store == NULL || own.instance == NULL || own.instance[0] == '\0') {
        return idem_error_set(error, IDEM_ERR_INVALID, 0,
                              "a receiver needs a store and an instance name");
    }
    struct idem_receiver *opened = calloc(1, sizeof *opened);
    if (opened == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    enum idem_code code = receiver_init(opened, &own, error);
    if (code != IDEM_OK) {
        idem_receiver_close(opened);
        return code;
    }
    *receiver = opened;
    return IDEM_OK;
}

void idem_receiver_close(struct idem_receiver *receiver) {
    if (receiver == NULL) {
        return;
    }
    idem_flights_fini(&receiver->flights);
    idem_counters_fini(&receiver->counters);
    idem_workspace_close(receiver->workspace);
    free(receiver->propagation);
    free(receiver->result.bytes);
    free(receiver->rows);
    free(receiver->without);
    free(receiver);
}

size_t idem_receiver_read_counts(const struct idem_receiver *receiver,
                                 struct idem_receiver_counts *total,
                                 struct idem_rule_counts *rules, size_t rules_max) {
    return idem_counters_read(&receiver->counters, total, rules, rules_max);
}
