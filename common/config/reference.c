/* SPDX-License-Identifier: MIT
 * Prints the reference of the configuration: what the schema says, and how values are written. */
#include "config/reference.h"
#include "config/reader.h"

static const char *const introduction[] = {
    "# Configuration",
    "",
    "One YAML file for all programs: the plugin takes it as `plugin_opt_config PATH`,",
    "`idem-bridge` and `idemctl` as `-c PATH`. Unknown keys, repeated keys, wrong",
    "types and impossible values are refused as `FILE:LINE: key: what is wrong; what",
    "would be right`. Every key except those marked *required* may be left out. An",
    "empty file is a valid configuration: it has no rules, and every message passes.",
    "",
    "[examples/idem.yaml](../../examples/idem.yaml) shows every key in its place.",
    "",
    "This page is made from the table in `common/config/schema/`, which parses the",
    "file too, by `build/tests/unit/config/test_reference --write FILE`; a test fails",
    "when the two differ. (The table is our own, over libyaml: libcyaml has no",
    "unions, and `key` may be a word, a list or a mapping.)",
    "",
    "## How values are written",
    "",
    "- **duration**: a whole number and a unit: `500ms`, `30s`, `5m`, `72h`, `7d`.",
    "- **name**: 1 to 128 of `A-Z a-z 0-9 _ . -`.",
    "- **MQTT topic filter**: `+` stands for one whole level, `#` for all levels that",
    "  follow; neither matches a first level that begins with `$`.",
    "- **AMQP topic pattern**: words between dots; `*` stands for one word, `#` for",
    "  any number of words.",
    "- Quotes are needed around what YAML would read otherwise: `\"#\"`, `\"\"`, a",
    "  value that begins with `*`, `&` or `!`, and one that holds `: ` or ` #`.",
    "- Anchors, aliases, tags and second documents are refused. A file has 1 MiB and",
    "  256 rules at most.",
    "- A password in a URL is never shown in a message about the file.",
    "",
    "## Extractors",
    "",
    "An extractor finds a value in a message. It yields nothing where the value is",
    "absent, empty or longer than 4096 bytes.",
    "",
    "| extractor | value |",
    "|---|---|",
    "| `property:NAME` | the MQTT 5 user property or AMQP header of that name |",
    "| `message-id` | AMQP message_id |",
    "| `correlation-id` | MQTT 5 correlation data, AMQP correlation_id |",
    "| `topic:N` | the Nth level of the topic or word of the routing key, from 1 |",
    "| `topic`, `routing-key` | the whole topic or routing key |",
    "| `json:/POINTER` | what the JSON pointer (RFC 6901) finds in the payload |",
    "| `client` | the MQTT client id |",
    "| `user` | the authenticated user |",
    "| `payload` | the payload's hash |",
    "| `payload-sha256` | the payload's SHA-256, as 64 lower-case hexadecimal digits |",
    "| `text:LITERAL` | the literal itself, to be joined with others |",
    "",
    "A **key** (and `by`, `producer`, `epoch`, `number`) is one of three forms:",
    "",
    "- `key: property:idempotency-key`: one extractor;",
    "- `key: [property:idempotency-key, json:/id, payload]`: the first that yields a",
    "  value;",
    "- `key: {all: [topic:2, json:/seq]}`: all of them joined; where one yields",
    "  nothing, there is no key.",
    "",
    "Where `payload` is the one that yields the key, it stands for the hash of the",
    "payload and of the topic together: two sensors with the same reading have not",
    "sent the same message. Inside `{all: [...]}` it is the payload's hash alone; add",
    "`topic` where the topic matters. `payload-sha256` is of the payload alone, and what",
    "anyone computes: a producer that sends that hash as its key has sent the same key.",
    "Both always yield, so they come last in a list.",
    "",
    "Only the value counts, not the extractor that found it: a header and a member of",
    "the payload with the same value are the same key.",
    "",
    "## Top level",
    "",
};

static bool is_mapping(const struct idem_schema_row *row) {
    return row->type == IDEM_SCHEMA_SECTION || row->type == IDEM_SCHEMA_MAPPING ||
           row->type == IDEM_SCHEMA_RULES;
}

static void print_words(FILE *out, const struct idem_schema_row *row) {
    for (const struct idem_schema_word *word = row->words; word->name != NULL; word++) {
        (void)fprintf(out, "%s`%s`", word == row->words ? "" : ", ", word->name);
    }
}

static void print_duration(FILE *out, int64_t ms) {
    char text[32];
    idem_config_duration_text(text, sizeof text, ms);
    (void)fputs(text, out);
}

static void print_form(FILE *out, const struct idem_schema_row *row) {
    if (row->words != NULL) {
        print_words(out, row);
    }
    if (row->type != IDEM_SCHEMA_WORD) {
        const char *text = idem_schema_type_text(row->type);
        (void)fputs(row->type == IDEM_SCHEMA_SCOPE ? " or {by: extractors}" : text, out);
    }
    if (row->lone_key != NULL) {
        (void)fputs(", or text", out);
    }
    if (row->type == IDEM_SCHEMA_UNSIGNED) {
        (void)fprintf(out, ", %lld to %lld", (long long)row->min, (long long)row->max);
    }
    if (row->type == IDEM_SCHEMA_DURATION) {
        (void)fputs(", ", out);
        print_duration(out, row->min);
        (void)fputs(" to ", out);
        print_duration(out, row->max);
    }
}

static void print_default(FILE *out, const struct idem_schema_row *row) {
    if (row->required) {
        (void)fputs("*required*", out);
    } else if (row->fallback != NULL) {
        (void)fprintf(out, "`%s`", row->fallback);
    } else {
        (void)fputs(row->absent != NULL ? row->absent : "", out);
    }
}

static const char *strategies_text(unsigned strategies) {
    switch (strategies) {
    case 0:
        return "";
    case IDEM_SCHEMA_FOR(IDEM_STRATEGY_KEY):
        return " With strategy `key` only.";
    case IDEM_SCHEMA_FOR(IDEM_STRATEGY_SEQUENCE):
        return " With strategy `sequence` only.";
    default:
        return " Not with strategy `natural`.";
    }
}

static void print_row(FILE *out, const struct idem_schema_row *row, const char *key) {
    (void)fprintf(out, "| `%s` | ", key);
    print_form(out, row);
    (void)fputs(" | ", out);
    print_default(out, row);
    (void)fprintf(out, " | %s%s |\n", row->meaning, strategies_text(row->strategies));
}

static void print_table(FILE *out, const char *prefix) {
    (void)fputs("| key | value | default | meaning |\n|---|---|---|---|\n", out);
    for (size_t i = 0; i < idem_schema_count(); i++) {
        const char *key = idem_schema_key(idem_schema_at(i), prefix);
        if (key != NULL) {
            print_row(out, idem_schema_at(i), key);
        }
    }
}

void idem_config_reference(FILE *out) {
    for (size_t i = 0; i < sizeof introduction / sizeof introduction[0]; i++) {
        (void)fprintf(out, "%s\n", introduction[i]);
    }
    print_table(out, "");
    for (size_t i = 0; i < idem_schema_count(); i++) {
        const struct idem_schema_row *row = idem_schema_at(i);
        if (is_mapping(row)) {
            (void)fprintf(out, "\n## `%s`\n\n%s\n\n", idem_schema_prefix(row),
                          row->meaning);
            print_table(out, idem_schema_prefix(row));
        }
    }
}
