/* SPDX-License-Identifier: MIT
 * Keys that people know: their digest is the one that messages get. */
#include "sample.h"

#include <idem/identity.h>

#include <string.h>

static struct idem_rule rule;
static struct idem_secret secret;
static struct sample sample;
static struct idem_workspace *workspace;

static int start(void **state) {
    (void)state;
    assert_int_equal(idem_digest_init(NULL), IDEM_OK);
    assert_int_equal(idem_workspace_open(&workspace), IDEM_OK);
    idem_secret_default(&secret);
    sample_rule(&rule, "orders");
    sample_init(&sample);
    sample_add(&sample, "id", "K-1");
    sample_add(&sample, "tenant", "acme");
    return 0;
}

static int stop(void **state) {
    (void)state;
    idem_rule_fini(&rule);
    idem_workspace_close(workspace);
    return 0;
}

/* Values in one text each, separated by commas. */
static enum idem_code known(struct idem_digest *digest, const char *key,
                            const char *scope, bool client, struct idem_error *error) {
    struct idem_span parts[2][4];
    size_t counts[2] = {0, 0};
    const char *texts[2] = {key, scope};
    for (size_t i = 0; i < 2; i++) {
        for (const char *at = texts[i]; at != NULL && counts[i] < 4;) {
            const char *comma = strchr(at, ',');
            size_t len = comma != NULL ? (size_t)(comma - at) : strlen(at);
            parts[i][counts[i]++] = idem_span_of(at, len);
            at = comma != NULL ? comma + 1 : NULL;
        }
    }
    struct idem_known_key given = {parts[0], counts[0], parts[1], counts[1], client};
    return idem_identify_known(digest, &rule, &secret, &given, error);
}

static void assert_known(const char *key, const char *scope, bool client) {
    struct idem_identity identity;
    struct idem_digest digest;
    struct idem_error error = IDEM_ERROR_INIT;
    idem_identify(&identity, &rule, &secret, &sample.message, workspace, NULL, NULL);
    assert_int_equal(identity.status, IDEM_IDENTITY_OK);
    if (known(&digest, key, scope, client, &error) != IDEM_OK) {
        fail_msg("%s", error.text);
    }
    const struct idem_digest *wanted =
        identity.number.present ? &identity.producer : &identity.digest;
    assert_true(idem_digest_equal(&digest, wanted));
}

static void assert_refused(const char *key, const char *scope, const char *text) {
    struct idem_digest digest;
    struct idem_error error = IDEM_ERROR_INIT;
    assert_int_equal(known(&digest, key, scope, false, &error), IDEM_ERR_INVALID);
    assert_non_null(strstr(error.text, text));
}

static void a_key_has_the_digest_of_its_messages_in_each_scope(void **state) {
    (void)state;
    assert_known("K-1", NULL, false);
    rule.scope.kind = IDEM_SCOPE_RULE;
    assert_known("K-1", NULL, false);
    rule.scope.kind = IDEM_SCOPE_PRINCIPAL;
    assert_known("K-1", "c1", true);
    sample.message.user = idem_span_text("alice");
    assert_known("K-1", "alice", false);
    rule.scope.kind = IDEM_SCOPE_BY;
    sample_spec(&rule.scope.by, "property:tenant&topic:1");
    assert_known("K-1", "acme,orders", false);
}

static void joined_keys_want_all_their_values(void **state) {
    (void)state;
    sample_spec(&rule.key, "topic:2&property:id");
    assert_known("7,K-1", NULL, false);
    assert_refused("7", NULL, "its key is of 2 values, 1 are given");
    assert_refused("7,", NULL, "a value is empty");
}

static void of_a_sequence_the_key_is_its_producer(void **state) {
    (void)state;
    rule.strategy = IDEM_STRATEGY_SEQUENCE;
    sample_add(&sample, "seq", "7");
    sample_spec(&rule.sequence.producer, "client");
    sample_spec(&rule.sequence.number, "property:seq");
    assert_known("c1", NULL, false);
}

static void what_has_no_known_key_is_refused(void **state) {
    (void)state;
    assert_refused("K-1", "acme", "its scope is of 0 values, 1 are given");
    sample_spec(&rule.key, "payload");
    assert_refused("hello", NULL, "give the digest");
    sample_spec(&rule.key, "property:id|payload");
    assert_known("K-1", NULL, false);
    sample_spec(&rule.key, "property:id&payload");
    assert_refused("K-1,hello", NULL, "give the digest");
    rule.scope.kind = IDEM_SCOPE_BY;
    sample_spec(&rule.key, "property:id");
    sample_spec(&rule.scope.by, "payload");
    assert_refused("K-1", "hello", "its scope is a hash of the payload");
    rule.strategy = IDEM_STRATEGY_NATURAL;
    assert_refused("K-1", NULL, "keeps no records");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_key_has_the_digest_of_its_messages_in_each_scope),
        TEST(joined_keys_want_all_their_values),
        TEST(of_a_sequence_the_key_is_its_producer),
        TEST(what_has_no_known_key_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
