/* SPDX-License-Identifier: MIT
 * The checker: how often each message arrived, and whether what arrived twice was in doubt. */
#ifndef TESTS_FAULTS_TALLY_H
#define TESTS_FAULTS_TALLY_H

#include "stage.h"

struct tally {
    unsigned kills;
    unsigned cuts;
    unsigned unique;
    unsigned copies;
    unsigned missing; /* messages that did not arrive */
    unsigned twice;   /* arrivals beyond the first */
    unsigned doubts;  /* lines in which a bridge said that a copy was in doubt */
    /* Of the arrivals beyond the first: no bridge doubted that key. */
    unsigned unaccounted;
    unsigned excessive;  /* doubts that no disturbance explains */
    unsigned late;       /* copies delivered although everything had long been through */
    unsigned alien;      /* arrivals that nobody published */
    unsigned unexpected; /* bridges that met an event which their state does not know */
    long long balance;   /* cents in the database's accounts */
    long long astray;    /* cents that are not where they should be */
};

/* Empties the sink queue and reads the bridges' logs. */
void tally_take(struct tally *tally, struct stage *stage);

bool tally_is_clean(const struct tally *tally);

/* A table in Markdown. */
void tally_print_head(void);
void tally_print(const char *title, const struct tally *tally);
void tally_add(struct tally *sum, const struct tally *tally);

#endif
