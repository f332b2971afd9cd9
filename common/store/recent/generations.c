/* SPDX-License-Identifier: MIT
 * A bounded memory of records in two generations. */
#include "store/recent/generations.h"

#define SHARDS 256

bool idem_generations_init(struct idem_generations *generations, size_t most) {
    generations->young = 0;
    generations->most = most < 2 ? 1 : most / 2;
    bool first = idem_record_set_init(&generations->sets[0], SHARDS);
    bool second = idem_record_set_init(&generations->sets[1], SHARDS);
    return first && second;
}

void idem_generations_fini(struct idem_generations *generations) {
    idem_record_set_fini(&generations->sets[0]);
    idem_record_set_fini(&generations->sets[1]);
}

struct idem_record idem_generations_find(const struct idem_generations *generations,
                                         const struct idem_digest *digest) {
    struct idem_record record = {.state = IDEM_RECORD_NONE};
    const struct idem_record_set *young = &generations->sets[generations->young];
    const struct idem_record_set *old = &generations->sets[1 - generations->young];
    if (!idem_record_set_find(young, digest, &record)) {
        (void)idem_record_set_find(old, digest, &record);
    }
    return record;
}

void idem_generations_put(struct idem_generations *generations,
                          const struct idem_digest *digest,
                          const struct idem_record *record) {
    struct idem_record kept = *record;
    kept.result = idem_span_of(NULL, 0);
    if (idem_record_set_count(&generations->sets[generations->young]) >=
        generations->most) {
        generations->young = 1 - generations->young;
        idem_record_set_clear(&generations->sets[generations->young]);
    }
    if (idem_record_set_put(&generations->sets[generations->young], digest, &kept) !=
        IDEM_OK) {
        idem_generations_remove(generations, digest); /* nothing rather than the past */
    }
}

void idem_generations_remove(struct idem_generations *generations,
                             const struct idem_digest *digest) {
    idem_record_set_remove(&generations->sets[0], digest);
    idem_record_set_remove(&generations->sets[1], digest);
}

void idem_generations_clear(struct idem_generations *generations) {
    idem_record_set_clear(&generations->sets[0]);
    idem_record_set_clear(&generations->sets[1]);
}

size_t idem_generations_count(const struct idem_generations *generations) {
    return idem_record_set_count(&generations->sets[0]) +
           idem_record_set_count(&generations->sets[1]);
}

size_t idem_generations_bytes(const struct idem_generations *generations) {
    return idem_record_set_bytes(&generations->sets[0]) +
           idem_record_set_bytes(&generations->sets[1]);
}
