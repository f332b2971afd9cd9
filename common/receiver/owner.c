/* SPDX-License-Identifier: MIT
 * The owner of claims, from an instance's name and the moment of its start. */
#include "receiver/owner.h"

#include <idem/clock.h>
#include <idem/receiver.h>

#include <sodium.h>

/* Rises with each start as long as the clock does; the random bits keep apart two starts in one
 * millisecond. */
static uint64_t new_incarnation(void) {
    return (uint64_t)idem_clock_wall_ms() << 20 | (randombytes_random() & 0xFFFFF);
}

/* The instance's name decides alone: neither secret nor rules, which may change between two starts. */
uint64_t idem_instance_number(const char *instance) {
    uint64_t number = 0;
    struct idem_span name = idem_span_text(instance);
    struct idem_secret secret;
    struct idem_digest digest;
    idem_secret_default(&secret);
    idem_digest_of(&digest, &secret, IDEM_DOMAIN_OWNER, &name, 1);
    for (size_t i = 0; i < sizeof number; i++) {
        number |= (uint64_t)digest.bytes[i] << (8 * i);
    }
    return number;
}

struct idem_owner idem_owner_of(const char *instance, uint64_t incarnation) {
    return (struct idem_owner){idem_instance_number(instance),
                               incarnation != 0 ? incarnation : new_incarnation()};
}
