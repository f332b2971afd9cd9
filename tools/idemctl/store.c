/* SPDX-License-Identifier: MIT
 * The configured store, asked one question after the other. */
#include "store.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

bool store_is_memory(const struct idem_config *config) {
    return strncmp(config->store.url, "memory:", strlen("memory:")) == 0;
}

bool store_is_absent(const struct idem_config *config) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_store_options options = {
        .url = config->store.url, .read_only = true, .secret = &config->rules.secret};
    struct idem_store *store = NULL;
    if (store_is_memory(config) || idem_store_url_is_remote(config->store.url)) {
        return false;
    }
    enum idem_code code = idem_store_open(&store, &options, &error);
    idem_store_close(store);
    return code != IDEM_OK && error.sys_errno == ENOENT;
}

static enum ctl_exit open_store(const struct idem_config *config, bool writing,
                                struct idem_store **store) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_store_options options = {
        .url = config->store.url, .read_only = !writing, .secret = &config->rules.secret};
    enum idem_code code = idem_store_open(store, &options, &error);
    if (code == IDEM_OK) {
        return CTL_OK;
    }
    ctl_complain("%s", error.text);
    if (code == IDEM_ERR_BUSY) {
        ctl_complain("stop that program first; beside it the store can only be read");
        return CTL_BUSY;
    }
    return CTL_STORE;
}

enum ctl_exit store_open(const struct idem_config *config, bool writing,
                         struct idem_store **store) {
    if (store_is_memory(config)) {
        ctl_complain("%s is in the memory of the program that runs: lookup and stats can "
                     "ask a broker (--mqtt HOST) or a bridge (--http URL)",
                     config->store.url);
        return CTL_STORE;
    }
    return open_store(config, writing, store);
}

enum ctl_exit store_open_scratch(const struct idem_config *config,
                                 struct idem_store **store) {
    return open_store(config, true, store);
}

enum ctl_exit store_try_to_write(const struct idem_config *config) {
    struct idem_store *store = NULL;
    if (idem_store_url_is_remote(config->store.url)) {
        return CTL_OK;
    }
    enum ctl_exit result = store_open(config, false, &store); /* creates none */
    idem_store_close(store);
    if (result == CTL_OK) {
        result = store_open(config, true, &store);
        idem_store_close(store);
    }
    return result;
}

/* user:password@: the last '@' ends it. */
void store_name(const struct idem_config *config, char *out, size_t size) {
    const char *url = config->store.url;
    const char *authority = strstr(url, "://");
    const char *path = authority != NULL ? strpbrk(authority + 3, "/?") : NULL;
    const char *end = path != NULL ? path : url + strlen(url);
    const char *at = end;
    while (authority != NULL && at > authority + 3 && *at != '@') {
        at--;
    }
    if (authority == NULL || *at != '@') {
        (void)snprintf(out, size, "%s", url);
        return;
    }
    (void)snprintf(out, size, "%.*s***%s", (int)(authority + 3 - url), url, at);
}

void store_note(void *arg, const struct idem_answer *answer) {
    struct store_found *found = arg;
    found->answered = true;
    found->code = answer->code;
    found->record = answer->record;
    found->result_size = 0;
    if (answer->code != IDEM_OK) {
        found->record = (struct idem_record){.state = IDEM_RECORD_NONE};
        return;
    }
    struct idem_span result = answer->record.result;
    found->result_size = result.len;
    found->record.result = idem_span_of(NULL, 0); /* borrowed, and not shown, */
    if (answer->record.state == IDEM_RECORD_SEQUENCE && result.len > 0 &&
        result.len <= sizeof found->state) { /* but for this */
        memcpy(found->state, result.data, result.len);
        found->record.result = idem_span_of(found->state, result.len);
    }
}

void store_wait(struct idem_store *store) {
    struct pollfd descriptor = {.fd = idem_store_poll_fd(store), .events = POLLIN};
    (void)poll(&descriptor, 1, 100);
    idem_store_dispatch(store);
}

void store_await(struct idem_store *store, const bool *answered) {
    while (!*answered) {
        store_wait(store);
    }
}

enum ctl_exit store_complain(enum idem_code code) {
    ctl_complain("store: %s", idem_code_text(code));
    return CTL_STORE;
}

enum ctl_exit store_look_up(struct idem_store *store, const struct idem_digest *digest,
                            int64_t now_ms, struct store_found *found) {
    *found = (struct store_found){.answered = false};
    idem_store_lookup(store, digest, now_ms - IDEM_DOUBT_KEPT_MS, store_note, found);
    store_await(store, &found->answered);
    if (found->code != IDEM_OK && found->code != IDEM_ERR_NOT_FOUND) {
        return store_complain(found->code);
    }
    if (found->code == IDEM_OK &&
        idem_record_expired(found->record.state, found->record.until_ms, now_ms)) {
        found->code = IDEM_ERR_NOT_FOUND;
        found->record = (struct idem_record){.state = IDEM_RECORD_NONE};
    }
    return CTL_OK;
}

enum ctl_exit store_sync(struct idem_store *store) {
    struct idem_error error = IDEM_ERROR_INIT;
    if (idem_store_sync(store, &error) != IDEM_OK) {
        ctl_complain("%s", error.text);
        return CTL_STORE;
    }
    return CTL_OK;
}

const char *store_state_text(const struct idem_record *record, int64_t now_ms) {
    switch (record->state) {
    case IDEM_RECORD_PENDING:
        return now_ms < record->until_ms ? "pending" : "in doubt";
    case IDEM_RECORD_DONE:
        return "done";
    case IDEM_RECORD_SEQUENCE:
        return "sequence";
    case IDEM_RECORD_NONE:
        break;
    }
    return "nothing recorded";
}

struct all {
    int64_t now_ms;
    idem_store_visit *visit;
    void *arg;
};

static bool visit_needed(void *arg, const struct idem_digest *digest,
                         const struct idem_record *record) {
    const struct all *all = arg;
    return idem_record_expired(record->state, record->until_ms, all->now_ms) ||
           all->visit(all->arg, digest, record);
}

enum ctl_exit store_visit_all(struct idem_store *store, int64_t now_ms,
                              idem_store_visit *visit, void *arg) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct all all = {now_ms, visit, arg};
    if (idem_store_iterate(store, now_ms - IDEM_DOUBT_KEPT_MS, visit_needed, &all,
                           &error) != IDEM_OK) {
        ctl_complain("%s", error.text);
        return CTL_STORE;
    }
    return CTL_OK;
}
