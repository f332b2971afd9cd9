/* SPDX-License-Identifier: MIT
 * Keys of the schema that all programs share: who they are, and where records are kept. */
#include "config/schema/part.h"

static const struct idem_schema_row rows[] = {
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
};

IDEM_SCHEMA_PART(general)
