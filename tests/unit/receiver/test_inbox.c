/* SPDX-License-Identifier: MIT
 * The inbox: what a claim learns after each step, and after a death between any two of them. */
#include "files.h"
#include "testing.h"

#include <idem/clock.h>
#include <idem/config.h>
#include <idem/identity.h>
#include <idem/inbox.h>
#include <idem/store.h>

#include <stdio.h>
#include <string.h>

struct fixture {
    char dir[FILES_PATH_MAX];
    char url[FILES_PATH_MAX + 32];
    struct idem_inbox *inbox;
};

static struct fixture fixture;

static enum idem_code try_open(const char *instance, struct idem_error *error) {
    return idem_inbox_open(&fixture.inbox, fixture.url, "orders", instance, error);
}

static void run_as(const char *instance) {
    struct idem_error error = IDEM_ERROR_INIT;
    idem_inbox_close(fixture.inbox);
    if (try_open(instance, &error) != IDEM_OK) {
        fail_msg("%s", error.text);
    }
}

static int set_up(void **state) {
    (void)state;
    files_make_dir(fixture.dir);
    (void)snprintf(fixture.url, sizeof fixture.url, "embedded://%s/store?commit=1ms",
                   fixture.dir);
    fixture.inbox = NULL;
    run_as("one");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    idem_inbox_close(fixture.inbox);
    files_remove_dir(fixture.dir);
    return 0;
}

static enum idem_inbox_answer claim_with(const char *key, const char *payload) {
    enum idem_inbox_answer answer = IDEM_INBOX_IN_FLIGHT;
    assert_int_equal(idem_inbox_claim(fixture.inbox, key, strlen(key), payload,
                                      strlen(payload), &answer, NULL),
                     IDEM_OK);
    return answer;
}

static enum idem_inbox_answer claim(const char *key) {
    return claim_with(key, "body");
}

static enum idem_code complete(const char *key) {
    return idem_inbox_complete(fixture.inbox, key, strlen(key), NULL);
}

static enum idem_code abandon(const char *key) {
    return idem_inbox_abandon(fixture.inbox, key, strlen(key), NULL);
}

/* Until a moment of the clock has passed by that many milliseconds. */
static void let_pass(int64_t ms) {
    int64_t until_ms = idem_clock_wall_ms() + ms;
    while (idem_clock_wall_ms() < until_ms) {
        testing_pause();
    }
}

static void a_copy_after_completion_is_a_duplicate(void **state) {
    (void)state;
    assert_int_equal(claim("k"), IDEM_INBOX_NEW);
    assert_int_equal(complete("k"), IDEM_OK);
    assert_int_equal(claim("k"), IDEM_INBOX_DUPLICATE);
    assert_int_equal(complete("k"), IDEM_OK);
    run_as("one");
    assert_int_equal(claim("k"), IDEM_INBOX_DUPLICATE);
    assert_int_equal(claim("another"), IDEM_INBOX_NEW);
}

static void the_same_key_with_another_payload_is_a_conflict(void **state) {
    (void)state;
    assert_int_equal(claim_with("k", "one"), IDEM_INBOX_NEW);
    assert_int_equal(complete("k"), IDEM_OK);
    assert_int_equal(claim_with("k", "two"), IDEM_INBOX_CONFLICT);
    assert_int_equal(claim_with("k", "one"), IDEM_INBOX_DUPLICATE);
}

static void a_copy_after_an_abandonment_is_new(void **state) {
    (void)state;
    assert_int_equal(claim("k"), IDEM_INBOX_NEW);
    assert_int_equal(claim("k"), IDEM_INBOX_IN_FLIGHT);
    assert_int_equal(abandon("k"), IDEM_OK);
    assert_int_equal(abandon("k"), IDEM_ERR_NOT_FOUND);
    assert_int_equal(claim("k"), IDEM_INBOX_NEW);
    assert_int_equal(complete("k"), IDEM_OK);
    assert_int_equal(abandon("k"), IDEM_ERR_NOT_OWNER);
    assert_int_equal(claim("k"), IDEM_INBOX_DUPLICATE);
}

static void what_a_dead_instance_held_is_in_doubt_at_once(void **state) {
    (void)state;
    assert_int_equal(claim("k"), IDEM_INBOX_NEW);
    run_as("one");
    assert_int_equal(claim("k"), IDEM_INBOX_IN_DOUBT);
    assert_int_equal(complete("k"), IDEM_OK);
    assert_int_equal(claim("k"), IDEM_INBOX_DUPLICATE);
}

static void what_another_instance_holds_is_in_flight_until_its_lease_ends(void **state) {
    (void)state;
    assert_int_equal(claim("k"), IDEM_INBOX_NEW);
    run_as("two");
    assert_int_equal(claim("k"), IDEM_INBOX_IN_FLIGHT);
    assert_int_equal(complete("k"), IDEM_ERR_NOT_OWNER);
    run_as("one");
    assert_int_equal(claim("k"), IDEM_INBOX_IN_DOUBT);
    assert_int_equal(idem_inbox_set_times(fixture.inbox, 60000, 1), IDEM_OK);
    assert_int_equal(claim("short"), IDEM_INBOX_NEW);
    let_pass(2);
    run_as("two");
    assert_int_equal(claim("short"), IDEM_INBOX_IN_DOUBT);
    run_as("one");
    assert_int_equal(complete("short"), IDEM_ERR_NOT_OWNER);
}

static void a_key_is_new_again_when_its_ttl_has_ended(void **state) {
    (void)state;
    assert_int_equal(idem_inbox_set_times(fixture.inbox, 1, 60000), IDEM_OK);
    assert_int_equal(claim("k"), IDEM_INBOX_NEW);
    assert_int_equal(complete("k"), IDEM_OK);
    let_pass(2);
    assert_int_equal(claim("k"), IDEM_INBOX_NEW);
    assert_int_equal(complete("never claimed"), IDEM_ERR_NOT_FOUND);
}

static void times_are_positive(void **state) {
    (void)state;
    assert_int_equal(idem_inbox_set_times(fixture.inbox, 0, 1), IDEM_ERR_INVALID);
    assert_int_equal(idem_inbox_set_times(fixture.inbox, 1, -1), IDEM_ERR_INVALID);
}

static void keys_have_a_length_and_may_hold_anything(void **state) {
    static const char huge[IDEM_KEY_MAX + 1];
    struct idem_error error = IDEM_ERROR_INIT;
    enum idem_inbox_answer answer = IDEM_INBOX_IN_FLIGHT;
    (void)state;
    assert_int_equal(
        idem_inbox_claim(fixture.inbox, huge, IDEM_KEY_MAX, NULL, 0, &answer, NULL),
        IDEM_OK);
    assert_int_equal(answer, IDEM_INBOX_NEW);
    assert_int_equal(
        idem_inbox_claim(fixture.inbox, huge, IDEM_KEY_MAX - 1, NULL, 0, &answer, NULL),
        IDEM_OK);
    assert_int_equal(answer, IDEM_INBOX_NEW);
    assert_int_equal(
        idem_inbox_claim(fixture.inbox, huge, sizeof huge, NULL, 0, &answer, &error),
        IDEM_ERR_INVALID);
    assert_non_null(strstr(error.text, "1 to 4096 bytes, not 4097"));
    assert_int_equal(idem_inbox_complete(fixture.inbox, NULL, 0, NULL), IDEM_ERR_INVALID);
    assert_int_equal(idem_inbox_abandon(fixture.inbox, "", 0, NULL), IDEM_ERR_INVALID);
}

static void an_inbox_needs_a_store_a_name_and_an_instance(void **state) {
    char name[IDEM_NAME_MAX + 2] = "";
    struct idem_inbox *inbox = fixture.inbox;
    struct idem_error error = IDEM_ERROR_INIT;
    (void)state;
    memset(name, 'n', sizeof name - 1);
    assert_int_equal(try_open("two", &error), IDEM_ERR_BUSY);
    assert_null(fixture.inbox);
    assert_non_null(strstr(error.text, fixture.dir));
    fixture.inbox = inbox;
    assert_int_equal(idem_inbox_open(&inbox, "memory:", name, "one", NULL),
                     IDEM_ERR_INVALID);
    assert_int_equal(idem_inbox_open(&inbox, "memory:", "", "one", NULL),
                     IDEM_ERR_INVALID);
    assert_int_equal(idem_inbox_open(&inbox, "memory:", "n", NULL, NULL),
                     IDEM_ERR_INVALID);
    assert_int_equal(idem_inbox_open(&inbox, "nowhere:", "n", "one", NULL),
                     IDEM_ERR_INVALID);
    assert_int_equal(idem_inbox_open(&inbox, NULL, "n", "one", NULL), IDEM_ERR_INVALID);
    assert_null(inbox);
    idem_inbox_close(NULL);
}

static void found_done(void *arg, const struct idem_answer *answer) {
    bool *found = arg;
    *found = answer->code == IDEM_OK && answer->record.state == IDEM_RECORD_DONE;
}

/* So that idemctl, a bridge or another program can look at the same keys. */
static void its_keys_are_those_of_a_rule_of_its_name(void **state) {
    static const char text[] = "store: {url: 'memory:'}\n"
                               "rules:\n"
                               "  - {name: orders, match: {queue: q}, key: message-id, "
                               "scope: rule}\n";
    const struct idem_message message = {.protocol = IDEM_PROTOCOL_AMQP,
                                         .message_id = idem_span_text("k")};
    const struct idem_store_options options = {.url = fixture.url};
    struct idem_config config;
    struct idem_workspace *workspace = NULL;
    struct idem_identity identity;
    struct idem_store *store = NULL;
    bool found = false;
    (void)state;
    assert_int_equal(claim("k"), IDEM_INBOX_NEW);
    assert_int_equal(complete("k"), IDEM_OK);
    idem_inbox_close(fixture.inbox);
    fixture.inbox = NULL;
    assert_int_equal(
        idem_config_parse(&config, "test", text, sizeof text - 1, NULL, NULL, NULL),
        IDEM_OK);
    assert_int_equal(idem_workspace_open(&workspace), IDEM_OK);
    idem_identify(&identity, &config.rules.rules[0], &config.rules.secret, &message,
                  workspace, NULL, NULL);
    assert_int_equal(idem_store_open(&store, &options, NULL), IDEM_OK);
    idem_store_lookup(store, &identity.digest, idem_clock_wall_ms(), found_done, &found);
    assert_true(found);
    idem_store_close(store);
    idem_workspace_close(workspace);
    idem_config_fini(&config);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST(a_copy_after_completion_is_a_duplicate),
        TEST(the_same_key_with_another_payload_is_a_conflict),
        TEST(a_copy_after_an_abandonment_is_new),
        TEST(what_a_dead_instance_held_is_in_doubt_at_once),
        TEST(what_another_instance_holds_is_in_flight_until_its_lease_ends),
        TEST(a_key_is_new_again_when_its_ttl_has_ended),
        TEST(times_are_positive),
        TEST(keys_have_a_length_and_may_hold_anything),
        TEST(an_inbox_needs_a_store_a_name_and_an_instance),
        TEST(its_keys_are_those_of_a_rule_of_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
