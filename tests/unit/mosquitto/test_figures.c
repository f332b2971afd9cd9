/* SPDX-License-Identifier: MIT
 * Figures go out when they are due and have changed, and at no other time. */
#include "figures.h"

#include "compat.h"
#include "fake_broker.h"
#include "files.h"

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
static struct idem_latency latency;
static struct idem_control_counts control;
static struct idem_replay replay;
static struct idem_figure_sources sources;

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
    memset(&latency, 0, sizeof latency);
    memset(&control, 0, sizeof control);
    sources = (struct idem_figure_sources){.receiver = receiver,
                                           .store = store,
                                           .instance = "unit",
                                           .latency = &latency,
                                           .replay = &replay,
                                           .control = &control};
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
    if (idem_figures_due(&figures, now_ms)) {
        idem_figures_publish(&figures, &sources);
    }
}

/* What was published last as the figure; NULL: nothing. Also checks how it was published. */
static const char *figure(const char *name) {
    static char value[64];
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

static void texts_go_out_once(void **state) {
    (void)state;
    publish_at(NOW_MS);
    assert_figure("version", IDEM_VERSION);
    assert_figure("instance", "unit");
    assert_figure("store/name", "memory");
    publish_at(NOW_MS + INTERVAL_MS);
    assert_null(figure("version"));
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
    static const char *const others[] = {"completed",
                                         "abandoned",
                                         "settle_failures",
                                         "store/keys",
                                         "store/bytes",
                                         "store/purged",
                                         "store/failing",
                                         "store/memory_bytes",
                                         "store/memory_entries",
                                         "store/map_growths",
                                         "store/commits",
                                         "store/commit_failures",
                                         "store/connected",
                                         "store/servers",
                                         "store/breakers_open",
                                         "store/owed",
                                         "uptime",
                                         "unsettled",
                                         "parked/messages",
                                         "parked/bytes",
                                         "control/requests",
                                         "decisions/count",
                                         "decisions/sum_us",
                                         "rules/first/bypassed",
                                         "replay/stored",
                                         "replay/evicted",
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
    publish_at(NOW_MS);
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
    assert_int_equal(fake_broker_queued(), IDEM_REASON_COUNT + IDEM_VERDICT_COUNT + 3);
    assert_figure("rules/second/messages/new", "0");
    assert_figure("rules/second/verdicts/deliver", "0");
}

static void what_is_not_in_a_counter_goes_out_as_it_is_now(void **state) {
    (void)state;
    sources.uptime_s = 7;
    sources.unsettled = 2;
    sources.parked_messages = 3;
    sources.parked_bytes = 400;
    control.refused = 5;
    assert_int_equal(idem_receiver_enable_rule(receiver, "first", false), IDEM_OK);
    submit("first/a");
    publish_at(NOW_MS);
    assert_figure("uptime", "7");
    assert_figure("unsettled", "2");
    assert_figure("parked/messages", "3");
    assert_figure("parked/bytes", "400");
    assert_figure("control/refused", "5");
    assert_figure("rules/first/enabled", "0");
    assert_figure("rules/first/bypassed", "1");
}

static void decisions_are_counted_by_how_long_they_took(void **state) {
    (void)state;
    idem_latency_note(&latency, 10000);
    idem_latency_note(&latency, 10001);
    idem_latency_note(&latency, 999);
    idem_latency_note(&latency, 2000000001);
    idem_latency_note(&latency, -5);
    publish_at(NOW_MS);
    assert_figure("decisions/count", "5");
    assert_figure("decisions/sum_us", "2000021");
    assert_figure("decisions/within/10us", "3");
    assert_figure("decisions/within/100us", "4");
    assert_figure("decisions/within/2s", "4");
}

/* ---- the reference ---- */

/* Whether a cell of a table's first column names it: `name`. */
static bool is_documented(const char *text, const char *name) {
    char quoted[256];
    (void)snprintf(quoted, sizeof quoted, "`%s`", name);
    for (const char *line = text; line != NULL;
         line = strchr(line, '\n') != NULL ? strchr(line, '\n') + 1 : NULL) {
        const char *at = *line == '|' ? strstr(line, quoted) : NULL;
        const char *end = *line == '|' ? strchr(line + 1, '|') : NULL;
        if (at != NULL && end != NULL && at < end) {
            return true;
        }
    }
    return false;
}

static void each_figure_is_in_the_reference(void **state) {
    (void)state;
    char *text = files_read("docs/reference/figures.md");
    publish_at(NOW_MS);
    for (const struct fake_published *at = fake_broker_queue(); at != NULL;
         at = at->next) {
        char *name =
            files_replace(at->topic + strlen(ROOT), "rules/first/", "rules/NAME/");
        if (!is_documented(text, name)) {
            fail_msg("docs/reference/figures.md does not have %s", name);
        }
        free(name);
    }
    free(text);
}

/* The names between backquotes in the first column. */
static void each_row_of_the_reference_is_a_figure(void **state) {
    (void)state;
    char *text = files_read("docs/reference/figures.md");
    char *place = NULL;
    size_t names = 0;
    publish_at(NOW_MS);
    for (char *line = strtok_r(text, "\n", &place); line != NULL;
         line = strtok_r(NULL, "\n", &place)) {
        char *end = *line == '|' ? strchr(line + 1, '|') : NULL;
        char *open = end != NULL ? strchr(line, '`') : NULL;
        while (open != NULL && open < end && strncmp(open, "`$SYS", 5) != 0) {
            char *close = strchr(open + 1, '`');
            assert_non_null(close);
            *close = '\0';
            char *name = files_replace(open + 1, "rules/NAME/", "rules/first/");
            if (figure(name) == NULL) {
                fail_msg("docs/reference/figures.md has %s, which is no figure", name);
            }
            free(name);
            names++;
            open = strchr(close + 1, '`');
        }
    }
    assert_int_equal(names, fake_broker_queued());
    free(text);
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
    const size_t put_off = 2; /* texts behind the first, which went out later */
    assert_int_equal(fake_broker_queued(), all - 80 - put_off);
    publish_at(NOW_MS + INTERVAL_MS);
    assert_int_equal(fake_broker_queued(), 80 + put_off);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(texts_go_out_once),
        TEST(the_first_round_has_every_figure),
        TEST(only_what_has_changed_goes_out_again),
        TEST(nothing_goes_out_before_the_interval_is_over),
        TEST(a_clock_set_back_does_not_silence_the_figures),
        TEST(without_an_interval_nothing_goes_out),
        TEST(a_rule_that_a_reload_adds_has_its_figures_and_disturbs_no_other),
        TEST(what_is_not_in_a_counter_goes_out_as_it_is_now),
        TEST(decisions_are_counted_by_how_long_they_took),
        TEST(each_figure_is_in_the_reference),
        TEST(each_row_of_the_reference_is_a_figure),
        TEST(what_does_not_go_out_for_want_of_memory_goes_out_later),
        TEST(memory_that_comes_back_in_the_middle_of_a_round_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
