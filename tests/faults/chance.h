/* SPDX-License-Identifier: MIT
 * Numbers by chance that a seed repeats. */
#ifndef TESTS_FAULTS_CHANCE_H
#define TESTS_FAULTS_CHANCE_H

#include <stdint.h>

struct chance {
    uint64_t state;
};

/* A sequence of its own for each name, so that one scenario alone makes the choices it makes among all. */
void chance_init(struct chance *chance, uint64_t seed, const char *name);

/* From 0 to below - 1. */
unsigned chance_below(struct chance *chance, unsigned below);

#endif
