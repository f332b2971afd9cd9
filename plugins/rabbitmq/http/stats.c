/* SPDX-License-Identifier: MIT
 * Figures, sightings and health as JSON. Form: docs/reference/http.md. */
#include "figures.h"
#include "render.h"

#include <idem/version.h>

#include <json-c/json.h>

#define STATS_FORMAT 1 /* rises when something in it changes that was promised */

struct tree {
    struct json_object *root;
    bool whole;
};

/* Takes child. */
static void add(struct tree *tree, struct json_object *parent, const char *name,
                struct json_object *child) {
    if (child == NULL || parent == NULL ||
        json_object_object_add(parent, name, child) != 0) {
        (void)json_object_put(child);
        tree->whole = false;
    }
}

static void append(struct tree *tree, struct json_object *list,
                   struct json_object *element) {
    if (element == NULL || list == NULL || json_object_array_add(list, element) != 0) {
        (void)json_object_put(element);
        tree->whole = false;
    }
}

static struct json_object *text(const char *string) {
    return json_object_new_string(string != NULL ? string : "");
}

/* Seconds keep the places that they have. */
static struct json_object *number(enum idem_figure_unit unit, uint64_t value) {
    struct idem_figure_text buffer;
    if (unit == IDEM_UNIT_ONE) {
        return json_object_new_uint64(value);
    }
    double seconds = (double)value / (unit == IDEM_UNIT_MS ? 1e3 : 1e9);
    return json_object_new_double_s(seconds, idem_figure_value(&buffer, unit, value));
}

/* The object of that name in parent, made where it is not there yet. */
static struct json_object *child_of(struct tree *tree, struct json_object *parent,
                                    const char *name) {
    struct json_object *child = NULL;
    if (parent == NULL || json_object_object_get_ex(parent, name, &child)) {
        return child;
    }
    child = json_object_new_object();
    add(tree, parent, name, child);
    return tree->whole ? child : NULL;
}

/* Values of labels are names of members, one inside the other, in the order of the labels. */
static void place(struct tree *tree, const struct idem_figure *figure,
                  const char *const *labels, struct json_object *value) {
    struct json_object *parent = tree->root;
    const char *name = figure->name;
    for (size_t i = 0; figure->labels[i] != NULL; i++) {
        parent = child_of(tree, parent, name);
        name = labels[i];
    }
    add(tree, parent, name, value);
}

static void put_value(void *arg, const struct idem_figure *figure,
                      const char *const *labels, uint64_t value) {
    place(arg, figure, labels, number(figure->unit, value));
}

static void put_histogram(void *arg, const struct idem_figure *figure,
                          const char *const *labels,
                          const struct idem_histogram_values *values) {
    struct tree *tree = arg;
    struct json_object *histogram = json_object_new_object();
    struct json_object *buckets = json_object_new_object();
    struct idem_figure_text bound;
    uint64_t count = 0;
    for (size_t i = 0; i <= IDEM_HISTOGRAM_BOUNDS; i++) {
        count += values->buckets[i];
        add(tree, buckets,
            i == IDEM_HISTOGRAM_BOUNDS
                ? "+Inf"
                : idem_figure_bound(&bound, idem_histogram_bound_ns(i)),
            json_object_new_uint64(count));
    }
    add(tree, histogram, "count", json_object_new_uint64(count));
    add(tree, histogram, "sum", number(figure->unit, values->sum_ns));
    add(tree, histogram, "buckets", buckets);
    place(tree, figure, labels, histogram);
}

static struct json_object *figures(struct tree *tree,
                                   const struct idem_observation *seen) {
    struct tree own = {json_object_new_object(), true};
    const struct idem_samples samples = {put_value, put_histogram, &own};
    for (size_t i = 0; i < idem_figure_count(); i++) {
        idem_figure_collect(idem_figure_at(i), seen, &samples);
    }
    tree->whole = tree->whole && own.whole;
    return own.root;
}

static struct json_object *sighting(struct tree *tree, const struct idem_sighting *seen) {
    struct json_object *object = json_object_new_object();
    char hex[IDEM_DIGEST_HEX_SIZE];
    idem_digest_hex(&seen->digest, hex);
    add(tree, object, "key", text(hex));
    add(tree, object, "rule", text(seen->rule));
    add(tree, object, "reason", text(idem_reason_name(seen->reason)));
    add(tree, object, "first_seen_ms", json_object_new_int64(seen->first_seen_ms));
    add(tree, object, "last_seen_ms", json_object_new_int64(seen->last_seen_ms));
    add(tree, object, "count", json_object_new_uint64(seen->count));
    return object;
}

static struct json_object *sightings(struct tree *tree,
                                     const struct idem_observation *seen) {
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < seen->sighting_count; i++) {
        append(tree, list, sighting(tree, &seen->sightings[i]));
    }
    return list;
}

static struct json_object *missing(struct tree *tree, const struct idem_health *health) {
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < health->count; i++) {
        append(tree, list, text(health->missing[i]));
    }
    return list;
}

/* Frees the tree. */
static bool print(struct evbuffer *out, struct tree *tree) {
    const char *string = NULL;
    if (tree->whole) {
        string = json_object_to_json_string_ext(
            tree->root, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    }
    bool whole = string != NULL && evbuffer_add(out, string, strlen(string)) == 0 &&
                 evbuffer_add(out, "\n", 1) == 0;
    (void)json_object_put(tree->root);
    return whole;
}

bool idem_render_stats(struct evbuffer *out, const struct idem_observation *observation) {
    struct tree tree = {json_object_new_object(), true};
    struct idem_health health = idem_health_of(observation);
    add(&tree, tree.root, "format", json_object_new_int(STATS_FORMAT));
    add(&tree, tree.root, "version", text(IDEM_VERSION));
    add(&tree, tree.root, "instance", text(observation->instance));
    add(&tree, tree.root, "queue", text(observation->queue));
    add(&tree, tree.root, "time_ms", json_object_new_int64(observation->now_ms));
    add(&tree, tree.root, "ready", json_object_new_boolean(health.count == 0));
    add(&tree, tree.root, "missing", missing(&tree, &health));
    add(&tree, tree.root, "figures", figures(&tree, observation));
    add(&tree, tree.root, "sightings", sightings(&tree, observation));
    return print(out, &tree);
}

bool idem_render_health(struct evbuffer *out, const struct idem_health *health) {
    struct tree tree = {json_object_new_object(), true};
    add(&tree, tree.root, "ready", json_object_new_boolean(health->count == 0));
    add(&tree, tree.root, "missing", missing(&tree, health));
    return print(out, &tree);
}

struct idem_health idem_health_of(const struct idem_observation *observation) {
    struct idem_health health = {.count = 0};
    if (observation->starting) {
        health.missing[health.count++] = "starting";
        return health;
    }
    for (size_t i = 0; i < observation->end_count; i++) {
        if (!observation->ends[i].up) {
            health.missing[health.count++] = observation->ends[i].name;
        }
    }
    if (observation->store.failing) {
        health.missing[health.count++] = "store";
    }
    if (observation->draining) {
        health.missing[health.count++] = "draining";
    }
    if (observation->stuck) {
        health.missing[health.count++] = "stuck";
    }
    return health;
}
