/* SPDX-License-Identifier: MIT
 * Looking up names by getaddrinfo_a, which is getaddrinfo in a thread of the C library.
 *
 * A resolver can take half a minute to find that nobody answers, and nothing can interrupt it. So the thread
 * must be one that may outlive the store, and the plugin too, which the broker unloads when it ends: a
 * thread that returned into unloaded code would crash it. The C library's own never runs ours, since we
 * ask for no notification and look whether it has done. What it still writes to when we lose interest is
 * put aside and freed later. */
#define _GNU_SOURCE /* getaddrinfo_a */
#include "store/redis/lookup.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct idem_lookup {
    struct gaicb request;
    struct addrinfo hints;
    struct idem_endpoint endpoint;
    char port[8];
    struct idem_lookup *next; /* of those put aside */
};

/* Shared by all stores of a process: one that is closed leaves its lookups to the others. */
static pthread_mutex_t aside_lock = PTHREAD_MUTEX_INITIALIZER;
static struct idem_lookup *aside;

struct addrinfo *idem_lookup_literal(const struct idem_endpoint *endpoint) {
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)endpoint->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *addresses = NULL;
    return getaddrinfo(endpoint->host, port, &hints, &addresses) == 0 ? addresses : NULL;
}

static void free_lookup(struct idem_lookup *lookup) {
    if (lookup->request.ar_result != NULL) {
        freeaddrinfo(lookup->request.ar_result);
    }
    free(lookup);
}

/* The second question takes the C library's lock: what its thread has written is there to be read, and
 * the thread has let go of the request. */
bool idem_lookup_over(const struct idem_lookup *lookup) {
    struct gaicb *request = (struct gaicb *)&lookup->request;
    return gai_error(request) != EAI_INPROGRESS && gai_cancel(request) == EAI_ALLDONE;
}

/* Frees what was put aside and is over by now. */
static void free_aside(void) {
    (void)pthread_mutex_lock(&aside_lock);
    struct idem_lookup **at = &aside;
    while (*at != NULL) {
        struct idem_lookup *lookup = *at;
        if (idem_lookup_over(lookup)) {
            *at = lookup->next;
            free_lookup(lookup);
        } else {
            at = &lookup->next;
        }
    }
    (void)pthread_mutex_unlock(&aside_lock);
}

static void put_aside(struct idem_lookup *lookup) {
    (void)pthread_mutex_lock(&aside_lock);
    lookup->next = aside;
    aside = lookup;
    (void)pthread_mutex_unlock(&aside_lock);
}

static enum idem_code unresolved(const struct idem_endpoint *endpoint, int failure,
                                 struct idem_error *error) {
    return idem_error_set(error, IDEM_ERR_UNAVAILABLE, 0, "cannot resolve %s: %s",
                          endpoint->host, gai_strerror(failure));
}

enum idem_code idem_lookup_begin(struct idem_lookup **lookup,
                                 const struct idem_endpoint *endpoint,
                                 struct idem_error *error) {
    struct idem_lookup *made = calloc(1, sizeof *made);
    free_aside();
    *lookup = NULL;
    if (made == NULL) {
        return idem_error_set(error, IDEM_ERR_NOMEM, 0, "no memory to look up %s",
                              endpoint->host);
    }
    made->endpoint = *endpoint;
    made->hints.ai_socktype = SOCK_STREAM;
    (void)snprintf(made->port, sizeof made->port, "%u", (unsigned)endpoint->port);
    made->request = (struct gaicb){.ar_name = made->endpoint.host,
                                   .ar_service = made->port,
                                   .ar_request = &made->hints};
    struct gaicb *list[] = {&made->request};
    int failure = getaddrinfo_a(GAI_NOWAIT, list, 1, NULL);
    if (failure != 0) {
        free(made);
        return unresolved(endpoint, failure, error);
    }
    *lookup = made;
    return IDEM_OK;
}

bool idem_lookup_is_for(const struct idem_lookup *lookup,
                        const struct idem_endpoint *endpoint) {
    return lookup->endpoint.port == endpoint->port &&
           strcmp(lookup->endpoint.host, endpoint->host) == 0;
}

enum idem_code idem_lookup_take(struct idem_lookup *lookup, struct addrinfo **addresses,
                                struct idem_error *error) {
    int failure = gai_error(&lookup->request);
    enum idem_code code = IDEM_OK;
    *addresses = lookup->request.ar_result;
    if (failure != 0 || *addresses == NULL) {
        code = unresolved(&lookup->endpoint, failure, error);
    }
    lookup->request.ar_result = code == IDEM_OK ? NULL : lookup->request.ar_result;
    free_lookup(lookup);
    return code;
}

void idem_lookup_close(struct idem_lookup *lookup) {
    if (lookup == NULL) {
        return;
    }
    if (gai_cancel(&lookup->request) == EAI_NOTCANCELED) {
        put_aside(lookup);
    } else {
        free_lookup(lookup);
    }
}
