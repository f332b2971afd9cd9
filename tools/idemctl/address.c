/* SPDX-License-Identifier: MIT
 * From what people know of a key to its digest. */
#include "address.h"

#include <stdio.h>
#include <string.h>

bool address_add(const char **list, size_t *count, size_t most, const char *option,
                 const char *value) {
    if (*count == most) {
        ctl_complain("%s: at most %zu of them", option, most);
        return false;
    }
    list[(*count)++] = value;
    return true;
}

void address_init(struct address *address) {
    memset(address, 0, sizeof *address);
    sample_init(&address->sample);
}

void address_fini(struct address *address) {
    sample_fini(&address->sample);
}

bool address_take(struct address *address, int option, const char *value) {
    switch (option) {
    case ADDRESS_PRINCIPAL:
        address->principal = value;
        return true;
    case ADDRESS_BY:
        return address_add(address->by, &address->by_count, IDEM_EXTRACTORS_MAX, "--by",
                           value);
    default:
        return sample_take(&address->sample, option, value);
    }
}

bool address_settle(struct address *address, const char *command, int count,
                    char **words) {
    bool sampled = address->sample.message.topic.len > 0;
    sample_settle(&address->sample);
    address->words = words;
    address->word_count = (size_t)count;
    if (sampled == (count > 0)) {
        ctl_complain(sampled ? "%s: either a message (-t), or a rule and its key"
                             : "%s: which key? RULE KEY, a digest, or -t TOPIC ...",
                     command);
        return false;
    }
    return true;
}

static enum ctl_exit refuse_status(enum idem_identity_status status) {
    switch (status) {
    case IDEM_IDENTITY_NO_SCOPE:
        ctl_complain("the scope has no value: who published it?");
        break;
    case IDEM_IDENTITY_NO_NUMBER:
        ctl_complain("epoch or number is no whole number in range");
        break;
    case IDEM_IDENTITY_OK:
    case IDEM_IDENTITY_NO_KEY:
        ctl_complain("there is no key: no extractor yielded a value");
        break;
    }
    return CTL_REFUSED;
}

static enum ctl_exit identify(struct address *address, const struct idem_config *config) {
    const struct idem_message *message = &address->sample.message;
    struct idem_workspace *workspace = NULL;
    struct idem_identity identity;
    if (idem_workspace_open(&workspace) != IDEM_OK) {
        ctl_complain("out of memory");
        return CTL_STORE;
    }
    idem_identify(&identity, address->rule, &config->rules.secret, message, workspace,
                  NULL, NULL);
    idem_workspace_close(workspace);
    if (identity.status != IDEM_IDENTITY_OK) {
        return refuse_status(identity.status);
    }
    address->digest = identity.number.present ? identity.producer : identity.digest;
    return CTL_OK;
}

static enum ctl_exit resolve_sample(struct address *address,
                                    const struct idem_config *config) {
    const struct idem_message *message = &address->sample.message;
    address->rule = idem_ruleset_match(&config->rules, message);
    if (address->rule == NULL) {
        ctl_complain("no rule matches this message: it has no key");
        return CTL_REFUSED;
    }
    if (address->rule->strategy == IDEM_STRATEGY_NATURAL || message->deletion) {
        ctl_complain("rule %s: this message is natural, and has no key",
                     address->rule->name);
        return CTL_REFUSED;
    }
    return identify(address, config);
}

/* What the rule joins, of which literals are not asked for. Returns how many values there are; SIZE_MAX: others
 * were given. */
static size_t fill_in(struct idem_span values[IDEM_EXTRACTORS_MAX],
                      const struct idem_key_spec *spec, char *const *given, size_t count,
                      const char *rule, const char *what) {
    size_t total = spec->joined ? spec->count : 1;
    size_t used = 0;
    for (size_t i = 0; i < total; i++) {
        if (spec->joined && spec->items[i].kind == IDEM_EXTRACT_TEXT) {
            values[i] = idem_span_text(spec->items[i].text);
        } else {
            values[i] = idem_span_text(used < count ? given[used] : "");
            used++;
        }
    }
    if (used != count) {
        ctl_complain("rule %s: the %s has %zu value%s, and %zu were given", rule, what,
                     used, used == 1 ? "" : "s", count);
        return SIZE_MAX;
    }
    return total;
}

/* "user:NAME" or "client:ID", or what the options of a message say. */
static bool take_principal(const struct address *address, struct idem_known_key *known,
                           struct idem_span *scope) {
    const char *principal = address->principal;
    const struct idem_message *message = &address->sample.message;
    known->scope_is_client = principal != NULL ? strncmp(principal, "client:", 7) == 0
                                               : message->user.len == 0;
    known->scope_count = 1;
    if (principal == NULL) {
        *scope = known->scope_is_client ? message->client : message->user;
        return scope->len > 0;
    }
    size_t prefix = known->scope_is_client ? 7 : 5;
    bool right = known->scope_is_client || strncmp(principal, "user:", 5) == 0;
    *scope = idem_span_text(right ? principal + prefix : "");
    return right;
}

static bool take_scope(const struct address *address, const struct idem_rule *rule,
                       struct idem_known_key *known,
                       struct idem_span scope[IDEM_EXTRACTORS_MAX]) {
    bool principal = rule->scope.kind == IDEM_SCOPE_PRINCIPAL;
    if (!principal && address->principal != NULL) {
        ctl_complain("rule %s: its scope is no principal", rule->name);
        return false;
    }
    if (principal && !take_principal(address, known, scope)) {
        ctl_complain("rule %s: its scope is the principal: --principal user:NAME or "
                     "--principal client:ID",
                     rule->name);
        return false;
    }
    if (rule->scope.kind != IDEM_SCOPE_BY && address->by_count > 0) {
        ctl_complain("rule %s: its scope is no group", rule->name);
        return false;
    }
    if (rule->scope.kind == IDEM_SCOPE_BY) {
        known->scope_count =
            fill_in(scope, &rule->scope.by, (char *const *)(uintptr_t)address->by,
                    address->by_count, rule->name, "scope (--by)");
    }
    return known->scope_count != SIZE_MAX;
}

static const struct idem_rule *find_rule(const struct idem_config *config,
                                         const char *name) {
    for (size_t i = 0; i < config->rules.count; i++) {
        if (strcmp(config->rules.rules[i].name, name) == 0) {
            return &config->rules.rules[i];
        }
    }
    ctl_complain("there is no rule %s in %s", name, config->path);
    return NULL;
}

static enum ctl_exit resolve_words(struct address *address,
                                   const struct idem_config *config) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_span values[IDEM_EXTRACTORS_MAX];
    struct idem_span scope[IDEM_EXTRACTORS_MAX];
    struct idem_known_key known = {.values = values, .scope = scope};
    const struct idem_rule *rule = find_rule(config, address->words[0]);
    if (rule == NULL) {
        return CTL_REFUSED;
    }
    bool numbered = rule->strategy == IDEM_STRATEGY_SEQUENCE;
    bool natural = rule->strategy == IDEM_STRATEGY_NATURAL;
    if (!natural) {
        known.count = fill_in(values, numbered ? &rule->sequence.producer : &rule->key,
                              address->words + 1, address->word_count - 1, rule->name,
                              numbered ? "producer" : "key");
    }
    if (known.count == SIZE_MAX ||
        (!natural && !take_scope(address, rule, &known, scope))) {
        return CTL_REFUSED;
    }
    address->rule = rule;
    if (idem_identify_known(&address->digest, rule, &config->rules.secret, &known,
                            &error) != IDEM_OK) {
        ctl_complain("%s", error.text);
        return CTL_REFUSED;
    }
    return CTL_OK;
}

enum ctl_exit address_resolve(struct address *address, const struct idem_config *config) {
    if (address->word_count == 0) {
        return resolve_sample(address, config);
    }
    if (address->word_count > 1) {
        return resolve_words(address, config);
    }
    if (idem_digest_parse(&address->digest, address->words[0])) {
        return CTL_OK;
    }
    ctl_complain("%s is no digest of 32 hexadecimal digits; for a rule, name its key as "
                 "well: RULE KEY",
                 address->words[0]);
    return CTL_USAGE;
}

void address_describe(const struct address *address, struct json_object *report) {
    char text[IDEM_NAME_MAX + 32];
    if (address->rule != NULL) {
        (void)snprintf(text, sizeof text, "%s (line %d)", address->rule->name,
                       address->rule->line);
        ctl_add(report, "rule", text);
    }
    idem_digest_hex(&address->digest, text);
    ctl_add(report, "digest", text);
}
