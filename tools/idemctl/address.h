/* SPDX-License-Identifier: MIT
 * Which record is meant: a rule and its key, a whole sample message, or a digest. */
#ifndef IDEM_CTL_ADDRESS_H
#define IDEM_CTL_ADDRESS_H

#include "sample.h"

#include <idem/identity.h>

struct address {
    struct sample sample;
    /* What is left of the command line: RULE KEY..., or a digest; borrowed from argv. */
    char **words;
    size_t word_count;
    const char *principal;
    const char *by[IDEM_EXTRACTORS_MAX];
    size_t by_count;

    /* Set by address_resolve. */
    const struct idem_rule *rule; /* NULL: only the digest is known */
    struct idem_digest digest;    /* of the record: of a number, its producer's */
};

/* Rows of a getopt table. */
enum {
    ADDRESS_PRINCIPAL = SAMPLE_OPTIONS_END,
    ADDRESS_BY,
    ADDRESS_OPTIONS_END,
};
#define ADDRESS_OPTIONS                                                                  \
    SAMPLE_LONG_OPTIONS, {"principal", required_argument, NULL, ADDRESS_PRINCIPAL}, {    \
        "by", required_argument, NULL, ADDRESS_BY                                        \
    }

void address_init(struct address *address);
void address_fini(struct address *address);
/* False: the option is none of these, or its value is not right, which has been said. */
bool address_take(struct address *address, int option, const char *value);
/* When all options have been taken: what is left names the key. */
bool address_settle(struct address *address, const char *command, int count,
                    char **words);

/* One more value of an option that may be repeated; false: there are too many, which has been said. */
bool address_add(const char **list, size_t *count, size_t most, const char *option,
                 const char *value);

/* Finds the digest by the configuration's rules, or says why there is none. */
enum ctl_exit address_resolve(struct address *address, const struct idem_config *config);

/* rule and digest, as members of a report. */
void address_describe(const struct address *address, struct json_object *report);

/* The lines of a usage text. */
#define ADDRESS_USAGE                                                                    \
    "  RULE KEY [KEY ...]        a rule's name, and the key; several where the rule "    \
    "joins them\n"                                                                       \
    "      --principal WHO       user:NAME or client:ID, for scope: principal\n"         \
    "      --by VALUE            for a scope of a group; once for each of its values\n"  \
    "  DIGEST                    32 hexadecimal digits\n"                                \
    "  -t TOPIC ...              a whole message, with the options of explain\n"

#endif
