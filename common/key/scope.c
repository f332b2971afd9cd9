/* SPDX-License-Identifier: MIT
 * Scopes: resolved for the digest, and described for people. */
#include "key/scope.h"

#include "base/utf8.h"

#include <stdio.h>

static bool resolve_one(struct idem_scope_value *value, enum idem_scope_tag tag,
                        struct idem_span text) {
    value->tag = tag;
    value->count = 1;
    value->parts[0].extractor = NULL;
    value->parts[0].value = text;
    return text.len > 0 && text.len <= IDEM_KEY_MAX;
}

static bool resolve_principal(const struct idem_message *message,
                              struct idem_scope_value *value) {
    if (message->user.len > 0) {
        return resolve_one(value, IDEM_SCOPE_TAG_USER, message->user);
    }
    return resolve_one(value, IDEM_SCOPE_TAG_CLIENT, message->client);
}

bool idem_scope_resolve(const struct idem_extraction *from, const struct idem_rule *rule,
                        struct idem_scope_value *value) {
    switch (rule->scope.kind) {
    case IDEM_SCOPE_GLOBAL:
        value->tag = IDEM_SCOPE_TAG_GLOBAL;
        value->count = 0;
        return true;
    case IDEM_SCOPE_RULE:
        return resolve_one(value, IDEM_SCOPE_TAG_RULE, idem_span_text(rule->name));
    case IDEM_SCOPE_PRINCIPAL:
        return resolve_principal(from->message, value);
    case IDEM_SCOPE_BY:
        value->tag = IDEM_SCOPE_TAG_BY;
        value->count = idem_extract_spec(from, &rule->scope.by, value->parts);
        return value->count > 0;
    }
    return false;
}

/* A line being built in the caller's storage; what does not fit is left out. */
struct line {
    char *text;
    size_t size;
    size_t len;
};

static void put(struct line *line, const void *bytes, size_t len) {
    if (line->size - line->len <= len) {
        line->size = line->len + 1; /* full: nothing may follow what was left out */
        return;
    }
    memcpy(line->text + line->len, bytes, len);
    line->len += len;
    line->text[line->len] = '\0';
}

static void put_text(struct line *line, const char *text) {
    put(line, text, strlen(text));
}

/* Bytes of strangers, made safe for a terminal: what is not printable UTF-8 becomes \xNN. */
static void put_value(struct line *line, struct idem_span value) {
    size_t at = 0;
    while (at < value.len) {
        uint32_t code_point = 0;
        size_t len = idem_utf8_decode(value.data + at, value.len - at, &code_point);
        if (len > 0 && idem_utf8_printable(code_point)) {
            put(line, value.data + at, len);
            at += len;
            continue;
        }
        char escaped[5];
        (void)snprintf(escaped, sizeof escaped, "\\x%02X", value.data[at]);
        put_text(line, escaped);
        at++;
    }
}

static const char *label(const struct idem_rule *rule, enum idem_scope_tag tag) {
    switch (rule->scope.kind) {
    case IDEM_SCOPE_GLOBAL:
        return "global";
    case IDEM_SCOPE_RULE:
        return "rule ";
    case IDEM_SCOPE_PRINCIPAL:
        return tag == IDEM_SCOPE_TAG_USER ? "principal user:" : "principal client:";
    case IDEM_SCOPE_BY:
        return "by ";
    }
    return "";
}

void idem_scope_describe(const struct idem_rule *rule, const struct idem_message *message,
                         struct idem_workspace *workspace, char *text, size_t size) {
    struct idem_secret unused = {{0}}; /* hashes are named, not shown */
    struct idem_extraction from = {message, &unused, workspace, false};
    struct idem_scope_value value;
    struct line line = {text, size, 0};
    if (size == 0) {
        return;
    }
    text[0] = '\0';
    idem_workspace_start(workspace);
    if (!idem_scope_resolve(&from, rule, &value)) {
        put_text(&line, rule->scope.kind == IDEM_SCOPE_PRINCIPAL
                            ? "principal (neither user nor client id)"
                            : "by (no value)");
        return;
    }
    put_text(&line, label(rule, value.tag));
    for (size_t i = 0; i < value.count; i++) {
        const struct idem_extractor *extractor = value.parts[i].extractor;
        put_text(&line, i > 0 ? ", " : "");
        if (extractor != NULL && extractor->kind == IDEM_EXTRACT_PAYLOAD) {
            put_text(&line, "(hash of the payload)");
        } else {
            put_value(&line, value.parts[i].value);
        }
    }
}
