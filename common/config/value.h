/* SPDX-License-Identifier: MIT
 * How values become fields: one setter for each type of the schema, told the place by the reader. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "config/reader.h"

#define IDEM_CONFIG_TEXT_MAX 4096 /* bytes of a value, where the row says nothing else */

/* Checks text and puts it into the field that the row describes; owned strings are replaced. */
typedef enum idem_code idem_config_setter(struct idem_config_reader *reader,
                                          const struct idem_schema_row *row, void *field,
                                          const char *text);

/* The same from a list or a mapping. */
typedef enum idem_code idem_config_shaper(struct idem_config_reader *reader,
                                          const struct idem_schema_row *row, void *field,
                                          yaml_node_t *node);

/* value.c */
idem_config_setter idem_config_word;
IDEM_MUST_USE enum idem_code idem_config_replace(struct idem_config_reader *reader,
                                                 char **field, const char *text);

/* quantity.c */
idem_config_setter idem_config_unsigned;
idem_config_setter idem_config_duration;

/* The number that text begins with, of up to 15 decimal digits; returns what follows them. */
const char *idem_config_digits(const char *text, int64_t *number);

/* address.c */
idem_config_setter idem_config_store_url;
idem_config_setter idem_config_amqp_url;
idem_config_setter idem_config_listen;
idem_config_setter idem_config_topic_filter;
idem_config_setter idem_config_pattern;

/* shape.c */
idem_config_setter idem_config_header_text;
idem_config_setter idem_config_key_text;
idem_config_setter idem_config_fingerprint_text;
idem_config_setter idem_config_names_text;
idem_config_shaper idem_config_header_node;
idem_config_shaper idem_config_key_node;
idem_config_shaper idem_config_scope_node;
idem_config_shaper idem_config_fingerprint_node;
idem_config_shaper idem_config_parameters_node;
idem_config_shaper idem_config_names_node;
idem_config_shaper idem_config_amqp_urls;

#endif
