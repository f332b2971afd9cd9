/* SPDX-License-Identifier: MIT
 * The key that travels on: as it came where that is text, else and for a hop a digest. */
#include "sample.h"

#include <idem/identity.h>

#include <stdlib.h>
#include <string.h>

static struct idem_rule rule;
static struct idem_secret secret;
static struct idem_digest digest;
static char out[IDEM_KEY_MAX + 1];

static int open_rule(void **state) {
    (void)state;
    assert_int_equal(idem_digest_init(NULL), IDEM_OK);
    idem_secret_default(&secret);
    memset(&digest, 0xAB, sizeof digest);
    sample_rule(&rule, "orders");
    rule.propagate.as[0] = sample_text("idempotency-key");
    return 0;
}

static int close_rule(void **state) {
    (void)state;
    idem_rule_fini(&rule);
    return 0;
}

static const char *propagated(struct idem_span value) {
    struct idem_extractor extractor = {.kind = IDEM_EXTRACT_CLIENT};
    struct idem_key_part part = {&extractor, value};
    size_t len = idem_propagated_key(&rule, &secret, &digest, &part, 1, out, sizeof out);
    assert_int_equal(len, strlen(out));
    return out;
}

static const char digest_hex[] = "abababababababababababababababab";

static void text_travels_as_it_came(void **state) {
    (void)state;
    assert_string_equal(propagated(idem_span_text("A-1 \xC3\xA9")), "A-1 \xC3\xA9");
    memset(out, 'x', sizeof out);
    char longest[IDEM_KEY_MAX];
    memset(longest, 'k', sizeof longest);
    assert_int_equal(strlen(propagated(idem_span_of(longest, sizeof longest))),
                     IDEM_KEY_MAX);
}

static void what_no_protocol_may_carry_travels_as_digest(void **state) {
    (void)state;
    static const struct idem_span values[] = {
        {(const uint8_t *)"a\0b", 3},         {(const uint8_t *)"a\nb", 3},
        {(const uint8_t *)"\x7F", 1},         {(const uint8_t *)"\xFF", 1},
        {(const uint8_t *)"\xC2\x80", 2},     {(const uint8_t *)"\xED\xA0\x80", 3},
        {(const uint8_t *)"\xEF\xBF\xBF", 3}, {(const uint8_t *)"\xEF\xB7\x90", 3},
        {(const uint8_t *)"ok\xE2\x82", 4},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_string_equal(propagated(values[i]), digest_hex);
    }
}

static void several_values_travel_as_digest(void **state) {
    (void)state;
    struct idem_extractor extractor = {.kind = IDEM_EXTRACT_CLIENT};
    struct idem_key_part parts[] = {{&extractor, idem_span_text("a")},
                                    {&extractor, idem_span_text("b")}};
    assert_int_equal(
        idem_propagated_key(&rule, &secret, &digest, parts, 2, out, sizeof out), 32);
    assert_string_equal(out, digest_hex);
}

static void a_payload_hash_is_no_text_even_if_it_looks_like_one(void **state) {
    (void)state;
    struct idem_extractor extractor = {.kind = IDEM_EXTRACT_PAYLOAD};
    struct idem_key_part part = {&extractor, idem_span_text("0123456789abcdef")};
    assert_int_equal(
        idem_propagated_key(&rule, &secret, &digest, &part, 1, out, sizeof out), 32);
    assert_string_equal(out, digest_hex);
}

static void a_hop_derives_a_key_of_its_own(void **state) {
    (void)state;
    char billing[IDEM_DIGEST_HEX_SIZE];
    rule.propagate.hop = sample_text("billing");
    memcpy(billing, propagated(idem_span_text("A-1")), sizeof billing);
    assert_int_equal(strlen(billing), 32);
    assert_string_not_equal(billing, digest_hex);
    assert_string_equal(propagated(idem_span_text("A-1")), billing);
    rule.propagate.hop[0] = 'B';
    assert_string_not_equal(propagated(idem_span_text("A-1")), billing);
    rule.propagate.hop[0] = 'b';
    digest.bytes[0] ^= 1;
    assert_string_not_equal(propagated(idem_span_text("A-1")), billing);
}

static void a_rule_that_does_not_propagate_gives_nothing(void **state) {
    (void)state;
    struct idem_extractor extractor = {.kind = IDEM_EXTRACT_CLIENT};
    struct idem_key_part part = {&extractor, idem_span_text("A-1")};
    free(rule.propagate.as[0]);
    rule.propagate.as[0] = NULL;
    assert_int_equal(
        idem_propagated_key(&rule, &secret, &digest, &part, 1, out, sizeof out), 0);
}

static void a_buffer_that_is_too_small_gets_nothing(void **state) {
    (void)state;
    struct idem_extractor extractor = {.kind = IDEM_EXTRACT_CLIENT};
    struct idem_key_part text = {&extractor, idem_span_text("A-1")};
    struct idem_key_part bytes = {&extractor, idem_span_text("\n")};
    assert_int_equal(idem_propagated_key(&rule, &secret, &digest, &text, 1, out, 3), 0);
    assert_int_equal(idem_propagated_key(&rule, &secret, &digest, &text, 1, out, 4), 3);
    assert_int_equal(idem_propagated_key(&rule, &secret, &digest, &bytes, 1, out, 32), 0);
    assert_int_equal(idem_propagated_key(&rule, &secret, &digest, &bytes, 1, out, 33),
                     32);
}

#define WITH_RULE(test) cmocka_unit_test_setup_teardown(test, open_rule, close_rule)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_RULE(text_travels_as_it_came),
        WITH_RULE(what_no_protocol_may_carry_travels_as_digest),
        WITH_RULE(several_values_travel_as_digest),
        WITH_RULE(a_payload_hash_is_no_text_even_if_it_looks_like_one),
        WITH_RULE(a_hop_derives_a_key_of_its_own),
        WITH_RULE(a_rule_that_does_not_propagate_gives_nothing),
        WITH_RULE(a_buffer_that_is_too_small_gets_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
