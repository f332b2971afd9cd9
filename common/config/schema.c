/* SPDX-License-Identifier: MIT
 * The table of all keys, in the order of the reference. */
#include "config/schema.h"
#include "config/words.h"

#define CONFIG(member) offsetof(struct idem_config, member)
#define DRAFT(member)  offsetof(struct idem_rule_draft, member)
#define RULE(member)   offsetof(struct idem_rule_draft, rule.member)

#define SECOND_MS INT64_C(1000)
#define HOUR_MS   (3600 * SECOND_MS)
#define DAY_MS    (24 * HOUR_MS)

#define KEYED    IDEM_SCHEMA_FOR(IDEM_STRATEGY_KEY)
#define NUMBERED IDEM_SCHEMA_FOR(IDEM_STRATEGY_SEQUENCE)

/* Fields of enumerations are written as int. */
_Static_assert(sizeof(enum idem_action) == sizeof(int), "enumerations have int's size");

/* What both ends of the bridge say about their connections. */
#define CONNECTION_ROW(end, key, without, text)                                          \
    {                                                                                    \
        .path = "bridge." #end "." #key, .type = IDEM_SCHEMA_TEXT, .absent = without,    \
        .min = 1, .offset = CONFIG(bridge.end.key), .meaning = text                      \
    }
#define CONNECTION_ROWS(end)                                                             \
    CONNECTION_ROW(end, user_env, "the user of the URL",                                 \
                   "AMQP: environment variable that holds the user."),                   \
        CONNECTION_ROW(end, password_env, "the password of the URL",                     \
                       "AMQP: environment variable that holds the password."),           \
        CONNECTION_ROW(end, password_file, "the password of the URL",                    \
                       "AMQP: file whose first line is the password."),                  \
        CONNECTION_ROW(end, ca_file, "the system's authorities",                         \
                       "`amqps://`: file of the certificates that the broker's is "      \
                       "checked against."),                                              \
        CONNECTION_ROW(end, certificate, "none",                                         \
                       "`amqps://`: file of the bridge's own certificate."),             \
        CONNECTION_ROW(end, private_key, "none",                                         \
                       "`amqps://`: file of the key of that certificate.")

const struct idem_schema_row idem_schema_rows[] = {
    {.path = "instance",
     .type = IDEM_SCHEMA_NAME,
     .absent = "the host name",
     .offset = CONFIG(instance),
     .meaning =
         "Names the owner of claims; a restarted program takes the claims of its "
         "own name over at once, so each program on a shared store needs its own."},
    {.path = "secret_file",
     .type = IDEM_SCHEMA_TEXT,
     .absent = "a public secret",
     .min = 1,
     .offset = CONFIG(secret_file),
     .meaning =
         "File of 16 bytes to 4 KiB that keys every digest, so that nobody without "
         "it can compute or confirm what a store holds; a relative path starts at "
         "the folder of the configuration."},

    {.path = "store", .type = IDEM_SCHEMA_SECTION, .meaning = "Where records are kept."},
    {.path = "store.url",
     .type = IDEM_SCHEMA_STORE_URL,
     .fallback = "embedded:///var/lib/idem/store",
     .offset = CONFIG(store.url),
     .meaning = "`memory:`, `embedded:///PATH`, `unix:///PATH`, `redis://...`, "
                "`redis+sentinel://...` or `redis+cluster://...`; `rediss` in place of "
                "`redis` for TLS."},
    {.path = "store.wait",
     .type = IDEM_SCHEMA_WORD,
     .absent = "park for a remote store",
     .words = idem_schema_wait_words,
     .offset = CONFIG(store.wait),
     .meaning = "How the plugin waits for a remote store: `park` keeps a copy of the "
                "message and never blocks the broker, `block` does; the embedded store "
                "answers at once."},
    {.path = "store.deadline",
     .type = IDEM_SCHEMA_DURATION,
     .fallback = "50ms",
     .min = 1,
     .max = 60 * SECOND_MS,
     .offset = CONFIG(store.deadline_ms),
     .meaning = "The longest that one message waits for the store's answer; after it, "
                "`on_store_failure` decides."},
    {.path = "store.park_messages",
     .type = IDEM_SCHEMA_UNSIGNED,
     .fallback = "16384",
     .min = 1,
     .max = 65536,
     .offset = CONFIG(store.park_messages),
     .meaning = "How many messages the plugin keeps at most while they wait for a remote "
                "store; `on_store_failure` decides about those beyond."},
    {.path = "store.park_bytes",
     .type = IDEM_SCHEMA_UNSIGNED,
     .fallback = "67108864",
     .min = 1,
     .max = 4294967295,
     .offset = CONFIG(store.park_bytes),
     .meaning = "How much memory these messages take at most."},
    {.path = "store.recent_keys",
     .type = IDEM_SCHEMA_UNSIGNED,
     .fallback = "262144",
     .min = 1,
     .max = 16777216,
     .offset = CONFIG(store.recent_keys),
     .meaning = "How many keys a program remembers itself in front of a remote store; "
                "their copies are recognised without asking it, also while it is down."},

    {.path = "rules",
     .type = IDEM_SCHEMA_RULES,
     .absent = "no rules: every message passes",
     .meaning = "The rules; the first one that matches a message decides about it, and a "
                "message that none matches passes untouched."},
    {.path = "rules[].name",
     .type = IDEM_SCHEMA_NAME,
     .required = true,
     .offset = RULE(name),
     .meaning = "Unique; names the rule in figures and logs and, with `scope: rule`, is "
                "part of the key."},
    {.path = "rules[].match",
     .type = IDEM_SCHEMA_MAPPING,
     .required = true,
     .meaning =
         "Which messages the rule is for: all given parts must match, and at least "
         "one must be given."},
    {.path = "rules[].match.topic",
     .type = IDEM_SCHEMA_TOPIC_FILTER,
     .absent = "any",
     .offset = RULE(match.topic),
     .meaning = "MQTT: filter over the topic, with `+` for one level and `#` for the "
                "rest."},
    {.path = "rules[].match.queue",
     .type = IDEM_SCHEMA_PATTERN,
     .absent = "any",
     .offset = RULE(match.queue),
     .meaning = "AMQP: pattern over the name of the queue consumed from."},
    {.path = "rules[].match.routing_key",
     .type = IDEM_SCHEMA_PATTERN,
     .absent = "any",
     .offset = RULE(match.routing_key),
     .meaning = "AMQP: pattern over the routing key, with `*` for one word and `#` for "
                "any number of words."},
    {.path = "rules[].match.header",
     .type = IDEM_SCHEMA_HEADER,
     .absent = "any",
     .offset = RULE(match),
     .meaning =
         "A user property (MQTT 5) or header (AMQP) that must be there, `NAME`, or "
         "must have a value, `{NAME: VALUE}`."},
    {.path = "rules[].strategy",
     .type = IDEM_SCHEMA_WORD,
     .fallback = "key",
     .words = idem_schema_strategy_words,
     .offset = RULE(strategy),
     .meaning =
         "What makes two copies the same: `key` an idempotency key, `sequence` a "
         "number that each producer counts up; `natural` means that repeating does "
         "no harm, so the message passes, is counted, and nothing is stored."},
    {.path = "rules[].key",
     .type = IDEM_SCHEMA_KEY,
     .absent = "required by the strategy key",
     .strategies = KEYED,
     .offset = RULE(key),
     .meaning = "The idempotency key: one extractor, a list of which the first that "
                "yields a value wins, or `{all: [...]}`, where all must yield."},
    {.path = "rules[].scope",
     .type = IDEM_SCHEMA_SCOPE,
     .fallback = "principal",
     .words = idem_schema_scope_words,
     .strategies = KEYED | NUMBERED,
     .offset = RULE(scope),
     .meaning = "What a key is unique within: everything, the rule, the `principal` (the "
                "user, else the client id), or the group that `{by: ...}` yields."},
    {.path = "rules[].ttl",
     .type = IDEM_SCHEMA_DURATION,
     .fallback = "72h",
     .min = 1,
     .max = 3650 * DAY_MS,
     .strategies = KEYED | NUMBERED,
     .offset = RULE(ttl_ms),
     .meaning =
         "How long a delivered message is remembered; longer than the longest time "
         "after which a copy may still be sent, and longer than the lease."},
    {.path = "rules[].short_ttl",
     .type = IDEM_SCHEMA_BOOL,
     .fallback = "false",
     .strategies = KEYED | NUMBERED,
     .offset = DRAFT(short_ttl),
     .meaning = "Says that a ttl below 1h is meant, and silences the warning about it."},
    {.path = "rules[].lease",
     .type = IDEM_SCHEMA_DURATION,
     .fallback = "30s",
     .min = 1,
     .max = DAY_MS,
     .strategies = KEYED | NUMBERED,
     .offset = RULE(lease_ms),
     .meaning = "How long a claim keeps other copies out while its message is being "
                "delivered; after it, another copy may take the claim over."},
    {.path = "rules[].fingerprint",
     .type = IDEM_SCHEMA_FINGERPRINT,
     .fallback = "payload",
     .strategies = KEYED,
     .offset = RULE(fingerprint),
     .meaning =
         "What must be equal in two messages with the same key for the second to be "
         "a duplicate; anything else is a conflict. `none`: the key alone decides."},
    {.path = "rules[].on_missing_key",
     .type = IDEM_SCHEMA_WORD,
     .fallback = "deliver",
     .words = idem_schema_missing_words,
     .strategies = KEYED | NUMBERED,
     .offset = RULE(policies.on_missing_key),
     .meaning = "What happens to a message in which no key can be found."},
    {.path = "rules[].on_duplicate",
     .type = IDEM_SCHEMA_WORD,
     .fallback = "drop",
     .words = idem_schema_duplicate_words,
     .strategies = KEYED | NUMBERED,
     .offset = RULE(policies.on_duplicate),
     .meaning = "What happens to a later copy; the publisher sees success either way. "
                "`replay` answers it with the stored response of the first."},
    {.path = "rules[].on_conflict",
     .type = IDEM_SCHEMA_WORD,
     .fallback = "quarantine",
     .words = idem_schema_conflict_words,
     .strategies = KEYED,
     .offset = RULE(policies.on_conflict),
     .meaning = "What happens to a message that has the key of another and a different "
                "fingerprint."},
    {.path = "rules[].on_in_doubt",
     .type = IDEM_SCHEMA_WORD,
     .fallback = "deliver",
     .words = idem_schema_doubt_words,
     .strategies = KEYED | NUMBERED,
     .offset = RULE(policies.on_in_doubt),
     .meaning = "What happens to a copy whose earlier delivery may or may not have "
                "happened, since its holder died in the middle."},
    {.path = "rules[].on_store_failure",
     .type = IDEM_SCHEMA_WORD,
     .fallback = "deliver",
     .words = idem_schema_failure_words,
     .strategies = KEYED | NUMBERED,
     .offset = RULE(policies.on_store_failure),
     .meaning = "What happens while the store cannot answer: `deliver` unprotected, or "
                "`refuse`, so that the source keeps the message."},
    {.path = "rules[].propagate",
     .type = IDEM_SCHEMA_MAPPING,
     .absent = "the key is not passed on",
     .lone_key = "as",
     .strategies = KEYED | NUMBERED,
     .meaning = "Hands the key on with the delivered message, so that the next receiver "
                "can be idempotent too; a word alone stands for `as`."},
    {.path = "rules[].propagate.as",
     .type = IDEM_SCHEMA_TEXT,
     .fallback = "idempotency-key",
     .max = IDEM_NAME_MAX,
     .min = 1,
     .offset = RULE(propagate.as),
     .meaning = "The user property (MQTT 5) or header (AMQP) to set."},
    {.path = "rules[].propagate.hop",
     .type = IDEM_SCHEMA_TEXT,
     .absent = "the key as it came",
     .max = IDEM_NAME_MAX,
     .min = 1,
     .offset = RULE(propagate.hop),
     .meaning = "Name of the next hop: the key is then derived from it and from the key, "
                "always the same for the same two."},
    {.path = "rules[].sequence",
     .type = IDEM_SCHEMA_MAPPING,
     .absent = "required by the strategy sequence",
     .strategies = NUMBERED,
     .meaning = "Where the numbers of the strategy `sequence` are found."},
    {.path = "rules[].sequence.producer",
     .type = IDEM_SCHEMA_KEY,
     .fallback = "client",
     .offset = RULE(sequence.producer),
     .meaning = "Who counts: each producer has a mark of its own."},
    {.path = "rules[].sequence.epoch",
     .type = IDEM_SCHEMA_KEY,
     .absent = "no epochs",
     .offset = RULE(sequence.epoch),
     .meaning = "Number of the producer's incarnation: a higher one starts a new count, "
                "and an older one is fenced off."},
    {.path = "rules[].sequence.number",
     .type = IDEM_SCHEMA_KEY,
     .required = true,
     .offset = RULE(sequence.number),
     .meaning = "The number that the producer counts up."},
    {.path = "rules[].sequence.window",
     .type = IDEM_SCHEMA_UNSIGNED,
     .fallback = "0",
     .max = 1024,
     .offset = RULE(sequence.window),
     .meaning =
         "How far behind the highest number a late one is still accepted, once; 0: "
         "numbers must rise."},
    {.path = "rules[].sequence.on_gap",
     .type = IDEM_SCHEMA_WORD,
     .fallback = "accept",
     .words = idem_schema_gap_words,
     .offset = RULE(sequence.on_gap),
     .meaning = "What happens to a number that leaves others out."},

    {.path = "bridge",
     .type = IDEM_SCHEMA_MAPPING,
     .absent = "idem-bridge does not run",
     .meaning = "RabbitMQ: what idem-bridge consumes, and where it hands it on."},
    {.path = "bridge.source",
     .type = IDEM_SCHEMA_MAPPING,
     .required = true,
     .meaning = "The queue that is consumed."},
    {.path = "bridge.source.url",
     .type = IDEM_SCHEMA_SOURCE_URL,
     .required = true,
     .offset = CONFIG(bridge.source.urls),
     .meaning = "`amqp://` or `amqps://`, with user, password, host, port and virtual "
                "host (`%2f` is `/`); several are tried in turn."},
    CONNECTION_ROWS(source),
    {.path = "bridge.source.queue",
     .type = IDEM_SCHEMA_TEXT,
     .required = true,
     .max = 255,
     .min = 1,
     .offset = CONFIG(bridge.source.queue),
     .meaning = "The queue's name."},
    {.path = "bridge.source.prefetch",
     .type = IDEM_SCHEMA_UNSIGNED,
     .fallback = "1000",
     .min = 1,
     .max = 65535,
     .offset = CONFIG(bridge.source.prefetch),
     .meaning = "How many unacknowledged messages a worker holds at most."},
    {.path = "bridge.sink",
     .type = IDEM_SCHEMA_MAPPING,
     .required = true,
     .meaning = "Where what is new goes: an exchange, or a statement in PostgreSQL."},
    {.path = "bridge.sink.url",
     .type = IDEM_SCHEMA_SINK_URL,
     .required = true,
     .offset = CONFIG(bridge.sink.urls),
     .meaning = "`amqp://`, `amqps://` or `postgresql://`; several AMQP URLs are tried "
                "in turn."},
    CONNECTION_ROWS(sink),
    {.path = "bridge.sink.exchange",
     .type = IDEM_SCHEMA_TEXT,
     .absent = "the default exchange",
     .max = 255,
     .offset = CONFIG(bridge.sink.exchange),
     .meaning = "AMQP: the exchange to publish to."},
    {.path = "bridge.sink.routing_key",
     .type = IDEM_SCHEMA_TEXT,
     .absent = "the original one",
     .max = 255,
     .offset = CONFIG(bridge.sink.routing_key),
     .meaning = "AMQP: the routing key to publish with; empty: the original one."},
    {.path = "bridge.sink.statement",
     .type = IDEM_SCHEMA_TEXT,
     .absent = "required by postgresql://",
     .max = 65536,
     .min = 1,
     .offset = CONFIG(bridge.sink.statement),
     .meaning = "PostgreSQL: the statement that is executed in one transaction with the "
                "record of the key."},
    {.path = "bridge.sink.parameters",
     .type = IDEM_SCHEMA_PARAMETERS,
     .absent = "none",
     .offset = CONFIG(bridge.sink),
     .meaning = "PostgreSQL: what $1, $2, ... stand for: `key` (the idempotency key), "
                "`payload` (the body) or any other extractor."},
    {.path = "bridge.quarantine",
     .type = IDEM_SCHEMA_MAPPING,
     .absent = "none",
     .meaning = "Where messages are set aside for a person to look at."},
    {.path = "bridge.quarantine.exchange",
     .type = IDEM_SCHEMA_TEXT,
     .required = true,
     .max = 255,
     .min = 1,
     .offset = CONFIG(bridge.quarantine_exchange),
     .meaning = "The exchange that quarantined messages are published to."},
    {.path = "bridge.declare",
     .type = IDEM_SCHEMA_BOOL,
     .fallback = "false",
     .offset = CONFIG(bridge.declare),
     .meaning =
         "Makes the source queue, the sink's exchange (topic), and the quarantine's "
         "exchange (fanout) with a queue of the same name, all durable, where they "
         "are not there; otherwise what is not there is an error at start."},
    {.path = "bridge.attempts",
     .type = IDEM_SCHEMA_UNSIGNED,
     .fallback = "5",
     .min = 1,
     .max = 1000,
     .offset = CONFIG(bridge.attempts),
     .meaning = "After how many failed deliveries (unroutable, refused by the broker) a "
                "message goes to the quarantine; without one it is tried for ever."},
    {.path = "bridge.drain",
     .type = IDEM_SCHEMA_DURATION,
     .fallback = "10s",
     .max = 3600 * SECOND_MS,
     .offset = CONFIG(bridge.drain_ms),
     .meaning = "The longest that a stop waits for messages that are under way; the "
                "source keeps those that are not through by then."},
    {.path = "bridge.workers",
     .type = IDEM_SCHEMA_UNSIGNED,
     .fallback = "1",
     .min = 1,
     .max = 64,
     .offset = CONFIG(bridge.workers),
     .meaning = "Threads, each with connections of its own."},

    {.path = "mqtt", .type = IDEM_SCHEMA_SECTION, .meaning = "The Mosquitto plugin."},
    {.path = "mqtt.sys_interval",
     .type = IDEM_SCHEMA_DURATION,
     .fallback = "10s",
     .max = DAY_MS,
     .offset = CONFIG(mqtt.sys_interval_ms),
     .meaning = "How often figures are published under `$SYS/broker/idem/`; 0s: never."},
    {.path = "mqtt.handover",
     .type = IDEM_SCHEMA_TEXT,
     .absent = "beside the embedded store, else beside this file",
     .min = 1,
     .max = 4000,
     .offset = CONFIG(mqtt.handover),
     .meaning = "The file for messages that a clean stop of the broker would throw away; "
                "its folder must be writable for the broker."},
    {.path = "http",
     .type = IDEM_SCHEMA_SECTION,
     .meaning = "The bridge's own web server, for metrics and health."},
    {.path = "http.listen",
     .type = IDEM_SCHEMA_LISTEN,
     .fallback = "127.0.0.1:9477",
     .offset = CONFIG(http.listen),
     .meaning = "`ADDRESS:PORT`; an IPv6 address in brackets. It has no access control: "
                "keep it on the loopback or behind a proxy."},
    {.path = "log", .type = IDEM_SCHEMA_SECTION, .meaning = "What is logged, and how."},
    {.path = "log.format",
     .type = IDEM_SCHEMA_WORD,
     .fallback = "text",
     .words = idem_schema_format_words,
     .offset = CONFIG(log.format),
     .meaning = "One line of text or one JSON object an event; inside Mosquitto its own "
                "log is used."},
    {.path = "log.level",
     .type = IDEM_SCHEMA_WORD,
     .fallback = "info",
     .words = idem_schema_level_words,
     .offset = CONFIG(log.level),
     .meaning = "The least important lines that are still written."},
};

const size_t idem_schema_count = sizeof idem_schema_rows / sizeof idem_schema_rows[0];

_Static_assert(sizeof idem_schema_rows / sizeof idem_schema_rows[0] <=
                   IDEM_SCHEMA_ROWS_MAX,
               "raise IDEM_SCHEMA_ROWS_MAX");
