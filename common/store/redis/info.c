/* SPDX-License-Identifier: MIT
 * Reading the answer to INFO. */
#include "store/redis/info.h"

static struct idem_span take_line(struct idem_span *text) {
    const uint8_t *newline = text->len > 0 ? memchr(text->data, '\n', text->len) : NULL;
    size_t taken = newline != NULL ? (size_t)(newline - text->data) + 1 : text->len;
    struct idem_span line = idem_span_of(text->data, taken);
    text->data += taken;
    text->len -= taken;
    while (line.len > 0 &&
           (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r')) {
        line.len--;
    }
    return line;
}

static bool is(struct idem_span value, const char *text) {
    return idem_span_equal(value, idem_span_text(text));
}

/* The digits at the front; too many of them give the largest number. */
static uint64_t number_at(struct idem_span value) {
    uint64_t number = 0;
    for (size_t i = 0; i < value.len && value.data[i] >= '0' && value.data[i] <= '9';
         i++) {
        if (number > (UINT64_MAX - 9) / 10) {
            return UINT64_MAX;
        }
        number = number * 10 + (uint64_t)(value.data[i] - '0');
    }
    return number;
}

static void note(struct idem_info *info, struct idem_span name, struct idem_span value) {
    if (is(name, "redis_version")) {
        uint64_t major = number_at(value);
        info->version_major = major < 1000 ? (unsigned)major : 0;
    } else if (is(name, "redis_mode")) {
        info->cluster = is(value, "cluster");
        info->sentinel = is(value, "sentinel");
    } else if (is(name, "role")) {
        info->replica = is(value, "slave") || is(value, "replica");
    } else if (is(name, "loading")) {
        info->loading = is(value, "1");
    } else if (is(name, "maxmemory_policy")) {
        info->evicts = !is(value, "noeviction");
    } else if (is(name, "aof_enabled")) {
        info->appends = is(value, "1");
    } else if (is(name, "used_memory")) {
        info->memory_bytes = number_at(value);
    }
}

void idem_info_read(struct idem_info *info, struct idem_span text) {
    memset(info, 0, sizeof *info);
    while (text.len > 0) {
        struct idem_span line = take_line(&text);
        const uint8_t *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;
        if (colon != NULL) {
            size_t name_len = (size_t)(colon - line.data);
            note(info, idem_span_of(line.data, name_len),
                 idem_span_of(colon + 1, line.len - name_len - 1));
        }
    }
}
