/* SPDX-License-Identifier: MIT
 * idemctl explain: which rule takes a message, what its key is, and what would be done with it now. */
#include "sample.h"
#include "store.h"

#include <idem/clock.h>
#include <idem/identity.h>
#include <idem/verdict.h>

#include <inttypes.h>
#include <stdio.h>

static const char help[] =
    "usage: idemctl -c CONFIG explain -t TOPIC [options]\n\n"
    "  -t, --topic TOPIC         MQTT topic, or AMQP routing key\n"
    "  -m, --message TEXT        the payload\n"
    "  -f, --file PATH           the payload from a file; - is standard input\n"
    "  -D, --property NAME=VALUE user property or header; may be repeated\n"
    "  -r, --retain              the retain flag is set\n"
    "      --client ID           client id          --user NAME   authenticated user\n"
    "      --correlation-id ID   --message-id ID    --queue NAME  --amqp  an AMQP "
    "message\n"
    "      --no-store            do not look into the store\n";

enum { NO_STORE = SAMPLE_OPTIONS_END };

/* Key values are bytes; what is not printable is shown as \xNN. */
static void printable(struct idem_span value, char *out, size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < value.len && used + 8 < size; i++) {
        uint8_t byte = value.data[i];
        if (byte >= 0x20 && byte != 0x7f && byte < 0x80) {
            out[used++] = (char)byte;
        } else {
            used += (size_t)snprintf(out + used, size - used, "\\x%02x", byte);
        }
    }
    (void)snprintf(out + used, size - used, "%s", "");
}

static const char *form_of(const struct idem_extractor *extractor, char *out,
                           size_t size) {
    static const char *const names[] = {
        [IDEM_EXTRACT_PROPERTY] = "property:",
        [IDEM_EXTRACT_MESSAGE_ID] = "message-id",
        [IDEM_EXTRACT_CORRELATION_ID] = "correlation-id",
        [IDEM_EXTRACT_TOPIC_LEVEL] = "topic:",
        [IDEM_EXTRACT_ROUTING_KEY] = "routing-key",
        [IDEM_EXTRACT_JSON] = "json:",
        [IDEM_EXTRACT_CLIENT] = "client",
        [IDEM_EXTRACT_USER] = "user",
        [IDEM_EXTRACT_PAYLOAD] = "payload",
        [IDEM_EXTRACT_PAYLOAD_SHA256] = "payload-sha256",
        [IDEM_EXTRACT_TEXT] = "text:",
    };
    if (extractor->kind == IDEM_EXTRACT_TOPIC_LEVEL) {
        (void)snprintf(out, size, "topic:%u", extractor->level);
    } else {
        (void)snprintf(out, size, "%s%s", names[extractor->kind],
                       extractor->text != NULL ? extractor->text : "");
    }
    return out;
}

static void add_parts(struct json_object *report, const char *name,
                      const struct idem_key_part *parts, size_t count) {
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < count; i++) {
        char form[512];
        char value[1024];
        char line[sizeof form + sizeof value + 4];
        if (parts[i].extractor->kind == IDEM_EXTRACT_PAYLOAD) {
            (void)snprintf(value, sizeof value, "(hash)");
        } else {
            printable(parts[i].value, value, sizeof value);
        }
        (void)snprintf(line, sizeof line, "%s = %s",
                       form_of(parts[i].extractor, form, sizeof form), value);
        (void)json_object_array_add(list, json_object_new_string(line));
    }
    (void)json_object_object_add(report, name, list);
}

/* How long this message would be remembered. */
static void add_ttl(struct json_object *report, const struct idem_rule *rule,
                    const struct idem_message *message) {
    char text[64];
    int64_t ttl_ms = idem_rule_ttl(rule, message);
    bool whole = ttl_ms % 1000 == 0;
    (void)snprintf(text, sizeof text, "%lld %s from the %s copy",
                   (long long)(whole ? ttl_ms / 1000 : ttl_ms), whole ? "s" : "ms",
                   rule->ttl_from == IDEM_TTL_FROM_LAST ? "last" : "first");
    ctl_add(report, "ttl", text);
}

/* What the store has now. One that is not there yet holds no keys: who writes a first configuration asks before
 * any program has run. */
static enum ctl_exit look_up(const struct idem_config *config,
                             const struct idem_digest *digest, int64_t now_ms,
                             struct store_found *found) {
    struct idem_store *store = NULL;
    if (store_is_absent(config)) {
        *found = (struct store_found){.absent = true};
        return CTL_OK;
    }
    enum ctl_exit result = store_open(config, false, &store);
    if (result == CTL_OK) {
        result = store_look_up(store, digest, now_ms, found);
    }
    idem_store_close(store);
    return result;
}

static enum idem_reason reason_now(const struct idem_record *record,
                                   const struct idem_identity *identity, int64_t now_ms) {
    if (record->state == IDEM_RECORD_NONE) {
        return IDEM_REASON_NEW;
    }
    if (record->state == IDEM_RECORD_PENDING) {
        return now_ms < record->until_ms ? IDEM_REASON_IN_FLIGHT : IDEM_REASON_IN_DOUBT;
    }
    bool differ = identity->has_fingerprint && record->has_fingerprint &&
                  !idem_digest_equal(&identity->fingerprint, &record->fingerprint);
    return differ ? IDEM_REASON_CONFLICT : IDEM_REASON_DUPLICATE;
}

static void add_verdict(struct json_object *report, const struct idem_rule *rule,
                        enum idem_reason reason) {
    static const struct idem_policies none = {.on_missing_key = IDEM_ACTION_DELIVER};
    char text[64];
    enum idem_verdict verdict =
        idem_decide(reason, rule != NULL ? &rule->policies : &none, false);
    (void)snprintf(text, sizeof text, "%s (%s)", idem_verdict_name(verdict),
                   idem_reason_name(reason));
    ctl_add(report, "verdict", text);
}

static void add_record(struct json_object *report, const struct store_found *found,
                       int64_t now_ms) {
    const struct idem_record *record = &found->record;
    ctl_add(report, "store",
            found->absent ? "not there yet: the program makes it when it starts"
                          : store_state_text(record, now_ms));
    if (record->state != IDEM_RECORD_NONE) {
        bool pending = record->state == IDEM_RECORD_PENDING;
        ctl_add_time(report, "first_seen", record->first_seen_ms);
        ctl_add_time(report, pending ? "lease_until" : "expires", record->until_ms);
    }
}

static void add_number(struct json_object *report, const char *name, uint64_t value) {
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    ctl_add(report, name, text);
}

static void add_known(struct json_object *report,
                      const struct idem_sequence_report *known) {
    char text[128];
    add_number(report, "epoch_now", known->epoch);
    if (known->has_mark) {
        add_number(report, "mark", known->mark);
    } else {
        ctl_add(report, "mark", "none delivered yet");
    }
    (void)snprintf(text, sizeof text, "%zu in flight, %zu given back", known->claimed,
                   known->given_back);
    ctl_add(report, "open", text);
}

static const char *standing(const struct idem_answer *answer, enum idem_reason *reason) {
    switch (answer->outcome) {
    case IDEM_CLAIM_NEW:
        *reason = answer->skipped > 0 ? IDEM_REASON_AFTER_GAP : IDEM_REASON_NEW;
        return "not seen";
    case IDEM_CLAIM_TAKEN_OVER:
        *reason = IDEM_REASON_IN_DOUBT;
        return "claimed, and its lease is over";
    case IDEM_CLAIM_IN_FLIGHT:
        *reason = IDEM_REASON_IN_FLIGHT;
        return "claimed";
    case IDEM_CLAIM_FENCED:
        *reason = IDEM_REASON_FENCED;
        return "of an epoch that is over";
    case IDEM_CLAIM_GAP:
        *reason = IDEM_REASON_GAP;
        return "not seen, and leaves numbers out";
    case IDEM_CLAIM_DONE:
    case IDEM_CLAIM_OUTCOME_COUNT:
        break;
    }
    *reason = IDEM_REASON_DUPLICATE;
    return "delivered, or below the window";
}

static enum ctl_exit add_sequence(struct json_object *report,
                                  const struct idem_rule *rule,
                                  const struct idem_identity *identity,
                                  const struct idem_record *record) {
    const struct idem_claim claim = {.number = identity->number,
                                     .terms = idem_rule_terms(rule, true),
                                     .now_ms = idem_clock_wall_ms(),
                                     .lease_ms = rule->lease_ms};
    struct idem_sequence_report known;
    struct idem_answer answer;
    enum idem_reason reason = IDEM_REASON_NEW;
    enum idem_code code = idem_sequence_preview(record, &claim, &answer, &known);
    if (code != IDEM_OK) {
        ctl_complain("store: %s", idem_code_text(code));
        return CTL_STORE;
    }
    if (record->state != IDEM_RECORD_NONE) {
        add_known(report, &known);
    }
    ctl_add(report, "standing", standing(&answer, &reason));
    if (answer.skipped > 0) {
        add_number(report, "left_out", answer.skipped);
    }
    add_verdict(report, rule, reason);
    return CTL_OK;
}

static const char *missing_text(const struct idem_rule *rule,
                                enum idem_identity_status status) {
    switch (status) {
    case IDEM_IDENTITY_NO_SCOPE:
        return rule->scope.kind == IDEM_SCOPE_PRINCIPAL
                   ? "none: the scope has no value: who publishes? --client ID, or "
                     "--user NAME"
                   : "none: the scope has no value";
    case IDEM_IDENTITY_NO_NUMBER:
        return "none: epoch or number is no whole number in range";
    case IDEM_IDENTITY_OK:
    case IDEM_IDENTITY_NO_KEY:
        break;
    }
    return "none: no extractor yielded a value";
}

/* What of the report a key and a number have each of its own. */
static void add_identity(struct json_object *report,
                         const struct idem_identity *identity) {
    char text[IDEM_DIGEST_HEX_SIZE];
    if (identity->number.present) {
        add_number(report, "epoch", identity->number.epoch);
        add_number(report, "number", identity->number.value);
        idem_digest_hex(&identity->producer, text);
        ctl_add(report, "digest", text);
        return;
    }
    idem_digest_hex(&identity->digest, text);
    ctl_add(report, "digest", text);
    if (identity->has_fingerprint) {
        idem_digest_hex(&identity->fingerprint, text);
    }
    ctl_add(report, "fingerprint", identity->has_fingerprint ? text : "none");
}

static enum ctl_exit explain_keyed(const struct idem_config *config,
                                   const struct sample *sample,
                                   const struct idem_rule *rule,
                                   struct idem_workspace *workspace,
                                   struct json_object *report) {
    struct idem_identity identity;
    struct idem_key_part parts[IDEM_EXTRACTORS_MAX];
    struct store_found found;
    int64_t now_ms = idem_clock_wall_ms();
    char text[1024];
    size_t count = 0;
    idem_identify(&identity, rule, &config->rules.secret, &sample->message, workspace,
                  parts, &count);
    if (identity.status != IDEM_IDENTITY_OK) {
        ctl_add(report, "key", missing_text(rule, identity.status));
        add_verdict(report, rule, IDEM_REASON_MISSING_KEY);
        return CTL_OK;
    }
    add_parts(report, rule->strategy == IDEM_STRATEGY_SEQUENCE ? "producer" : "key",
              parts, count);
    idem_scope_describe(rule, &sample->message, workspace, text, sizeof text);
    ctl_add(report, "scope", text);
    add_identity(report, &identity);
    add_ttl(report, rule, &sample->message);
    if (sample->no_store) {
        return CTL_OK;
    }
    bool numbered = identity.number.present;
    enum ctl_exit result =
        look_up(config, numbered ? &identity.producer : &identity.digest, now_ms, &found);
    if (result != CTL_OK) {
        return result;
    }
    add_record(report, &found, now_ms);
    if (numbered) {
        return add_sequence(report, rule, &identity, &found.record);
    }
    add_verdict(report, rule, reason_now(&found.record, &identity, now_ms));
    return CTL_OK;
}

static enum ctl_exit explain(const struct idem_config *config,
                             const struct sample *sample, struct json_object *report) {
    char text[IDEM_NAME_MAX + 32];
    struct idem_workspace *workspace = NULL;
    const struct idem_rule *rule = idem_ruleset_match(&config->rules, &sample->message);
    if (rule == NULL) {
        ctl_add(report, "rule", "none matches: the message passes untouched");
        add_verdict(report, NULL, IDEM_REASON_NO_RULE);
        return CTL_OK;
    }
    (void)snprintf(text, sizeof text, "%s (line %d)", rule->name, rule->line);
    ctl_add(report, "rule", text);
    if (rule->strategy == IDEM_STRATEGY_NATURAL || sample->message.deletion) {
        ctl_add(report, "strategy",
                sample->message.deletion ? "natural: a retained delete" : "natural");
        add_verdict(report, rule, IDEM_REASON_NATURAL);
        return CTL_OK;
    }
    ctl_add(report, "strategy", rule->strategy == IDEM_STRATEGY_KEY ? "key" : "sequence");
    if (idem_workspace_open(&workspace) != IDEM_OK) {
        ctl_complain("out of memory");
        return CTL_STORE;
    }
    enum ctl_exit result = explain_keyed(config, sample, rule, workspace, report);
    idem_workspace_close(workspace);
    return result;
}

static bool take(void *arg, int option, const char *value) {
    struct sample *sample = arg;
    sample->no_store |= option == NO_STORE;
    return option == NO_STORE || sample_take(sample, option, value);
}

static bool settle(void *arg, int count, char **words) {
    struct sample *sample = arg;
    if (count > 0) {
        ctl_complain("%s is no option of explain", words[0]);
    } else if (sample->message.topic.len == 0) {
        ctl_complain("explain needs the message's topic: -t TOPIC");
    }
    sample_settle(sample);
    return count == 0 && sample->message.topic.len > 0;
}

static enum ctl_exit run(const struct ctl *ctl, const struct idem_config *config,
                         void *arg) {
    struct json_object *report = json_object_new_object();
    enum ctl_exit result = explain(config, arg, report);
    ctl_print(ctl, report);
    return result;
}

enum ctl_exit ctl_explain(const struct ctl *ctl, int argc, char **argv) {
    static const struct option options[] = {
        SAMPLE_LONG_OPTIONS, {"no-store", no_argument, NULL, NO_STORE}, CTL_OPTIONS_END};
    static const struct ctl_line line = {.help = help,
                                         .letters = SAMPLE_SHORT_OPTIONS,
                                         .options = options,
                                         .take = take,
                                         .settle = settle,
                                         .run = run};
    struct sample sample;
    sample_init(&sample);
    enum ctl_exit result = ctl_run(ctl, &line, &sample, argc, argv);
    sample_fini(&sample);
    return result;
}
