/* SPDX-License-Identifier: MIT
 * A receiver on the memory store behind the scripted one, for the tests of the receiver. */
#include "receiving.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void hear(void *context, enum idem_log_level level, const char *event,
                 const char *text) {
    struct receiving *fixture = context;
    fixture->lines++;
    (void)snprintf(fixture->line, sizeof fixture->line, "%s %s: %s",
                   idem_log_level_name(level), event, text);
}

struct idem_receiver_options receiving_options(struct receiving *fixture) {
    return (struct idem_receiver_options){
        .store = scripted_store_handle(fixture->scripted),
        .rules = &fixture->rules,
        .instance = "edge-1",
        .incarnation = 7,
        .can_hold = true,
        .log = {hear, fixture, IDEM_LOG_DEBUG},
    };
}

int receiving_open(void **state) {
    struct receiving *fixture = calloc(1, sizeof *fixture);
    const struct idem_store_options memory = {.url = "memory:"};
    struct idem_rule rule;
    assert_non_null(fixture);
    assert_int_equal(idem_store_open(&fixture->store, &memory, NULL), IDEM_OK);
    fixture->scripted = scripted_store_open(fixture->store);
    sample_rule(&rule, "orders");
    sample_set(&fixture->rules, &rule);
    sample_init(&fixture->sample);
    struct idem_receiver_options options = receiving_options(fixture);
    assert_int_equal(idem_receiver_open(&fixture->receiver, &options, NULL), IDEM_OK);
    *state = fixture;
    return 0;
}

int receiving_close(void **state) {
    struct receiving *fixture = *state;
    idem_receiver_close(fixture->receiver);
    scripted_store_close(fixture->scripted);
    idem_store_close(fixture->store);
    idem_ruleset_fini(&fixture->rules);
    free(fixture);
    return 0;
}

void receiving_decided(void *arg, struct idem_delivery *delivery) {
    unsigned *decisions = arg;
    (void)delivery;
    (*decisions)++;
}

void receiving_settled(void *arg, enum idem_code code) {
    enum idem_code *kept = arg;
    *kept = code;
}

/* Submits a copy of that key; a message of its own, gone when this returns. */
void receiving_submit(struct receiving *fixture, const char *key,
                      struct idem_delivery *delivery, unsigned *decisions) {
    struct sample *sample = malloc(sizeof *sample);
    char *text = sample_text(key);
    assert_non_null(sample);
    sample_init(sample);
    sample_add(sample, "id", text);
    idem_receiver_submit(fixture->receiver, &sample->message, NOW_MS, delivery,
                         receiving_decided, decisions);
    memset(text, '#', strlen(text));
    free(text);
    free(sample);
}

struct idem_delivery receiving_submit_now(struct receiving *fixture, const char *key) {
    struct idem_delivery delivery;
    unsigned decisions = 0;
    receiving_submit(fixture, key, &delivery, &decisions);
    assert_int_equal(decisions, 1);
    return delivery;
}

struct idem_receiver_counts receiving_totals(struct receiving *fixture) {
    struct idem_receiver_counts total;
    (void)idem_receiver_read_counts(fixture->receiver, &total, NULL, 0);
    return total;
}
