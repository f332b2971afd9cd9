/* SPDX-License-Identifier: MIT
 * idemctl explain. */
#include "ctl.h"

#include <idem/config.h>
#include <idem/store.h>

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char secret[] = "0123456789abcdef0123456789abcdef\n";

static void test_explain_names_rule_key_scope_and_digest(void **state) {
    (void)state;
    assert_int_equal(ctl("-c", ctl_config, "explain", "--no-store", "-t", "orders/1",
                         "-m", "{\"id\":7}"),
                     0);
    assert_says("rule         orders (line 4)");
    assert_says("json:/id = 7");
    assert_says("scope        global");
    assert_says("digest       ");
    assert_int_equal(ctl("-c", ctl_config, "explain", "--no-store", "-t", "orders/1",
                         "-D", "idempotency-key=k\x01", "-m", "{\"id\":7}"),
                     0);
    assert_says("property:idempotency-key = k\\x01");
    assert_int_equal(ctl("-c", ctl_config, "explain", "--no-store", "-t", "readings/x",
                         "-m", "1", "--client", "bob"),
                     0);
    assert_says("key          topic:2 = x\n             payload = (hash)\n");
}

static void test_explain_shows_what_tells_conflicts_apart(void **state) {
    (void)state;
    static char first[sizeof ctl_output];
    assert_int_equal(ctl("-c", ctl_config, "explain", "--no-store", "-t", "orders/1",
                         "-m", "{\"id\":7}"),
                     0);
    const char *fingerprint = strstr(ctl_output, "fingerprint  ");
    assert_non_null(fingerprint);
    (void)strcpy(first, fingerprint);
    assert_int_equal(ctl("-c", ctl_config, "explain", "--no-store", "-t", "orders/1",
                         "-m", "{\"id\":7,\"x\":1}"),
                     0);
    fingerprint = strstr(ctl_output, "fingerprint  ");
    assert_non_null(fingerprint);
    assert_string_not_equal(fingerprint, first);
}

static void test_explain_tells_how_long_this_message_is_remembered(void **state) {
    (void)state;
    assert_int_equal(ctl("-c", ctl_config, "explain", "--no-store", "-t", "orders/1",
                         "-m", "{\"id\":7}", "-D", "x-cache-ttl=60000"),
                     0);
    assert_says("ttl          259200 s from the first copy");
    assert_int_equal(ctl("-c", ctl_config, "explain", "--no-store", "-t", "fifo", "-m",
                         "abc", "-D", "x-cache-ttl=60001"),
                     0);
    assert_says("payload-sha256 = ba7816bf8f01cfea");
    assert_says("ttl          60001 ms from the last copy");
}

static void test_explain_takes_messages_of_amqp(void **state) {
    (void)state;
    assert_int_equal(ctl("-c", ctl_config, "explain", "--no-store", "--amqp", "--queue",
                         "jobs", "-t", "counters", "--correlation-id", "c",
                         "--message-id", "m"),
                     0);
    assert_says("rule         queued (line 13)");
    assert_says("correlation-id = c");
    assert_says("fingerprint  none");
    assert_int_equal(ctl("-c", ctl_config, "explain", "--no-store", "--amqp", "--queue",
                         "jobs", "-t", "any", "--message-id", "m"),
                     0);
    assert_says("message-id = m");
    assert_int_equal(ctl("-c", ctl_config, "explain", "--no-store", "--amqp", "--queue",
                         "others", "-t", "any"),
                     0);
    assert_says("none matches");
}

static void test_explain_tells_a_number_and_what_is_known_of_its_producer(void **state) {
    (void)state;
    ctl_configure_with("strategy: natural",
                       "strategy: sequence, scope: global, sequence: "
                       "{producer: topic:1, number: topic:2}");
    ctl_deliver("state/4", "1");
    assert_int_equal(ctl("-c", ctl_config, "explain", "-t", "state/4", "-m", "1"), 0);
    assert_says("number       4");
    assert_says("mark         4");
    assert_says("verdict      drop (duplicate)");
}

static void test_explain_tells_what_the_store_says(void **state) {
    (void)state;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(
        ctl("-c", ctl_config, "explain", "-t", "orders/1", "-m", "{\"id\":\"new\"}"), 0);
    assert_says("nothing recorded");
    assert_says("verdict      deliver (new)");
    assert_int_equal(
        ctl("-c", ctl_config, "explain", "-t", "orders/1", "-m", "{\"id\":\"a\"}"), 0);
    assert_says("store        done");
    assert_says("first_seen   20");
    assert_says("expires      20");
    assert_says("verdict      drop (duplicate)");
    assert_int_equal(ctl("-c", ctl_config, "explain", "-t", "orders/1", "-m",
                         "{\"id\":\"a\",\"x\":1}"),
                     0);
    assert_says("verdict      quarantine (conflict)");
}

static void test_explain_shows_a_claim_that_a_crash_left(void **state) {
    (void)state;
    ctl_claim("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(
        ctl("-c", ctl_config, "explain", "-t", "orders/1", "-m", "{\"id\":\"a\"}"), 0);
    assert_says("store        pending");
    assert_says("lease_until  20");
    assert_says("verdict      deliver (in_flight)");
}

static void test_explain_says_when_a_claim_is_in_doubt(void **state) {
    (void)state;
    int64_t deadline = testing_deadline();
    ctl_configure_with("    scope: global\n", "    scope: global\n    lease: 100ms\n");
    ctl_claim("orders/1", "{\"id\":\"a\"}");
    do {
        assert_int_not_equal(testing_remaining_ms(deadline), 0);
        testing_pause();
        assert_int_equal(ctl_on("explain", "-t", "orders/1", "-m", "{\"id\":\"a\"}"), 0);
    } while (strstr(ctl_output, "store        in doubt") == NULL);
    assert_says("verdict      deliver (in_doubt)");
}

static void test_explain_knows_records_of_other_fingerprints_times(void **state) {
    (void)state;
    ctl_configure_with("    scope: global\n",
                       "    scope: global\n    fingerprint: none\n");
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    ctl_configure_with("@DIR@", "@DIR@");
    assert_int_equal(ctl("-c", ctl_config, "explain", "-t", "orders/1", "-m",
                         "{\"id\":\"a\",\"x\":1}"),
                     0);
    assert_says("verdict      drop (duplicate)");
}

static void test_explain_reads_a_store_that_has_a_secret(void **state) {
    (void)state;
    files_write(ctl_dir, "secret", secret);
    ctl_configure_with("instance: test\n", "instance: test\nsecret_file: secret\n");
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(
        ctl("-c", ctl_config, "explain", "-t", "orders/1", "-m", "{\"id\":\"a\"}"), 0);
    assert_says("verdict      drop (duplicate)");
    ctl_configure_with("@DIR@", "@DIR@"); /* without it: nothing would be found, ever */
    assert_int_equal(
        ctl("-c", ctl_config, "explain", "-t", "orders/1", "-m", "{\"id\":\"a\"}"), 3);
    assert_says("was written under another secret");
}

static void test_explain_reads_a_store_that_a_broker_has_open(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_config config;
    struct idem_store *store = NULL;
    ctl_deliver("orders/1", "{\"id\":\"a\"}");
    assert_int_equal(idem_config_load(&config, ctl_config, NULL, NULL, &error), IDEM_OK);
    struct idem_store_options options = {.url = config.store.url,
                                         .secret = &config.rules.secret};
    assert_int_equal(idem_store_open(&store, &options, &error), IDEM_OK);
    assert_int_equal(
        ctl("-c", ctl_config, "explain", "-t", "orders/1", "-m", "{\"id\":\"a\"}"), 0);
    assert_says("verdict      drop (duplicate)");
    idem_store_close(store);
    idem_config_fini(&config);
}

/* Who writes a first configuration has started nothing yet. */
static void test_explain_judges_before_the_store_is_there(void **state) {
    (void)state;
    char config[FILES_PATH_MAX + 16];
    char text[FILES_PATH_MAX + 256];
    (void)snprintf(config, sizeof config, "%s/first.yaml", ctl_dir);
    (void)snprintf(
        text, sizeof text,
        "store: {url: \"embedded://%s/not/there\"}\n"
        "rules:\n  - {name: o, match: {topic: x}, key: json:/id, scope: global}\n",
        ctl_dir);
    files_write(ctl_dir, "first.yaml", text);
    assert_int_equal(ctl("-c", config, "explain", "-t", "x", "-m", "{\"id\":7}"), 0);
    assert_says("store        not there yet");
    assert_says("verdict      deliver (new)");
    assert_int_equal(ctl("-c", config, "lookup", "o", "7"), 3);
    assert_says("does not exist yet");
}

static void test_explain_says_why_a_message_passes(void **state) {
    (void)state;
    assert_int_equal(ctl("-c", ctl_config, "explain", "-t", "other"), 0);
    assert_says("none matches");
    assert_says("verdict      deliver (no_rule)");
    assert_int_equal(ctl("-c", ctl_config, "explain", "-t", "state/x", "-m", "on"), 0);
    assert_says("verdict      deliver (natural)");
    assert_int_equal(ctl("-c", ctl_config, "explain", "-t", "orders/x", "-m", "no json"),
                     0);
    assert_says("no extractor yielded a value");
    assert_says("verdict      deliver (missing_key)");
    assert_int_equal(ctl("-c", ctl_config, "explain", "-t", "readings/x", "-m", "1"), 0);
    assert_says("the scope has no value: who publishes? --client ID");
    assert_int_equal(ctl("-c", ctl_config, "explain", "-t", "orders/x", "--retain"), 0);
    assert_says("a retained delete");
    assert_int_equal(
        ctl("-c", ctl_config, "explain", "-t", "orders/x", "--retain", "-m", "x"), 0);
    assert_does_not_say("a retained delete");
}

static void test_explain_distinguishes_principals(void **state) {
    (void)state;
    assert_int_equal(ctl("-c", ctl_config, "explain", "--no-store", "-t", "readings/x",
                         "-m", "1", "--client", "bob"),
                     0);
    assert_says("scope        principal client:bob");
    assert_int_equal(ctl("-c", ctl_config, "explain", "--no-store", "-t", "readings/x",
                         "-m", "1", "--user", "bob", "--client", "c"),
                     0);
    assert_says("scope        principal user:bob");
}

static void test_explain_reads_the_payload_from_standard_input(void **state) {
    (void)state;
    assert_int_equal(
        ctl_with("{\"id\":\"from-stdin\"}",
                 (const char *const[]){"-c", ctl_config, "explain", "--no-store", "-t",
                                       "orders/1", "-f", "-", NULL}),
        0);
    assert_says("json:/id = from-stdin");
}

static void test_explain_reads_a_long_payload_whole(void **state) {
    (void)state;
    enum { SIZE = 300000 };
    static const char end[] = "{\"id\":\"far\"}";
    char *payload = malloc(SIZE + sizeof end);
    assert_non_null(payload);
    memset(payload, ' ', SIZE);
    memcpy(payload + SIZE, end, sizeof end);
    files_write(ctl_dir, "payload", payload);
    free(payload);
    char path[FILES_PATH_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/payload", ctl_dir);
    assert_int_equal(
        ctl("-c", ctl_config, "explain", "--no-store", "-t", "orders/1", "-f", path), 0);
    assert_says("json:/id = far");
}

static void test_explain_prints_json(void **state) {
    (void)state;
    assert_int_equal(ctl("-c", ctl_config, "--json", "explain", "--no-store", "-t",
                         "orders/1", "-m", "{\"id\":7}"),
                     0);
    struct json_object *report = json_tokener_parse(ctl_output);
    struct json_object *digest = NULL;
    assert_non_null(report);
    assert_true(json_object_object_get_ex(report, "digest", &digest));
    assert_int_equal(json_object_get_string_len(digest), 32);
    (void)json_object_put(report);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CTL_TEST(test_explain_names_rule_key_scope_and_digest),
        CTL_TEST(test_explain_shows_what_tells_conflicts_apart),
        CTL_TEST(test_explain_tells_how_long_this_message_is_remembered),
        CTL_TEST(test_explain_takes_messages_of_amqp),
        CTL_TEST_BOTH(test_explain_tells_a_number_and_what_is_known_of_its_producer),
        CTL_TEST_BOTH(test_explain_tells_what_the_store_says),
        CTL_TEST_BOTH(test_explain_shows_a_claim_that_a_crash_left),
        CTL_TEST_BOTH(test_explain_says_when_a_claim_is_in_doubt),
        CTL_TEST(test_explain_knows_records_of_other_fingerprints_times),
        CTL_TEST(test_explain_reads_a_store_that_has_a_secret),
        CTL_TEST(test_explain_reads_a_store_that_a_broker_has_open),
        CTL_TEST(test_explain_judges_before_the_store_is_there),
        CTL_TEST(test_explain_says_why_a_message_passes),
        CTL_TEST(test_explain_distinguishes_principals),
        CTL_TEST(test_explain_reads_the_payload_from_standard_input),
        CTL_TEST(test_explain_reads_a_long_payload_whole),
        CTL_TEST(test_explain_prints_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
