/* SPDX-License-Identifier: MIT
 * What a key is unique within, resolved for one message. */
#ifndef IDEM_KEY_SCOPE_H
#define IDEM_KEY_SCOPE_H

#include "key/extract.h"

/* The tag keeps kinds apart that could hold the same bytes, such as a user and a client of one name. It
 * is part of every digest in every store: never change the letters. */
enum idem_scope_tag {
    IDEM_SCOPE_TAG_GLOBAL = 'g',
    IDEM_SCOPE_TAG_RULE = 'r',
    IDEM_SCOPE_TAG_USER = 'u',
    IDEM_SCOPE_TAG_CLIENT = 'c',
    IDEM_SCOPE_TAG_BY = 'b',
};

struct idem_scope_value {
    enum idem_scope_tag tag;
    size_t count;
    /* Extractor is set with TAG_BY only. */
    struct idem_key_part parts[IDEM_EXTRACTORS_MAX];
};

/* false: the message does not say what it belongs to. */
bool idem_scope_resolve(const struct idem_extraction *from, const struct idem_rule *rule,
                        struct idem_scope_value *value);

#endif
