/* SPDX-License-Identifier: MIT
 * The words that keys of the configuration take, for the schema. */
#ifndef CONFIG_WORDS_H
#define CONFIG_WORDS_H

#include "config/schema.h"

extern const struct idem_schema_word idem_schema_wait_words[];
extern const struct idem_schema_word idem_schema_strategy_words[];
extern const struct idem_schema_word idem_schema_scope_words[];
extern const struct idem_schema_word idem_schema_ttl_from_words[];
extern const struct idem_schema_word idem_schema_missing_words[];
extern const struct idem_schema_word idem_schema_duplicate_words[];
extern const struct idem_schema_word idem_schema_conflict_words[];
extern const struct idem_schema_word idem_schema_flight_words[];
extern const struct idem_schema_word idem_schema_doubt_words[];
extern const struct idem_schema_word idem_schema_failure_words[];
extern const struct idem_schema_word idem_schema_gap_words[];
extern const struct idem_schema_word idem_schema_fenced_words[];
extern const struct idem_schema_word idem_schema_unknown_words[];
extern const struct idem_schema_word idem_schema_control_words[];
extern const struct idem_schema_word idem_schema_mode_words[];
extern const struct idem_schema_word idem_schema_format_words[];
extern const struct idem_schema_word idem_schema_level_words[];

#endif
