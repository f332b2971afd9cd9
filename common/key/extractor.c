/* SPDX-License-Identifier: MIT
 * Extractors as the configuration writes them: one table of forms, parsed and checked here. */
#include <idem/rule.h>

#include <stdlib.h>

#define LEVEL_MAX 65535 /* an MQTT topic has no more bytes than that */

enum argument {
    ARGUMENT_NONE,
    ARGUMENT_NAME,
    ARGUMENT_LEVEL,
    ARGUMENT_POINTER,
    ARGUMENT_LITERAL,
};

struct form {
    const char *word;
    enum idem_extractor_kind kind;
    enum argument argument;
};

static const struct form forms[] = {
    {"property", IDEM_EXTRACT_PROPERTY, ARGUMENT_NAME},
    {"message-id", IDEM_EXTRACT_MESSAGE_ID, ARGUMENT_NONE},
    {"correlation-id", IDEM_EXTRACT_CORRELATION_ID, ARGUMENT_NONE},
    {"topic", IDEM_EXTRACT_TOPIC_LEVEL, ARGUMENT_LEVEL},
    {"topic", IDEM_EXTRACT_ROUTING_KEY, ARGUMENT_NONE},
    {"routing-key", IDEM_EXTRACT_ROUTING_KEY, ARGUMENT_NONE},
    {"json", IDEM_EXTRACT_JSON, ARGUMENT_POINTER},
    {"client", IDEM_EXTRACT_CLIENT, ARGUMENT_NONE},
    {"user", IDEM_EXTRACT_USER, ARGUMENT_NONE},
    {"payload", IDEM_EXTRACT_PAYLOAD, ARGUMENT_NONE},
    {"payload-sha256", IDEM_EXTRACT_PAYLOAD_SHA256, ARGUMENT_NONE},
    {"text", IDEM_EXTRACT_TEXT, ARGUMENT_LITERAL},
};

static const char known_forms[] =
    "property:NAME, message-id, correlation-id, topic, topic:N, routing-key, "
    "json:/POINTER, client, user, payload, payload-sha256, text:LITERAL";

static const struct form *find_form(struct idem_span word, bool has_argument) {
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (has_argument == (forms[i].argument != ARGUMENT_NONE) &&
            idem_span_equal(word, idem_span_text(forms[i].word))) {
            return &forms[i];
        }
    }
    return NULL;
}

/* The number of 1 to LEVEL_MAX that text is, without sign, blanks or leading zeros; else 0. */
static unsigned parse_level(const char *text) {
    unsigned level = 0;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || (level == 0 && *at == '0')) {
            return 0;
        }
        level = level * 10 + (unsigned)(*at - '0');
        if (level > LEVEL_MAX) {
            return 0;
        }
    }
    return level;
}

/* RFC 6901, section 3: empty, or each token after a '/', with '~' only in ~0 and ~1. */
static bool is_pointer(const char *text) {
    if (text[0] != '\0' && text[0] != '/') {
        return false;
    }
    for (const char *at = text; *at != '\0'; at++) {
        if (at[0] == '~' && at[1] != '0' && at[1] != '1') {
            return false;
        }
    }
    return strlen(text) <= IDEM_KEY_MAX;
}

static const char *argument_fault(enum argument argument, const char *text) {
    size_t len = strlen(text);
    switch (argument) {
    case ARGUMENT_NONE:
        return NULL;
    case ARGUMENT_NAME:
        return len >= 1 && len <= IDEM_NAME_MAX ? NULL
                                                : "a name has 1 to 128 bytes, as in "
                                                  "property:idempotency-key";
    case ARGUMENT_LEVEL:
        return parse_level(text) > 0 ? NULL : "levels count from 1, as in topic:2";
    case ARGUMENT_POINTER:
        return is_pointer(text) ? NULL
                                : "a JSON pointer (RFC 6901) is empty or begins with /, "
                                  "as in json:/order/id";
    case ARGUMENT_LITERAL:
        return len >= 1 && len <= IDEM_KEY_MAX ? NULL
                                               : "a literal has 1 to 4096 bytes, as in "
                                                 "text:v1";
    }
    return NULL;
}

static enum idem_code keep_argument(struct idem_extractor *extractor,
                                    const struct form *form, const char *argument,
                                    struct idem_error *error) {
    if (form->argument == ARGUMENT_NONE) {
        return IDEM_OK;
    }
    if (form->argument == ARGUMENT_LEVEL) {
        extractor->level = parse_level(argument);
        return IDEM_OK;
    }
    extractor->text = strdup(argument);
    if (extractor->text == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "out of memory");
    }
    return IDEM_OK;
}

enum idem_code idem_extractor_parse(struct idem_extractor *extractor, const char *text,
                                    struct idem_error *error) {
    memset(extractor, 0, sizeof *extractor);
    const char *colon = strchr(text, ':');
    size_t word_len = colon != NULL ? (size_t)(colon - text) : strlen(text);
    const struct form *form = find_form(idem_span_of(text, word_len), colon != NULL);
    if (form == NULL) {
        return idem_error_set(error, IDEM_ERR_INVALID, 0,
                              "unknown extractor \"%s\"; known are: %s", text,
                              known_forms);
    }
    const char *argument = colon != NULL ? colon + 1 : "";
    const char *fault = argument_fault(form->argument, argument);
    if (fault != NULL) {
        return idem_error_set(error, IDEM_ERR_INVALID, 0,
                              "wrong extractor \"%s\": %s; known are: %s", text, fault,
                              known_forms);
    }
    extractor->kind = form->kind;
    return keep_argument(extractor, form, argument, error);
}

void idem_key_spec_fini(struct idem_key_spec *spec) {
    for (size_t i = 0; i < spec->count; i++) {
        free(spec->items[i].text);
    }
    free(spec->items);
    memset(spec, 0, sizeof *spec);
}
