/* SPDX-License-Identifier: MIT
 * What idemctl top shows. */
#include "top.h"

#include <inttypes.h>
#include <ncurses.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_SIZE 24

/* 12, 1234, 12.3k, 4.5M: six characters at most. */
static const char *short_number(uint64_t number, char text[NUMBER_SIZE]) {
    static const char units[] = "kMGTPE";
    uint64_t scale = 1000;
    int unit = 0;
    if (number < 10000) {
        (void)snprintf(text, NUMBER_SIZE, "%" PRIu64, number);
        return text;
    }
    while (unit < 5 && number / scale >= 1000) {
        scale *= 1000;
        unit++;
    }
    (void)snprintf(text, NUMBER_SIZE, "%" PRIu64 ".%" PRIu64 "%c", number / scale,
                   number % scale * 10 / scale, units[unit]);
    return text;
}

/* Tenths a second: 0, 0.3, 12.0, 1234. */
static const char *rate_text(uint64_t tenths, char text[NUMBER_SIZE]) {
    if (tenths == 0 || tenths >= 10000) {
        return short_number(tenths / 10, text);
    }
    (void)snprintf(text, NUMBER_SIZE, "%" PRIu64 ".%" PRIu64, tenths / 10, tenths % 10);
    return text;
}

/* A line of the screen, cut at its edge; false: there is no such line. */
static bool put_line(int row, int attributes, const char *text) {
    if (row >= LINES) {
        return false;
    }
    (void)attrset(attributes);
    (void)mvaddnstr(row, 0, text, COLS);
    (void)clrtoeol();
    (void)attrset(A_NORMAL);
    return true;
}

static void draw_head(const struct top_view *view) {
    char line[512];
    uint64_t up = figures_number(&view->figures, "uptime");
    int used = snprintf(line, sizeof line, "idem %s  %s  %s",
                        figures_text(&view->figures, "version"),
                        figures_text(&view->figures, "instance"), view->where);
    if (up > 0 && used > 0 && (size_t)used < sizeof line) {
        (void)snprintf(line + used, sizeof line - (size_t)used,
                       "  up %" PRIu64 ":%02" PRIu64 ":%02" PRIu64, up / 3600,
                       up / 60 % 60, up % 60);
    }
    (void)put_line(0, A_BOLD, line);
    if (view->connected) {
        (void)put_line(1, A_NORMAL, "connected");
    } else {
        (void)snprintf(line, sizeof line, "NOT CONNECTED: %s",
                       view->trouble[0] != '\0' ? view->trouble : "connecting");
        (void)put_line(1, A_REVERSE, line);
    }
}

static void draw_rates(const struct top_view *view) {
    static const char *const verdicts[] = {"deliver", "drop",   "quarantine",
                                           "reject",  "refuse", "replay"};
    char line[512] = "";
    char number[NUMBER_SIZE];
    char name[64];
    size_t used = 0;
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        (void)snprintf(name, sizeof name, "verdicts/%s", verdicts[i]);
        used +=
            (size_t)snprintf(line + used, sizeof line - used, "%s %s/s  ", verdicts[i],
                             rate_text(rates_of(&view->rates, name), number));
    }
    (void)put_line(2, A_NORMAL, line);
}

static void draw_store(const struct top_view *view) {
    const struct figures *figures = &view->figures;
    char line[512];
    char keys[NUMBER_SIZE];
    char bytes[NUMBER_SIZE];
    bool failing = figures_number(figures, "store/failing") != 0;
    uint64_t servers = figures_number(figures, "store/servers");
    int used =
        snprintf(line, sizeof line, "store %s: %s, %s keys, %s bytes",
                 figures_text(figures, "store/name"), failing ? "FAILING" : "works",
                 short_number(figures_number(figures, "store/keys"), keys),
                 short_number(figures_number(figures, "store/bytes"), bytes));
    if (servers > 0) {
        (void)snprintf(line + used, sizeof line - (size_t)used,
                       ", connected to %" PRIu64 " of %" PRIu64 ", owed %" PRIu64,
                       figures_number(figures, "store/connected"), servers,
                       figures_number(figures, "store/owed"));
    }
    (void)put_line(3, failing ? A_REVERSE : A_NORMAL, line);
    used = snprintf(line, sizeof line, "open claims %" PRIu64 ", parked %" PRIu64,
                    figures_number(figures, "unsettled"),
                    figures_number(figures, "parked/messages"));
    for (size_t i = 0; i < figures->count; i++) { /* of a bridge */
        const char *name = figures->items[i].name;
        if (strncmp(name, "connections/", strlen("connections/")) == 0 &&
            (size_t)used < sizeof line) {
            used += snprintf(line + used, sizeof line - (size_t)used, ", %.32s %s",
                             name + strlen("connections/"),
                             figures->items[i].number != 0 ? "up" : "DOWN");
        }
    }
    (void)put_line(4, A_NORMAL, line);
}

static uint64_t of_rule(const struct figures *figures, const char *rule,
                        const char *leaf) {
    char name[512];
    (void)snprintf(name, sizeof name, "rules/%s/%s", rule, leaf);
    return figures_number(figures, name);
}

static void rule_line(const struct top_view *view, const char *rule, char *line,
                      size_t size) {
    static const char *const leaves[] = {"verdicts/deliver", "verdicts/drop",
                                         "messages/conflict", "messages/in_doubt",
                                         "messages/store_failure"};
    char rate[2][NUMBER_SIZE];
    char number[5][NUMBER_SIZE];
    char enabled[300];
    (void)snprintf(enabled, sizeof enabled, "rules/%.256s/enabled", rule);
    bool out = figures_find(&view->figures, enabled) != NULL &&
               figures_number(&view->figures, enabled) == 0;
    for (size_t i = 0; i < 5; i++) {
        (void)short_number(of_rule(&view->figures, rule, leaves[i]), number[i]);
    }
    (void)rate_text(of_rule(&view->rates.tenths, rule, leaves[0]), rate[0]);
    (void)rate_text(of_rule(&view->rates.tenths, rule, leaves[1]), rate[1]);
    (void)snprintf(line, size, "%-20.20s%4s%8s%8s%9s%8s%8s%7s%8s", rule,
                   out ? " OUT" : "", rate[0], rate[1], number[0], number[1], number[2],
                   number[3], number[4]);
}

static void draw_rules(const struct top_view *view) {
    char rule[256];
    char last[256] = "";
    char line[512];
    const char *rest = NULL;
    int row = 7;
    (void)put_line(6, A_REVERSE,
                   "RULE                      deliv/s  drop/s  deliver    drop conflict"
                   "  doubt unprot.");
    for (size_t i = 0; i < view->figures.count && row < LINES; i++) {
        if (!figures_rule(&view->figures.items[i], rule, sizeof rule, &rest) ||
            strcmp(rule, last) == 0) {
            continue;
        }
        (void)snprintf(last, sizeof last, "%s", rule);
        rule_line(view, rule, line, sizeof line);
        (void)put_line(row++, A_NORMAL, line);
    }
    if (row == 7) {
        (void)put_line(row, A_NORMAL, "(no rule has been told yet)");
    }
}

void top_draw(const struct top_view *view) {
    (void)erase();
    draw_head(view);
    draw_rates(view);
    draw_store(view);
    draw_rules(view);
    (void)put_line(LINES - 1, A_DIM, "q quits");
    (void)refresh();
}
