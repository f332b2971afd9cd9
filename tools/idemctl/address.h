/* SPDX-License-Identifier: MIT
 * Which record is meant: a rule and its key, a whole sample message, or a digest. */
#ifndef IDEM_CTL_ADDRESS_H
#define IDEM_CTL_ADDRESS_H

#include "sample.h"

#include <idem/identity.h>

#define ADDRESS_INSTANCES_MAX 32

struct address {
    struct sample sample;
    /* What is left of the command line: RULE KEY..., or a digest; borrowed from argv. */
    char **words;
    size_t word_count;
    const char *principal;
    const char *by[IDEM_EXTRACTORS_MAX];
    size_t by_count;
    const char *instances[ADDRESS_INSTANCES_MAX]; /* names that the user knows */
    size_t instance_count;
    bool yes;

    /* Set by address_resolve. */
    const struct idem_rule *rule; /* NULL: only the digest is known */
    struct idem_digest digest;    /* of the record: of a number, its producer's */
};

/* Reads the command line; --instance and --yes only where they are asked for. address_fini in any case. */
enum ctl_exit address_parse(struct address *address, int argc, char **argv,
                            bool takes_instances, bool takes_yes);
void address_fini(struct address *address);

/* Finds the digest by the configuration's rules, or says why there is none. */
enum ctl_exit address_resolve(struct address *address, const struct idem_config *config);

/* What a command is that deals with one record: its line is read, the digest found, and the task run with the
 * address as its argument. */
enum ctl_exit address_run(const struct ctl *ctl, struct address *address,
                          const char *usage, ctl_task *task);

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
