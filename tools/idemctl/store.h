/* SPDX-License-Identifier: MIT
 * The configured store, asked one question after the other. */
#ifndef IDEM_CTL_STORE_H
#define IDEM_CTL_STORE_H

#include "command.h"

#include <idem/store.h>

/* Opens the configured store, or says why not. Without writing it is opened beside whatever program uses it;
 * with it an embedded store must be free: CTL_BUSY. */
enum ctl_exit store_open(const struct idem_config *config, bool writing,
                         struct idem_store **store);

/* Whether it is in the memory of a program, where nobody else can look: store_open refuses it. */
bool store_is_memory(const struct idem_config *config);

/* Whether it is an embedded one that no program has made yet. */
bool store_is_absent(const struct idem_config *config);

/* One that nobody else uses, to be measured; also in memory. */
enum ctl_exit store_open_scratch(const struct idem_config *config,
                                 struct idem_store **store);

/* Whether it is there and can be written now: to be known before anybody is asked whether to. Nobody is kept
 * out of the store while the question waits. */
enum ctl_exit store_try_to_write(const struct idem_config *config);

/* The URL without a password in it. */
void store_name(const struct idem_config *config, char *out, size_t size);

/* What there is for a digest; also what an idem_store_done copies. */
struct store_found {
    bool answered;
    bool absent; /* the store itself is not there yet */
    enum idem_code code;
    struct idem_record record; /* state NONE where there is none */
    size_t result_size;
    uint8_t state[IDEM_SEQUENCE_STATE_MAX]; /* of a sequence */
};
/* The answer for a struct store_found. */
void store_note(void *arg, const struct idem_answer *answer);

/* Lets the store work, once. */
void store_wait(struct idem_store *store);
/* Until it is answered; each operation is, by its own deadline. */
void store_await(struct idem_store *store, const bool *answered);

/* Looks up what is live, or tells of a delivery in doubt. CTL_STORE: it has been said why. */
enum ctl_exit store_look_up(struct idem_store *store, const struct idem_digest *digest,
                            int64_t now_ms, struct store_found *found);

/* Everything that has been changed is durable. */
enum ctl_exit store_sync(struct idem_store *store);

/* "done", "pending", "in doubt" (its lease is over), "sequence". */
const char *store_state_text(const struct idem_record *record, int64_t now_ms);

/* Why the store did not do it. */
enum ctl_exit store_complain(enum idem_code code);

/* Visits all that a store still needs: live records, and deliveries in doubt. */
enum ctl_exit store_visit_all(struct idem_store *store, int64_t now_ms,
                              idem_store_visit *visit, void *arg);

#endif
