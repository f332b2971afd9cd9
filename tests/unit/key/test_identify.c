/* SPDX-License-Identifier: MIT
 * Identities: what makes two copies the same message, and what keeps two messages apart. */
#include "sample.h"

#include <idem/identity.h>

#include <stdlib.h>
#include <string.h>

struct fixture {
    struct idem_rule rule;
    struct idem_secret secret;
    struct idem_workspace *workspace;
    struct sample sample;
    struct idem_key_part parts[IDEM_EXTRACTORS_MAX];
    size_t count;
};

static int open_fixture(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    assert_int_equal(idem_digest_init(NULL), IDEM_OK);
    assert_int_equal(idem_workspace_open(&fixture->workspace), IDEM_OK);
    idem_secret_default(&fixture->secret);
    sample_rule(&fixture->rule, "orders");
    sample_init(&fixture->sample);
    *state = fixture;
    return 0;
}

static int close_fixture(void **state) {
    struct fixture *fixture = *state;
    idem_rule_fini(&fixture->rule);
    idem_workspace_close(fixture->workspace);
    free(fixture);
    return 0;
}

static struct idem_identity identify(struct fixture *fixture) {
    struct idem_identity identity;
    idem_identify(&identity, &fixture->rule, &fixture->secret, &fixture->sample.message,
                  fixture->workspace, fixture->parts, &fixture->count);
    return identity;
}

static struct idem_digest key_of(struct fixture *fixture) {
    struct idem_identity identity = identify(fixture);
    assert_int_equal(identity.status, IDEM_IDENTITY_OK);
    return identity.digest;
}

static struct idem_digest fingerprint_of(struct fixture *fixture) {
    struct idem_identity identity = identify(fixture);
    assert_true(identity.has_fingerprint);
    return identity.fingerprint;
}

static void assert_same(struct idem_digest a, struct idem_digest b) {
    assert_true(idem_digest_equal(&a, &b));
}

static void assert_differ(struct idem_digest a, struct idem_digest b) {
    assert_false(idem_digest_equal(&a, &b));
}

/* The one part that the key spec yields; NULL: it yields nothing. */
static const char *value_of(struct fixture *fixture, const char *extractor) {
    static char text[IDEM_KEY_MAX + 1];
    sample_spec(&fixture->rule.key, extractor);
    if (identify(fixture).status == IDEM_IDENTITY_NO_KEY) {
        assert_int_equal(fixture->count, 0);
        return "(nothing)";
    }
    assert_int_equal(fixture->count, 1);
    memcpy(text, fixture->parts[0].value.data, fixture->parts[0].value.len);
    text[fixture->parts[0].value.len] = '\0';
    return text;
}

static void every_extractor_finds_its_value(void **state) {
    struct fixture *fixture = *state;
    struct idem_message *message = &fixture->sample.message;
    sample_add(&fixture->sample, "id", "A-1");
    message->payload = idem_span_text("{\"order\":{\"id\":17}}");
    message->message_id = idem_span_text("m-1");
    message->correlation_id = idem_span_text("x-1");
    message->user = idem_span_text("alice");
    assert_string_equal(value_of(fixture, "property:id"), "A-1");
    assert_string_equal(value_of(fixture, "message-id"), "m-1");
    assert_string_equal(value_of(fixture, "correlation-id"), "x-1");
    assert_string_equal(value_of(fixture, "topic:1"), "orders");
    assert_string_equal(value_of(fixture, "topic:2"), "7");
    assert_string_equal(value_of(fixture, "topic"), "orders/7");
    assert_string_equal(value_of(fixture, "json:/order/id"), "17");
    assert_string_equal(value_of(fixture, "client"), "c1");
    assert_string_equal(value_of(fixture, "user"), "alice");
    assert_string_equal(value_of(fixture, "text:v1"), "v1");
}

static void what_a_message_lacks_yields_nothing(void **state) {
    struct fixture *fixture = *state;
    fixture->sample.message.client = idem_span_text("");
    fixture->sample.message.topic = idem_span_text("a//b");
    sample_add(&fixture->sample, "empty", "");
    static const char *const extractors[] = {
        "property:id", "property:empty", "message-id", "correlation-id", "topic:2",
        "topic:4",     "json:/id",       "client",     "user",
    };
    for (size_t i = 0; i < sizeof extractors / sizeof extractors[0]; i++) {
        assert_string_equal(value_of(fixture, extractors[i]), "(nothing)");
    }
    fixture->sample.message.property = NULL;
    assert_string_equal(value_of(fixture, "property:empty"), "(nothing)");
}

static void levels_are_words_in_amqp(void **state) {
    struct fixture *fixture = *state;
    fixture->sample.message.protocol = IDEM_PROTOCOL_AMQP;
    fixture->sample.message.topic = idem_span_text("eu/west.orders.7");
    assert_string_equal(value_of(fixture, "topic:1"), "eu/west");
    assert_string_equal(value_of(fixture, "topic:3"), "7");
    assert_string_equal(value_of(fixture, "topic:4"), "(nothing)");
    assert_string_equal(value_of(fixture, "routing-key"), "eu/west.orders.7");
}

static void a_value_longer_than_the_limit_yields_nothing(void **state) {
    struct fixture *fixture = *state;
    static char text[IDEM_KEY_MAX + 2];
    memset(text, 'k', sizeof text - 1);
    sample_add(&fixture->sample, "id", text + 1);
    assert_string_equal(value_of(fixture, "property:id"), text + 1);
    fixture->sample.properties[0].value = text;
    assert_string_equal(value_of(fixture, "property:id"), "(nothing)");
    assert_string_equal(value_of(fixture, "property:id|client"), "c1");
}

static void the_first_extractor_that_yields_wins(void **state) {
    struct fixture *fixture = *state;
    assert_string_equal(value_of(fixture, "property:id|correlation-id|client"), "c1");
    fixture->sample.message.correlation_id = idem_span_text("x-1");
    assert_string_equal(value_of(fixture, "property:id|correlation-id|client"), "x-1");
    sample_add(&fixture->sample, "id", "A-1");
    assert_string_equal(value_of(fixture, "property:id|correlation-id|client"), "A-1");
}

static void a_joined_key_needs_all_its_values(void **state) {
    struct fixture *fixture = *state;
    sample_spec(&fixture->rule.key, "topic:2&property:id");
    assert_int_equal(identify(fixture).status, IDEM_IDENTITY_NO_KEY);
    sample_add(&fixture->sample, "id", "A-1");
    struct idem_digest key = key_of(fixture);
    assert_int_equal(fixture->count, 2);
    fixture->sample.message.topic = idem_span_text("orders/8");
    assert_differ(key, key_of(fixture));
    fixture->sample.message.topic = idem_span_text("other/7");
    assert_same(key, key_of(fixture));
}

static void joined_values_do_not_run_into_each_other(void **state) {
    struct fixture *fixture = *state;
    sample_spec(&fixture->rule.key, "property:a&property:b");
    sample_add(&fixture->sample, "a", "xy");
    sample_add(&fixture->sample, "b", "z");
    struct idem_digest key = key_of(fixture);
    fixture->sample.properties[0].value = "x";
    fixture->sample.properties[1].value = "yz";
    assert_differ(key, key_of(fixture));
}

static void which_extractor_gave_the_value_does_not_matter(void **state) {
    struct fixture *fixture = *state;
    sample_add(&fixture->sample, "id", "K");
    struct idem_digest by_property = key_of(fixture);
    sample_spec(&fixture->rule.key, "message-id");
    fixture->sample.message.message_id = idem_span_text("K");
    assert_same(by_property, key_of(fixture));
    sample_spec(&fixture->rule.key, "json:");
    fixture->sample.message.payload = idem_span_text("\"\\u004b\"");
    assert_same(by_property, key_of(fixture));
}

static void a_global_key_is_the_same_in_every_protocol_and_rule(void **state) {
    struct fixture *fixture = *state;
    sample_add(&fixture->sample, "id", "K");
    struct idem_digest over_mqtt = key_of(fixture);
    fixture->sample.message.protocol = IDEM_PROTOCOL_AMQP;
    fixture->sample.message.topic = idem_span_text("elsewhere");
    fixture->sample.message.queue = idem_span_text("q");
    fixture->rule.name[0] = 'X';
    assert_same(over_mqtt, key_of(fixture));
}

static void keys_of_another_secret_are_other_keys(void **state) {
    struct fixture *fixture = *state;
    sample_add(&fixture->sample, "id", "K");
    struct idem_digest key = key_of(fixture);
    fixture->secret.bytes[31] ^= 1;
    assert_differ(key, key_of(fixture));
}

static void a_rule_scope_keeps_rules_apart(void **state) {
    struct fixture *fixture = *state;
    sample_add(&fixture->sample, "id", "K");
    struct idem_digest global = key_of(fixture);
    fixture->rule.scope.kind = IDEM_SCOPE_RULE;
    struct idem_digest in_rule = key_of(fixture);
    assert_differ(global, in_rule);
    fixture->rule.name[0] = 'X';
    assert_differ(in_rule, key_of(fixture));
}

static void a_principal_is_the_user_else_the_client(void **state) {
    struct fixture *fixture = *state;
    struct idem_message *message = &fixture->sample.message;
    fixture->rule.scope.kind = IDEM_SCOPE_PRINCIPAL;
    sample_add(&fixture->sample, "id", "K");
    struct idem_digest of_client = key_of(fixture);
    message->client = idem_span_text("c2");
    assert_differ(of_client, key_of(fixture));
    message->user = idem_span_text("alice");
    struct idem_digest of_alice = key_of(fixture);
    message->client = idem_span_text("c1");
    assert_same(of_alice, key_of(fixture));
    message->user = idem_span_text("bob");
    assert_differ(of_alice, key_of(fixture));
}

static void a_client_never_passes_for_the_user_of_its_name(void **state) {
    struct fixture *fixture = *state;
    struct idem_message *message = &fixture->sample.message;
    fixture->rule.scope.kind = IDEM_SCOPE_PRINCIPAL;
    sample_add(&fixture->sample, "id", "K");
    message->client = idem_span_text("bob");
    struct idem_digest client_bob = key_of(fixture);
    message->client = idem_span_text("c1");
    message->user = idem_span_text("bob");
    assert_differ(client_bob, key_of(fixture));
}

static void a_scope_that_is_not_there_is_told_from_a_key(void **state) {
    struct fixture *fixture = *state;
    sample_add(&fixture->sample, "id", "K");
    fixture->rule.scope.kind = IDEM_SCOPE_PRINCIPAL;
    fixture->sample.message.client = idem_span_text("");
    assert_int_equal(identify(fixture).status, IDEM_IDENTITY_NO_SCOPE);
    fixture->rule.scope.kind = IDEM_SCOPE_BY;
    sample_spec(&fixture->rule.scope.by, "property:tenant");
    assert_int_equal(identify(fixture).status, IDEM_IDENTITY_NO_SCOPE);
    fixture->sample.count = 0;
    assert_int_equal(identify(fixture).status, IDEM_IDENTITY_NO_KEY);
}

static void groups_keep_keys_apart(void **state) {
    struct fixture *fixture = *state;
    fixture->rule.scope.kind = IDEM_SCOPE_BY;
    sample_spec(&fixture->rule.scope.by, "property:tenant");
    sample_add(&fixture->sample, "id", "K");
    sample_add(&fixture->sample, "tenant", "acme");
    struct idem_digest of_acme = key_of(fixture);
    fixture->sample.properties[1].value = "other";
    assert_differ(of_acme, key_of(fixture));
}

static void a_payload_in_a_group_stands_alone(void **state) {
    struct fixture *fixture = *state;
    fixture->rule.scope.kind = IDEM_SCOPE_BY;
    sample_spec(&fixture->rule.scope.by, "payload");
    sample_add(&fixture->sample, "id", "K");
    struct idem_digest here = key_of(fixture);
    fixture->sample.message.topic = idem_span_text("orders/8");
    assert_same(here, key_of(fixture));
    fixture->sample.message.payload = idem_span_text("hello!");
    assert_differ(here, key_of(fixture));
}

/* The same three values, once as a group of two and a key of one, once the other way round. */
static void a_group_does_not_run_into_its_key(void **state) {
    struct fixture *fixture = *state;
    fixture->rule.scope.kind = IDEM_SCOPE_BY;
    sample_spec(&fixture->rule.scope.by, "text:a&text:b");
    sample_spec(&fixture->rule.key, "text:c");
    struct idem_digest two_and_one = key_of(fixture);
    sample_spec(&fixture->rule.scope.by, "text:a");
    sample_spec(&fixture->rule.key, "text:b&text:c");
    assert_differ(two_and_one, key_of(fixture));
}

static void equal_payloads_on_two_topics_are_two_messages(void **state) {
    struct fixture *fixture = *state;
    sample_spec(&fixture->rule.key, "property:id|payload");
    struct idem_digest here = key_of(fixture);
    assert_same(here, key_of(fixture));
    fixture->sample.message.topic = idem_span_text("orders/8");
    assert_differ(here, key_of(fixture));
    fixture->sample.message.topic = idem_span_text("orders/7");
    fixture->sample.message.payload = idem_span_text("hello!");
    assert_differ(here, key_of(fixture));
}

static void in_a_joined_key_the_payload_stands_alone(void **state) {
    struct fixture *fixture = *state;
    sample_spec(&fixture->rule.key, "client&payload");
    struct idem_digest here = key_of(fixture);
    fixture->sample.message.topic = idem_span_text("orders/8");
    assert_same(here, key_of(fixture));
    fixture->sample.message.payload = idem_span_text("hello!");
    assert_differ(here, key_of(fixture));
}

/* The published value of SHA-256 of "abc" (FIPS 180-4): what another program computes. */
static void the_sha256_of_the_payload_is_the_key_that_anyone_computes(void **state) {
    static const char hex[] =
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    struct fixture *fixture = *state;
    sample_spec(&fixture->rule.key, "property:id|payload-sha256");
    fixture->sample.message.payload = idem_span_text("abc");
    struct idem_digest computed = key_of(fixture);
    fixture->sample.message.topic = idem_span_text("elsewhere");
    assert_same(computed, key_of(fixture));
    fixture->sample.message.payload = idem_span_text("abd");
    assert_differ(computed, key_of(fixture));
    sample_add(&fixture->sample, "id", hex);
    assert_same(computed, key_of(fixture));
}

static void an_empty_payload_has_a_hash_too(void **state) {
    struct fixture *fixture = *state;
    sample_spec(&fixture->rule.key, "payload");
    struct idem_digest hello = key_of(fixture);
    fixture->sample.message.payload = idem_span_of(NULL, 0);
    assert_differ(hello, key_of(fixture));
}

static void without_a_fingerprint_there_is_none(void **state) {
    struct fixture *fixture = *state;
    sample_add(&fixture->sample, "id", "K");
    assert_false(identify(fixture).has_fingerprint);
}

static void a_fingerprint_follows_what_it_names_and_nothing_else(void **state) {
    struct fixture *fixture = *state;
    sample_add(&fixture->sample, "id", "K");
    sample_spec(&fixture->rule.fingerprint, "payload");
    struct idem_digest before = fingerprint_of(fixture);
    fixture->sample.message.topic = idem_span_text("orders/8");
    fixture->sample.properties[0].value = "other";
    assert_same(before, fingerprint_of(fixture));
    fixture->sample.message.payload = idem_span_text("HELLO");
    assert_differ(before, fingerprint_of(fixture));
}

static void an_absent_value_is_part_of_the_fingerprint(void **state) {
    struct fixture *fixture = *state;
    sample_add(&fixture->sample, "id", "K");
    sample_spec(&fixture->rule.fingerprint, "property:a&property:b");
    struct idem_digest neither = fingerprint_of(fixture);
    sample_add(&fixture->sample, "a", "x");
    struct idem_digest only_a = fingerprint_of(fixture);
    fixture->sample.properties[1].name = "b";
    struct idem_digest only_b = fingerprint_of(fixture);
    assert_differ(neither, only_a);
    assert_differ(only_a, only_b);
}

/* What is on disk must keep its meaning: if this fails, stores written before are no longer understood.
 * The values were computed with another implementation of BLAKE2b (Python's hashlib), from the format as
 * docs/design/protocol.md gives it. */
static void identities_keep_their_golden_values(void **state) {
    struct fixture *fixture = *state;
    char hex[IDEM_DIGEST_HEX_SIZE];
    sample_add(&fixture->sample, "id", "K");
    fixture->rule.scope.kind = IDEM_SCOPE_PRINCIPAL;
    sample_spec(&fixture->rule.fingerprint, "payload&property:absent");
    struct idem_identity identity = identify(fixture);
    idem_digest_hex(&identity.digest, hex);
    assert_string_equal(hex, "e983f715111634c67b887c95cba057b0");
    idem_digest_hex(&identity.fingerprint, hex);
    assert_string_equal(hex, "a004b58f7eb196bc1d1d025c03b22543");
    sample_spec(&fixture->rule.key, "payload");
    fixture->rule.scope.kind = IDEM_SCOPE_GLOBAL;
    identity = identify(fixture);
    idem_digest_hex(&identity.digest, hex);
    assert_string_equal(hex, "d5c822713f2605357f814286e80c8471");
}

static void values_with_escapes_stay_valid_side_by_side(void **state) {
    struct fixture *fixture = *state;
    sample_spec(&fixture->rule.key, "json:/a&json:/b&payload");
    fixture->sample.message.payload =
        idem_span_text("{\"a\":\"1\\u0041\",\"b\":\"2\\u0042\"}");
    assert_int_equal(identify(fixture).status, IDEM_IDENTITY_OK);
    assert_int_equal(fixture->count, 3);
    assert_true(idem_span_equal(fixture->parts[0].value, idem_span_text("1A")));
    assert_true(idem_span_equal(fixture->parts[1].value, idem_span_text("2B")));
}

#define WITH_FIXTURE(test)                                                               \
    cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(every_extractor_finds_its_value),
        WITH_FIXTURE(what_a_message_lacks_yields_nothing),
        WITH_FIXTURE(levels_are_words_in_amqp),
        WITH_FIXTURE(a_value_longer_than_the_limit_yields_nothing),
        WITH_FIXTURE(the_first_extractor_that_yields_wins),
        WITH_FIXTURE(a_joined_key_needs_all_its_values),
        WITH_FIXTURE(joined_values_do_not_run_into_each_other),
        WITH_FIXTURE(which_extractor_gave_the_value_does_not_matter),
        WITH_FIXTURE(a_global_key_is_the_same_in_every_protocol_and_rule),
        WITH_FIXTURE(keys_of_another_secret_are_other_keys),
        WITH_FIXTURE(a_rule_scope_keeps_rules_apart),
        WITH_FIXTURE(a_principal_is_the_user_else_the_client),
        WITH_FIXTURE(a_client_never_passes_for_the_user_of_its_name),
        WITH_FIXTURE(a_scope_that_is_not_there_is_told_from_a_key),
        WITH_FIXTURE(groups_keep_keys_apart),
        WITH_FIXTURE(a_payload_in_a_group_stands_alone),
        WITH_FIXTURE(a_group_does_not_run_into_its_key),
        WITH_FIXTURE(equal_payloads_on_two_topics_are_two_messages),
        WITH_FIXTURE(in_a_joined_key_the_payload_stands_alone),
        WITH_FIXTURE(the_sha256_of_the_payload_is_the_key_that_anyone_computes),
        WITH_FIXTURE(an_empty_payload_has_a_hash_too),
        WITH_FIXTURE(without_a_fingerprint_there_is_none),
        WITH_FIXTURE(a_fingerprint_follows_what_it_names_and_nothing_else),
        WITH_FIXTURE(an_absent_value_is_part_of_the_fingerprint),
        WITH_FIXTURE(identities_keep_their_golden_values),
        WITH_FIXTURE(values_with_escapes_stay_valid_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
