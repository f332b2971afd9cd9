/* SPDX-License-Identifier: MIT
 * A record as people read it. */
#include "record.h"

#include <idem/receiver.h>

#include <inttypes.h>
#include <stdio.h>

void record_owner_text(char out[RECORD_OWNER_SIZE], uint64_t instance,
                       const struct record_names *names) {
    const char *name = NULL;
    if (names->own != NULL && idem_instance_number(names->own) == instance) {
        name = names->own;
    }
    for (size_t i = 0; i < names->other_count && name == NULL; i++) {
        if (idem_instance_number(names->others[i]) == instance) {
            name = names->others[i];
        }
    }
    if (name != NULL) {
        (void)snprintf(out, RECORD_OWNER_SIZE, "%016" PRIx64 " (%s)", instance, name);
    } else {
        (void)snprintf(out, RECORD_OWNER_SIZE, "%016" PRIx64, instance);
    }
}

/* A preview of any number tells what is known of all. */
static void add_sequence(const struct idem_record *record, int64_t now_ms,
                         struct json_object *report) {
    const struct idem_claim claim = {.number = {.present = true},
                                     .terms = {.ttl_ms = 1},
                                     .now_ms = now_ms,
                                     .lease_ms = 1};
    struct idem_sequence_report known;
    struct idem_answer answer;
    enum idem_code code = idem_sequence_preview(record, &claim, &answer, &known);
    if (code == IDEM_ERR_FORMAT) {
        ctl_add(report, "sequence", "cannot be read");
        return;
    }
    ctl_add_count(report, "epoch", known.epoch);
    if (known.has_mark) {
        ctl_add_count(report, "mark", known.mark);
    }
    if (known.has_top) {
        ctl_add_count(report, "top", known.top);
    }
    ctl_add_count(report, "in_flight", known.claimed);
    ctl_add_count(report, "given_back", known.given_back);
}

static void add_owner(const struct idem_record *record, const struct record_names *names,
                      struct json_object *report) {
    char owner[RECORD_OWNER_SIZE];
    if (record->state != IDEM_RECORD_SEQUENCE) { /* which has many, or none */
        record_owner_text(owner, record->owner.instance, names);
        ctl_add(report, "by", owner);
    }
}

void record_describe(const struct store_found *found, const struct record_names *names,
                     int64_t now_ms, struct json_object *report) {
    const struct idem_record *record = &found->record;
    bool pending = record->state == IDEM_RECORD_PENDING;
    ctl_add(report, "state", store_state_text(record, now_ms));
    if (record->state == IDEM_RECORD_NONE) {
        return;
    }
    ctl_add_time(report, "first_seen", record->first_seen_ms);
    add_owner(record, names, report);
    ctl_add_time(report, pending ? "lease_until" : "expires", record->until_ms);
    ctl_add_left(report, pending ? "lease_left" : "ttl_left", record->until_ms - now_ms);
    if (record->state == IDEM_RECORD_SEQUENCE) {
        add_sequence(record, now_ms, report);
        return;
    }
    char fingerprint[IDEM_DIGEST_HEX_SIZE] = "none";
    if (record->has_fingerprint) {
        idem_digest_hex(&record->fingerprint, fingerprint);
    }
    ctl_add(report, "fingerprint", fingerprint);
    ctl_add_count(report, "result_size", found->result_size);
}
