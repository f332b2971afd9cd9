/* SPDX-License-Identifier: MIT
 * What Redis says about itself: the answer to INFO. Pure. */
#ifndef IDEM_REDIS_INFO_H
#define IDEM_REDIS_INFO_H

#include <idem/span.h>

struct idem_info {
    unsigned version_major; /* 0: it did not say */
    bool cluster;
    bool sentinel;
    bool replica;
    bool loading;
    bool evicts;  /* maxmemory-policy is not noeviction */
    bool appends; /* an append-only file is kept */
    uint64_t memory_bytes;
};

/* Lines of name:value; what is not there is as zeroes. Any bytes will do. */
void idem_info_read(struct idem_info *info, struct idem_span text);

#endif
