/* SPDX-License-Identifier: MIT
 * idemctl import: takes over what an export holds. The file is read to its end first: what is damaged, cut off or
 * none of Idem's is refused before the store is touched. */
#include "progress.h"
#include "store.h"

#include <idem/clock.h>
#include <idem/transfer.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define AT_ONCE 256 /* records on their way to a store on the network */

static const char help[] =
    "usage: idemctl -c CONFIG import [--check] FILE | -\n\n"
    "Takes over the records of an export. What the store knows already is never made "
    "less.\n\n"
    "      --check               only read the file, and say what is in it\n";

struct importing {
    const char *path; /* "-": standard input */
    FILE *file;
    bool check;
    struct idem_store *store;
    struct progress progress;
    uint64_t size;
    uint64_t at;
    int64_t now_ms;
    int64_t created_ms;
    size_t open; /* restorations that are not answered */
    uint64_t records;
    uint64_t imported;
    uint64_t known;
    uint64_t expired;
    enum idem_code code; /* the first failure of the store */
};

static bool read_bytes(void *arg, void *bytes, size_t length, size_t *got) {
    struct importing *importing = arg;
    *got = fread(bytes, 1, length, importing->file);
    importing->at += *got;
    progress_at(&importing->progress, importing->at);
    return !ferror(importing->file);
}

/* What comes from a pipe has to be read twice as well. */
static bool spool(struct importing *importing) {
    char buffer[65536];
    size_t got;
    FILE *copy = tmpfile();
    if (copy == NULL) {
        return false;
    }
    while ((got = fread(buffer, 1, sizeof buffer, stdin)) > 0) {
        if (fwrite(buffer, 1, got, copy) != got) {
            (void)fclose(copy);
            return false;
        }
    }
    importing->file = copy;
    return !ferror(stdin) && fflush(copy) == 0;
}

static enum ctl_exit open_file(struct importing *importing) {
    struct stat status;
    if (strcmp(importing->path, "-") == 0) {
        (void)spool(importing);
    } else {
        importing->file = fopen(importing->path, "rb");
    }
    if (importing->file == NULL || ferror(importing->file) ||
        fstat(fileno(importing->file), &status) != 0) {
        ctl_complain("%s: %s", importing->path, strerror(errno));
        return CTL_REFUSED;
    }
    if (!S_ISREG(status.st_mode)) {
        ctl_complain("%s is no file; - takes what comes from a pipe", importing->path);
        return CTL_REFUSED;
    }
    importing->size = (uint64_t)status.st_size;
    return CTL_OK;
}

static void count_answer(void *arg, const struct idem_answer *answer) {
    struct importing *importing = arg;
    importing->open--;
    if (answer->code == IDEM_OK) {
        importing->imported++;
    } else if (answer->code == IDEM_ERR_NOT_OWNER) {
        importing->known++;
    } else if (answer->code == IDEM_ERR_NOT_FOUND) {
        importing->expired++;
    } else if (importing->code == IDEM_OK) {
        importing->code = answer->code;
    }
}

static void await(struct importing *importing, size_t most) {
    while (importing->open > most) {
        store_wait(importing->store);
    }
}

/* The front of an embedded store may be full: what is in it goes to disk, and it is tried once more. */
static void put(struct importing *importing, const struct idem_digest *digest,
                const struct idem_record *record) {
    struct idem_restoration restoration = {
        .digest = *digest, .record = *record, .now_ms = importing->now_ms};
    importing->open++;
    idem_store_restore(importing->store, &restoration, count_answer, importing);
    if (importing->code == IDEM_ERR_FULL && importing->open == 0 &&
        store_sync(importing->store) == CTL_OK) {
        importing->code = IDEM_OK;
        importing->open++;
        idem_store_restore(importing->store, &restoration, count_answer, importing);
    }
    await(importing, AT_ONCE);
}

/* Reads all of it; with a store, puts each record there. */
static enum ctl_exit read_all(struct importing *importing,
                              const struct idem_config *config) {
    struct idem_error error = IDEM_ERROR_INIT;
    struct idem_import *in = NULL;
    struct idem_digest digest;
    struct idem_record record;
    rewind(importing->file);
    importing->at = 0;
    importing->records = 0;
    enum idem_code code =
        idem_import_open(&in, read_bytes, importing, &config->rules.secret, &error);
    importing->created_ms = in != NULL ? idem_import_created_ms(in) : 0;
    while (code == IDEM_OK && importing->code == IDEM_OK) {
        code = idem_import_next(in, &digest, &record, &error);
        if (code == IDEM_OK) {
            importing->records++;
            if (importing->store != NULL) {
                put(importing, &digest, &record);
            }
        }
    }
    await(importing, 0);
    idem_import_close(in);
    if (code != IDEM_OK && code != IDEM_ERR_NOT_FOUND) {
        ctl_complain("%s: %s", importing->path, error.text);
        return CTL_REFUSED;
    }
    return importing->code == IDEM_OK ? CTL_OK : store_complain(importing->code);
}

static void report(const struct ctl *ctl, const struct importing *importing) {
    struct json_object *object = json_object_new_object();
    ctl_add(object, "file", importing->path);
    ctl_add_time(object, "exported_at", importing->created_ms);
    ctl_add_count(object, "records", importing->records);
    if (!importing->check) {
        ctl_add_count(object, "imported", importing->imported);
        ctl_add_count(object, "known", importing->known);
        ctl_add_count(object, "expired", importing->expired);
    }
    ctl_print(ctl, object);
}

static enum ctl_exit put_all(const struct ctl *ctl, struct importing *importing,
                             const struct idem_config *config) {
    enum ctl_exit result = store_open(config, true, &importing->store);
    if (result != CTL_OK) {
        return result;
    }
    progress_start(&importing->progress, "importing", importing->size);
    importing->now_ms = idem_clock_wall_ms();
    result = read_all(importing, config);
    if (result == CTL_OK) {
        result = store_sync(importing->store);
    }
    progress_end(&importing->progress);
    idem_store_close(importing->store);
    if (result != CTL_OK) {
        ctl_complain("%" PRIu64
                     " records were imported before that; importing again takes "
                     "nothing away",
                     importing->imported);
    }
    report(ctl, importing);
    return result;
}

static enum ctl_exit run(const struct ctl *ctl, const struct idem_config *config,
                         void *arg) {
    struct importing *importing = arg;
    enum ctl_exit result = open_file(importing);
    if (result != CTL_OK) {
        return result;
    }
    progress_start(&importing->progress, "checking", importing->size);
    result = read_all(importing, config);
    progress_end(&importing->progress);
    if (result == CTL_OK && importing->check) {
        report(ctl, importing);
    }
    return result == CTL_OK && !importing->check ? put_all(ctl, importing, config)
                                                 : result;
}

static bool take(void *arg, int option, const char *value) {
    struct importing *importing = arg;
    (void)value;
    importing->check = option == 'c';
    return true;
}

static bool take_file(void *arg, int count, char **words) {
    struct importing *importing = arg;
    if (count != 1) {
        ctl_complain("import needs one file, or - for standard input");
        return false;
    }
    importing->path = words[0];
    return true;
}

enum ctl_exit ctl_import(const struct ctl *ctl, int argc, char **argv) {
    static const struct option options[] = {{"check", no_argument, NULL, 'c'},
                                            CTL_OPTIONS_END};
    static const struct ctl_line line = {.help = help,
                                         .letters = "h",
                                         .options = options,
                                         .take = take,
                                         .settle = take_file,
                                         .run = run};
    struct importing importing = {.code = IDEM_OK};
    enum ctl_exit result = ctl_run(ctl, &line, &importing, argc, argv);
    if (importing.file != NULL) {
        (void)fclose(importing.file);
    }
    return result;
}
