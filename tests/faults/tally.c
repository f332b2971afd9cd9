/* SPDX-License-Identifier: MIT
 * The checker. What a bridge says at its exit is worth nothing when it is killed, so what counts is the
 * line that it wrote before it let a copy in doubt go out, and the accounts are kept for each key: a doubt about one message excuses no second copy of
 * another. */
#include "tally.h"

#include <idem/config.h>
#include <idem/digest.h>
#include <idem/identity.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOUBT     " copy.in_doubt: "
#define KEY_FIELD ", key "
#define SHOWN_MAX 10

struct entry {
    char hex[IDEM_DIGEST_HEX_SIZE];
    unsigned seen;
    unsigned doubts;
};

struct book {
    struct entry *entries; /* by number */
    struct entry **by_hex;
    unsigned count;
    struct tally *tally;
};

static bool the_key(void *source, struct idem_span name, struct idem_span *value) {
    *value = idem_span_text(source);
    return idem_span_equal(name, idem_span_text("idempotency-key"));
}

/* The digest that the bridges log, computed as they do, from their rule. */
static void name_entry(struct entry *entry, unsigned number,
                       const struct idem_config *config,
                       struct idem_workspace *workspace) {
    char key[32];
    struct idem_identity identity;
    struct idem_message message = {
        .protocol = IDEM_PROTOCOL_AMQP, .property = the_key, .property_source = key};
    (void)snprintf(key, sizeof key, "m %u", number);
    idem_identify(&identity, &config->rules.rules[0], &config->rules.secret, &message,
                  workspace, NULL, NULL);
    assert_int_equal(identity.status, IDEM_IDENTITY_OK);
    idem_digest_hex(&identity.digest, entry->hex);
}

static int by_hex(const void *left, const void *right) {
    const struct entry *const *a = left;
    const struct entry *const *b = right;
    return strcmp((*a)->hex, (*b)->hex);
}

static int hex_is(const void *hex, const void *item) {
    const struct entry *const *entry = item;
    return strncmp(hex, (*entry)->hex, IDEM_DIGEST_HEX_SIZE - 1);
}

static void open_book(struct book *book, unsigned count, struct tally *tally) {
    static const char rules[] = "rules:\n"
                                "  - {name: orders, match: {queue: in}, scope: global,\n"
                                "     key: property:idempotency-key}\n";
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_config config;
    struct idem_workspace *workspace = NULL;
    assert_int_equal(idem_digest_init(&error), IDEM_OK);
    assert_int_equal(idem_workspace_open(&workspace), IDEM_OK);
    assert_int_equal(
        idem_config_parse(&config, "rules", rules, sizeof rules - 1, NULL, NULL, &error),
        IDEM_OK);
    *book = (struct book){.count = count, .tally = tally};
    book->entries = calloc(count + 1, sizeof *book->entries);
    book->by_hex = calloc(count + 1, sizeof(*book->by_hex));
    assert_true(book->entries != NULL && book->by_hex != NULL);
    for (unsigned i = 0; i < count; i++) {
        name_entry(&book->entries[i], i, &config, workspace);
        book->by_hex[i] = &book->entries[i];
    }
    qsort(book->by_hex, count, sizeof(*book->by_hex), by_hex);
    idem_workspace_close(workspace);
    idem_config_fini(&config);
}

static void close_book(struct book *book) {
    free(book->entries);
    free(book->by_hex);
}

static void arrived(void *arg, const char *body) {
    struct book *book = arg;
    char *end = NULL;
    unsigned long number = strncmp(body, "m ", 2) == 0 ? strtoul(body + 2, &end, 10) : 0;
    if (end == NULL || *end != '\0' || number >= book->count) {
        book->tally->alien++;
        return;
    }
    book->entries[number].seen++;
}

/* A line that was cut short, or is about a key that nobody published, excuses nothing. */
static void doubted(struct book *book, const char *line) {
    const char *end = strchr(line, '\n');
    const char *key = strstr(line, KEY_FIELD);
    book->tally->doubts++;
    if (key == NULL || end == NULL ||
        end - key < (ptrdiff_t)(sizeof KEY_FIELD - 1 + IDEM_DIGEST_HEX_SIZE)) {
        return;
    }
    struct entry **entry = bsearch(key + sizeof KEY_FIELD - 1, book->by_hex, book->count,
                                   sizeof(*book->by_hex), hex_is);
    if (entry != NULL) {
        (*entry)->doubts++;
    }
}

static void read_log(struct book *book, struct bridge *bridge) {
    char *log = bridge_log(bridge);
    for (const char *at = strstr(log, DOUBT); at != NULL; at = strstr(at + 1, DOUBT)) {
        doubted(book, at);
    }
    for (const char *at = strstr(log, "unexpected "); at != NULL;
         at = strstr(at + 1, "unexpected ")) {
        book->tally->unexpected += strtoul(at + strlen("unexpected "), NULL, 10) != 0;
    }
    free(log);
}

/* For whoever looks for the reason: which ones they are, as a bridge's log and the store name them. */
static void describe(const struct book *book) {
    unsigned shown = 0;
    for (unsigned i = 0; i < book->count && shown < SHOWN_MAX; i++) {
        const struct entry *entry = &book->entries[i];
        if (entry->seen == 0 || entry->seen > 1 + entry->doubts) {
            (void)fprintf(stderr, "message %u, key %s: arrived %u times, %u doubts\n", i,
                          entry->hex, entry->seen, entry->doubts);
            shown++;
        }
    }
}

/* What each message moves, as the statement has it: see stage.c. */
static void check_accounts(struct tally *tally, const struct stage *stage) {
    long long expected[10] = {0};
    for (long long n = 0; n < (long long)stage->unique; n++) {
        expected[n % 10] += 1 + n * 7919 % 100000;
    }
    for (int id = 0; id < 10; id++) {
        char sql[64];
        (void)snprintf(sql, sizeof sql, "SELECT cents FROM account WHERE id = %d", id);
        long long cents = postgres_number(&stage->postgres, sql);
        tally->balance += cents;
        tally->astray += llabs(cents - expected[id]);
    }
}

static void take_moved(struct book *book, const struct stage *stage) {
    PGconn *connection = postgres_connect(&stage->postgres);
    PGresult *result = PQexec(connection, "SELECT 'm ' || n FROM moved");
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    for (int row = 0; row < PQntuples(result); row++) {
        arrived(book, PQgetvalue(result, row, 0));
    }
    PQclear(result);
    PQfinish(connection);
}

void tally_take(struct tally *tally, struct stage *stage) {
    struct book book;
    *tally = (struct tally){.kills = stage->kills,
                            .cuts = stage->cuts,
                            .unique = stage->unique,
                            .copies = stage->copies};
    open_book(&book, stage->unique, tally);
    if (stage_uses_postgres(stage)) {
        take_moved(&book, stage);
        check_accounts(tally, stage);
    } else {
        rabbitmq_take_all(stage->client, "out", arrived, &book);
    }
    for (size_t i = 0; i < stage->bridge_count; i++) {
        read_log(&book, stage->bridges[i]);
    }
    for (unsigned i = 0; i < book.count; i++) {
        const struct entry *entry = &book.entries[i];
        unsigned extra = entry->seen > 1 ? entry->seen - 1 : 0;
        tally->missing += entry->seen == 0;
        tally->twice += extra;
        tally->unaccounted += extra > entry->doubts ? extra - entry->doubts : 0;
    }
    if (stage->bridge_count > 0) { /* not in the checker's own test */
        describe(&book);
    }
    close_book(&book);
    /* A bridge that doubts everything would account for everything. One disturbance
     * leaves a prefetch in doubt, and again where it lasts for longer than the leases. */
    unsigned most =
        2 * (stage->kills + stage->cuts) * STAGE_PREFETCH * (unsigned)stage->bridge_count;
    most = stage_uses_postgres(stage) ? 0 : most;
    tally->excessive = tally->doubts > most ? tally->doubts - most : 0;
}

bool tally_is_clean(const struct tally *tally) {
    return tally->missing == 0 && tally->unaccounted == 0 && tally->excessive == 0 &&
           tally->late == 0 && tally->alien == 0 && tally->unexpected == 0 &&
           tally->astray == 0;
}

void tally_print_head(void) {
    (void)printf("| scenario | kills | cuts | messages | copies sent | missing | twice | "
                 "in doubt | twice, not in doubt | late |\n"
                 "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
}

void tally_print(const char *title, const struct tally *tally) {
    (void)printf("| %s | %u | %u | %u | %u | %u | %u | %u | %u | %u |\n", title,
                 tally->kills, tally->cuts, tally->unique, tally->copies, tally->missing,
                 tally->twice, tally->doubts, tally->unaccounted, tally->late);
}

void tally_add(struct tally *sum, const struct tally *tally) {
    sum->kills += tally->kills;
    sum->cuts += tally->cuts;
    sum->unique += tally->unique;
    sum->copies += tally->copies;
    sum->missing += tally->missing;
    sum->twice += tally->twice;
    sum->doubts += tally->doubts;
    sum->unaccounted += tally->unaccounted;
    sum->excessive += tally->excessive;
    sum->late += tally->late;
    sum->alien += tally->alien;
    sum->unexpected += tally->unexpected;
    sum->balance += tally->balance;
    sum->astray += tally->astray;
}
