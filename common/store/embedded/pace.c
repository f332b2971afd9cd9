/* SPDX-License-Identifier: MIT
 * When the writer thread does what: group by group, merges in between, and not more
 * than it must.
 *
 * A group is due commit= after its first change, or a moment after someone waits for it.
 * Who waits has a window of so many messages under way, and whatever one of them waits
 * longer is taken off its throughput: ten milliseconds for a claim, and ten more for
 * its completion, cost the bridge a fifth. A burst comes within the moment, and what
 * comes while a group is written makes the next one, so that a slow disk makes large
 * groups of its own accord.
 *
 * A merge is due when a quarter of the front waits for one, or some time after the
 * first record has begun to. After each piece of work the writer rests four times as
 * long as the piece took of the processor, so that it takes a fifth of a core at most:
 * a group rests after a group, a merge after either. A group that someone waits for
 * rests only as long as the one before took, for half of a core at most. Rests end when
 * a sync asks, or when the front is half full. */
#include "store/embedded/embedded.h"

#include <idem/clock.h>

#define MS             INT64_C(1000000)
#define RETRY_FIRST_NS (100 * MS)
#define RETRY_LAST_NS  (1000 * MS)
#define SWEEP_EVERY_NS (1000 * MS)
#define SWEEP_SOON_NS  (100 * MS) /* while each new key is looked for on disk */
#define MERGE_AFTER_NS (30 * 1000 * MS)
#define REST_MOST_NS   (1000 * MS)
#define REST_TIMES     4
#define GATHER_NS      (MS / 2) /* a burst of operations that are waited for */
#define SWEEP_ROUNDS                                                                     \
    2 /* after the last change: the round that was under way, and a whole one */

bool idem_pace_hurried(const struct idem_embedded *embedded) {
    return idem_front_count(embedded) >= embedded->front_max / 2;
}

static int64_t later(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t sooner(int64_t a, int64_t b) {
    return a < b ? a : b;
}

void idem_pace_frozen(struct idem_embedded *embedded) {
    embedded->writer.group_due_ns = idem_clock_monotonic_ns() + embedded->interval_ns;
    embedded->writer.awaited_due_ns = 0;
}

/* Of a group that someone waits for. */
static int64_t awaited_due(struct idem_embedded *embedded) {
    struct idem_writer *writer = &embedded->writer;
    if (writer->awaited_due_ns == 0) {
        writer->awaited_due_ns = idem_clock_monotonic_ns() + GATHER_NS;
    }
    return sooner(writer->group_due_ns,
                  later(writer->awaited_due_ns, writer->awaited_rest_ns));
}

static int64_t group_due(struct idem_embedded *embedded) {
    struct idem_writer *writer = &embedded->writer;
    if (embedded->frozen.records == NULL &&
        idem_record_set_count(embedded->active.records) == 0) {
        writer->group_due_ns = 0;
        return INT64_MAX;
    }
    if (writer->journal_asked > embedded->committed_no) {
        return 0;
    }
    if (writer->retries[IDEM_WORK_JOURNAL].failing) {
        return writer->retries[IDEM_WORK_JOURNAL].due_ns;
    }
    if (writer->group_due_ns == 0) {
        writer->group_due_ns = idem_clock_monotonic_ns() + embedded->interval_ns;
    }
    return embedded->active.waiters.first != NULL
               ? awaited_due(embedded)
               : later(writer->group_due_ns, writer->group_rest_ns);
}

/* Reached by what the journal holds, or by what it holds in memory. */
static bool merge_bound_reached(const struct idem_embedded *embedded) {
    size_t bound = embedded->front_max / 4;
    return embedded->journalled.entries >= bound ||
           embedded->journalled.records->result_bytes >=
               bound * IDEM_RESULT_BYTES_PER_ENTRY;
}

static int64_t merge_due(struct idem_embedded *embedded) {
    struct idem_writer *writer = &embedded->writer;
    if (embedded->journalled.entries == 0) {
        writer->merge_due_ns = 0;
    } else if (writer->merge_due_ns == 0) {
        writer->merge_due_ns = idem_clock_monotonic_ns() + MERGE_AFTER_NS;
    }
    if (embedded->merging.records == NULL && embedded->journalled.entries == 0) {
        return INT64_MAX;
    }
    if (writer->merge_asked > embedded->merged_no) {
        return 0;
    }
    if (writer->retries[IDEM_WORK_MERGE].failing) {
        return writer->retries[IDEM_WORK_MERGE].due_ns;
    }
    if (idem_pace_hurried(embedded)) {
        return 0;
    }
    bool begun = embedded->merging.records != NULL || merge_bound_reached(embedded);
    return begun ? writer->merge_rest_ns
                 : later(writer->merge_due_ns, writer->merge_rest_ns);
}

static int64_t sweep_due(const struct idem_embedded *embedded) {
    const struct idem_writer *writer = &embedded->writer;
    bool wanted = writer->sweep_rounds > 0 && !writer->stop && !embedded->stats.failing;
    return wanted ? writer->sweep_due_ns : INT64_MAX;
}

enum idem_work idem_pace_next(struct idem_embedded *embedded, int64_t *due_ns) {
    int64_t now_ns = idem_clock_monotonic_ns();
    int64_t dues[] = {
        [IDEM_WORK_JOURNAL] = group_due(embedded),
        [IDEM_WORK_MERGE] = merge_due(embedded),
        [IDEM_WORK_SWEEP] = sweep_due(embedded),
    };
    *due_ns = INT64_MAX;
    for (int work = 0; work < IDEM_WORK_NONE; work++) {
        if (dues[work] <= now_ns) {
            return (enum idem_work)work;
        }
        *due_ns = sooner(dues[work], *due_ns);
    }
    return IDEM_WORK_NONE;
}

static void rest(struct idem_embedded *embedded, enum idem_work work, int64_t cost_ns) {
    struct idem_writer *writer = &embedded->writer;
    int64_t now_ns = idem_clock_monotonic_ns();
    int64_t rest_ns = sooner(REST_TIMES * cost_ns, REST_MOST_NS);
    if (work == IDEM_WORK_JOURNAL) {
        writer->group_rest_ns = now_ns + rest_ns;
        writer->awaited_rest_ns = now_ns + sooner(cost_ns, REST_MOST_NS);
    } else {
        bool filtered = embedded->known.blocks != NULL;
        writer->sweep_due_ns = now_ns + (filtered ? SWEEP_EVERY_NS : SWEEP_SOON_NS);
    }
    writer->merge_rest_ns =
        sooner(later(writer->merge_rest_ns, now_ns) + rest_ns, now_ns + REST_MOST_NS);
}

void idem_pace_done(struct idem_embedded *embedded, enum idem_work work,
                    int64_t cost_ns) {
    struct idem_writer *writer = &embedded->writer;
    rest(embedded, work, cost_ns);
    if (work < IDEM_WORK_KINDS) {
        writer->retries[work] = (struct idem_retry){.failing = false};
    }
    if (work == IDEM_WORK_MERGE) {
        writer->sweep_rounds = SWEEP_ROUNDS;
    } else if (work == IDEM_WORK_SWEEP && writer->sweep.round_ended) {
        writer->sweep_rounds--;
    }
}

void idem_pace_failed(struct idem_embedded *embedded, enum idem_work work) {
    struct idem_writer *writer = &embedded->writer;
    if (work == IDEM_WORK_SWEEP) {
        writer->sweep_due_ns = idem_clock_monotonic_ns() + SWEEP_EVERY_NS;
        return;
    }
    struct idem_retry *retry = &writer->retries[work];
    retry->failing = true;
    retry->wait_ns = later(retry->wait_ns, RETRY_FIRST_NS);
    retry->due_ns = idem_clock_monotonic_ns() + retry->wait_ns;
    retry->wait_ns = sooner(2 * retry->wait_ns, RETRY_LAST_NS);
    if (work == IDEM_WORK_JOURNAL) {
        writer->journal_asked = 0;
    } else {
        writer->merge_asked = 0;
    }
}
