/* SPDX-License-Identifier: MIT
 * The decision table as data, so that a test can walk it. */
#ifndef IDEM_DECIDE_TABLE_H
#define IDEM_DECIDE_TABLE_H

#include <idem/verdict.h>

/* The policy that settles a reason. */
enum idem_policy {
    IDEM_POLICY_NONE, /* nothing to choose: one row, whose action is not looked at */
    IDEM_POLICY_MISSING_KEY,
    IDEM_POLICY_DUPLICATE,
    IDEM_POLICY_CONFLICT,
    IDEM_POLICY_IN_FLIGHT,
    IDEM_POLICY_IN_DOUBT,
    IDEM_POLICY_STORE_FAILURE,
    IDEM_POLICY_FENCED,
    IDEM_POLICY_GAP,
};

struct idem_decision {
    enum idem_reason reason;
    enum idem_policy policy;
    enum idem_action action;
    enum idem_verdict verdict;
};

/* Rows of one reason stand together; the first of them is the reason's default. */
extern const struct idem_decision idem_decisions[];
extern const size_t idem_decisions_count;

#endif
