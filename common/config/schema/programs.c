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

IDEM_SCHEMA_PART(programs)
