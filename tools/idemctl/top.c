/* SPDX-License-Identifier: MIT
 * idemctl top: what a broker or a bridge does, as it does it. */
#include "top.h"

#include "live.h"

#include <idem/clock.h>

#include <locale.h>
#include <ncurses.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TURN_MS 50
#define DRAW_MS 250
#define POLL_MS 1000
#define CTRL_L  0x0c /* draws all of it again */

static const char help[] =
    "usage: idemctl top --mqtt HOST[:PORT] | --http URL [options]\n\n"
    "Rates by verdict, the store, and the rules, until q is pressed. A broker tells its\n"
    "figures every mqtt.sys_interval, a bridge is asked every second.\n\n" LIVE_HELP;

struct top {
    struct live_source source;
    struct broker broker;
    struct top_view view;
    char trouble[256];
};

static int64_t now_ms(void) {
    return idem_clock_monotonic_ns() / 1000000;
}

static void take(void *arg, const struct mosquitto_message *message,
                 const mosquitto_property *properties) {
    struct top *top = arg;
    (void)properties;
    live_take_figure(&top->view.figures, message);
    rates_changed(&top->view.rates, now_ms());
}

static void ask_bridge(struct top *top) {
    struct json_object *stats =
        live_get(&top->source, "/api/stats", top->trouble, sizeof top->trouble);
    top->view.connected = figures_from_stats(&top->view.figures, stats);
    if (top->view.connected) {
        rates_changed(&top->view.rates, now_ms());
    } else if (top->trouble[0] == '\0') {
        (void)snprintf(top->trouble, sizeof top->trouble, "it tells no figures");
    }
    (void)json_object_put(stats);
}

static void ask_broker(struct top *top) {
    bool before = top->view.connected;
    broker_turn(&top->broker, TURN_MS);
    top->view.connected = top->broker.connected;
    (void)snprintf(top->trouble, sizeof top->trouble, "%s", top->broker.trouble);
    if (before && !top->view.connected) {
        rates_fini(&top->view.rates);
    }
}

static bool wants_to_quit(void) {
    for (int key = getch(); key != ERR; key = getch()) {
        if (key == 'q' || key == 'Q') {
            return true;
        }
        if (key == CTRL_L) {
            (void)clearok(curscr, TRUE);
        }
    }
    return false;
}

static void show(struct top *top) {
    int64_t drawn_ms = 0;
    int64_t asked_ms = 0;
    while (!broker_interrupted() && !wants_to_quit()) {
        int64_t now = now_ms();
        if (top->source.url == NULL) {
            ask_broker(top);
        } else if (now - asked_ms >= POLL_MS) {
            ask_bridge(top);
            asked_ms = now;
        } else {
            (void)napms(TURN_MS);
        }
        rates_turn(&top->view.rates, &top->view.figures, now_ms());
        if (now - drawn_ms >= DRAW_MS) {
            top_draw(&top->view);
            drawn_ms = now;
        }
    }
}

/* ncurses would end the program where it knows no such terminal. */
static enum ctl_exit on_screen(struct top *top) {
    (void)setlocale(LC_ALL, "");
    SCREEN *screen = newterm(NULL, stdout, stdin);
    if (screen == NULL) {
        ctl_complain("this terminal cannot be drawn on: is TERM right?");
        return CTL_USAGE;
    }
    broker_catch_signals();
    (void)cbreak();
    (void)noecho();
    (void)curs_set(0);
    (void)nodelay(stdscr, TRUE);
    (void)keypad(stdscr, TRUE);
    show(top);
    (void)endwin();
    delscreen(screen);
    return CTL_OK;
}

static enum ctl_exit run(const struct ctl *ctl, const struct idem_config *config,
                         void *arg) {
    struct top *top = arg;
    static const char *const filters[] = {LIVE_FIGURES "#", NULL};
    (void)ctl;
    (void)config;
    if (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1) {
        ctl_complain("top wants a terminal; for programs there are idemctl --json stats, "
                     "and idemctl exporter");
        return CTL_USAGE;
    }
    top->view.where = top->source.url != NULL ? top->source.url : top->source.broker.host;
    top->view.trouble = top->trouble;
    if (top->source.url == NULL &&
        !broker_open(&top->broker, &top->source.broker, filters, take, top)) {
        broker_close(&top->broker);
        return CTL_REFUSED;
    }
    enum ctl_exit result = on_screen(top);
    if (top->source.url == NULL) {
        broker_close(&top->broker);
    }
    return result;
}

static bool take_option(void *arg, int option, const char *value) {
    struct top *top = arg;
    return live_option(&top->source, option, value);
}

static bool settle(void *arg, int count, char **words) {
    const struct top *top = arg;
    return live_source_settle(&top->source, "top", count, words);
}

enum ctl_exit ctl_top(const struct ctl *ctl, int argc, char **argv) {
    static const struct option options[] = {LIVE_OPTIONS, BROKER_USER_OPTION,
                                            CTL_OPTIONS_END};
    static const struct ctl_line line = {.help = help,
                                         .letters = "V:h",
                                         .options = options,
                                         .take = take_option,
                                         .settle = settle,
                                         .unconfigured = true,
                                         .run = run};
    struct top top = {.trouble = ""};
    live_source_init(&top.source);
    enum ctl_exit result = ctl_run(ctl, &line, &top, argc, argv);
    figures_fini(&top.view.figures);
    rates_fini(&top.view.rates);
    live_source_fini(&top.source);
    return result;
}
