/* SPDX-License-Identifier: MIT
 * The contract of the stores, for each backend in turn. */
#include "contract.h"

static const struct stores_variant *variant;

const struct stores_variant *contract_variant(void) {
    return variant;
}

struct stores_box contract_box(void) {
    struct stores_box box = {.sync_each = variant->sync_each,
                             .recent_keys = variant->recent_keys};
    return box;
}

int contract_open(void **state) {
    static struct stores_box box;
    box = contract_box();
    stores_make(&box, variant->url);
    *state = &box;
    return 0;
}

int contract_close(void **state) {
    stores_remove(*state);
    return 0;
}

int contract_run(const struct CMUnitTest *tests, size_t count) {
    const struct stores_variant *variants;
    size_t variant_count = stores_variants(&variants);
    int failed = 0;
    for (size_t i = 0; i < variant_count; i++) {
        variant = &variants[i];
        failed += _cmocka_run_group_tests(variant->name, tests, count, NULL, NULL);
    }
    return failed;
}
