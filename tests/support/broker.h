/* SPDX-License-Identifier: MIT
 * A private Mosquitto: own directory, free port, the plugin or not; started, stopped, killed, restarted.
 *
 * Texts handed in may hold @DIR@ (the broker's directory), @PORT@ and @PORT2@ (two free ports),
 * @PLUGIN@ (path of mosquitto_idem.so) and @DYNSEC@ (path of the dynamic security plugin). */
#ifndef TESTS_BROKER_H
#define TESTS_BROKER_H

#include "testing.h"

struct broker;

struct broker_options {
    const char *idem; /* the plugin's YAML file; NULL: the broker without the plugin */
    /* mosquitto.conf below the log lines; NULL: one open listener, and the plugin. */
    const char *conf;
    const char *more; /* further lines of mosquitto.conf */
    bool shared;      /* lives until the group ends, else until the test does */
};

bool broker_installed(void);
/* The dynamic security plugin that came with the broker; NULL where there is none. */
const char *broker_dynsec(void);

/* Makes directory, ports and files; starts nothing. */
struct broker *broker_create(const struct broker_options *options);
void broker_file(struct broker *broker, const char *name, const char *text);
const char *broker_dir(const struct broker *broker);
unsigned broker_port(const struct broker *broker);
unsigned broker_port2(const struct broker *broker);

/* Returns when the broker accepts connections. Again after a stop: same directory and ports. */
void broker_start(struct broker *broker);
/* broker_create and broker_start. */
struct broker *broker_run(const struct broker_options *options);
/* Starts a broker that has to refuse: returns its exit status, fails where it comes up. */
int broker_refuses(struct broker *broker);

/* SIGTERM; the broker has to end by itself with status 0, and no instrument may have complained. */
void broker_stop(struct broker *broker);
/* SIGKILL. */
void broker_kill(struct broker *broker);
/* SIGSTOP, SIGCONT: what clients send in between reaches the broker in one turn of its loop. */
void broker_pause(struct broker *broker);
void broker_resume(struct broker *broker);
/* No file can be written, the log included / can be again. */
void broker_fill_disk(struct broker *broker, bool full);
/* SIGHUP, then waits until the log says so after this call. */
void broker_reload(struct broker *broker);

/* Waits until a line of the log holds the text: since the last broker_mark(), else since the start. */
void broker_expect_log(struct broker *broker, const char *text);
bool broker_logged(const struct broker *broker, const char *text);
void broker_mark(struct broker *broker);

/* Stops and removes what is left, the shared ones included where everything is true. Prints the logs
 * under IDEM_SHOW_LOG=1. False where a broker did not end as it should. */
bool broker_tidy(bool everything);

#endif
