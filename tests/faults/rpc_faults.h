/* SPDX-License-Identifier: MIT
 * Mode rpc in the middle of requests: bridges, stores and brokers are killed, connections cut. Everyone is
 * answered, all answers to a key are the same, a conflict is refused, and the worker does a key once, but for
 * what a bridge said that it is in doubt. */
#ifndef TESTS_FAULTS_RPC_FAULTS_H
#define TESTS_FAULTS_RPC_FAULTS_H

#include "testing.h"

#include <stdint.h>

#define RPC_FAULTS_MAX 16

/* Its scenarios, as tests; how many. */
size_t rpc_faults_collect(struct CMUnitTest *tests, bool full, uint64_t seed);

/* A table in Markdown of those that were played. */
void rpc_faults_print(void);

#endif
