/* SPDX-License-Identifier: MIT
 * What running programs know and no store does, such as how often a key came: told beside what the store has. */
#ifndef IDEM_CTL_PROGRAM_H
#define IDEM_CTL_PROGRAM_H

#include "live.h"

#include <idem/digest.h>

/* Whether one is named at all; there may be a broker and a bridge. */
bool program_named(const struct live_source *source);

/* Ask those that are named, about a key or for their figures, and add what they say to the report, as "broker"
 * and "bridge". CTL_SILENT: one of them did not answer, which has been said; the other one's answer is there. */
enum ctl_exit program_look_up(const struct live_source *source,
                              const struct idem_digest *digest,
                              struct json_object *report);
enum ctl_exit program_stats(const struct live_source *source, struct json_object *report);

/* A line for people who named none: how to ask for it. */
void program_hint(const struct ctl *ctl, const struct live_source *source,
                  struct json_object *report, const char *name);

#endif
