/* SPDX-License-Identifier: MIT
 * The delivery machine: a table of what each event means in each state. An empty cell is an event that
 * cannot happen there. */
#include "transfer.h"

struct step {
    struct idem_transfer *transfer;
    const struct idem_transfer_policy *policy;
    struct idem_transfer_counts *counts;
};

static void count(_Atomic uint64_t *counter) {
    (void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static enum idem_transfer_act enter(struct step *step, enum idem_transfer_state state,
                                    enum idem_transfer_act act) {
    step->transfer->state = state;
    return act;
}

static enum idem_transfer_act release(struct step *step) {
    return enter(step, IDEM_TRANSFER_IDLE, IDEM_DO_RELEASE);
}

static enum idem_transfer_act ready(struct step *step) {
    return enter(step, IDEM_TRANSFER_READY, IDEM_DO_ENQUEUE);
}

static enum idem_transfer_act claim(struct step *step) {
    step->transfer->refused = false;
    return enter(step, IDEM_TRANSFER_CLAIMING, IDEM_DO_CLAIM);
}

static enum idem_transfer_act answer(struct step *step) {
    step->transfer->route = IDEM_ROUTE_ANSWER;
    step->transfer->attempts = 0;
    return ready(step);
}

/* Nothing is left but to tell the requester that there will be no reply, where that is so, and then the
 * source; an orphan has nobody to tell. */
static enum idem_transfer_act settled(struct step *step) {
    const struct idem_transfer *transfer = step->transfer;
    if (transfer->orphan) {
        return release(step);
    }
    if (idem_transfer_refuses(transfer) && transfer->route != IDEM_ROUTE_ANSWER) {
        return answer(step);
    }
    return enter(step, IDEM_TRANSFER_SETTLED,
                 transfer->dead_letter ? IDEM_DO_REJECT : IDEM_DO_ACK);
}

/* Its way leads to the quarantine from now on, and to no worker. */
static void turn_aside(struct idem_transfer *transfer) {
    transfer->route = IDEM_ROUTE_QUARANTINE;
    transfer->refused = true;
}

static enum idem_transfer_act complete(struct step *step) {
    if (!step->transfer->claimed) {
        return settled(step);
    }
    return enter(step, IDEM_TRANSFER_COMPLETING, IDEM_DO_COMPLETE);
}

/* The claim is given back, or has been: where that leads to. */
static enum idem_transfer_act given_back(struct step *step) {
    struct idem_transfer *transfer = step->transfer;
    transfer->claimed = false;
    if (transfer->orphan) {
        return release(step);
    }
    if (transfer->dead_letter) {
        return settled(step);
    }
    if (transfer->spoiled) {
        transfer->spoiled = false;
        turn_aside(transfer);
        return ready(step);
    }
    if (transfer->failed) {
        return enter(step, IDEM_TRANSFER_WAITING, IDEM_DO_WAIT);
    }
    return claim(step);
}

static enum idem_transfer_act give_back(struct step *step) {
    if (!step->transfer->claimed) {
        return given_back(step);
    }
    return enter(step, IDEM_TRANSFER_ABANDONING, IDEM_DO_ABANDON);
}

/* The worker has the request, or may have it: the claim is the reply's to settle. */
static enum idem_transfer_act await(struct step *step) {
    count(&step->counts->asked);
    step->transfer->claimed = false;
    step->transfer->asked = true;
    if (step->transfer->orphan) {
        return release(step);
    }
    return enter(step, IDEM_TRANSFER_AWAITING, IDEM_DO_WAIT);
}

/* Nobody waits for it any more, or nobody that it can be given to. The result is kept for a repeat. */
static enum idem_transfer_act unanswerable(struct step *step) {
    count(&step->counts->unanswerable);
    return settled(step);
}

/* Not delivered, for certain. A copy on its way to the quarantine keeps its claim: given back, the next
 * copy would be judged anew, and could be delivered against the policy. */
static enum idem_transfer_act failed(struct step *step) {
    struct idem_transfer *transfer = step->transfer;
    transfer->attempts++;
    transfer->doubtful = false;
    transfer->failed = true;
    if (transfer->route != IDEM_ROUTE_SINK && !transfer->orphan) {
        return enter(step, IDEM_TRANSFER_WAITING, IDEM_DO_WAIT);
    }
    return give_back(step);
}

/* Tried again it would fail again; but without a quarantine there is no other place for it. */
static enum idem_transfer_act spoiled(struct step *step) {
    if (!step->policy->quarantine || step->transfer->route != IDEM_ROUTE_SINK) {
        return failed(step);
    }
    count(&step->counts->poisoned);
    step->transfer->spoiled = true;
    return give_back(step);
}

static enum idem_transfer_act orphaned(struct step *step) {
    step->transfer->orphan = true;
    return IDEM_DO_NOTHING;
}

static enum idem_transfer_act forsaken(struct step *step) {
    step->transfer->orphan = true;
    return give_back(step);
}

/* Verdicts. A copy that lost its source while it waited for one is not wanted any more. */
static enum idem_transfer_act deliver(struct step *step) {
    step->transfer->route = IDEM_ROUTE_SINK;
    step->transfer->failed = false;
    step->transfer->asked = false;
    return step->transfer->orphan ? give_back(step) : ready(step);
}

static enum idem_transfer_act set_aside(struct step *step) {
    turn_aside(step->transfer);
    step->transfer->failed = false;
    return step->transfer->orphan ? give_back(step) : ready(step);
}

/* A rejection is not confirmed by anyone: a claim is better given back than made done. */
static enum idem_transfer_act dead_letter(struct step *step) {
    step->transfer->dead_letter = true;
    step->transfer->refused = true;
    return give_back(step);
}

static enum idem_transfer_act drop(struct step *step) {
    step->transfer->refused = true;
    return step->transfer->orphan ? give_back(step) : complete(step);
}

static enum idem_transfer_act replay(struct step *step) {
    if (step->transfer->orphan || !step->transfer->answerable) {
        return drop(step);
    }
    return answer(step);
}

static enum idem_transfer_act hold(struct step *step) {
    if (step->transfer->orphan) {
        return release(step);
    }
    return enter(step,
                 step->transfer->asked ? IDEM_TRANSFER_AWAITING : IDEM_TRANSFER_HELD,
                 IDEM_DO_WAIT);
}

/* The sink. */
static enum idem_transfer_act sent(struct step *step) {
    return enter(step, IDEM_TRANSFER_PUBLISHED, IDEM_DO_NOTHING);
}

static void count_answer(const struct step *step) {
    if (idem_transfer_refuses(step->transfer)) {
        count(&step->counts->refused);
        return;
    }
    count(&step->counts->answered);
    if (!step->transfer->asked) {
        count(&step->counts->replayed);
    }
}

static enum idem_transfer_act confirmed(struct step *step) {
    switch (step->transfer->route) {
    case IDEM_ROUTE_SINK:
        count(&step->counts->delivered);
        break;
    case IDEM_ROUTE_QUARANTINE:
        count(&step->counts->quarantined);
        break;
    case IDEM_ROUTE_ANSWER:
        count_answer(step);
        break;
    case IDEM_ROUTE_COUNT:
        break;
    }
    return idem_transfer_asks(step->transfer) ? await(step) : complete(step);
}

static enum idem_transfer_act returned(struct step *step) {
    return enter(step, IDEM_TRANSFER_RETURNED, IDEM_DO_NOTHING);
}

/* It came back, and that was all that was to come. */
static enum idem_transfer_act came_back(struct step *step) {
    return step->transfer->route == IDEM_ROUTE_ANSWER ? unanswerable(step) : failed(step);
}

/* A request is not asked again while its reply can still come, and an answer twice does no harm. */
static enum idem_transfer_act lost_sight(struct step *step) {
    struct idem_transfer *transfer = step->transfer;
    if (idem_transfer_asks(transfer)) {
        return await(step);
    }
    if (!idem_transfer_doubts(transfer)) {
        return transfer->orphan ? release(step) : ready(step);
    }
    count(&step->counts->in_doubt);
    transfer->doubtful = true;
    if (transfer->route == IDEM_ROUTE_SINK && transfer->claimed &&
        transfer->on_in_doubt == IDEM_ACTION_DROP) {
        return complete(step);
    }
    if (transfer->route == IDEM_ROUTE_SINK && transfer->claimed &&
        transfer->on_in_doubt == IDEM_ACTION_QUARANTINE && step->policy->quarantine) {
        turn_aside(transfer);
    }
    return ready(step);
}

/* The claim could be another's by now. A doubtful one is carried on: it is counted already, and its claim
 * tells whether anybody took it over. */
static enum idem_transfer_act lease_over(struct step *step) {
    struct idem_transfer *transfer = step->transfer;
    if (transfer->doubtful || !transfer->claimed) {
        return IDEM_DO_NOTHING;
    }
    return give_back(step);
}

/* The store. */
static enum idem_transfer_act completed(struct step *step) {
    step->transfer->claimed = false;
    return settled(step);
}

static enum idem_transfer_act wait_to_complete(struct step *step) {
    (void)step;
    return IDEM_DO_WAIT;
}

static enum idem_transfer_act complete_again(struct step *step) {
    (void)step;
    return IDEM_DO_COMPLETE;
}

/* Time. */
static enum idem_transfer_act try_again(struct step *step) {
    struct idem_transfer *transfer = step->transfer;
    if (transfer->route == IDEM_ROUTE_QUARANTINE) {
        return ready(step);
    }
    if (transfer->route == IDEM_ROUTE_ANSWER) {
        return transfer->attempts >= step->policy->attempts_max ? unanswerable(step)
                                                                : ready(step);
    }
    if (transfer->attempts >= step->policy->attempts_max && step->policy->quarantine) {
        count(&step->counts->poisoned);
        turn_aside(transfer);
        return ready(step);
    }
    return claim(step);
}

/* The source. */
static enum idem_transfer_act forsake_ready(struct step *step) {
    return step->transfer->doubtful ? orphaned(step) : forsaken(step);
}

typedef enum idem_transfer_act idem_transfer_handler(struct step *step);

static idem_transfer_handler *const table[IDEM_TRANSFER_STATE_COUNT][IDEM_ON_COUNT] = {
    [IDEM_TRANSFER_IDLE] = {[IDEM_ON_ARRIVED] = claim},
    [IDEM_TRANSFER_CLAIMING] = {[IDEM_ON_DELIVER] = deliver,
                                [IDEM_ON_SET_ASIDE] = set_aside,
                                [IDEM_ON_DEAD_LETTER] = dead_letter,
                                [IDEM_ON_DROP] = drop,
                                [IDEM_ON_REPLAY] = replay,
                                [IDEM_ON_HOLD] = hold,
                                [IDEM_ON_REFUSE] = hold,
                                [IDEM_ON_SOURCE_LOST] = orphaned},
    [IDEM_TRANSFER_HELD] = {[IDEM_ON_WAKE] = claim,
                            [IDEM_ON_REPLIED] = answer,
                            [IDEM_ON_SOURCE_LOST] = forsaken},
    [IDEM_TRANSFER_READY] = {[IDEM_ON_SENT] = sent,
                             [IDEM_ON_LEASE_OVER] = lease_over,
                             [IDEM_ON_SOURCE_LOST] = forsake_ready},
    [IDEM_TRANSFER_PUBLISHED] = {[IDEM_ON_CONFIRMED] = confirmed,
                                 [IDEM_ON_RETURNED] = returned,
                                 [IDEM_ON_NACKED] = failed,
                                 [IDEM_ON_BARRED] = failed,
                                 [IDEM_ON_SPOILED] = spoiled,
                                 [IDEM_ON_UNDONE] = give_back,
                                 [IDEM_ON_SINK_LOST] = lost_sight,
                                 [IDEM_ON_SOURCE_LOST] = orphaned},
    [IDEM_TRANSFER_RETURNED] = {[IDEM_ON_CONFIRMED] = came_back,
                                [IDEM_ON_NACKED] = came_back,
                                [IDEM_ON_SINK_LOST] = came_back,
                                [IDEM_ON_SOURCE_LOST] = orphaned},
    [IDEM_TRANSFER_WAITING] =
        {[IDEM_ON_WAKE] = try_again, [IDEM_ON_SOURCE_LOST] = forsaken},
    [IDEM_TRANSFER_AWAITING] = {[IDEM_ON_WAKE] = claim,
                                [IDEM_ON_REPLIED] = answer,
                                [IDEM_ON_SOURCE_LOST] = forsaken},
    [IDEM_TRANSFER_COMPLETING] = {[IDEM_ON_SETTLED] = completed,
                                  [IDEM_ON_UNSETTLED] = wait_to_complete,
                                  [IDEM_ON_WAKE] = complete_again,
                                  [IDEM_ON_SOURCE_LOST] = orphaned},
    /* A claim that cannot be given back ends with its lease: nothing better can be done. */
    [IDEM_TRANSFER_ABANDONING] = {[IDEM_ON_SETTLED] = given_back,
                                  [IDEM_ON_UNSETTLED] = given_back,
                                  [IDEM_ON_SOURCE_LOST] = orphaned},
    [IDEM_TRANSFER_SETTLED] = {[IDEM_ON_TOLD] = release, [IDEM_ON_SOURCE_LOST] = release},
};

enum idem_transfer_act idem_transfer_step(struct idem_transfer *transfer,
                                          enum idem_transfer_event event,
                                          const struct idem_transfer_policy *policy,
                                          struct idem_transfer_counts *counts) {
    struct step step = {transfer, policy, counts};
    idem_transfer_handler *handler = table[transfer->state][event];
    if (handler == NULL) {
        count(&counts->unexpected);
        return IDEM_DO_NOTHING;
    }
    count(&counts->on[event]);
    return handler(&step);
}
