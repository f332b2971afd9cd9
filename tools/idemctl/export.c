/* SPDX-License-Identifier: MIT
 * idemctl export: all that a store knows, as a file. */
#include "progress.h"
#include "store.h"

#include <idem/clock.h>
#include <idem/transfer.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: idemctl -c CONFIG export [--yes] FILE | -\n\n"
    "Writes every record to FILE, or to standard output, for idemctl import.\n\n"
    "  -y, --yes                 replace FILE where it exists\n";

struct exporting {
    const char *path; /* "-": standard output */
    char *part;       /* owned: written first, and renamed when it is whole */
    FILE *file;
    bool yes;
    struct idem_export *stream;
    struct progress progress;
    uint64_t records;
    uint64_t bytes;
    enum idem_code code;
};

static bool write_bytes(void *arg, const void *bytes, size_t length) {
    struct exporting *exporting = arg;
    exporting->bytes += length;
    return fwrite(bytes, 1, length, exporting->file) == length;
}

static bool add_record(void *arg, const struct idem_digest *digest,
                       const struct idem_record *record) {
    struct exporting *exporting = arg;
    exporting->code = idem_export_add(exporting->stream, digest, record);
    progress_at(&exporting->progress, ++exporting->records);
    return exporting->code == IDEM_OK;
}

static enum ctl_exit refuse_file(const struct exporting *exporting) {
    ctl_complain("%s: %s", exporting->path, strerror(errno));
    return CTL_REFUSED;
}

/* Only its owner may read it: digests and results are in it. */
static enum ctl_exit open_file(struct exporting *exporting) {
    if (strcmp(exporting->path, "-") == 0) {
        if (isatty(STDOUT_FILENO) == 1) {
            ctl_complain("this is no text: direct standard output into a file or a pipe");
            return CTL_USAGE;
        }
        exporting->file = stdout;
        return CTL_OK;
    }
    if (access(exporting->path, F_OK) == 0 &&
        !ctl_confirm(exporting->yes, "replace the file %s", exporting->path)) {
        return CTL_DECLINED;
    }
    size_t size = strlen(exporting->path) + sizeof ".part";
    exporting->part = malloc(size);
    if (exporting->part == NULL) {
        errno = ENOMEM;
        return refuse_file(exporting);
    }
    (void)snprintf(exporting->part, size, "%s.part", exporting->path);
    int fd = open(exporting->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    exporting->file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    return exporting->file != NULL ? CTL_OK : refuse_file(exporting);
}

/* On disk before it has its name, so that there is a whole file under it or none. */
static enum ctl_exit close_file(struct exporting *exporting, bool whole) {
    FILE *file = exporting->file;
    exporting->file = NULL;
    if (file == stdout) {
        return fflush(stdout) == 0 ? CTL_OK : refuse_file(exporting);
    }
    bool written = file != NULL && fflush(file) == 0 && fsync(fileno(file)) == 0;
    int number = errno;
    if (file != NULL) {
        written &= fclose(file) == 0;
    }
    if (written && whole && rename(exporting->part, exporting->path) == 0) {
        return CTL_OK;
    }
    if (exporting->part != NULL) {
        (void)unlink(exporting->part);
    }
    if (whole) {
        errno = written ? errno : number;
        return refuse_file(exporting);
    }
    return CTL_OK;
}

static enum ctl_exit write_stream(struct exporting *exporting,
                                  const struct idem_config *config,
                                  struct idem_store *store, int64_t now_ms) {
    exporting->code = idem_export_open(&exporting->stream, write_bytes, exporting,
                                       &config->rules.secret, now_ms);
    enum ctl_exit result = exporting->code == IDEM_OK
                               ? store_visit_all(store, now_ms, add_record, exporting)
                               : CTL_OK;
    if (result == CTL_OK && exporting->code == IDEM_OK) {
        exporting->code = idem_export_finish(exporting->stream, &exporting->records);
    }
    idem_export_close(exporting->stream);
    if (exporting->code == IDEM_ERR_IO) {
        return refuse_file(exporting);
    }
    return exporting->code == IDEM_OK ? result : store_complain(exporting->code);
}

/* To standard error where the records go to standard output. */
static void report(const struct ctl *ctl, const struct exporting *exporting) {
    char bytes[32];
    if (strcmp(exporting->path, "-") == 0) {
        (void)snprintf(bytes, sizeof bytes, "%llu",
                       (unsigned long long)exporting->records);
        ctl_complain("%s records exported", bytes);
        return;
    }
    struct json_object *object = json_object_new_object();
    ctl_add(object, "file", exporting->path);
    ctl_add_count(object, "records", exporting->records);
    ctl_add_count(object, "bytes", exporting->bytes);
    ctl_print(ctl, object);
}

static enum ctl_exit run(const struct ctl *ctl, const struct idem_config *config,
                         void *arg) {
    struct exporting *exporting = arg;
    struct idem_store *store = NULL;
    struct idem_store_stats stats;
    enum ctl_exit result = store_open(config, false, &store);
    if (result == CTL_OK) {
        result = open_file(exporting);
    }
    if (result == CTL_OK) {
        idem_store_read_stats(store, &stats);
        progress_start(&exporting->progress, "exporting", stats.keys);
        result = write_stream(exporting, config, store, idem_clock_wall_ms());
        progress_end(&exporting->progress);
    }
    if (exporting->file != NULL) {
        enum ctl_exit closed = close_file(exporting, result == CTL_OK);
        result = result == CTL_OK ? closed : result;
    }
    idem_store_close(store);
    if (result == CTL_OK) {
        report(ctl, exporting);
    }
    return result;
}

static bool take(void *arg, int option, const char *value) {
    struct exporting *exporting = arg;
    (void)value;
    exporting->yes = option == 'y';
    return true;
}

static bool take_file(void *arg, int count, char **words) {
    struct exporting *exporting = arg;
    if (count != 1) {
        ctl_complain("export needs one file, or - for standard output");
        return false;
    }
    exporting->path = words[0];
    return true;
}

enum ctl_exit ctl_export(const struct ctl *ctl, int argc, char **argv) {
    static const struct option options[] = {{"yes", no_argument, NULL, 'y'},
                                            CTL_OPTIONS_END};
    static const struct ctl_line line = {.help = help,
                                         .letters = "yh",
                                         .options = options,
                                         .take = take,
                                         .settle = take_file,
                                         .run = run};
    struct exporting exporting = {.code = IDEM_OK};
    enum ctl_exit result = ctl_run(ctl, &line, &exporting, argc, argv);
    free(exporting.part);
    return result;
}
