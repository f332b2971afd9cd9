/* SPDX-License-Identifier: MIT
 * Looking up, and trying one address after the other. */
#include "store/redis/approach.h"

/* How long after it was begun a lookup is looked at, doubled each time. The first is enough for a hosts
 * file; the last costs nothing that can be noticed, neither time nor processor. */
#define LOOK_LEAST_MS 1
#define LOOK_MOST_MS  32

static void release_addresses(struct idem_approach *approach) {
    if (approach->addresses != NULL) {
        freeaddrinfo(approach->addresses);
    }
    approach->addresses = NULL;
    approach->next = NULL;
    approach->untried = 0;
}

static void release_lookup(struct idem_approach *approach) {
    idem_lookup_close(approach->lookup);
    approach->lookup = NULL;
}

/* The addresses in their order, round and round. */
static const struct addrinfo *take_next(struct idem_approach *approach) {
    const struct addrinfo *taken =
        approach->next != NULL ? approach->next : approach->addresses;
    approach->next = taken->ai_next;
    return taken;
}

static void take_addresses(struct idem_approach *approach, struct addrinfo *addresses) {
    approach->addresses = addresses;
    approach->next_at_ms = INT64_MIN;
    for (const struct addrinfo *one = addresses; one != NULL; one = one->ai_next) {
        approach->untried++;
    }
    for (unsigned skip = approach->first % approach->untried; skip > 0; skip--) {
        (void)take_next(approach);
    }
}

void idem_approach_begin(struct idem_approach *approach,
                         const struct idem_endpoint *endpoint,
                         struct idem_tls_context *tls, unsigned attempt, int64_t now_ms,
                         int64_t until_ms) {
    release_addresses(approach);
    approach->endpoint = *endpoint;
    approach->tls = tls;
    approach->first = attempt;
    approach->until_ms = until_ms;
    approach->next_at_ms = INT64_MAX;
    approach->look_at_ms = now_ms;
    approach->look_after_ms = LOOK_LEAST_MS;
    if (approach->lookup != NULL && !idem_lookup_is_for(approach->lookup, endpoint)) {
        release_lookup(approach);
    }
}

bool idem_approach_looking(const struct idem_approach *approach) {
    return approach->lookup != NULL;
}

/* The first look begins the lookup, unless the host needs none or one is under way. */
static enum idem_code look(struct idem_approach *approach, int64_t now_ms,
                           struct idem_error *error) {
    struct addrinfo *addresses = NULL;
    enum idem_code code = IDEM_OK;
    if (approach->lookup == NULL) {
        addresses = idem_lookup_literal(&approach->endpoint);
        if (addresses == NULL) {
            code = idem_lookup_begin(&approach->lookup, &approach->endpoint, error);
        }
    } else if (idem_lookup_over(approach->lookup)) {
        code = idem_lookup_take(approach->lookup, &addresses, error);
        approach->lookup = NULL;
    }
    if (addresses != NULL) {
        take_addresses(approach, addresses);
        return IDEM_OK;
    }
    approach->look_at_ms = now_ms + approach->look_after_ms;
    approach->look_after_ms = approach->look_after_ms < LOOK_MOST_MS
                                  ? 2 * approach->look_after_ms
                                  : LOOK_MOST_MS;
    return code;
}

/* Each address gets its share of the time that is left, so that one that swallows packets does not take
 * it all. */
static enum idem_code try_next(struct idem_approach *approach,
                               struct idem_redis_link *link, int64_t now_ms,
                               struct idem_error *error) {
    enum idem_code code = IDEM_OK;
    do {
        const struct addrinfo *address = take_next(approach);
        *error = (struct idem_error)IDEM_ERROR_INIT;
        approach->untried--;
        idem_redis_link_close(link);
        code = idem_redis_link_connect(link, &approach->endpoint, address, approach->tls,
                                       error);
    } while (code == IDEM_ERR_UNAVAILABLE && approach->untried > 0);
    int64_t shares = (int64_t)approach->untried + 1;
    approach->next_at_ms = approach->untried > 0
                               ? now_ms + (approach->until_ms - now_ms) / shares
                               : INT64_MAX;
    return code;
}

static enum idem_code begin_unix(struct idem_approach *approach,
                                 struct idem_redis_link *link, bool *begun,
                                 struct idem_error *error) {
    approach->look_at_ms = INT64_MAX;
    enum idem_code code =
        idem_redis_link_connect(link, &approach->endpoint, NULL, approach->tls, error);
    *begun = code == IDEM_OK;
    return code;
}

enum idem_code idem_approach_tick(struct idem_approach *approach,
                                  struct idem_redis_link *link, int64_t now_ms,
                                  bool *begun, struct idem_error *error) {
    enum idem_code code = IDEM_OK;
    *begun = false;
    if (approach->addresses == NULL && now_ms >= approach->look_at_ms) {
        if (approach->endpoint.path[0] != '\0') {
            return begin_unix(approach, link, begun, error);
        }
        code = look(approach, now_ms, error);
    }
    if (code == IDEM_OK && approach->addresses != NULL &&
        now_ms >= approach->next_at_ms) {
        code = try_next(approach, link, now_ms, error);
        *begun = code == IDEM_OK;
    }
    return code;
}

bool idem_approach_again(struct idem_approach *approach) {
    if (approach->untried == 0) {
        return false;
    }
    approach->next_at_ms = INT64_MIN;
    return true;
}

int64_t idem_approach_due_ms(const struct idem_approach *approach) {
    return approach->addresses == NULL ? approach->look_at_ms : approach->next_at_ms;
}

void idem_approach_end(struct idem_approach *approach) {
    release_addresses(approach);
}

void idem_approach_fini(struct idem_approach *approach) {
    release_addresses(approach);
    release_lookup(approach);
}
