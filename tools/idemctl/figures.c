/* SPDX-License-Identifier: MIT
 * Figures of a running program, by name. */
#include "figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 256
#define TEXT_MAX_BYTES 256

void figures_fini(struct figures *figures) {
    for (size_t i = 0; i < figures->count; i++) {
        free(figures->items[i].name);
        free(figures->items[i].text);
    }
    free(figures->items);
    memset(figures, 0, sizeof *figures);
}

/* The first that is not before name. */
static size_t place_of(const struct figures *figures, const char *name) {
    size_t low = 0;
    size_t high = figures->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(figures->items[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool grow(struct figures *figures) {
    size_t capacity = figures->capacity == 0 ? 128 : figures->capacity * 2;
    if (figures->count < figures->capacity) {
        return true;
    }
    struct figure *items =
        capacity > FIGURES_MAX ? NULL : realloc(figures->items, capacity * sizeof *items);
    if (items == NULL) {
        return false;
    }
    figures->items = items;
    figures->capacity = capacity;
    return true;
}

static struct figure *place_for(struct figures *figures, const char *name) {
    size_t place = place_of(figures, name);
    if (place < figures->count && strcmp(figures->items[place].name, name) == 0) {
        return &figures->items[place];
    }
    char *copy = strlen(name) < NAME_MAX_BYTES && grow(figures) ? strdup(name) : NULL;
    if (copy == NULL) {
        return NULL;
    }
    struct figure *at = &figures->items[place];
    memmove(at + 1, at, (figures->count - place) * sizeof *at);
    *at = (struct figure){.name = copy};
    figures->count++;
    return at;
}

static bool is_number(const char *text, size_t size, uint64_t *number) {
    *number = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9' || *number > (UINT64_MAX - 9) / 10) {
            return false;
        }
        *number = *number * 10 + (uint64_t)(text[i] - '0');
    }
    return size > 0;
}

static bool is_printable(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

void figures_set(struct figures *figures, const char *name, const void *value,
                 size_t size) {
    const char *text = size > 0 ? value : "";
    uint64_t number = 0;
    if (is_number(text, size, &number)) {
        figures_set_number(figures, name, number);
        return;
    }
    if (size > TEXT_MAX_BYTES || !is_printable(text, size) ||
        !is_printable(name, strlen(name))) {
        return;
    }
    struct figure *figure = place_for(figures, name);
    if (figure != NULL) {
        free(figure->text);
        figure->text = strndup(text, size);
    }
}

void figures_set_number(struct figures *figures, const char *name, uint64_t number) {
    struct figure *figure =
        is_printable(name, strlen(name)) ? place_for(figures, name) : NULL;
    if (figure != NULL) {
        free(figure->text);
        figure->text = NULL;
        figure->number = number;
    }
}

const struct figure *figures_find(const struct figures *figures, const char *name) {
    size_t place = place_of(figures, name);
    return place < figures->count && strcmp(figures->items[place].name, name) == 0
               ? &figures->items[place]
               : NULL;
}

uint64_t figures_number(const struct figures *figures, const char *name) {
    const struct figure *figure = figures_find(figures, name);
    return figure != NULL && figure->text == NULL ? figure->number : 0;
}

const char *figures_text(const struct figures *figures, const char *name) {
    const struct figure *figure = figures_find(figures, name);
    return figure != NULL && figure->text != NULL ? figure->text : "";
}

bool figures_rule(const struct figure *figure, char *name, size_t size,
                  const char **rest) {
    static const char prefix[] = "rules/";
    const char *start = figure->name + sizeof prefix - 1;
    if (strncmp(figure->name, prefix, sizeof prefix - 1) != 0) {
        return false;
    }
    size_t length = strcspn(start, "/");
    if (length == 0 || length >= size || start[length] != '/') {
        return false;
    }
    memcpy(name, start, length);
    name[length] = '\0';
    *rest = start + length + 1;
    return true;
}

/* ---- what a bridge says ---- */

static uint64_t number_of(struct json_object *value) {
    int64_t number = json_object_get_int64(value);
    return number > 0 ? (uint64_t)number : 0;
}

/* {"RULE": {"WORD": n}} becomes rules/RULE/BRANCH/WORD, and BRANCH/WORD the sum. */
static void take_matrix(struct figures *figures, struct json_object *matrix,
                        const char *branch) {
    char name[2 * NAME_MAX_BYTES];
    if (!json_object_is_type(matrix, json_type_object)) {
        return;
    }
    json_object_object_foreach(matrix, rule, words) {
        if (!json_object_is_type(words, json_type_object)) {
            continue;
        }
        json_object_object_foreach(words, word, value) {
            (void)snprintf(name, sizeof name, "%s/%s", branch, word);
            figures_set_number(figures, name,
                               figures_number(figures, name) + number_of(value));
            if (strcmp(rule, FIGURES_NO_RULE) != 0) {
                (void)snprintf(name, sizeof name, "rules/%s/%s/%s", rule, branch, word);
                figures_set_number(figures, name, number_of(value));
            }
        }
    }
}

static const struct {
    const char *metric;
    const char *figure;
} same[] = {
    {"idem_store_keys", "store/keys"},
    {"idem_store_bytes", "store/bytes"},
    {"idem_store_servers", "store/servers"},
    {"idem_store_servers_connected", "store/connected"},
    {"idem_store_breakers_open", "store/breakers_open"},
    {"idem_store_owed_keys", "store/owed"},
    {"idem_claims_completed_total", "completed"},
    {"idem_settle_failures_total", "settle_failures"},
};

static void take_numbers(struct figures *figures, struct json_object *from) {
    struct json_object *value = NULL;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        if (json_object_object_get_ex(from, same[i].metric, &value)) {
            figures_set_number(figures, same[i].figure, number_of(value));
        }
    }
    if (json_object_object_get_ex(from, "idem_store_up", &value)) {
        figures_set_number(figures, "store/failing", number_of(value) == 0 ? 1 : 0);
    }
    if (json_object_object_get_ex(from, "idem_connection_up", &value) &&
        json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, end, up) {
            char name[NAME_MAX_BYTES];
            (void)snprintf(name, sizeof name, "connections/%.64s", end);
            figures_set_number(figures, name, number_of(up));
        }
    }
}

static void take_text(struct figures *figures, struct json_object *stats,
                      const char *name) {
    struct json_object *value = NULL;
    if (json_object_object_get_ex(stats, name, &value) &&
        json_object_is_type(value, json_type_string)) {
        figures_set(figures, name, json_object_get_string(value),
                    (size_t)json_object_get_string_len(value));
    }
}

bool figures_from_stats(struct figures *figures, struct json_object *stats) {
    struct json_object *from = NULL;
    struct json_object *matrix = NULL;
    if (!json_object_is_type(stats, json_type_object) ||
        !json_object_object_get_ex(stats, "figures", &from) ||
        !json_object_is_type(from, json_type_object)) {
        return false;
    }
    figures_fini(figures);
    take_text(figures, stats, "version");
    take_text(figures, stats, "instance");
    if (json_object_object_get_ex(from, "idem_messages_total", &matrix)) {
        take_matrix(figures, matrix, "verdicts");
    }
    if (json_object_object_get_ex(from, "idem_message_reasons_total", &matrix)) {
        take_matrix(figures, matrix, "messages");
    }
    take_numbers(figures, from);
    return true;
}
