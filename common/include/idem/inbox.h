/* SPDX-License-Identifier: MIT
 * An idempotent receiver in plain blocking calls, for a program that knows the keys of its messages:
 *
 *     claim -- new, in doubt --> do the work -- done ----> complete --> acknowledge the message
 *       |                            `--------- failed --> abandon ---> leave it to its source
 *       |-- duplicate --> acknowledge the message: its work is done
 *       |-- conflict ---> acknowledge it and set it aside: another message has used the key
 *       `-- in flight --> leave it to its source, which brings it again
 *
 * Never acknowledge before complete has returned IDEM_OK. Then a crash at any point loses nothing, and
 * only one between claim and complete can cost a second run of the work: its next copy is in doubt, and
 * the program decides. The steps and windows are those of docs/design/protocol.md; the pattern is the
 * Idempotent Receiver of Hohpe and Woolf, Enterprise Integration Patterns (2003).
 *
 * Blocking: claim and complete wait until the store holds the step for certain. That is a sync of the disk
 * for an embedded store, one round trip for Redis, and at most timeout= there. With many messages under way
 * at once receiver.h waits for all of them together.
 *
 * Threads: an inbox may be used by any thread, by one at a time. Inboxes know nothing of each other.
 *
 * Errors: a code, and the reason in *error, which may be NULL. The struct is only written on failure.
 *
 * Binary interface: an opaque handle, bytes with their length, integers of fixed width. What is here now
 * stays as it is under one soname; see docs/guide/library.md. */
#ifndef IDEM_INBOX_H
#define IDEM_INBOX_H

#include <idem/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct idem_inbox;

/* What is known of a message when it is claimed. The numbers stay. */
enum idem_inbox_answer {
    IDEM_INBOX_NEW = 0, /* the first copy; the claim is ours */
    IDEM_INBOX_IN_DOUBT =
        1, /* its work may or may not have been done; the claim is ours */
    IDEM_INBOX_DUPLICATE = 2, /* its work is done */
    IDEM_INBOX_CONFLICT = 3,  /* work under this key is done, of another payload */
    IDEM_INBOX_IN_FLIGHT =
        4, /* somebody holds a live claim: another copy is being worked on */
};

/* Until idem_inbox_set_times says otherwise. */
#define IDEM_INBOX_TTL_MS   INT64_C(259200000) /* 72 hours */
#define IDEM_INBOX_LEASE_MS INT64_C(30000)

/* Opens the store that url names: embedded:///PATH, redis://HOST, memory: and others, as in a
 * configuration. name is what keys are unique within, 1 to IDEM_NAME_MAX bytes: inboxes of one name on
 * one store share their keys; digests are those of a rule of that name with scope: rule. instance names
 * this process among those that share the store: it must be the same after a restart, so that what the
 * dead one held is in doubt at once and not after its lease, and no other living process may have it.
 * All three are copied. *inbox is the caller's to close, and NULL on error. Blocks on disk or network.
 *
 * IDEM_ERR_INVALID (a URL, name or instance), _BUSY (another process has the embedded store open),
 * _UNSUPPORTED, _FORMAT, _VERSION, _IO, _NOMEM. */
IDEM_API IDEM_MUST_USE enum idem_code idem_inbox_open(struct idem_inbox **inbox,
                                                      const char *url, const char *name,
                                                      const char *instance,
                                                      struct idem_error *error);

/* ttl_ms: how long a completed key is known, longer than the last copy of a message can take to come.
 * lease_ms: how long a claim keeps others out, longer than the work can take: after it, another process may
 * claim the message, in doubt. For claims and completions from now on. IDEM_ERR_INVALID unless both are
 * positive; then nothing changes. Does not block. */
IDEM_API IDEM_MUST_USE enum idem_code
idem_inbox_set_times(struct idem_inbox *inbox, int64_t ttl_ms, int64_t lease_ms);

/* Claims a message, in one atomic step. key: 1 to IDEM_KEY_MAX bytes of any value, what makes two copies the
 * same message. payload, NULL with length 0 for none: the same bytes in each copy, or it is a conflict. Both
 * are read before this returns; only hashes of them are kept. *answer is written with IDEM_OK only.
 *
 * IDEM_ERR_INVALID: the key is empty or too long. IDEM_ERR_UNAVAILABLE, _FULL, _IO, _NOMEM: nothing is
 * claimed. IDEM_ERR_TIMEOUT: it may be claimed, and is in flight until the lease ends, then in doubt. On any of
 * them do not do the work; leave the message to its source. */
IDEM_API IDEM_MUST_USE enum idem_code
idem_inbox_claim(struct idem_inbox *inbox, const void *key, size_t key_length,
                 const void *payload, size_t payload_length,
                 enum idem_inbox_answer *answer, struct idem_error *error);

/* The work of a claimed message is done: copies that come within the ttl are duplicates. Repeating it is
 * harmless.
 *
 * IDEM_ERR_NOT_OWNER, _NOT_FOUND: the claim is no longer ours, since its lease ended before this: another
 * process may have done the work as well. Any other code, as for a claim: it may or may not be recorded.
 * After an error do not acknowledge the message: its next copy tells what became of it. */
IDEM_API IDEM_MUST_USE enum idem_code idem_inbox_complete(struct idem_inbox *inbox,
                                                          const void *key,
                                                          size_t key_length,
                                                          struct idem_error *error);

/* The work of a claimed message has not been done, for certain: its next copy is new. Without this call it
 * would be in flight until the lease ends, and then in doubt; so nothing is lost where this fails.
 * IDEM_ERR_NOT_OWNER: the claim is another's, or completed; IDEM_ERR_NOT_FOUND: there is none. */
IDEM_API IDEM_MUST_USE enum idem_code idem_inbox_abandon(struct idem_inbox *inbox,
                                                         const void *key,
                                                         size_t key_length,
                                                         struct idem_error *error);

/* Claims that are neither completed nor abandoned stay as they are: in doubt to the next run. Blocks on
 * disk or network. NULL is accepted. */
IDEM_API void idem_inbox_close(struct idem_inbox *inbox);

#ifdef __cplusplus
}
#endif

#endif
