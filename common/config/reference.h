/* SPDX-License-Identifier: MIT
 * The reference of the configuration as Markdown, made from the schema. */
#ifndef CONFIG_REFERENCE_H
#define CONFIG_REFERENCE_H

#include <stdio.h>

/* Writes docs/reference/configuration.md as it must be. The caller asks ferror(out). */
void idem_config_reference(FILE *out);

#endif
