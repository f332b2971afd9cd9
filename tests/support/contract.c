/* SPDX-License-Identifier: MIT
 * The contract of the stores, for each backend in turn. */
#include "contract.h"
#include "redis_cluster.h"

#include <stdio.h>

static const struct stores_variant *variant;

/* Starting it takes seconds, so there is one for all tests of a program, emptied for each. */
static struct redis_cluster cluster;
static char cluster_url[64];
static const struct stores_variant cluster_variant = {
    .name = "redis cluster", .url = cluster_url, .keeps = true, .slowness = 10};

static int start_cluster(void **state) {
    (void)state;
    redis_cluster_start(&cluster);
    (void)snprintf(cluster_url, sizeof cluster_url,
                   "redis+cluster://127.0.0.1:%u?timeout=10s", cluster.nodes[1].port);
    return 0;
}

static int stop_cluster(void **state) {
    (void)state;
    redis_cluster_remove(&cluster);
    return 0;
}

static void empty_cluster(void) {
    for (size_t i = 0; i < REDIS_CLUSTER_MASTERS; i++) {
        (void)redis_tell(&cluster.nodes[i], "FLUSHALL");
    }
}

const struct stores_variant *contract_variant(void) {
    return variant;
}

struct stores_box contract_box(void) {
    if (variant == &cluster_variant) {
        empty_cluster();
    }
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
    variant = &cluster_variant;
    return failed + _cmocka_run_group_tests(variant->name, tests, count, start_cluster,
                                            stop_cluster);
}
