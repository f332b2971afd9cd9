/* SPDX-License-Identifier: MIT
 * Figures go out when they are due and have changed, and at no other time. */
#include "figures.h"

#include "compat.h"
#include "fake_broker.h"

#include <idem/config.h>
#include <idem/version.h>

#include <stdio.h>
#include <stdlib.h>

#define ROOT        "$SYS/broker/idem/"
#define INTERVAL_MS 10000
#define NOW_MS      1700000000000

#define RULE(name)                                                                       \
    "  - {name: " name ", match: {topic: " name "/#}, strategy: key, key: [payload],"    \
    " scope: global, ttl: 24h}\n"
#define CONFIGURATION(rules) "instance: unit\nstore: {url: 'memory:'}\nrules:\n" rules

static const char one_rule[] = CONFIGURATION(RULE("first"));
static const char two_rules[] = CONFIGURATION(RULE("first") RULE("second"));
static const char six_rules[] = CONFIGURATION(RULE("first") RULE("second") RULE(
    "third") RULE("fourth") RULE("fifth") RULE("sixth"));

static struct idem_config config;
static struct idem_store *store;
static struct idem_receiver *receiver;
static struct idem_figures figures;
static struct idem_replay replay;

static void parse(struct idem_config *parsed, const char *text) {
    struct idem_error error = IDEM_ERROR_INIT;
    if (idem_config_parse(parsed, "unit.yaml", text, strlen(text), NULL, NULL, &error) !=
        IDEM_OK) {
        fail_msg("%s", error.text);
    }
}

static int start(void **state) {
    (void)state;
    struct idem_error error = IDEM_ERROR_INIT;
    fake_broker_start(FAKE_2_0_11);
    idem_compat_learn();
    assert_int_equal(idem_digest_init(&error), IDEM_OK);
    parse(&config, one_rule);
    struct idem_store_options store_options = {.url = config.store.url};
    assert_int_equal(idem_store_open(&store, &store_options, &error), IDEM_OK);
    struct idem_receiver_options options = {
        .store = store, .rules = &config.rules, .instance = config.instance};
    assert_int_equal(idem_receiver_open(&receiver, &options, &error), IDEM_OK);
    idem_figures_init(&figures, INTERVAL_MS);
    return 0;
}

static int stop(void **state) {
    (void)state;
    idem_figures_fini(&figures);
    idem_receiver_close(receiver);
    idem_store_close(store);
    idem_config_fini(&config);
    fake_broker_stop();
    return 0;
}

static void publish_at(int64_t now_ms) {
    fake_broker_take_queue();
    idem_figures_publish(&figures, receiver, store, &replay, now_ms);
}

/* What was published last as the figure; NULL: nothing. Also checks how it was published. */
static const char *figure(const char *name) {
    static char value[32];
    char topic[128];
    const char *found = NULL;
    (void)snprintf(topic, sizeof topic, ROOT "%s", name);
    for (const struct fake_published *at = fake_broker_queue(); at != NULL;
         at = at->next) {
        assert_memory_equal(at->topic, ROOT, strlen(ROOT));
        assert_true(at->retain);
        assert_true(at->size > 0 && at->size < sizeof value);
        if (strcmp(at->topic, topic) == 0) {
            memcpy(value, at->payload, at->size);
            value[at->size] = '\0';
            found = value;
        }
    }
    return found;
}

static void assert_figure(const char *name, const char *expected) {
    const char *value = figure(name);
    if (value == NULL) {
        fail_msg("%s was not published", name);
    }
    assert_string_equal(value, expected);
}

static void decided(void *arg, struct idem_delivery *delivery) {
    (void)arg;
    (void)delivery;
}

static void submit(const char *topic) {
    struct idem_delivery delivery;
    struct idem_message message = {.protocol = IDEM_PROTOCOL_MQTT,
                                   .topic = idem_span_text(topic),
                                   .payload = idem_span_text("payload")};
    idem_receiver_submit(receiver, &message, NOW_MS, &delivery, decided, NULL);
}

static void the_version_goes_out_at_the_start(void **state) {
    (void)state;
    assert_int_equal(fake_broker_queued(), 1);
    assert_figure("version", IDEM_VERSION);
}

static void the_first_round_has_every_figure(void **state) {
    (void)state;
    publish_at(NOW_MS);
    char name[64];
    for (unsigned i = 0; i < IDEM_REASON_COUNT; i++) {
        (void)snprintf(name, sizeof name, "messages/%s",
                       idem_reason_name((enum idem_reason)i));
        assert_figure(name, "0");
        (void)snprintf(name, sizeof name, "rules/first/messages/%s",
                       idem_reason_name((enum idem_reason)i));
        assert_figure(name, "0");
    }
    for (unsigned i = 0; i < IDEM_VERDICT_COUNT; i++) {
        (void)snprintf(name, sizeof name, "verdicts/%s",
                       idem_verdict_name((enum idem_verdict)i));
        assert_figure(name, "0");
    }
    for (unsigned i = 0; i < IDEM_REPLAY_EVENT_COUNT; i++) {
        (void)snprintf(name, sizeof name, "replay/%s",
                       idem_replay_event_name((enum idem_replay_event)i));
        assert_figure(name, "0");
    }
    static const char *const others[] = {"completed",          "abandoned",
                                         "settle_failures",    "store/keys",
                                         "store/bytes",        "store/purged",
                                         "store/memory_bytes", "store/memory_entries",
                                         "store/map_growths",  "store/failing",
                                         "store/commits",      "store/commit_failures",
                                         "replay/stored",      "replay/evicted",
                                         "replay/requests"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_non_null(figure(others[i]));
    }
    assert_null(figure("rules//messages/no_rule"));
}

static void only_what_has_changed_goes_out_again(void **state) {
    (void)state;
    publish_at(NOW_MS);
    publish_at(NOW_MS + INTERVAL_MS);
    assert_int_equal(fake_broker_queued(), 0);

    submit("other");
    publish_at(NOW_MS + 2 * INTERVAL_MS);
    assert_int_equal(fake_broker_queued(), 2);
    assert_figure("messages/no_rule", "1");
    assert_figure("verdicts/deliver", "1");

    submit("first/a");
    publish_at(NOW_MS + 3 * INTERVAL_MS);
    assert_figure("messages/new", "1");
    assert_figure("verdicts/deliver", "2");
    assert_figure("rules/first/messages/new", "1");
    assert_figure("store/keys", "1");
    assert_null(figure("messages/no_rule"));
}

static void nothing_goes_out_before_the_interval_is_over(void **state) {
    (void)state;
    publish_at(NOW_MS);
    submit("other");
    publish_at(NOW_MS);
    assert_int_equal(fake_broker_queued(), 0);
    publish_at(NOW_MS + INTERVAL_MS - 1);
    assert_int_equal(fake_broker_queued(), 0);
    publish_at(NOW_MS + INTERVAL_MS);
    assert_figure("messages/no_rule", "1");
}

static void a_clock_set_back_does_not_silence_the_figures(void **state) {
    (void)state;
    const int64_t earlier_ms = NOW_MS - 86400000;
    publish_at(NOW_MS);
    submit("other");
    publish_at(earlier_ms);
    assert_figure("messages/no_rule", "1");
    submit("other");
    publish_at(earlier_ms + INTERVAL_MS - 1);
    assert_int_equal(fake_broker_queued(), 0);
    publish_at(earlier_ms + INTERVAL_MS);
    assert_figure("messages/no_rule", "2");
}

static void without_an_interval_nothing_goes_out(void **state) {
    (void)state;
    fake_broker_take_queue();
    idem_figures_fini(&figures);
    idem_figures_init(&figures, 0);
    idem_figures_publish(&figures, receiver, store, &replay, NOW_MS);
    assert_int_equal(fake_broker_queued(), 0);
}

static void reload(const char *text) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_config fresh;
    parse(&fresh, text);
    assert_int_equal(idem_receiver_set_rules(receiver, &fresh.rules, &error), IDEM_OK);
    idem_config_fini(&config);
    config = fresh;
}

/* Figures are told apart by their place in the tree: a new rule must not move the others. */
static void
a_rule_that_a_reload_adds_has_its_figures_and_disturbs_no_other(void **state) {
    (void)state;
    submit("first/a");
    publish_at(NOW_MS);
    reload(two_rules);
    publish_at(NOW_MS + INTERVAL_MS);
    assert_int_equal(fake_broker_queued(), IDEM_REASON_COUNT + IDEM_VERDICT_COUNT);
    assert_figure("rules/second/messages/new", "0");
    assert_figure("rules/second/verdicts/deliver", "0");
}

/* The first round allocates most: each of its allocations is refused once. */
static void what_does_not_go_out_for_want_of_memory_goes_out_later(void **state) {
    (void)state;
    publish_at(NOW_MS);
    const size_t all = fake_broker_queued();
    for (size_t nth = 1;; nth++) {
        idem_figures_fini(&figures);
        fake_broker_refuse(nth, 1);
        idem_figures_init(&figures, INTERVAL_MS);
        publish_at(NOW_MS);
        size_t went_out = fake_broker_queued();
        if (!fake_broker_refused()) {
            assert_int_equal(went_out, all);
            assert_true(nth > 3 * all);
            break;
        }
        publish_at(NOW_MS + INTERVAL_MS);
        assert_true(went_out + fake_broker_queued() <= all);
        if (figures.rules != NULL) {
            assert_int_equal(went_out + fake_broker_queued(), all);
        }
    }
}

/* The places of the first figures cannot be had, those of later ones can. */
static void memory_that_comes_back_in_the_middle_of_a_round_is_enough(void **state) {
    (void)state;
    reload(six_rules);
    publish_at(NOW_MS);
    const size_t all = fake_broker_queued();
    assert_true(all > 100);
    idem_figures_fini(&figures);
    idem_figures_init(&figures, INTERVAL_MS);
    fake_broker_refuse(1, 80);
    publish_at(NOW_MS);
    assert_true(fake_broker_refused());
    assert_int_equal(fake_broker_queued(), all - 80);
    publish_at(NOW_MS + INTERVAL_MS);
    assert_int_equal(fake_broker_queued(), 80);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_version_goes_out_at_the_start),
        TEST(the_first_round_has_every_figure),
        TEST(only_what_has_changed_goes_out_again),
        TEST(nothing_goes_out_before_the_interval_is_over),
        TEST(a_clock_set_back_does_not_silence_the_figures),
        TEST(without_an_interval_nothing_goes_out),
        TEST(a_rule_that_a_reload_adds_has_its_figures_and_disturbs_no_other),
        TEST(what_does_not_go_out_for_want_of_memory_goes_out_later),
        TEST(memory_that_comes_back_in_the_middle_of_a_round_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
