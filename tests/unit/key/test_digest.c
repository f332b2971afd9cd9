/* SPDX-License-Identifier: MIT
 * Digests: golden values of another BLAKE2b, injectivity, hexadecimal, secret files. */
#include "files.h"
#include "testing.h"

#include <idem/digest.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct idem_secret secret;
static char dir[FILES_PATH_MAX];

static int prepare(void **state) {
    (void)state;
    files_make_dir(dir);
    idem_secret_default(&secret);
    assert_int_equal(idem_digest_init(NULL), IDEM_OK);
    return idem_digest_init(NULL) == IDEM_OK ? 0 : 1; /* a second time does no harm */
}

static int clean_up(void **state) {
    (void)state;
    files_remove_dir(dir);
    return 0;
}

static void assert_hex(const uint8_t *bytes, size_t count, const char *expected) {
    char hex[2 * IDEM_SECRET_SIZE + 1];
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    }
    assert_string_equal(hex, expected);
}

static void assert_digest(enum idem_digest_domain domain, const struct idem_span *spans,
                          size_t count, const char *expected) {
    struct idem_digest digest;
    idem_digest_of(&digest, &secret, domain, spans, count);
    assert_hex(digest.bytes, sizeof digest.bytes, expected);
}

/* Computed with Python's hashlib.blake2b: the secret, the domain's byte, then each span with its
 * length as 8 bytes, least significant first. */
static void digests_keep_their_golden_values(void **state) {
    (void)state;
    uint8_t long_span[300];
    const struct idem_span empty[] = {{NULL, 0}, {NULL, 0}};
    const struct idem_span two[] = {idem_span_text("ab"), idem_span_text("c")};
    const struct idem_span one = idem_span_of(long_span, sizeof long_span);
    memset(long_span, 'x', sizeof long_span);
    memcpy(long_span, "a\0b", 3);
    assert_hex(secret.bytes, sizeof secret.bytes,
               "84d3ac7c8bdc306233bb02361bedce2882abe9c226734d2e9046c3d1027587ff");
    assert_digest(IDEM_DOMAIN_KEY, empty, 2, "5911f7ec02c167b0c1510330dc814b1e");
    assert_digest(IDEM_DOMAIN_KEY, two, 2, "e91e08d6162078867f8d4e21427a6f5e");
    assert_digest(IDEM_DOMAIN_HOP, &one, 1, "532a84ed5a5a369db67f4f81a218b6e4");
}

static void spans_domains_and_secrets_are_told_apart(void **state) {
    (void)state;
    const struct idem_span spans[] = {idem_span_text("ab"), idem_span_text("c")};
    const struct idem_span moved[] = {idem_span_text("a"), idem_span_text("bc")};
    struct idem_secret other = secret;
    struct idem_digest digests[5];
    other.bytes[0] ^= 1;
    idem_digest_of(&digests[0], &secret, IDEM_DOMAIN_KEY, spans, 2);
    idem_digest_of(&digests[1], &secret, IDEM_DOMAIN_KEY, moved, 2);
    idem_digest_of(&digests[2], &secret, IDEM_DOMAIN_PAYLOAD, spans, 2);
    idem_digest_of(&digests[3], &other, IDEM_DOMAIN_KEY, spans, 2);
    idem_digest_of(&digests[4], &secret, IDEM_DOMAIN_KEY, spans, 1);
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_false(idem_digest_equal(&digests[i], &digests[j]));
        }
    }
}

/* What fits into one block goes another way: the bytes that are hashed must not show it. */
static void long_and_short_inputs_are_hashed_alike(void **state) {
    (void)state;
    uint8_t bytes[200];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    for (size_t len = 0; len <= sizeof bytes; len++) {
        const struct idem_span spans[] = {idem_span_of(bytes, len / 3),
                                          idem_span_of(bytes, len - len / 3)};
        const uint8_t domain = IDEM_DOMAIN_KEY;
        crypto_generichash_state hash;
        uint8_t expected[IDEM_DIGEST_SIZE];
        struct idem_digest digest;
        (void)crypto_generichash_init(&hash, NULL, 0, sizeof expected);
        (void)crypto_generichash_update(&hash, secret.bytes, sizeof secret.bytes);
        (void)crypto_generichash_update(&hash, &domain, 1);
        for (size_t i = 0; i < 2; i++) {
            const uint8_t length[8] = {(uint8_t)spans[i].len};
            (void)crypto_generichash_update(&hash, length, sizeof length);
            (void)crypto_generichash_update(&hash, spans[i].data, spans[i].len);
        }
        (void)crypto_generichash_final(&hash, expected, sizeof expected);
        idem_digest_of(&digest, &secret, IDEM_DOMAIN_KEY, spans, 2);
        assert_memory_equal(digest.bytes, expected, sizeof expected);
    }
}

static void hexadecimal_goes_both_ways(void **state) {
    (void)state;
    struct idem_digest digest;
    struct idem_digest back;
    char hex[IDEM_DIGEST_HEX_SIZE];
    for (size_t i = 0; i < sizeof digest.bytes; i++) {
        digest.bytes[i] = (uint8_t)(i * 17);
    }
    idem_digest_hex(&digest, hex);
    assert_string_equal(hex, "00112233445566778899aabbccddeeff");
    assert_true(idem_digest_parse(&back, hex));
    assert_true(idem_digest_equal(&digest, &back));
    assert_true(idem_digest_parse(&back, "00112233445566778899AABBCCDDEEFF"));
    assert_true(idem_digest_equal(&digest, &back));
}

static void what_is_not_32_digits_is_no_digest(void **state) {
    (void)state;
    struct idem_digest digest;
    assert_false(idem_digest_parse(&digest, ""));
    assert_false(idem_digest_parse(&digest, "00112233445566778899aabbccddeef"));
    assert_false(idem_digest_parse(&digest, "00112233445566778899aabbccddee"));
    assert_false(idem_digest_parse(&digest, "00112233445566778899aabbccddeeff0"));
    assert_false(idem_digest_parse(&digest, "00112233445566778899aabbccddeeff00"));
    assert_false(idem_digest_parse(&digest, "0011223344556677 8899aabbccddeeff"));
    assert_false(idem_digest_parse(&digest, "g0112233445566778899aabbccddeeff"));
}

static enum idem_code load(struct idem_secret *loaded, const char *text,
                           struct idem_error *error) {
    char path[FILES_PATH_MAX + 8];
    files_write(dir, "secret", text);
    (void)snprintf(path, sizeof path, "%s/secret", dir);
    return idem_secret_load(loaded, path, error);
}

static void a_secret_file_is_hashed_without_its_last_newline(void **state) {
    (void)state;
    struct idem_secret plain;
    struct idem_secret with_newline;
    assert_int_equal(load(&plain, "0123456789abcdef", NULL), IDEM_OK);
    assert_hex(plain.bytes, sizeof plain.bytes,
               "c783baf5fb1427e7d924c9fe93ee161169324bb139d9cd8d8b9602c412ec6cda");
    assert_int_equal(load(&with_newline, "0123456789abcdef\r\n", NULL), IDEM_OK);
    assert_memory_equal(plain.bytes, with_newline.bytes, sizeof plain.bytes);
}

static void secret_files_have_a_least_and_a_greatest_length(void **state) {
    (void)state;
    struct idem_secret loaded;
    struct idem_error error = IDEM_ERROR_INIT;
    char text[4096 + 2];
    memset(text, 's', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(load(&loaded, "0123456789abcde\n", &error), IDEM_ERR_INVALID);
    assert_non_null(strstr(error.text, "15 bytes"));
    assert_int_equal(load(&loaded, text, NULL), IDEM_ERR_INVALID);
    text[4096] = '\0';
    assert_int_equal(load(&loaded, text, NULL), IDEM_OK);
    assert_int_equal(load(&loaded, "", NULL), IDEM_ERR_INVALID);
}

static void a_secret_file_that_cannot_be_read_is_named(void **state) {
    (void)state;
    struct idem_secret loaded;
    struct idem_error error = IDEM_ERROR_INIT;
    assert_int_equal(idem_secret_load(&loaded, "/nonexistent/secret", &error),
                     IDEM_ERR_IO);
    assert_non_null(strstr(error.text, "/nonexistent/secret"));
    assert_int_not_equal(error.sys_errno, 0);
    assert_int_equal(idem_secret_load(&loaded, dir, NULL), IDEM_ERR_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_keep_their_golden_values),
        cmocka_unit_test(spans_domains_and_secrets_are_told_apart),
        cmocka_unit_test(long_and_short_inputs_are_hashed_alike),
        cmocka_unit_test(hexadecimal_goes_both_ways),
        cmocka_unit_test(what_is_not_32_digits_is_no_digest),
        cmocka_unit_test(a_secret_file_is_hashed_without_its_last_newline),
        cmocka_unit_test(secret_files_have_a_least_and_a_greatest_length),
        cmocka_unit_test(a_secret_file_that_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests(tests, prepare, clean_up);
}
