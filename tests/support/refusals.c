/* SPDX-License-Identifier: MIT
 * Configurations with a mistake. */
#include "refusals.h"

#include <stdio.h>

void refusals_assert(const char *expected, const char *text, size_t length) {
    struct idem_config config;
    struct idem_error error = IDEM_ERROR_INIT;
    char whole[IDEM_ERROR_TEXT_MAX];
    (void)snprintf(whole, sizeof whole, "f.yaml:%s", expected);
    enum idem_code code =
        idem_config_parse(&config, "f.yaml", text, length, NULL, NULL, &error);
    idem_config_fini(&config);
    assert_string_equal(error.text, whole);
    assert_int_equal(code, IDEM_ERR_CONFIG);
}

void refusals_assert_taken(const char *text) {
    struct idem_config config;
    struct idem_error error = IDEM_ERROR_INIT;
    if (idem_config_parse(&config, "f.yaml", text, strlen(text), NULL, NULL, &error) !=
        IDEM_OK) {
        fail_msg("%s", error.text);
    }
    idem_config_fini(&config);
}

void refusals_assert_all(const struct mistake *mistakes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        refusals_assert(mistakes[i].expected, mistakes[i].text, strlen(mistakes[i].text));
    }
}
