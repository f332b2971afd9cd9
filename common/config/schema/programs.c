/* SPDX-License-Identifier: MIT
 * Keys of the schema for the plugin, the web server and the log. */
#include "config/schema/part.h"

static const struct idem_schema_row rows[] = {
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
    {.path = "mqtt.replay_requests",
     .type = IDEM_SCHEMA_UNSIGNED,
     .fallback = "16384",
     .min = 1,
     .max = 1048576,
     .offset = CONFIG(mqtt.replay_requests),
     .meaning = "With `on_duplicate: replay`: how many requests may wait for their "
                "response at a time; of more, the oldest get theirs without its being "
                "stored."},
    {.path = "mqtt.replay_bytes",
     .type = IDEM_SCHEMA_UNSIGNED,
     .fallback = "16777216",
     .min = 65536,
     .max = 1073741824,
     .offset = CONFIG(mqtt.replay_bytes),
     .meaning = "The memory that they may take, and the repeats that wait with them."},
    {.path = "mqtt.control",
     .type = IDEM_SCHEMA_WORD,
     .fallback = "read",
     .words = idem_schema_control_words,
     .offset = CONFIG(mqtt.control),
     .meaning = "What `$CONTROL/idem/v1` answers to clients that the broker lets publish "
                "there: nothing, commands that read, or also those that forget keys and "
                "take rules out."},
    {.path = "http",
     .type = IDEM_SCHEMA_SECTION,
     .meaning = "The bridge's own web server: a page, metrics, health. It only reads."},
    {.path = "http.listen",
     .type = IDEM_SCHEMA_LISTEN,
     .fallback = "127.0.0.1:9477",
     .offset = CONFIG(http.listen),
     .meaning =
         "`ADDRESS:PORT`, an IPv6 address in brackets, or `off`. An address that is "
         "not of the loopback needs `token_file`. Where the file says nothing and "
         "the port is taken, by another bridge for example, the bridge runs "
         "without; a port that the file names must be free."},
    {.path = "http.token_file",
     .type = IDEM_SCHEMA_TEXT,
     .absent = "nobody is asked",
     .min = 1,
     .max = 4000,
     .offset = CONFIG(http.token_file),
     .meaning = "File whose first line, 16 bytes at least, is the token that clients "
                "send: `Authorization: Bearer TOKEN`. The health checks and the empty "
                "page need none."},
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

IDEM_SCHEMA_PART(programs)
