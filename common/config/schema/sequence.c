/* SPDX-License-Identifier: MIT
 * Keys of the schema below a rule's `sequence`: where its numbers are, and how they are counted. */
#include "config/schema/part.h"

static const struct idem_schema_row rows[] = {
    {.path = "rules[].sequence",
     .type = IDEM_SCHEMA_MAPPING,
     .absent = "required by the strategy sequence",
     .strategies = NUMBERED,
     .meaning = "Where the numbers of the strategy `sequence` are found, and which of "
                "them are taken."},
    {.path = "rules[].sequence.producer",
     .type = IDEM_SCHEMA_KEY,
     .fallback = "client",
     .offset = RULE(sequence.producer),
     .meaning = "Who counts: each producer has a mark of its own."},
    {.path = "rules[].sequence.epoch",
     .type = IDEM_SCHEMA_KEY,
     .absent = "no epochs",
     .offset = RULE(sequence.epoch),
     .meaning = "Number of the producer's incarnation, decimal: a higher one starts a "
                "new count, "
                "and an older one is fenced off."},
    {.path = "rules[].sequence.number",
     .type = IDEM_SCHEMA_KEY,
     .required = true,
     .offset = RULE(sequence.number),
     .meaning = "The number that the producer counts up by one, decimal, at most 2^64 "
                "- 1."},
    {.path = "rules[].sequence.wrap",
     .type = IDEM_SCHEMA_UNSIGNED,
     .fallback = "0",
     .max = 32,
     .offset = RULE(sequence.wrap),
     .meaning = "Bits after which numbers start at 0 again: 32, or 31 for producers "
                "that count with a signed number; 0: never."},
    {.path = "rules[].sequence.window",
     .type = IDEM_SCHEMA_UNSIGNED,
     .fallback = "0",
     .max = IDEM_WINDOW_MAX,
     .offset = RULE(sequence.window),
     .meaning =
         "How far behind the highest number a late one is still accepted, once; 0: "
         "numbers must rise."},
    {.path = "rules[].sequence.on_gap",
     .type = IDEM_SCHEMA_WORD,
     .fallback = "accept",
     .words = idem_schema_gap_words,
     .offset = RULE(policies.on_gap),
     .meaning = "What happens to a number that leaves others out: `hold` keeps it back "
                "until they have come (idem-bridge only)."},
    {.path = "rules[].sequence.hold_time",
     .type = IDEM_SCHEMA_DURATION,
     .fallback = "5s",
     .min = 1,
     .max = 3600 * SECOND_MS,
     .offset = RULE(sequence.hold_ms),
     .meaning = "With `on_gap: hold`: the longest that a number waits for others; then "
                "it is accepted."},
    {.path = "rules[].sequence.hold_numbers",
     .type = IDEM_SCHEMA_UNSIGNED,
     .fallback = "100",
     .min = 1,
     .max = 65535,
     .offset = RULE(sequence.hold_numbers),
     .meaning = "With `on_gap: hold`: how many numbers may be missing; one that leaves "
                "more out is accepted at once."},
    {.path = "rules[].sequence.on_unknown",
     .type = IDEM_SCHEMA_WORD,
     .fallback = "accept",
     .words = idem_schema_unknown_words,
     .offset = RULE(sequence.on_unknown),
     .meaning = "The first number of a producer that is not known, or of a new epoch: "
                "any, or 0, so that another one leaves numbers out."},
    {.path = "rules[].sequence.on_fenced",
     .type = IDEM_SCHEMA_WORD,
     .fallback = "quarantine",
     .words = idem_schema_fenced_words,
     .offset = RULE(policies.on_fenced),
     .meaning = "What happens to a message of an epoch that a newer one has ended."},
};

IDEM_SCHEMA_PART(sequence)
