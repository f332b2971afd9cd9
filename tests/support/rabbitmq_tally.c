/* SPDX-License-Identifier: MIT
 * How often each of many numbered messages arrived. */
#include "rabbitmq_tally.h"

#include <stdlib.h>
#include <string.h>

struct tally {
    unsigned seen[TALLY_MESSAGES_MAX];
    unsigned missing;
    unsigned extra;
};

static void count_one(void *arg, const char *body) {
    struct tally *tally = arg;
    unsigned long number = strtoul(body + 2, NULL, 10);
    assert_true(number < TALLY_MESSAGES_MAX);
    tally->seen[number]++;
}

void tally_publish(struct rabbitmq *client, const char *queue, unsigned messages) {
    assert_true(messages <= TALLY_MESSAGES_MAX);
    rabbitmq_publish_many(client, queue, "m", messages);
    rabbitmq_publish_many(client, queue, "m", messages / 3);
}

void tally_check(struct rabbitmq *client, const char *queue, unsigned messages,
                 unsigned in_doubt) {
    static struct tally tally;
    memset(&tally, 0, sizeof tally);
    rabbitmq_take_all(client, queue, count_one, &tally);
    for (unsigned i = 0; i < messages; i++) {
        tally.missing += tally.seen[i] == 0;
        tally.extra += tally.seen[i] > 1 ? tally.seen[i] - 1 : 0;
    }
    if (tally.missing > 0 || tally.extra > in_doubt) {
        fail_msg("%u missing, %u twice, %u were in doubt", tally.missing, tally.extra,
                 in_doubt);
    }
}
