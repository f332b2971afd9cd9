/* SPDX-License-Identifier: MIT
 * Numbers by chance that a seed repeats: splitmix64. */
#include "chance.h"

static uint64_t mix(uint64_t value) {
    value = (value ^ (value >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94D049BB133111EB);
    return value ^ (value >> 31);
}

void chance_init(struct chance *chance, uint64_t seed, const char *name) {
    chance->state = mix(seed + 1);
    for (; *name != '\0'; name++) {
        chance->state = mix(chance->state ^ (unsigned char)*name);
    }
}

unsigned chance_below(struct chance *chance, unsigned below) {
    chance->state += UINT64_C(0x9E3779B97F4A7C15);
    return (unsigned)(mix(chance->state) % below);
}
