/* SPDX-License-Identifier: MIT
 * The contract of the stores: one table of tests, run for each backend in turn. */
#ifndef TESTS_CONTRACT_H
#define TESTS_CONTRACT_H

#include "stores.h"

/* The one whose turn it is. */
const struct stores_variant *contract_variant(void);

/* A box that will be opened as the variant asks; the caller makes it. */
struct stores_box contract_box(void);

/* Setup and teardown: the state is an open struct stores_box. */
int contract_open(void **state);
int contract_close(void **state);
#define CONTRACT_CASE(name)                                                              \
    cmocka_unit_test_setup_teardown(name, contract_open, contract_close)

/* What main returns: how many tests failed. */
int contract_run(const struct CMUnitTest *tests, size_t count);
#define CONTRACT_RUN(tests) contract_run((tests), sizeof(tests) / sizeof(tests)[0])

#endif
