/* SPDX-License-Identifier: MIT
 * Read by clang-tidy before each source file: tells it what it cannot see, since it looks at one file at
 * a time: idem_error_set() returns the code that it is given, so that `return idem_error_set(...)` is a
 * failure. */
#ifndef TESTS_LINT_ANALYZER_H
#define TESTS_LINT_ANALYZER_H

#include <idem/error.h>

#define idem_error_set(error, code, ...)                                                 \
    (idem_error_set(error, code, __VA_ARGS__), (code))

#endif
