/* SPDX-License-Identifier: MIT
 * Scenario files: a title at the margin, indented steps, comments. */
#include "scenario.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void words_split(struct words *words, const struct scenario *scenario,
                 const struct step *step) {
    memset(words, 0, sizeof *words);
    words->scenario = scenario;
    words->line = step->line;
    memcpy(words->text, step->text, sizeof words->text);
    char *rest = words->text;
    for (char *word = strtok_r(rest, " \t\n", &rest); word != NULL;
         word = strtok_r(rest, " \t\n", &rest)) {
        if (words->count == WORDS_MAX) {
            SCENARIO_FAIL(words, "too many words");
        }
        words->items[words->count++] = word;
    }
}

const char *words_attribute(struct words *words, const char *name) {
    size_t len = strlen(name);
    for (size_t i = 0; i < words->count; i++) {
        const char *item = words->items[i];
        if (strncmp(item, name, len) == 0 && (item[len] == '=' || item[len] == '\0')) {
            words->used[i] = true;
            return item[len] == '=' ? item + len + 1 : "";
        }
    }
    return NULL;
}

void words_refuse_rest(const struct words *words, size_t first) {
    for (size_t i = first; i < words->count; i++) {
        if (!words->used[i]) {
            SCENARIO_FAIL(words, "not understood: %s", words->items[i]);
        }
    }
}

int64_t words_time(const struct words *words, const char *text) {
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    char *end = NULL;
    int64_t number = strtoll(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (end != text && strcmp(end, units[i].unit) == 0) {
            return number * units[i].ms;
        }
    }
    SCENARIO_FAIL(words, "no time: %s", text);
    return 0;
}

static struct scenario scenarios[SCENARIOS_MAX];
static size_t scenarios_count;

/* Where the comment begins, or the line ends: a # inside a word belongs to a topic filter. */
static size_t comment_at(const char *text) {
    size_t at = 0;
    while (text[at] != '\0' && text[at] != '\n' &&
           (text[at] != '#' || (at > 0 && text[at - 1] != ' '))) {
        at++;
    }
    return at;
}

/* false: the file breaks the format. */
static bool read_line(const char *file, int line, char *text) {
    text[comment_at(text)] = '\0';
    if (text[strspn(text, " \t")] == '\0') {
        return true;
    }
    if (text[0] != ' ' && text[0] != '\t') {
        if (scenarios_count == SCENARIOS_MAX) {
            return false;
        }
        struct scenario *begun = &scenarios[scenarios_count++];
        (void)snprintf(begun->title, sizeof begun->title, "%s", text);
        begun->file = file;
        return true;
    }
    struct scenario *scenario =
        scenarios_count > 0 ? &scenarios[scenarios_count - 1] : NULL;
    if (scenario == NULL || scenario->count == STEPS_MAX) {
        return false;
    }
    struct step *step = &scenario->steps[scenario->count++];
    step->line = line;
    (void)snprintf(step->text, sizeof step->text, "%s", text);
    return true;
}

static bool read_file(const char *path) {
    FILE *file = fopen(path, "r");
    char text[LINE_SIZE];
    int line = 1;
    bool well_formed = file != NULL;
    for (; well_formed && fgets(text, sizeof text, file) != NULL; line++) {
        well_formed = strchr(text, '\n') != NULL && read_line(path, line, text);
    }
    if (!well_formed) {
        print_error("%s:%d: cannot be read\n", path, line);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return well_formed;
}

const struct scenario *scenarios_read(const char *dir, size_t *count) {
    static glob_t files; /* the scenarios borrow its paths */
    char pattern[LINE_SIZE];
    bool well_formed = true;
    (void)snprintf(pattern, sizeof pattern, "%s/*.txt", dir);
    if (glob(pattern, 0, NULL, &files) != 0) {
        print_error("%s: none; run this from the top of the tree\n", pattern);
        return NULL;
    }
    for (size_t i = 0; well_formed && i < files.gl_pathc; i++) {
        well_formed = read_file(files.gl_pathv[i]);
    }
    *count = scenarios_count;
    return well_formed ? scenarios : NULL;
}
