/* SPDX-License-Identifier: MIT
 * Keys of the schema that are about RabbitMQ: where the bridge consumes and where it hands on. */
#include "config/schema/part.h"

/* What both ends of the bridge say about their connections. */
#define CONNECTION_ROW(end, key, without, text)                                          \
    {                                                                                    \
        .path = "bridge." #end "." #key, .type = IDEM_SCHEMA_TEXT, .absent = (without),  \
        .min = 1, .offset = CONFIG(bridge.end.key), .meaning = (text)                    \
    }
#define CONNECTION_ROWS(end)                                                             \
    CONNECTION_ROW(end, user_env, "the user of the URL",                                 \
                   "Environment variable that holds the user."),                         \
        CONNECTION_ROW(end, password_env, "the password of the URL",                     \
                       "Environment variable that holds the password."),                 \
        CONNECTION_ROW(end, password_file, "the password of the URL",                    \
                       "File whose first line is the password."),                        \
        CONNECTION_ROW(end, ca_file, "the system's authorities",                         \
                       "`amqps://`: file of the certificates that the broker's is "      \
                       "checked against."),                                              \
        CONNECTION_ROW(end, certificate, "none",                                         \
                       "`amqps://`: file of the bridge's own certificate."),             \
        CONNECTION_ROW(end, private_key, "none",                                         \
                       "`amqps://`: file of the key of that certificate.")

static const struct idem_schema_row rows[] = {
    {.path = "bridge",
     .type = IDEM_SCHEMA_MAPPING,
     .absent = "idem-bridge does not run",
     .meaning = "RabbitMQ: what idem-bridge consumes, and where it hands it on."},
    {.path = "bridge.mode",
     .type = IDEM_SCHEMA_WORD,
     .fallback = "forward",
     .words = idem_schema_mode_words,
     .offset = CONFIG(bridge.mode),
     .meaning =
         "`forward` hands messages on. `rpc` hands requests on to a worker, stores "
         "its replies and answers with them, as rules with `on_duplicate: replay` "
         "say."},
    {.path = "bridge.replies",
     .type = IDEM_SCHEMA_MAPPING,
     .absent = "required by mode: rpc",
     .lone_key = "queue",
     .meaning = "Mode rpc: where the workers' replies come to, at the sink's broker. A "
                "word alone stands for `queue`."},
    {.path = "bridge.replies.queue",
     .type = IDEM_SCHEMA_TEXT,
     .required = true,
     .max = 255,
     .min = 1,
     .offset = CONFIG(bridge.replies.queue),
     .meaning = "The queue's name. Several instances may share one: each can settle what "
                "another has asked; replies come faster to one that has its own."},
    {.path = "bridge.replies.prefetch",
     .type = IDEM_SCHEMA_UNSIGNED,
     .fallback = "1000",
     .min = 1,
     .max = 65535,
     .offset = CONFIG(bridge.replies.prefetch),
     .meaning = "How many unacknowledged replies a worker holds at most."},
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
     .meaning =
         "PostgreSQL: what $1, $2, ... stand for: `key` (the idempotency key), "
         "`payload` (the body), `digest` (16 bytes that stand for scope and key) or "
         "any other extractor; what a message does not have is null."},
    {.path = "bridge.sink.inbox",
     .type = IDEM_SCHEMA_TEXT,
     .fallback = "idem_inbox",
     .min = 1,
     .offset = CONFIG(bridge.sink.inbox),
     .meaning = "PostgreSQL: the table of the keys' records, `NAME` or `SCHEMA.NAME`; "
                "`bridge.declare` makes it."},
    {.path = "bridge.sink.batch",
     .type = IDEM_SCHEMA_UNSIGNED,
     .fallback = "1000",
     .min = 1,
     .max = 10000,
     .offset = CONFIG(bridge.sink.batch),
     .meaning = "PostgreSQL: how many messages share a transaction at most; those that "
                "are there are not kept waiting for more."},
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
         "Makes the source queue, the queue of replies, the sink's exchange (topic), and "
         "the quarantine's "
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
    {.path = "bridge.stalled_after",
     .type = IDEM_SCHEMA_DURATION,
     .fallback = "60s",
     .max = 24 * 3600 * SECOND_MS,
     .offset = CONFIG(bridge.stalled_after_ms),
     .meaning = "After how long without any progress, with messages under way, the log "
                "says once what they wait for (`bridge.stalled`); 0: never."},
    {.path = "bridge.workers",
     .type = IDEM_SCHEMA_UNSIGNED,
     .fallback = "1",
     .min = 1,
     .max = 64,
     .offset = CONFIG(bridge.workers),
     .meaning = "Threads, each with connections of its own."},
};

IDEM_SCHEMA_PART(bridge)
