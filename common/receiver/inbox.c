/* SPDX-License-Identifier: MIT
 * The receiver protocol in blocking calls, straight over the store: every step is durable, and waited for.
 *
 * There is no state beside the store's: a claim is found again by its key, so that a program may have any
 * number of them open, and a crash of this code costs what the protocol says it does. */
#include "receiver/owner.h"

#include <idem/clock.h>
#include <idem/identity.h>
#include <idem/inbox.h>
#include <idem/store.h>

#include <poll.h>
#include <stdlib.h>

/* An answer wakes the descriptor; this only bounds what a lost wake-up could cost. */
#define LOOK_AGAIN_MS 1000

struct idem_inbox {
    struct idem_store *store;
    struct idem_owner owner;
    int64_t ttl_ms;
    int64_t lease_ms;
    struct idem_secret secret;
    struct idem_workspace *workspace;
    struct idem_rule rule; /* as a configuration would have it: name, key and scope */
    struct idem_extractor key;
    struct idem_extractor payload;
    char name[IDEM_NAME_MAX + 1];
};

struct pending {
    bool answered;
    struct idem_answer answer;
};

static void take_answer(void *arg, const struct idem_answer *answer) {
    struct pending *pending = arg;
    pending->answer = *answer; /* but for a result, which nobody reads */
    pending->answered = true;
}

static enum idem_code await(struct idem_inbox *inbox, const struct pending *pending,
                            const char *step, struct idem_error *error) {
    while (!pending->answered) {
        struct pollfd ready = {.fd = idem_store_poll_fd(inbox->store), .events = POLLIN};
        (void)poll(&ready, 1, LOOK_AGAIN_MS);
        idem_store_dispatch(inbox->store);
    }
    enum idem_code code = pending->answer.code;
    if (code != IDEM_OK) {
        return idem_error_set(error, code, 0, "inbox %s: %s failed: %s", inbox->name,
                              step, idem_code_text(code));
    }
    return IDEM_OK;
}

static const struct idem_span no_payload = {NULL, 0};

/* The identity that a rule gives to an AMQP message with this message id and body. */
static enum idem_code identify(struct idem_inbox *inbox, struct idem_identity *identity,
                               struct idem_span key, struct idem_span payload,
                               struct idem_error *error) {
    const struct idem_message message = {
        .protocol = IDEM_PROTOCOL_AMQP, .message_id = key, .payload = payload};
    idem_identify(identity, &inbox->rule, &inbox->secret, &message, inbox->workspace,
                  NULL, NULL);
    if (identity->status != IDEM_IDENTITY_OK) {
        return idem_error_set(error, IDEM_ERR_INVALID, 0,
                              "inbox %s: a key has 1 to %d bytes, not %zu", inbox->name,
                              IDEM_KEY_MAX, key.len);
    }
    return IDEM_OK;
}

static enum idem_inbox_answer answer_of(const struct idem_answer *answer,
                                        const struct idem_digest *fingerprint) {
    switch (answer->outcome) {
    case IDEM_CLAIM_NEW:
        return IDEM_INBOX_NEW;
    case IDEM_CLAIM_TAKEN_OVER:
        return IDEM_INBOX_IN_DOUBT;
    case IDEM_CLAIM_DONE:
        return !answer->record.has_fingerprint ||
                       idem_digest_equal(&answer->record.fingerprint, fingerprint)
                   ? IDEM_INBOX_DUPLICATE
                   : IDEM_INBOX_CONFLICT;
    case IDEM_CLAIM_IN_FLIGHT:
    case IDEM_CLAIM_FENCED: /* of numbers, and an inbox has keys */
    case IDEM_CLAIM_GAP:
    case IDEM_CLAIM_OUTCOME_COUNT:
        break;
    }
    return IDEM_INBOX_IN_FLIGHT;
}

enum idem_code idem_inbox_claim(struct idem_inbox *inbox, const void *key,
                                size_t key_length, const void *payload,
                                size_t payload_length, enum idem_inbox_answer *answer,
                                struct idem_error *error) {
    struct idem_identity identity;
    enum idem_code code = identify(inbox, &identity, idem_span_of(key, key_length),
                                   idem_span_of(payload, payload_length), error);
    if (code != IDEM_OK) {
        return code;
    }
    const struct idem_claim claim = {
        .digest = identity.digest,
        .fingerprint = identity.fingerprint,
        .has_fingerprint = identity.has_fingerprint,
        .durable = true,
        .owner = inbox->owner,
        .now_ms = idem_clock_wall_ms(),
        .lease_ms = inbox->lease_ms,
    };
    struct pending pending = {.answered = false};
    idem_store_claim(inbox->store, &claim, take_answer, &pending);
    code = await(inbox, &pending, "a claim", error);
    if (code == IDEM_OK) {
        *answer = answer_of(&pending.answer, &identity.fingerprint);
    }
    return code;
}

enum idem_code idem_inbox_complete(struct idem_inbox *inbox, const void *key,
                                   size_t key_length, struct idem_error *error) {
    struct idem_identity identity;
    enum idem_code code =
        identify(inbox, &identity, idem_span_of(key, key_length), no_payload, error);
    if (code != IDEM_OK) {
        return code;
    }
    const struct idem_completion completion = {
        .digest = identity.digest,
        .owner = inbox->owner,
        .now_ms = idem_clock_wall_ms(),
        .ttl_ms = inbox->ttl_ms,
        .durable = true,
    };
    struct pending pending = {.answered = false};
    idem_store_complete(inbox->store, &completion, take_answer, &pending);
    return await(inbox, &pending, "a completion", error);
}

enum idem_code idem_inbox_abandon(struct idem_inbox *inbox, const void *key,
                                  size_t key_length, struct idem_error *error) {
    struct idem_identity identity;
    enum idem_code code =
        identify(inbox, &identity, idem_span_of(key, key_length), no_payload, error);
    if (code != IDEM_OK) {
        return code;
    }
    const struct idem_abandonment abandonment = {.digest = identity.digest,
                                                 .owner = inbox->owner};
    struct pending pending = {.answered = false};
    idem_store_abandon(inbox->store, &abandonment, take_answer, &pending);
    return await(inbox, &pending, "an abandonment", error);
}

enum idem_code idem_inbox_set_times(struct idem_inbox *inbox, int64_t ttl_ms,
                                    int64_t lease_ms) {
    if (ttl_ms <= 0 || lease_ms <= 0) {
        return IDEM_ERR_INVALID;
    }
    inbox->ttl_ms = ttl_ms;
    inbox->lease_ms = lease_ms;
    return IDEM_OK;
}

static void set_rule(struct idem_inbox *inbox, const char *name) {
    memcpy(inbox->name, name, strlen(name) + 1);
    inbox->key.kind = IDEM_EXTRACT_MESSAGE_ID;
    inbox->payload.kind = IDEM_EXTRACT_PAYLOAD;
    inbox->rule.name = inbox->name;
    inbox->rule.strategy = IDEM_STRATEGY_KEY;
    inbox->rule.key = (struct idem_key_spec){.count = 1, .items = &inbox->key};
    inbox->rule.scope.kind = IDEM_SCOPE_RULE;
    inbox->rule.fingerprint =
        (struct idem_key_spec){.joined = true, .count = 1, .items = &inbox->payload};
}

static enum idem_code init(struct idem_inbox *inbox, const char *url, const char *name,
                           const char *instance, struct idem_error *error) {
    enum idem_code code = idem_digest_init(error);
    if (code != IDEM_OK) {
        return code;
    }
    set_rule(inbox, name);
    idem_secret_default(&inbox->secret);
    inbox->ttl_ms = IDEM_INBOX_TTL_MS;
    inbox->lease_ms = IDEM_INBOX_LEASE_MS;
    inbox->owner = idem_owner_of(instance, 0);
    code = idem_workspace_open(&inbox->workspace);
    if (code != IDEM_OK) {
        return idem_error_set(error, code, 0, "inbox %s: out of memory", inbox->name);
    }
    const struct idem_store_options options = {.url = url, .secret = &inbox->secret};
    return idem_store_open(&inbox->store, &options, error);
}

enum idem_code idem_inbox_open(struct idem_inbox **inbox, const char *url,
                               const char *name, const char *instance,
                               struct idem_error *error) {
    *inbox = NULL;
    if (name == NULL || name[0] == '\0' || strlen(name) > IDEM_NAME_MAX ||
        instance == NULL || instance[0] == '\0') {
        return idem_error_set(error, IDEM_ERR_INVALID, 0,
                              "an inbox needs a name of 1 to %d bytes, and an instance",
                              IDEM_NAME_MAX);
    }
    struct idem_inbox *opened = calloc(1, sizeof *opened);
    if (opened == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "inbox %s: out of memory", name);
    }
    enum idem_code code = init(opened, url, name, instance, error);
    if (code != IDEM_OK) {
        idem_inbox_close(opened);
        return code;
    }
    *inbox = opened;
    return IDEM_OK;
}

void idem_inbox_close(struct idem_inbox *inbox) {
    if (inbox != NULL) {
        idem_store_close(inbox->store);
        idem_workspace_close(inbox->workspace);
        free(inbox);
    }
}
