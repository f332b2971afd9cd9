/* SPDX-License-Identifier: MIT
 * Fuzz target: any bytes as a configuration. Refused with a place and one printable line, or taken with
 * every rule whole. */
#include <idem/config.h>

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *what, const char *text) {
    if (!holds) {
        (void)fprintf(stderr, "%s: %s\n", what, text);
        abort();
    }
}

static void check_line(void *arg, const char *text) {
    (void)arg;
    require(strncmp(text, "f:", 2) == 0, "no place", text);
    for (const char *at = text; *at != '\0'; at++) {
        require((unsigned char)*at >= ' ' && *at != 0x7f, "control character", text);
    }
}

static void check_rule(const struct idem_rule *rule) {
    const struct idem_match *match = &rule->match;
    require(rule->name != NULL && rule->name[0] != '\0', "rule without a name", "");
    require(match->topic != NULL || match->queue != NULL || match->routing_key != NULL ||
                match->header_name != NULL,
            "rule without a match", rule->name);
    require(rule->strategy != IDEM_STRATEGY_KEY || rule->key.count > 0,
            "rule without a key", rule->name);
    require(rule->strategy != IDEM_STRATEGY_SEQUENCE || rule->sequence.number.count > 0,
            "rule without a number", rule->name);
    require(rule->lease_ms > 0 && rule->ttl_ms > 0, "no time", rule->name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct idem_config config;
    struct idem_error error = IDEM_ERROR_INIT;
    enum idem_code code = idem_config_parse(&config, "f", (const char *)data, size,
                                            check_line, NULL, &error);
    require(code == error.code, "code and text differ", error.text);
    if (code == IDEM_OK) {
        require(config.rules.count <= IDEM_RULES_MAX, "too many rules", "");
        for (size_t i = 0; i < config.rules.count; i++) {
            check_rule(&config.rules.rules[i]);
        }
    } else {
        check_line(NULL, error.text);
    }
    idem_config_fini(&config);
    return 0;
}
