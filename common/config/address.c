/* SPDX-License-Identifier: MIT
 * Values that name places: URLs, addresses, topic filters and patterns. */
#include "config/value.h"

#include <idem/store.h>

#define PATTERN_MAX 255 /* AMQP short strings */

/* The store explains what is wrong with a URL. It is asked about the masked one for that, so that no
 * text of its own can tell the password. */
enum idem_code idem_config_store_url(struct idem_config_reader *reader,
                                     const struct idem_schema_row *row, void *field,
                                     const char *text) {
    (void)row;
    char masked[IDEM_CONFIG_TEXT_MAX + 1];
    struct idem_error inner = IDEM_ERROR_INIT;
    if (strlen(text) >= sizeof masked) {
        return idem_config_refuse(reader, "longer than %d bytes; write a shorter URL",
                                  IDEM_CONFIG_TEXT_MAX);
    }
    enum idem_code code = idem_store_url_check(text, NULL);
    if (code == IDEM_OK) {
        return idem_config_replace(reader, field, text);
    }
    if (code == IDEM_ERR_NOMEM) {
        return idem_config_nomem(reader);
    }
    idem_config_mask(masked, sizeof masked, text);
    if (idem_store_url_check(masked, &inner) == IDEM_OK) {
        return idem_config_refuse(reader, "the user or the password in the URL is "
                                          "malformed; write special characters as %%XX");
    }
    return idem_config_refuse(reader, "%s", inner.text);
}

static bool has_scheme(const char *text, const char *const *schemes) {
    for (; *schemes != NULL; schemes++) {
        size_t len = strlen(*schemes);
        if (strncmp(text, *schemes, len) == 0 && text[len] != '\0') {
            return true;
        }
    }
    return false;
}

enum idem_code idem_config_amqp_url(struct idem_config_reader *reader,
                                    const struct idem_schema_row *row, void *field,
                                    const char *text) {
    bool sink = row->type == IDEM_SCHEMA_SINK_URL;
    static const char *const amqp[] = {"amqp://", "amqps://", NULL};
    static const char *const database[] = {"postgresql://", "postgres://", NULL};
    struct idem_config_quote shown;
    if (!has_scheme(text, amqp) && !(sink && has_scheme(text, database))) {
        return idem_config_refuse(reader, "%s is not possible; write amqp://HOST%s",
                                  idem_config_quoted(&shown, text),
                                  sink ? ", amqps://HOST or postgresql://HOST"
                                       : " or amqps://HOST");
    }
    if (strlen(text) > IDEM_CONFIG_TEXT_MAX) {
        return idem_config_refuse(reader, "longer than %d bytes; write a shorter URL",
                                  IDEM_CONFIG_TEXT_MAX);
    }
    return idem_config_replace(reader, field, text);
}

enum idem_code idem_config_listen(struct idem_config_reader *reader,
                                  const struct idem_schema_row *row, void *field,
                                  const char *text) {
    (void)row;
    struct idem_config_quote shown;
    char **listen = field;
    const char *colon = strrchr(text, ':');
    int64_t port = 0;
    if (strcmp(text, "off") == 0) {
        free(*listen);
        *listen = NULL;
        return IDEM_OK;
    }
    size_t host = colon != NULL ? (size_t)(colon - text) : 0;
    bool brackets = host > 2 && text[0] == '[' && text[host - 1] == ']';
    bool possible = host > 0 && host <= 255 && strpbrk(text, " /@") == NULL &&
                    (brackets || strcspn(text, ":[]") == host);
    const char *rest = possible ? idem_config_digits(colon + 1, &port) : text;
    if (!possible || *rest != '\0' || port < 1 || port > 65535) {
        return idem_config_refuse(reader,
                                  "%s is not ADDRESS:PORT; write for example "
                                  "127.0.0.1:9477 or [::1]:9477, or off",
                                  idem_config_quoted(&shown, text));
    }
    return idem_config_replace(reader, field, text);
}

enum idem_code idem_config_topic_filter(struct idem_config_reader *reader,
                                        const struct idem_schema_row *row, void *field,
                                        const char *text) {
    (void)row;
    struct idem_config_quote shown;
    if (!idem_topic_filter_valid(idem_span_text(text))) {
        return idem_config_refuse(reader,
                                  "%s is not an MQTT topic filter; + stands for a whole "
                                  "level, # for all levels after the last /",
                                  idem_config_quoted(&shown, text));
    }
    return idem_config_replace(reader, field, text);
}

/* Every '*' and '#' is a word of its own; elsewhere a broker takes it for itself, which nobody means. */
static bool pattern_valid(const char *text) {
    size_t len = strlen(text);
    for (size_t at = strcspn(text, "*#"); at < len;
         at += 1 + strcspn(text + at + 1, "*#")) {
        bool begins = at == 0 || text[at - 1] == '.';
        bool ends = text[at + 1] == '.' || text[at + 1] == '\0';
        if (!begins || !ends) {
            return false;
        }
    }
    return len > 0 && len <= PATTERN_MAX;
}

enum idem_code idem_config_pattern(struct idem_config_reader *reader,
                                   const struct idem_schema_row *row, void *field,
                                   const char *text) {
    (void)row;
    struct idem_config_quote shown;
    if (!pattern_valid(text)) {
        return idem_config_refuse(reader,
                                  "%s is not an AMQP topic pattern; write words between "
                                  "dots, * for one word, # for any number, 255 bytes at "
                                  "most",
                                  idem_config_quoted(&shown, text));
    }
    return idem_config_replace(reader, field, text);
}
