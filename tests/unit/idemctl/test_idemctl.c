/* SPDX-License-Identifier: MIT
 * idemctl as its users call it: the program, its output, its exit codes. */
#include "files.h"
#include "testing.h"

#include <idem/clock.h>
#include <idem/config.h>
#include <idem/receiver.h>
#include <idem/version.h>

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char config_text[] =
    "instance: test\n"
    "store: {url: \"embedded://@DIR@/store\"}\n"
    "rules:\n"
    "  - name: orders\n"
    "    match: {topic: \"orders/#\"}\n"
    "    key: [property:idempotency-key, json:/id]\n"
    "    scope: global\n"
    "  - {name: state, match: {topic: \"state/#\"}, strategy: natural}\n"
    "  - name: readings\n"
    "    match: {topic: \"readings/+\"}\n"
    "    key: {all: [topic:2, payload]}\n"
    "    scope: principal\n"
    "  - {name: queued, match: {queue: jobs}, key: [correlation-id, message-id],\n"
    "     scope: global, fingerprint: none}\n"
    "  - {name: fifo, match: {topic: fifo}, key: payload-sha256, scope: rule,\n"
    "     ttl_header: x-cache-ttl, ttl_from: last}\n";

static char dir[FILES_PATH_MAX];
static char config_path[FILES_PATH_MAX + 16];
static const char secret[] = "0123456789abcdef0123456789abcdef\n";
static char output[16384]; /* of the last call: standard output and error */

static int set_up(void **state) {
    (void)state;
    files_make_dir(dir);
    char *text = files_replace(config_text, "@DIR@", dir);
    files_write(dir, "idem.yaml", text);
    free(text);
    (void)snprintf(config_path, sizeof config_path, "%s/idem.yaml", dir);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    files_remove_dir(dir);
    return 0;
}

/* Runs idemctl with the arguments (NULL ends them) and input; returns its exit status. */
static int ctl_with(const char *input, const char *const *arguments) {
    const char *argv[160] = {IDEMCTL};
    int in[2];
    int out[2];
    for (size_t i = 0; arguments[i] != NULL; i++) {
        assert_true(i + 2 < sizeof argv / sizeof *argv);
        argv[i + 1] = arguments[i];
    }
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(in[0], 0);
        (void)dup2(out[1], 1);
        (void)dup2(out[1], 2);
        (void)close(in[1]);
        (void)close(out[0]);
        (void)execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    assert_int_equal(write(in[1], input, strlen(input)), strlen(input));
    (void)close(in[1]);
    size_t used = 0;
    ssize_t got;
    while ((got = read(out[0], output + used, sizeof output - 1 - used)) > 0) {
        used += (size_t)got;
    }
    output[used] = '\0';
    (void)close(out[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#define ctl(...) ctl_with("", (const char *const[]){__VA_ARGS__, NULL})

static void assert_says(const char *text) {
    if (strstr(output, text) == NULL) {
        fail_msg("\"%s\" is not in the output:\n%s", text, output);
    }
}

static void assert_does_not_say(const char *text) {
    if (strstr(output, text) != NULL) {
        fail_msg("\"%s\" is in the output:\n%s", text, output);
    }
}

/* A configuration like the usual one, but for one text in it. */
static void configure_with(const char *from, const char *to) {
    char *text = files_replace(config_text, from, to);
    char *whole = files_replace(text, "@DIR@", dir);
    files_write(dir, "idem.yaml", whole);
    free(whole);
    free(text);
}

static void note(void *arg, struct idem_delivery *delivery) {
    (void)delivery;
    *(bool *)arg = true;
}

/* Delivers one message through a receiver on the configured store, as the plugin would. */
static void deliver(const char *topic, const char *payload, bool complete) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_config config;
    struct idem_store *store = NULL;
    struct idem_receiver *receiver = NULL;
    struct idem_delivery delivery;
    struct idem_message message = {.protocol = IDEM_PROTOCOL_MQTT,
                                   .topic = idem_span_text(topic),
                                   .payload = idem_span_text(payload),
                                   .client = idem_span_text("c1")};
    bool decided = false;
    assert_int_equal(idem_digest_init(&error), IDEM_OK);
    assert_int_equal(idem_config_load(&config, config_path, NULL, NULL, &error), IDEM_OK);
    struct idem_store_options options = {.url = config.store.url,
                                         .secret = &config.rules.secret};
    assert_int_equal(idem_store_open(&store, &options, &error), IDEM_OK);
    struct idem_receiver_options receiving = {
        .store = store, .rules = &config.rules, .instance = "test"};
    assert_int_equal(idem_receiver_open(&receiver, &receiving, &error), IDEM_OK);
    idem_receiver_submit(receiver, &message, idem_clock_wall_ms(), &delivery, note,
                         &decided);
    assert_true(decided);
    assert_int_equal(delivery.verdict, IDEM_VERDICT_DELIVER);
    if (complete) {
        idem_receiver_complete(receiver, &delivery, idem_clock_wall_ms(), NULL, NULL);
    }
    idem_receiver_close(receiver);
    idem_store_close(store);
    idem_config_fini(&config);
}

static void test_check_accepts_a_right_configuration(void **state) {
    (void)state;
    assert_int_equal(ctl("-c", config_path, "check"), 0);
    assert_says("ok");
    assert_says("rules        5");
    assert_says(config_path);
}

static void test_check_passes_warnings_on(void **state) {
    (void)state;
    configure_with("    scope: global\n", "    scope: global\n    ttl: 10m\n");
    assert_int_equal(ctl("-c", config_path, "check"), 0);
    assert_says("warning: ");
    assert_says("idem.yaml:8: rules[0].ttl: shorter than 1h");
}

static void test_without_a_path_the_usual_one_is_taken(void **state) {
    (void)state;
    (void)ctl("check");
    assert_says("/etc/idem/idem.yaml");
}

static void test_check_names_file_line_and_key_of_a_mistake(void **state) {
    (void)state;
    char path[FILES_PATH_MAX + 16];
    files_write(dir, "bad.yaml", "instance: test\nstroe: {}\n");
    (void)snprintf(path, sizeof path, "%s/bad.yaml", dir);
    assert_int_equal(ctl("-c", path, "check"), 1);
    assert_says("bad.yaml:2: stroe: ");
    assert_says("store");
    (void)snprintf(path, sizeof path, "%s/absent.yaml", dir);
    assert_int_equal(ctl("-c", path, "check"), 1);
    assert_says("absent.yaml");
}

static void test_explain_names_rule_key_scope_and_digest(void **state) {
    (void)state;
    assert_int_equal(ctl("-c", config_path, "explain", "--no-store", "-t", "orders/1",
                         "-m", "{\"id\":7}"),
                     0);
    assert_says("rule         orders (line 4)");
    assert_says("json:/id = 7");
    assert_says("scope        global");
    assert_says("digest       ");
    assert_int_equal(ctl("-c", config_path, "explain", "--no-store", "-t", "orders/1",
                         "-D", "idempotency-key=k\x01", "-m", "{\"id\":7}"),
                     0);
    assert_says("property:idempotency-key = k\\x01");
    assert_int_equal(ctl("-c", config_path, "explain", "--no-store", "-t", "readings/x",
                         "-m", "1", "--client", "bob"),
                     0);
    assert_says("key          topic:2 = x\n             payload = (hash)\n");
}

static void test_explain_shows_what_tells_conflicts_apart(void **state) {
    (void)state;
    static char first[sizeof output];
    assert_int_equal(ctl("-c", config_path, "explain", "--no-store", "-t", "orders/1",
                         "-m", "{\"id\":7}"),
                     0);
    const char *fingerprint = strstr(output, "fingerprint  ");
    assert_non_null(fingerprint);
    (void)strcpy(first, fingerprint);
    assert_int_equal(ctl("-c", config_path, "explain", "--no-store", "-t", "orders/1",
                         "-m", "{\"id\":7,\"x\":1}"),
                     0);
    fingerprint = strstr(output, "fingerprint  ");
    assert_non_null(fingerprint);
    assert_string_not_equal(fingerprint, first);
}

static void test_explain_tells_how_long_this_message_is_remembered(void **state) {
    (void)state;
    assert_int_equal(ctl("-c", config_path, "explain", "--no-store", "-t", "orders/1",
                         "-m", "{\"id\":7}", "-D", "x-cache-ttl=60000"),
                     0);
    assert_says("ttl          259200 s from the first copy");
    assert_int_equal(ctl("-c", config_path, "explain", "--no-store", "-t", "fifo", "-m",
                         "abc", "-D", "x-cache-ttl=60001"),
                     0);
    assert_says("payload-sha256 = ba7816bf8f01cfea");
    assert_says("ttl          60001 ms from the last copy");
}

static void test_explain_takes_messages_of_amqp(void **state) {
    (void)state;
    assert_int_equal(ctl("-c", config_path, "explain", "--no-store", "--amqp", "--queue",
                         "jobs", "-t", "counters", "--correlation-id", "c",
                         "--message-id", "m"),
                     0);
    assert_says("rule         queued (line 13)");
    assert_says("correlation-id = c");
    assert_says("fingerprint  none");
    assert_int_equal(ctl("-c", config_path, "explain", "--no-store", "--amqp", "--queue",
                         "jobs", "-t", "any", "--message-id", "m"),
                     0);
    assert_says("message-id = m");
    assert_int_equal(ctl("-c", config_path, "explain", "--no-store", "--amqp", "--queue",
                         "others", "-t", "any"),
                     0);
    assert_says("none matches");
}

static void test_explain_tells_a_number_and_what_is_known_of_its_producer(void **state) {
    (void)state;
    configure_with("strategy: natural", "strategy: sequence, scope: global, sequence: "
                                        "{producer: topic:1, number: topic:2}");
    deliver("state/4", "1", true);
    assert_int_equal(ctl("-c", config_path, "explain", "-t", "state/4", "-m", "1"), 0);
    assert_says("number       4");
    assert_says("mark         4");
    assert_says("verdict      drop (duplicate)");
}

static void test_explain_tells_what_the_store_says(void **state) {
    (void)state;
    deliver("orders/1", "{\"id\":\"a\"}", true);
    assert_int_equal(
        ctl("-c", config_path, "explain", "-t", "orders/1", "-m", "{\"id\":\"new\"}"), 0);
    assert_says("nothing recorded");
    assert_says("verdict      deliver (new)");
    assert_int_equal(
        ctl("-c", config_path, "explain", "-t", "orders/1", "-m", "{\"id\":\"a\"}"), 0);
    assert_says("store        done");
    assert_says("first_seen   20");
    assert_says("expires      20");
    assert_says("verdict      drop (duplicate)");
    assert_int_equal(ctl("-c", config_path, "explain", "-t", "orders/1", "-m",
                         "{\"id\":\"a\",\"x\":1}"),
                     0);
    assert_says("verdict      quarantine (conflict)");
}

static void test_explain_shows_a_claim_that_a_crash_left(void **state) {
    (void)state;
    deliver("orders/1", "{\"id\":\"a\"}", false);
    assert_int_equal(
        ctl("-c", config_path, "explain", "-t", "orders/1", "-m", "{\"id\":\"a\"}"), 0);
    assert_says("store        pending");
    assert_says("lease_until  20");
    assert_says("verdict      deliver (in_flight)");
}

static void test_explain_knows_records_of_other_fingerprints_times(void **state) {
    (void)state;
    configure_with("    scope: global\n", "    scope: global\n    fingerprint: none\n");
    deliver("orders/1", "{\"id\":\"a\"}", true);
    configure_with("@DIR@", "@DIR@");
    assert_int_equal(ctl("-c", config_path, "explain", "-t", "orders/1", "-m",
                         "{\"id\":\"a\",\"x\":1}"),
                     0);
    assert_says("verdict      drop (duplicate)");
}

static void test_explain_reads_a_store_that_has_a_secret(void **state) {
    (void)state;
    files_write(dir, "secret", secret);
    configure_with("instance: test\n", "instance: test\nsecret_file: secret\n");
    deliver("orders/1", "{\"id\":\"a\"}", true);
    assert_int_equal(
        ctl("-c", config_path, "explain", "-t", "orders/1", "-m", "{\"id\":\"a\"}"), 0);
    assert_says("verdict      drop (duplicate)");
    configure_with("@DIR@", "@DIR@"); /* without it: nothing would be found, ever */
    assert_int_equal(
        ctl("-c", config_path, "explain", "-t", "orders/1", "-m", "{\"id\":\"a\"}"), 3);
    assert_says("was written under another secret");
}

static void test_explain_reads_a_store_that_a_broker_has_open(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_config config;
    struct idem_store *store = NULL;
    deliver("orders/1", "{\"id\":\"a\"}", true);
    assert_int_equal(idem_config_load(&config, config_path, NULL, NULL, &error), IDEM_OK);
    struct idem_store_options options = {.url = config.store.url,
                                         .secret = &config.rules.secret};
    assert_int_equal(idem_store_open(&store, &options, &error), IDEM_OK);
    assert_int_equal(
        ctl("-c", config_path, "explain", "-t", "orders/1", "-m", "{\"id\":\"a\"}"), 0);
    assert_says("verdict      drop (duplicate)");
    idem_store_close(store);
    idem_config_fini(&config);
}

static void test_explain_says_why_a_message_passes(void **state) {
    (void)state;
    assert_int_equal(ctl("-c", config_path, "explain", "-t", "other"), 0);
    assert_says("none matches");
    assert_says("verdict      deliver (no_rule)");
    assert_int_equal(ctl("-c", config_path, "explain", "-t", "state/x", "-m", "on"), 0);
    assert_says("verdict      deliver (natural)");
    assert_int_equal(ctl("-c", config_path, "explain", "-t", "orders/x", "-m", "no json"),
                     0);
    assert_says("no extractor yielded a value");
    assert_says("verdict      deliver (missing_key)");
    assert_int_equal(ctl("-c", config_path, "explain", "-t", "readings/x", "-m", "1"), 0);
    assert_says("the scope has no value");
    assert_int_equal(ctl("-c", config_path, "explain", "-t", "orders/x", "--retain"), 0);
    assert_says("a retained delete");
    assert_int_equal(
        ctl("-c", config_path, "explain", "-t", "orders/x", "--retain", "-m", "x"), 0);
    assert_does_not_say("a retained delete");
}

static void test_explain_distinguishes_principals(void **state) {
    (void)state;
    assert_int_equal(ctl("-c", config_path, "explain", "--no-store", "-t", "readings/x",
                         "-m", "1", "--client", "bob"),
                     0);
    assert_says("scope        principal client:bob");
    assert_int_equal(ctl("-c", config_path, "explain", "--no-store", "-t", "readings/x",
                         "-m", "1", "--user", "bob", "--client", "c"),
                     0);
    assert_says("scope        principal user:bob");
}

static void test_explain_reads_the_payload_from_standard_input(void **state) {
    (void)state;
    assert_int_equal(
        ctl_with("{\"id\":\"from-stdin\"}",
                 (const char *const[]){"-c", config_path, "explain", "--no-store", "-t",
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
    files_write(dir, "payload", payload);
    free(payload);
    char path[FILES_PATH_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/payload", dir);
    assert_int_equal(
        ctl("-c", config_path, "explain", "--no-store", "-t", "orders/1", "-f", path), 0);
    assert_says("json:/id = far");
}

static void test_explain_prints_json(void **state) {
    (void)state;
    assert_int_equal(ctl("-c", config_path, "--json", "explain", "--no-store", "-t",
                         "orders/1", "-m", "{\"id\":7}"),
                     0);
    struct json_object *report = json_tokener_parse(output);
    struct json_object *digest = NULL;
    assert_non_null(report);
    assert_true(json_object_object_get_ex(report, "digest", &digest));
    assert_int_equal(json_object_get_string_len(digest), 32);
    (void)json_object_put(report);
}

static void test_a_store_that_cannot_be_read_has_its_own_exit_code(void **state) {
    (void)state;
    files_write(dir, "store",
                "this is no store, but long enough to be looked at as one\n");
    assert_int_equal(
        ctl("-c", config_path, "explain", "-t", "orders/1", "-m", "{\"id\":7}"), 3);
    assert_says("/store");
}

static void test_a_wrong_command_line_is_refused(void **state) {
    (void)state;
    assert_int_equal(ctl("-c", config_path), 2);
    assert_says("usage:");
    assert_int_equal(ctl("-c", config_path, "exlpain"), 2);
    assert_says("exlpain");
    assert_int_equal(ctl("-c", config_path, "check", "more"), 2);
    assert_int_equal(ctl("-c", config_path, "explain"), 2);
    assert_says("-t TOPIC");
    assert_int_equal(ctl("-c", config_path, "explain", "-t", "a", "-D", "no-value"), 2);
    assert_says("NAME=VALUE");
    assert_int_equal(ctl("-c", config_path, "explain", "-t", "a", "-D", "=value"), 2);
    assert_says("NAME=VALUE");
    assert_int_equal(ctl("-c", config_path, "explain", "-t", "a", "more"), 2);
    assert_says("more is no option");
    assert_int_equal(ctl("-c", config_path, "explain", "-t", "a", "-f", "/nonexistent"),
                     2);
    assert_int_equal(ctl("--nonsense"), 2);
    assert_int_equal(ctl("--nonsense", "--version"), 2);
}

static void test_no_more_properties_are_taken_than_a_rule_looks_at(void **state) {
    (void)state;
    const char *arguments[2 * (IDEM_MESSAGE_PROPERTIES_MAX + 1) + 8] = {
        "-c", config_path, "explain", "--no-store", "-t", "orders/1"};
    size_t used = 6;
    for (size_t i = 0; i < IDEM_MESSAGE_PROPERTIES_MAX; i++) {
        arguments[used++] = "-D";
        arguments[used++] =
            i + 1 < IDEM_MESSAGE_PROPERTIES_MAX ? "other=x" : "idempotency-key=last";
    }
    assert_int_equal(ctl_with("", arguments), 0);
    assert_says("property:idempotency-key = last");
    arguments[used++] = "-D";
    arguments[used++] = "one=more";
    assert_int_equal(ctl_with("", arguments), 2);
    assert_says("at most 64 properties");
}

static void test_help_and_version_are_no_errors(void **state) {
    (void)state;
    assert_int_equal(ctl("--help"), 0);
    assert_says("explain");
    assert_int_equal(ctl("--version"), 0);
    assert_says("idemctl " IDEM_VERSION);
    assert_int_equal(ctl("explain", "--help"), 0);
    assert_says("--property");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_check_accepts_a_right_configuration),
        TEST(test_check_passes_warnings_on),
        TEST(test_without_a_path_the_usual_one_is_taken),
        TEST(test_check_names_file_line_and_key_of_a_mistake),
        TEST(test_explain_names_rule_key_scope_and_digest),
        TEST(test_explain_shows_what_tells_conflicts_apart),
        TEST(test_explain_tells_how_long_this_message_is_remembered),
        TEST(test_explain_takes_messages_of_amqp),
        TEST(test_explain_tells_a_number_and_what_is_known_of_its_producer),
        TEST(test_explain_tells_what_the_store_says),
        TEST(test_explain_shows_a_claim_that_a_crash_left),
        TEST(test_explain_knows_records_of_other_fingerprints_times),
        TEST(test_explain_reads_a_store_that_has_a_secret),
        TEST(test_explain_reads_a_store_that_a_broker_has_open),
        TEST(test_explain_says_why_a_message_passes),
        TEST(test_explain_distinguishes_principals),
        TEST(test_explain_reads_the_payload_from_standard_input),
        TEST(test_explain_reads_a_long_payload_whole),
        TEST(test_explain_prints_json),
        TEST(test_a_store_that_cannot_be_read_has_its_own_exit_code),
        TEST(test_a_wrong_command_line_is_refused),
        TEST(test_no_more_properties_are_taken_than_a_rule_looks_at),
        TEST(test_help_and_version_are_no_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
