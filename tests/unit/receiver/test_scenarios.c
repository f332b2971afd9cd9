/* SPDX-License-Identifier: MIT
 * Runs what tests/scenarios holds; the README.md there says what a line means. One scenario, one test. */
#include "scripted_store.h"
#include "sample.h"
#include "scenario.h"

#include <idem/receiver.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_MS  INT64_C(1700000000000)
#define RULES_MAX 4
#define NODES_MAX 4
#define OPEN_MAX  8

struct node {
    char name[16];
    bool can_hold;
    uint64_t incarnation;
    struct idem_receiver *receiver;
};

/* A delivery that waits for its `complete` or `abandon` line. */
struct left_open {
    char name[16];
    struct idem_receiver *receiver; /* NULL: its node has been restarted */
    struct idem_delivery delivery;
};

struct world {
    const struct scenario *scenario;
    struct idem_store *store;
    struct scripted_store *scripted;
    struct idem_ruleset rules;
    struct node nodes[NODES_MAX];
    size_t nodes_count;
    struct left_open open[OPEN_MAX];
    size_t open_count;
    int64_t now_ms;
};

static void set_time(struct words *words, const char *name, int64_t *ms) {
    const char *text = words_attribute(words, name);
    if (text != NULL) {
        *ms = words_time(words, text);
    }
}

static void set_text(struct words *words, const char *name, char **text) {
    const char *value = words_attribute(words, name);
    if (value != NULL) {
        free(*text);
        *text = sample_text(value);
    }
}

static void set_action(struct words *words, const char *name, enum idem_action *action) {
    const char *text = words_attribute(words, name);
    if (text == NULL) {
        return;
    }
    for (unsigned i = IDEM_ACTION_DELIVER; i <= IDEM_ACTION_REFUSE; i++) {
        if (strcmp(idem_action_name((enum idem_action)i), text) == 0) {
            *action = (enum idem_action)i;
            return;
        }
    }
    SCENARIO_FAIL(words, "no action: %s", text);
}

static void set_spec(struct words *words, const char *name, struct idem_key_spec *spec) {
    const char *text = words_attribute(words, name);
    if (text != NULL) {
        sample_spec(spec, text);
    }
}

static void set_strategy(struct words *words, enum idem_strategy *strategy) {
    const char *text = words_attribute(words, "strategy");
    if (text != NULL && strcmp(text, "natural") == 0) {
        *strategy = IDEM_STRATEGY_NATURAL;
    } else if (text != NULL && strcmp(text, "key") != 0) {
        SCENARIO_FAIL(words, "no strategy: %s", text);
    }
}

static void set_scope(struct words *words, struct idem_scope *scope) {
    const char *text = words_attribute(words, "scope");
    if (text == NULL || strcmp(text, "global") == 0) {
        return;
    }
    if (strcmp(text, "rule") == 0) {
        scope->kind = IDEM_SCOPE_RULE;
    } else if (strcmp(text, "principal") == 0) {
        scope->kind = IDEM_SCOPE_PRINCIPAL;
    } else if (strncmp(text, "by:", 3) == 0) {
        scope->kind = IDEM_SCOPE_BY;
        sample_spec(&scope->by, text + 3);
    } else {
        SCENARIO_FAIL(words, "no scope: %s", text);
    }
}

static void add_rule(struct world *world, struct words *words) {
    if (world->rules.count == RULES_MAX || world->nodes[0].receiver != NULL) {
        SCENARIO_FAIL(words, "too many rules, or too late");
    }
    struct idem_rule *rule = &world->rules.rules[world->rules.count++];
    sample_rule(rule, "orders");
    set_text(words, "name", &rule->name);
    set_text(words, "topic", &rule->match.topic);
    set_text(words, "queue", &rule->match.queue);
    set_text(words, "routing_key", &rule->match.routing_key);
    set_strategy(words, &rule->strategy);
    set_spec(words, "key", &rule->key);
    set_spec(words, "fingerprint", &rule->fingerprint);
    set_scope(words, &rule->scope);
    set_time(words, "ttl", &rule->ttl_ms);
    rule->ttl_from = words_attribute(words, "sliding") != NULL ? IDEM_TTL_FROM_LAST
                                                               : IDEM_TTL_FROM_FIRST;
    set_text(words, "ttl_header", &rule->ttl_header.name);
    set_time(words, "ttl_max", &rule->ttl_header.max_ms);
    set_time(words, "lease", &rule->lease_ms);
    set_action(words, "on_missing_key", &rule->policies.on_missing_key);
    set_action(words, "on_duplicate", &rule->policies.on_duplicate);
    set_action(words, "on_conflict", &rule->policies.on_conflict);
    set_action(words, "on_in_flight", &rule->policies.on_in_flight);
    set_action(words, "on_in_doubt", &rule->policies.on_in_doubt);
    set_action(words, "on_store_failure", &rule->policies.on_store_failure);
    words_refuse_rest(words, 1);
}

/* Names a node again, or adds it. */
static void add_node(struct world *world, struct words *words) {
    const char *name = words->count > 1 ? words->items[1] : "";
    struct node *node = &world->nodes[world->nodes_count];
    for (size_t i = 0; i < world->nodes_count; i++) {
        if (strcmp(world->nodes[i].name, name) == 0) {
            node = &world->nodes[i];
        }
    }
    if (node == &world->nodes[NODES_MAX] || world->nodes[0].receiver != NULL) {
        SCENARIO_FAIL(words, "too many nodes, or too late");
    }
    if (node == &world->nodes[world->nodes_count]) {
        world->nodes_count++;
    }
    (void)snprintf(node->name, sizeof node->name, "%s", name);
    node->can_hold = words_attribute(words, "hold") != NULL;
    node->incarnation = 1;
    words_refuse_rest(words, 2);
}

static struct node *find_node(struct world *world, const struct words *words,
                              const char *name) {
    for (size_t i = 0; i < world->nodes_count; i++) {
        if (strcmp(world->nodes[i].name, name) == 0) {
            return &world->nodes[i];
        }
    }
    SCENARIO_FAIL(words, "no node: %s", name);
    return NULL;
}

static void start_node(struct world *world, struct node *node) {
    const struct idem_receiver_options options = {
        .store = scripted_store_handle(world->scripted),
        .rules = &world->rules,
        .instance = node->name,
        .incarnation = node->incarnation++,
        .can_hold = node->can_hold,
    };
    struct idem_error error = IDEM_ERROR_INIT;
    idem_receiver_close(node->receiver);
    if (idem_receiver_open(&node->receiver, &options, &error) != IDEM_OK) {
        fail_msg("%s", error.text);
    }
}

/* Before the first copy: what was not said is assumed. */
static void start_world(struct world *world) {
    if (world->nodes[0].receiver != NULL) {
        return;
    }
    if (world->rules.count == 0) {
        sample_rule(&world->rules.rules[world->rules.count++], "orders");
    }
    for (size_t i = 0; i < world->nodes_count; i++) {
        start_node(world, &world->nodes[i]);
    }
}

static enum idem_code code_of(const struct words *words, const char *text) {
    static const struct {
        const char *name;
        enum idem_code code;
    } names[] = {
        {"ok", IDEM_OK},
        {"unavailable", IDEM_ERR_UNAVAILABLE},
        {"full", IDEM_ERR_FULL},
        {"timeout", IDEM_ERR_TIMEOUT},
        {"io", IDEM_ERR_IO},
        {"not_owner", IDEM_ERR_NOT_OWNER},
        {"not_found", IDEM_ERR_NOT_FOUND},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i].name, text) == 0) {
            return names[i].code;
        }
    }
    SCENARIO_FAIL(words, "no code: %s", text);
    return IDEM_OK;
}

static void keep_code(void *arg, enum idem_code code) {
    enum idem_code *kept = arg;
    *kept = code;
}

static void settle(struct world *world, struct words *words,
                   struct idem_receiver *receiver, struct idem_delivery *delivery,
                   const char *how) {
    const char *gives = words_attribute(words, "gives");
    enum idem_code expected = gives != NULL ? code_of(words, gives) : IDEM_OK;
    enum idem_code code = IDEM_CODE_COUNT;
    if (strcmp(how, "complete") == 0) {
        idem_receiver_complete(receiver, delivery, world->now_ms, keep_code, &code);
    } else if (strcmp(how, "abandon") == 0) {
        idem_receiver_abandon(receiver, delivery, keep_code, &code);
    } else {
        SCENARIO_FAIL(words, "no way to settle: %s", how);
    }
    if (code != expected) {
        SCENARIO_FAIL(words, "%s gave \"%s\"", how, idem_code_text(code));
    }
}

static void build_message(struct words *words, struct sample *sample) {
    static const char *const names[] = {"payload", "topic", "user", "client"};
    struct idem_message *message = &sample->message;
    struct idem_span *spans[] = {&message->payload, &message->topic, &message->user,
                                 &message->client};
    sample_init(sample);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *text = words_attribute(words, names[i]);
        if (text != NULL) {
            *spans[i] = idem_span_text(strcmp(text, "-") != 0 ? text : "");
        }
    }
    const char *key = words_attribute(words, "key");
    if (key != NULL) {
        sample_add(sample, "id", key);
    }
    const char *protocol = words_attribute(words, "protocol");
    if (protocol != NULL && strcmp(protocol, "amqp") == 0) {
        message->protocol = IDEM_PROTOCOL_AMQP;
    }
    message->deletion = words_attribute(words, "deletion") != NULL;
}

/* property=NAME:VALUE; the words are this step's own and may be cut. */
static void add_property(struct words *words, struct sample *sample) {
    const char *property = words_attribute(words, "property");
    char *colon = property != NULL ? strchr(property, ':') : NULL;
    if (colon != NULL) {
        *colon = '\0';
        sample_add(sample, property, colon + 1);
    } else if (property != NULL) {
        SCENARIO_FAIL(words, "no property: %s", property);
    }
}

static void script_store(struct world *world, struct words *words) {
    const char *fault = words_attribute(words, "store");
    if (fault != NULL && strcmp(fault, "lost") == 0) {
        scripted_store_lose_answer(world->scripted);
    } else if (fault != NULL) {
        scripted_store_fail(world->scripted, code_of(words, fault), 1);
    }
}

static void mark_decided(void *arg, struct idem_delivery *delivery) {
    const struct idem_delivery **decided = arg;
    assert_null(*decided);
    *decided = delivery;
}

static void check_copy(struct words *words, const struct idem_delivery *delivery) {
    const char *verdict = idem_verdict_name(delivery->verdict);
    const char *reason = idem_reason_name(delivery->reason);
    const char *retry = words_attribute(words, "retry");
    if (strcmp(verdict, words->items[0]) != 0 || strcmp(reason, words->items[1]) != 0) {
        SCENARIO_FAIL(words, "got %s %s", verdict, reason);
    }
    if (delivery->claimed != (delivery->reason == IDEM_REASON_NEW ||
                              delivery->reason == IDEM_REASON_IN_DOUBT)) {
        SCENARIO_FAIL(words, "claimed: %d", delivery->claimed);
    }
    if (retry != NULL && delivery->retry_at_ms != START_MS + words_time(words, retry)) {
        SCENARIO_FAIL(words, "retry after %lld ms",
                      (long long)(delivery->retry_at_ms - START_MS));
    }
}

static void leave_open(struct world *world, struct words *words,
                       struct idem_receiver *receiver,
                       const struct idem_delivery *delivery) {
    const char *name = words_attribute(words, "as");
    if (name != NULL) {
        assert_true(world->open_count < OPEN_MAX);
        struct left_open *open = &world->open[world->open_count++];
        (void)snprintf(open->name, sizeof open->name, "%s", name);
        open->receiver = receiver;
        open->delivery = *delivery;
    }
}

static void copy_arrives(struct world *world, struct words *words) {
    const char *at_node = words_attribute(words, "node");
    struct node *node = find_node(world, words, at_node != NULL ? at_node : "a");
    const char *then = words_attribute(words, "then");
    const struct idem_delivery *decided = NULL;
    struct idem_delivery delivery;
    struct sample sample;
    build_message(words, &sample);
    add_property(words, &sample);
    script_store(world, words);
    idem_receiver_submit(node->receiver, &sample.message, world->now_ms, &delivery,
                         mark_decided, &decided);
    assert_ptr_equal(decided, &delivery);
    check_copy(words, &delivery);
    if (then != NULL && strcmp(then, "open") == 0) {
        leave_open(world, words, node->receiver, &delivery);
    } else if (delivery.claimed || then != NULL) {
        settle(world, words, node->receiver, &delivery, then != NULL ? then : "complete");
    }
    words_refuse_rest(words, 2);
}

/* A node that starts again has lost what it held. */
static void restart(struct world *world, struct node *node) {
    for (size_t i = 0; i < world->open_count; i++) {
        if (world->open[i].receiver == node->receiver) {
            world->open[i].receiver = NULL;
        }
    }
    start_node(world, node);
}

static void settle_open(struct world *world, struct words *words) {
    for (size_t i = 0; i < world->open_count; i++) {
        struct left_open *open = &world->open[i];
        if (open->receiver != NULL && strcmp(open->name, words->items[1]) == 0) {
            settle(world, words, open->receiver, &open->delivery, words->items[0]);
            words_refuse_rest(words, 2);
            return;
        }
    }
    SCENARIO_FAIL(words, "nothing open: %s", words->items[1]);
}

static void run_step(struct world *world, const struct scenario *scenario,
                     const struct step *step) {
    struct words words;
    words_split(&words, scenario, step);
    const char *verb = words.items[0];
    if (strcmp(verb, "rule") == 0) {
        add_rule(world, &words);
        return;
    }
    if (words.count < 2) {
        SCENARIO_FAIL(&words, "a step has two words at least");
    }
    if (strcmp(verb, "node") == 0) {
        add_node(world, &words);
        return;
    }
    int64_t at_ms = world->now_ms - START_MS;
    set_time(&words, "at", &at_ms);
    world->now_ms = START_MS + at_ms;
    start_world(world);
    if (strcmp(verb, "restart") == 0) {
        restart(world, find_node(world, &words, words.items[1]));
        words_refuse_rest(&words, 2);
    } else if (strcmp(verb, "complete") == 0 || strcmp(verb, "abandon") == 0) {
        settle_open(world, &words);
    } else {
        copy_arrives(world, &words);
    }
}

/* The state is the scenario at first, then its world. */
static int open_world(void **state) {
    struct world *world = calloc(1, sizeof *world);
    const struct idem_store_options options = {.url = "memory:"};
    assert_non_null(world);
    assert_int_equal(idem_store_open(&world->store, &options, NULL), IDEM_OK);
    world->scripted = scripted_store_open(world->store);
    world->rules.rules = calloc(RULES_MAX, sizeof *world->rules.rules);
    assert_non_null(world->rules.rules);
    idem_secret_default(&world->rules.secret);
    world->nodes[0] = (struct node){.name = "a", .incarnation = 1};
    world->nodes_count = 1;
    world->now_ms = START_MS;
    world->scenario = *state;
    *state = world;
    return 0;
}

static int close_world(void **state) {
    struct world *world = *state;
    for (size_t i = 0; i < world->nodes_count; i++) {
        idem_receiver_close(world->nodes[i].receiver);
    }
    scripted_store_close(world->scripted);
    idem_store_close(world->store);
    idem_ruleset_fini(&world->rules);
    free(world);
    return 0;
}

static void run_scenario(void **state) {
    struct world *world = *state;
    for (size_t i = 0; i < world->scenario->count; i++) {
        run_step(world, world->scenario, &world->scenario->steps[i]);
    }
}

int main(void) {
    static struct CMUnitTest tests[SCENARIOS_MAX];
    size_t count = 0;
    const struct scenario *scenarios = scenarios_read("tests/scenarios", &count);
    if (scenarios == NULL) {
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        tests[i] = (struct CMUnitTest){.name = scenarios[i].title,
                                       .test_func = run_scenario,
                                       .setup_func = open_world,
                                       .teardown_func = close_world,
                                       .initial_state = (void *)&scenarios[i]};
    }
    return _cmocka_run_group_tests("scenarios", tests, count, NULL, NULL);
}
