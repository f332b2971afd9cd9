/* SPDX-License-Identifier: MIT
 * The registry of figures, and what is made from it. With --write FILE, writes the reference. */
#include "http/access.h"
#include "http/figures.h"
#include "http/render.h"

#include "files.h"
#include "testing.h"

#include <ctype.h>
#include <json-c/json.h>
#include <stdlib.h>

static const char reference_path[] = "docs/reference/metrics.md";

static struct idem_observation *seen; /* anew for each test */

static int set_up(void **state) {
    (void)state;
    seen = calloc(1, sizeof *seen);
    assert_non_null(seen);
    seen->workers = 1;
    seen->end_count = 2;
    seen->ends[0] = (struct idem_observed_end){.name = "source", .up = true};
    seen->ends[1] = (struct idem_observed_end){.name = "sink", .up = true};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    free(seen);
    return 0;
}

static char *rendered(bool render(struct evbuffer *, const struct idem_observation *)) {
    struct evbuffer *out = evbuffer_new();
    assert_non_null(out);
    assert_true(render(out, seen));
    assert_int_equal(evbuffer_add(out, "", 1), 0);
    char *text = strdup((const char *)evbuffer_pullup(out, -1));
    assert_non_null(text);
    evbuffer_free(out);
    return text;
}

static void assert_line(const char *line) {
    char *text = rendered(idem_render_metrics);
    char whole[256];
    (void)snprintf(whole, sizeof whole, "\n%s\n", line);
    if (strstr(text, whole) == NULL) {
        fail_msg("no line %s in %s", line, text);
    }
    free(text);
}

static void the_reference_says_what_the_table_says(void **state) {
    char *made = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&made, &size);
    (void)state;
    assert_non_null(out);
    idem_figures_reference(out);
    assert_int_equal(fclose(out), 0);
    char *committed = files_read(reference_path);
    if (strcmp(committed, made) != 0) {
        fail_msg("%s is not what the table says; renew it by test_figures --write %s",
                 reference_path, reference_path);
    }
    free(committed);
    free(made);
}

static bool is_figure(const char *name, size_t length) {
    for (size_t i = 0; i < idem_figure_count(); i++) {
        const char *known = idem_figure_at(i)->name;
        if (strncmp(known, name, strlen(known)) == 0 &&
            (strlen(known) == length ||
             strncmp(name + strlen(known), "_bucket", length - strlen(known)) == 0)) {
            return true;
        }
    }
    return false;
}

static void guides_speak_of_figures_that_there_are(void **state) {
    static const char *const pages[] = {"docs/guide/monitoring.md",
                                        "docs/reference/http.md"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char *text = files_read(pages[i]);
        unsigned found = 0;
        for (const char *at = strstr(text, "idem_"); at != NULL;
             at = strstr(at + 1, "idem_")) {
            size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
            if (!is_figure(at, length)) {
                fail_msg("%s: there is no figure %.*s", pages[i], (int)length, at);
            }
            found++;
        }
        assert_true(found > 3);
        free(text);
    }
}

static bool ends_in(const char *text, const char *end) {
    size_t length = strlen(text);
    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

static void names_follow_the_conventions(void **state) {
    (void)state;
    for (size_t i = 0; i < idem_figure_count(); i++) {
        const struct idem_figure *figure = idem_figure_at(i);
        for (const char *at = figure->name; *at != '\0'; at++) {
            assert_true(islower(*at) || *at == '_');
        }
        assert_int_equal(ends_in(figure->name, "_total"),
                         figure->kind == IDEM_FIGURE_COUNTER);
        assert_int_equal(ends_in(figure->name, "_seconds"),
                         figure->unit != IDEM_UNIT_ONE);
        assert_true(ends_in(figure->help, "."));
        assert_null(strpbrk(figure->help, "\\\n|"));
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(figure->name, idem_figure_at(j)->name);
        }
    }
}

static void values_are_exact_and_in_base_units(void **state) {
    struct idem_figure_text text;
    (void)state;
    assert_string_equal(idem_figure_value(&text, IDEM_UNIT_ONE, UINT64_MAX),
                        "18446744073709551615");
    assert_string_equal(idem_figure_value(&text, IDEM_UNIT_MS, 1005), "1.005");
    assert_string_equal(idem_figure_value(&text, IDEM_UNIT_NS, 1000000001),
                        "1.000000001");
    assert_string_equal(idem_figure_bound(&text, 10000), "0.00001");
    assert_string_equal(idem_figure_bound(&text, 2500000000), "2.5");
    assert_string_equal(idem_figure_bound(&text, 1000000000), "1");
}

static void rules_have_a_row_for_each_verdict_and_reason(void **state) {
    (void)state;
    seen->rule_count = 2;
    (void)strcpy(seen->rules[1].name, "orders");
    seen->rules[1].by_verdict[IDEM_VERDICT_DROP] = 7;
    seen->rules[0].by_reason[IDEM_REASON_NO_RULE] = 3;
    assert_line("idem_messages_total{rule=\"orders\",verdict=\"drop\"} 7");
    assert_line("idem_messages_total{rule=\"(none)\",verdict=\"drop\"} 0");
    assert_line("idem_message_reasons_total{rule=\"(none)\",reason=\"no_rule\"} 3");
}

static void labels_are_escaped(void **state) {
    (void)state;
    seen->rule_count = 1;
    (void)strcpy(seen->rules[0].name, "a\"b\\c\nd");
    assert_line("idem_messages_total{rule=\"a\\\"b\\\\c\\nd\",verdict=\"hold\"} 0");
}

static void buckets_of_a_histogram_add_up(void **state) {
    struct idem_histogram histogram = {.sum_ns = 0};
    (void)state;
    idem_histogram_add(&histogram, 0);
    idem_histogram_add(&histogram, 10000); /* belongs to the bucket that it ends */
    idem_histogram_add(&histogram, 10001);
    idem_histogram_add(&histogram, INT64_C(9000000000));
    idem_histogram_add(&histogram, -5); /* nothing is quicker than nothing */
    seen->operations[0].name = "claim";
    idem_histogram_collect(&histogram, &seen->operations[0].seconds);
    assert_line(
        "idem_store_operation_seconds_bucket{operation=\"claim\",le=\"0.00001\"} 3");
    assert_line(
        "idem_store_operation_seconds_bucket{operation=\"claim\",le=\"0.000025\"} 4");
    assert_line("idem_store_operation_seconds_bucket{operation=\"claim\",le=\"2.5\"} 4");
    assert_line("idem_store_operation_seconds_bucket{operation=\"claim\",le=\"+Inf\"} 5");
    assert_line("idem_store_operation_seconds_count{operation=\"claim\"} 5");
    assert_line("idem_store_operation_seconds_sum{operation=\"claim\"} 9.000020001");
}

static void what_is_not_known_is_left_out(void **state) {
    (void)state;
    char *text = rendered(idem_render_metrics);
    assert_null(strstr(text, "\nidem_source_queue_messages "));
    free(text);
    seen->queue_known = true;
    seen->queue_messages = 12;
    assert_line("idem_source_queue_messages 12");
}

static void requests_and_answers_are_told_in_mode_rpc_only(void **state) {
    (void)state;
    char *text = rendered(idem_render_metrics);
    assert_null(strstr(text, "\nidem_rpc_"));
    free(text);
    seen->rpc = (struct idem_observed_rpc){.on = true,
                                           .asked = 7,
                                           .answered = 9,
                                           .replayed = 3,
                                           .refused = 10,
                                           .unanswerable = 1,
                                           .stored = 4,
                                           .failed = 2,
                                           .too_large = 5,
                                           .stray = 6,
                                           .alien = 8};
    assert_line("idem_rpc_requests_total 7");
    assert_line("idem_rpc_answers_total{kind=\"reply\"} 6");
    assert_line("idem_rpc_answers_total{kind=\"replay\"} 3");
    assert_line("idem_rpc_answers_total{kind=\"refusal\"} 10");
    assert_line("idem_rpc_unanswerable_total 1");
    assert_line("idem_rpc_replies_total{outcome=\"stored\"} 4");
    assert_line("idem_rpc_replies_total{outcome=\"failed\"} 2");
    assert_line("idem_rpc_replies_total{outcome=\"too_large\"} 5");
    assert_line("idem_rpc_replies_total{outcome=\"stray\"} 6");
    assert_line("idem_rpc_replies_total{outcome=\"alien\"} 8");
    seen->rpc.answered = 2; /* the other one was read later */
    assert_line("idem_rpc_answers_total{kind=\"reply\"} 0");
}

static void unprotected_is_what_went_on_without_the_store(void **state) {
    (void)state;
    seen->receiver.by_reason[IDEM_REASON_STORE_FAILURE] = 5;
    seen->receiver.by_verdict[IDEM_VERDICT_REFUSE] = 2;
    assert_line("idem_unprotected_total 3");
}

/* A member of the JSON by its path, "figures/idem_draining"; fails where there is none. */
static struct json_object *at(struct json_object *root, const char *path) {
    char copy[256];
    char *rest = copy;
    (void)snprintf(copy, sizeof copy, "%s", path);
    for (char *name = strtok_r(rest, "/", &rest); name != NULL;
         name = strtok_r(rest, "/", &rest)) {
        if (!json_object_object_get_ex(root, name, &root)) {
            fail_msg("no %s of %s", name, path);
        }
    }
    return root;
}

static void the_statistics_have_every_figure_under_its_labels(void **state) {
    (void)state;
    seen->instance = "edge-1";
    seen->queue = "orders \"in\"";
    seen->rule_count = 2;
    (void)strcpy(seen->rules[1].name, "orders");
    seen->rules[1].by_verdict[IDEM_VERDICT_DROP] = UINT64_C(1) << 60;
    seen->oldest_ms = 1250;
    seen->rpc.on = true;
    seen->sighting_count = 1;
    seen->sightings[0] = (struct idem_sighting){.reason = IDEM_REASON_CONFLICT,
                                                .first_seen_ms = 5,
                                                .last_seen_ms = 6,
                                                .count = 2,
                                                .rule = "orders"};
    char *text = rendered(idem_render_stats);
    struct json_object *root = json_tokener_parse(text);
    assert_non_null(root);
    assert_int_equal(json_object_get_int(at(root, "format")), 1);
    assert_string_equal(json_object_get_string(at(root, "queue")), "orders \"in\"");
    assert_int_equal(
        json_object_get_int64(at(root, "figures/idem_messages_total/orders/drop")),
        INT64_C(1) << 60);
    assert_non_null(
        strstr(text, "\"idem_oldest_unacknowledged_seconds\":1.250")); /* as it is */
    struct json_object *sighting = json_object_array_get_idx(at(root, "sightings"), 0);
    assert_string_equal(json_object_get_string(at(sighting, "key")),
                        "00000000000000000000000000000000");
    assert_string_equal(json_object_get_string(at(sighting, "reason")), "conflict");
    assert_int_equal(json_object_get_int(at(sighting, "count")), 2);
    for (size_t i = 0; i < idem_figure_count(); i++) {
        if (idem_figure_at(i)->labels[0] == NULL &&
            strstr(idem_figure_at(i)->name, "queue") == NULL) {
            char path[128];
            (void)snprintf(path, sizeof path, "figures/%s", idem_figure_at(i)->name);
            (void)at(root, path);
        }
    }
    (void)json_object_put(root);
    free(text);
}

static void assert_missing(const char *expected) {
    struct idem_health health = idem_health_of(seen);
    char missing[128] = "";
    for (size_t i = 0; i < health.count; i++) {
        (void)strcat(missing, health.missing[i]);
        (void)strcat(missing, " ");
    }
    assert_string_equal(missing, expected);
}

static void a_bridge_is_ready_when_nothing_is_missing(void **state) {
    (void)state;
    assert_missing("");
    seen->ends[1].up = false;
    assert_missing("sink ");
    seen->store.failing = true;
    assert_missing("sink store ");
    seen->ends[0].up = false;
    seen->draining = true;
    seen->stuck = true;
    assert_missing("source sink store draining stuck ");
    seen->starting = true;
    assert_missing("starting ");
}

static void a_token_opens_and_nothing_else_does(void **state) {
    static const char token[] = "0123456789abcdef";
    static const char *const others[] = {
        NULL,
        "",
        "Bearer",
        "Bearer ",
        "Bearer 0123456789abcde",
        "Bearer 0123456789abcdef0",
        "Bearer  0123456789abcdef",
        "Basic 0123456789abcdef",
        "0123456789abcdef",
    };
    (void)state;
    assert_true(idem_access_token("Bearer 0123456789abcdef", token));
    assert_true(idem_access_token("bearer 0123456789abcdef", token));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(idem_access_token(others[i], token));
    }
}

static void a_name_that_was_made_to_point_here_is_not_ours(void **state) {
    static const char *const ours[] = {NULL,        "localhost", "LOCALHOST",
                                       "127.0.0.1", "127.5.6.7", "[::1]"};
    static const char *const others[] = {"",
                                         "evil.example",
                                         "127.0.0.1.evil.example",
                                         "localhost.evil.example",
                                         "128.0.0.1",
                                         "0.0.0.0",
                                         "[::2]"};
    (void)state;
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        assert_true(idem_access_host(ours[i]));
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(idem_access_host(others[i]));
    }
}

static int write_reference(const char *path) {
    FILE *out = fopen(path, "w");
    if (out == NULL) {
        perror(path);
        return 1;
    }
    idem_figures_reference(out);
    return fclose(out) == 0 ? 0 : 1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        TEST(the_reference_says_what_the_table_says),
        TEST(guides_speak_of_figures_that_there_are),
        TEST(names_follow_the_conventions),
        TEST(values_are_exact_and_in_base_units),
        TEST(rules_have_a_row_for_each_verdict_and_reason),
        TEST(labels_are_escaped),
        TEST(buckets_of_a_histogram_add_up),
        TEST(what_is_not_known_is_left_out),
        TEST(requests_and_answers_are_told_in_mode_rpc_only),
        TEST(unprotected_is_what_went_on_without_the_store),
        TEST(the_statistics_have_every_figure_under_its_labels),
        TEST(a_bridge_is_ready_when_nothing_is_missing),
        TEST(a_token_opens_and_nothing_else_does),
        TEST(a_name_that_was_made_to_point_here_is_not_ours),
    };
    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        return write_reference(argv[2]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
