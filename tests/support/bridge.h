/* SPDX-License-Identifier: MIT
 * The bridge as a process of the test: its configuration, its log, its end. */
#ifndef TESTS_BRIDGE_H
#define TESTS_BRIDGE_H

#include "testing.h"

#include <sys/types.h>

struct bridge;
struct rabbitmq;

/* Writes the configuration and starts the bridge. In the text @PORT@ is RabbitMQ's port, @HTTP@ a free one for
 * its web server, which is off where the text does not speak of it, @DIR@ the bridge's own directory; port 0
 * stands for RabbitMQ's own. Does not wait. */
struct bridge *bridge_start(const char *config, unsigned port);

/* Starts it again, with what is in its directory. */
void bridge_restart(struct bridge *bridge);

void bridge_configure(struct bridge *bridge, const char *config);
unsigned bridge_http_port(const struct bridge *bridge);
void bridge_signal(struct bridge *bridge, int signal_number);

/* Processor time that it has used so far. */
long bridge_cpu_ms(struct bridge *bridge);

/* SIGKILL, and waits for the end. */
void bridge_kill(struct bridge *bridge);

/* SIGTERM; fails unless it ends with that exit status within the deadline. */
void bridge_stop(struct bridge *bridge, int status);

/* Waits for an end of its own; returns the exit status. */
int bridge_wait(struct bridge *bridge);

/* Whether it has ended by itself; then it may be restarted. */
bool bridge_ended(struct bridge *bridge, int *status);

/* Runs `idem-bridge -c CONFIG [argument]` to its end; returns the exit status. */
int bridge_run(struct bridge **bridge, const char *config, const char *argument);

/* The same; fails unless it ends with that status, and with the text in its log. */
struct bridge *bridge_run_expecting(const char *config, const char *argument, int status,
                                    const char *text);

/* Starts a second process with the same configuration and log, which has to end by itself. */
int bridge_run_again(struct bridge *bridge);

/* Waits until the log has count lines with text in them; how many it has. */
void bridge_await(struct bridge *bridge, const char *text, unsigned count);
unsigned bridge_logged(struct bridge *bridge, const char *text);
char *bridge_log(struct bridge *bridge); /* all of it; free it */

/* The sum of a figure ("duplicates") over all runs that have ended well, as their last words name it. */
unsigned long bridge_figure(struct bridge *bridge, const char *name);

/* Stops it when the queue is empty, and as often as a stop leaves something in it, starts it again: what
 * is held at a stop goes back. No run may have seen an event that it did not expect. */
void bridge_run_until_through(struct bridge *bridge, struct rabbitmq *client,
                              const char *queue);

/* Test teardown: ends what still runs, removes directories; shows the log where IDEM_SHOW_LOG is set and
 * the test failed to stop its bridge itself. */
int bridge_tidy(void **state);

#endif
