/* SPDX-License-Identifier: MIT
 * idemctl as its users call it: the program, its output, its exit codes; on a store of its own. */
#ifndef TESTS_CTL_H
#define TESTS_CTL_H

#include "files.h"
#include "redis.h"
#include "testing.h"

/* Of the test that runs: a directory, idem.yaml in it, and what the last call printed, errors included. */
extern char ctl_dir[FILES_PATH_MAX];
extern char ctl_config[FILES_PATH_MAX + 16];
extern char ctl_output[65536];
extern struct redis_server ctl_redis; /* where the test has one */

/* Setup and teardown: the store is embedded, or on a Redis server. */
int ctl_set_up(void **state);
int ctl_set_up_redis(void **state);
int ctl_tear_down(void **state);
#define CTL_TEST(name) cmocka_unit_test_setup_teardown(name, ctl_set_up, ctl_tear_down)
#define CTL_TEST_REDIS(name)                                                             \
    { #name " (Redis)", name, ctl_set_up_redis, ctl_tear_down, NULL }
#define CTL_TEST_BOTH(name) CTL_TEST(name), CTL_TEST_REDIS(name)

/* The usual configuration, but for one text in it (@DIR@ is the directory, @STORE@ the store's URL). */
void ctl_configure_with(const char *from, const char *to);
/* Another configuration file; the last call to it counts. Returns its path, borrowed until the next call. */
const char *ctl_configure_store(const char *name, const char *url);

/* Runs idemctl with the arguments (NULL ends them) and input; returns its exit status. */
int ctl_with(const char *input, const char *const *arguments);
#define ctl(...) ctl_with("", (const char *const[]){__VA_ARGS__, NULL})
/* The same on the usual configuration. */
#define ctl_on(...) ctl("-c", ctl_config, __VA_ARGS__)

void assert_says(const char *text);
void assert_does_not_say(const char *text);

/* Delivers one message of client c1 through a receiver on the configured store, as the plugin would; leaves it
 * claimed only, as a crash does. */
void ctl_deliver(const char *topic, const char *payload);
void ctl_claim(const char *topic, const char *payload);
/* Whether one more copy would be delivered; it is claimed then. */
bool ctl_delivers(const char *topic, const char *payload);

#endif
