/* SPDX-License-Identifier: MIT
 * Scopes as people read them, hostile bytes and small buffers included. */
#include "sample.h"

#include <idem/identity.h>

#include <string.h>

struct fixture {
    struct idem_rule rule;
    struct idem_workspace *workspace;
    struct sample sample;
};

static int open_fixture(void **state) {
    static struct fixture fixture;
    assert_int_equal(idem_digest_init(NULL), IDEM_OK);
    assert_int_equal(idem_workspace_open(&fixture.workspace), IDEM_OK);
    sample_rule(&fixture.rule, "orders");
    sample_init(&fixture.sample);
    *state = &fixture;
    return 0;
}

static int close_fixture(void **state) {
    struct fixture *fixture = *state;
    idem_rule_fini(&fixture->rule);
    idem_workspace_close(fixture->workspace);
    return 0;
}

static const char *described(struct fixture *fixture, size_t size) {
    static char text[256];
    memset(text, '#', sizeof text);
    idem_scope_describe(&fixture->rule, &fixture->sample.message, fixture->workspace,
                        text, size);
    assert_int_equal(text[size], '#'); /* nothing beyond what was lent */
    return text;
}

static void every_kind_is_named_with_its_value(void **state) {
    struct fixture *fixture = *state;
    assert_string_equal(described(fixture, 100), "global");
    fixture->rule.scope.kind = IDEM_SCOPE_RULE;
    assert_string_equal(described(fixture, 100), "rule orders");
    fixture->rule.scope.kind = IDEM_SCOPE_PRINCIPAL;
    assert_string_equal(described(fixture, 100), "principal client:c1");
    fixture->sample.message.user = idem_span_text("alice");
    assert_string_equal(described(fixture, 100), "principal user:alice");
    fixture->rule.scope.kind = IDEM_SCOPE_BY;
    sample_spec(&fixture->rule.scope.by, "user&topic:1&payload");
    assert_string_equal(described(fixture, 100),
                        "by alice, orders, (hash of the payload)");
}

static void an_absent_scope_is_said_to_be_absent(void **state) {
    struct fixture *fixture = *state;
    fixture->sample.message.client = idem_span_text("");
    fixture->rule.scope.kind = IDEM_SCOPE_PRINCIPAL;
    assert_string_equal(described(fixture, 100),
                        "principal (neither user nor client id)");
    fixture->rule.scope.kind = IDEM_SCOPE_BY;
    sample_spec(&fixture->rule.scope.by, "user");
    assert_string_equal(described(fixture, 100), "by (no value)");
}

static void bytes_that_are_no_text_are_shown_as_hex(void **state) {
    struct fixture *fixture = *state;
    fixture->rule.scope.kind = IDEM_SCOPE_PRINCIPAL;
    fixture->sample.message.user = idem_span_of("a\0\x1b[\xFF\xC3\xA9", 7);
    assert_string_equal(described(fixture, 100),
                        "principal user:a\\x00\\x1B[\\xFF\xC3\xA9");
}

static void a_small_buffer_gets_whole_characters_and_an_end(void **state) {
    struct fixture *fixture = *state;
    fixture->rule.scope.kind = IDEM_SCOPE_PRINCIPAL;
    fixture->sample.message.user = idem_span_text("x\xC3\xA9y");
    assert_string_equal(described(fixture, 20), "principal user:x\xC3\xA9y");
    assert_string_equal(described(fixture, 19), "principal user:x\xC3\xA9");
    assert_string_equal(described(fixture, 18), "principal user:x");
    assert_string_equal(described(fixture, 1), "");
    assert_int_equal(described(fixture, 0)[0], '#');
}

#define WITH_FIXTURE(test)                                                               \
    cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(every_kind_is_named_with_its_value),
        WITH_FIXTURE(an_absent_scope_is_said_to_be_absent),
        WITH_FIXTURE(bytes_that_are_no_text_are_shown_as_hex),
        WITH_FIXTURE(a_small_buffer_gets_whole_characters_and_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
