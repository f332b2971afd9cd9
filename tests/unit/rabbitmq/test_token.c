/* SPDX-License-Identifier: MIT
 * The token of a request: what comes back is what was sent, and nothing else is taken for one. */
#include "token.h"

#include "testing.h"

static struct idem_secret secret;
static struct idem_token sent;
static char text[IDEM_TOKEN_SIZE];

static int set_up(void **state) {
    struct idem_error error = IDEM_ERROR_INIT;
    (void)state;
    assert_int_equal(idem_digest_init(&error), IDEM_OK);
    memset(&secret, 7, sizeof secret);
    memset(&sent, 0, sizeof sent);
    for (size_t i = 0; i < IDEM_DIGEST_SIZE; i++) {
        sent.ticket.digest.bytes[i] = (uint8_t)(250 + i);
    }
    sent.ticket.owner.instance = UINT64_C(0x0102030405060708);
    sent.ticket.owner.incarnation = UINT64_C(0xFFFFFFFFFFFFFFFE);
    sent.ticket.ttl_ms = INT64_C(259200000);
    sent.rule = idem_token_rule("orders");
    sent.lease_until_ms = INT64_C(1790000000123);
    idem_token_print(text, &sent, &secret);
    return 0;
}

static bool read_text(struct idem_token *token, const char *from, size_t len) {
    return idem_token_read(token, idem_span_of(from, len), &secret);
}

static void what_was_printed_is_read(void **state) {
    struct idem_token token;
    (void)state;
    assert_true(read_text(&token, text, strlen(text)));
    assert_true(idem_digest_equal(&token.ticket.digest, &sent.ticket.digest));
    assert_true(token.ticket.owner.instance == sent.ticket.owner.instance);
    assert_true(token.ticket.owner.incarnation == sent.ticket.owner.incarnation);
    assert_true(token.ticket.ttl_ms == sent.ticket.ttl_ms);
    assert_true(token.rule == sent.rule);
    assert_true(token.lease_until_ms == sent.lease_until_ms);
}

static void it_is_printable_and_fits_into_a_short_string(void **state) {
    (void)state;
    assert_true(strlen(text) < IDEM_TOKEN_SIZE);
    for (const char *at = text; *at != '\0'; at++) {
        assert_true((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                    (*at >= '0' && *at <= '9') || *at == '-' || *at == '_');
    }
}

static void no_changed_character_is_accepted(void **state) {
    struct idem_token token;
    (void)state;
    for (size_t i = 0; i < strlen(text); i++) {
        char forged[IDEM_TOKEN_SIZE];
        memcpy(forged, text, sizeof forged);
        for (int byte = 0; byte < 256; byte++) {
            forged[i] = (char)byte;
            assert_int_equal(read_text(&token, forged, strlen(text)),
                             forged[i] == text[i]);
        }
    }
}

static void no_other_length_is_accepted(void **state) {
    struct idem_token token;
    char longer[2 * IDEM_TOKEN_SIZE];
    (void)state;
    for (size_t len = 0; len < strlen(text); len++) {
        assert_false(read_text(&token, text, len));
    }
    memset(longer, 'A', sizeof longer);
    memcpy(longer, text, strlen(text));
    for (size_t len = strlen(text) + 1; len < sizeof longer; len++) {
        assert_false(read_text(&token, longer, len));
    }
    assert_false(idem_token_read(&token, idem_span_of(NULL, 0), &secret));
}

static void another_secret_makes_other_tokens(void **state) {
    struct idem_secret other;
    struct idem_token token;
    (void)state;
    idem_secret_default(&other);
    assert_false(idem_token_read(&token, idem_span_of(text, strlen(text)), &other));
}

static void noise_is_no_token(void **state) {
    uint32_t random = 4711;
    struct idem_token token;
    (void)state;
    for (int run = 0; run < 10000; run++) {
        char noise[IDEM_TOKEN_SIZE];
        for (size_t i = 0; i < sizeof noise; i++) {
            random = random * 1664525u + 1013904223u;
            noise[i] = (char)(random >> 24);
        }
        assert_false(read_text(&token, noise, strlen(text)));
    }
}

static void rules_are_told_apart_by_name(void **state) {
    (void)state;
    assert_true(idem_token_rule("orders") == idem_token_rule("orders"));
    assert_true(idem_token_rule("orders") != idem_token_rule("orders2"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_printed_is_read, set_up),
        cmocka_unit_test_setup(it_is_printable_and_fits_into_a_short_string, set_up),
        cmocka_unit_test_setup(no_changed_character_is_accepted, set_up),
        cmocka_unit_test_setup(no_other_length_is_accepted, set_up),
        cmocka_unit_test_setup(another_secret_makes_other_tokens, set_up),
        cmocka_unit_test_setup(noise_is_no_token, set_up),
        cmocka_unit_test_setup(rules_are_told_apart_by_name, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
