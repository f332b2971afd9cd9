/* SPDX-License-Identifier: MIT
 * What becomes of a response: stored, or not, and then for which reason. */
#include <idem/result.h>

/* "4*" stands for all that begin with 4. */
static bool value_matches(const char *pattern, struct idem_span value) {
    size_t len = strlen(pattern);
    if (len > 0 && pattern[len - 1] == '*') {
        len--;
        return value.len >= len && memcmp(value.data, pattern, len) == 0;
    }
    return idem_span_equal(value, idem_span_of(pattern, len));
}

static bool is_failed(const struct idem_result_spec *spec,
                      const struct idem_result *result) {
    struct idem_span value = {NULL, 0};
    if (spec->failed_header == NULL ||
        !idem_result_find_header(result, idem_span_text(spec->failed_header), &value)) {
        return false;
    }
    bool any = spec->failed_values[0] == NULL;
    for (size_t i = 0; !any && spec->failed_values[i] != NULL; i++) {
        any = value_matches(spec->failed_values[i], value);
    }
    return any;
}

enum idem_result_fate idem_result_judge(const struct idem_result_spec *spec,
                                        const struct idem_result *result) {
    if (!spec->store_failed && is_failed(spec, result)) {
        return IDEM_RESULT_FAILED;
    }
    size_t size = idem_result_size(result);
    return size == 0 || size > spec->max ? IDEM_RESULT_TOO_LARGE : IDEM_RESULT_STORE;
}

const char *idem_result_fate_name(enum idem_result_fate fate) {
    switch (fate) {
    case IDEM_RESULT_STORE:
        return "store";
    case IDEM_RESULT_TOO_LARGE:
        return "too_large";
    case IDEM_RESULT_FAILED:
        return "failed";
    case IDEM_RESULT_FATE_COUNT:
        break;
    }
    return "unknown";
}
