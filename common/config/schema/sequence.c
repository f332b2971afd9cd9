/* SPDX-License-Identifier: MIT
 * Keys of the schema below a rule's `sequence`: where its numbers are, and how they are counted. */
#include "config/schema/part.h"

static const struct idem_schema_row rows[] = {
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
};

IDEM_SCHEMA_PART(sequence)
