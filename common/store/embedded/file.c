/* SPDX-License-Identifier: MIT
 * Opening the store's file: rights, locks, and texts that say what to do. */
#include "store/embedded/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* LMDB forbids a file to be opened twice in one process: closing either would drop the
 * locks of the other. Only the process as a whole can know, hence the one list. */
static pthread_mutex_t open_files_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct idem_file *open_files;

static bool remember(struct idem_file *file) {
    (void)pthread_mutex_lock(&open_files_mutex);
    const struct idem_file *other = open_files;
    while (other != NULL &&
           (other->device != file->device || other->inode != file->inode)) {
        other = other->next;
    }
    if (other == NULL) {
        file->next = open_files;
        open_files = file;
    }
    (void)pthread_mutex_unlock(&open_files_mutex);
    return other == NULL;
}

static void forget(const struct idem_file *file) {
    (void)pthread_mutex_lock(&open_files_mutex);
    struct idem_file **link = &open_files;
    while (*link != NULL && *link != file) {
        link = &(*link)->next;
    }
    if (*link != NULL) {
        *link = file->next;
    }
    (void)pthread_mutex_unlock(&open_files_mutex);
}

/* The pid out of a line of /proc/locks, such as "1: FLOCK  ADVISORY  WRITE 4711
 * 08:01:123456 0 EOF"; 0 unless it is about a writer of this inode. */
static long writer_in(char *line, const char *inode) {
    char *fields[6] = {NULL};
    char *rest = NULL;
    char *field = strtok_r(line, " \n", &rest);
    for (size_t i = 0; i < 6 && field != NULL; i++) {
        fields[i] = field;
        field = strtok_r(NULL, " \n", &rest);
    }
    bool ours = fields[5] != NULL && strcmp(fields[1], "FLOCK") == 0 &&
                strcmp(fields[3], "WRITE") == 0 && strcmp(fields[5], inode) == 0;
    return ours ? strtol(fields[4], NULL, 10) : 0;
}

/* Who holds the flock, by the kernel's list; 0 or less where it does not tell (another
 * pid name space). */
static long holder_of(const struct idem_file *file) {
    char inode[64];
    char line[256];
    long holder = 0;
    FILE *locks = fopen("/proc/locks", "re");
    if (locks == NULL) {
        return 0;
    }
    (void)snprintf(inode, sizeof inode, "%02x:%02x:%ju", major(file->device),
                   minor(file->device), (uintmax_t)file->inode);
    while (holder == 0 && fgets(line, sizeof line, locks) != NULL) {
        holder = writer_in(line, inode);
    }
    (void)fclose(locks);
    return holder;
}

static enum idem_code refuse_same_process(const char *path, struct idem_error *error) {
    return idem_error_set(
        error, IDEM_ERR_BUSY, 0,
        "store %s is already open in this process; share the handle, or "
        "name another path",
        path);
}

static enum idem_code refuse_busy(const struct idem_file *file, const char *path,
                                  struct idem_error *error) {
    static const char advice[] =
        "give each program a store of its own, or let them share one Redis store";
    long holder = holder_of(file);
    if (holder == (long)getpid()) {
        return refuse_same_process(path, error);
    }
    if (holder > 0) {
        return idem_error_set(error, IDEM_ERR_BUSY, 0,
                              "store %s is in use by process %ld; %s", path, holder,
                              advice);
    }
    return idem_error_set(error, IDEM_ERR_BUSY, 0,
                          "store %s is in use by another process; %s", path, advice);
}

static int directory_length(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL || slash == path ? 1 : (int)(slash - path);
}

static enum idem_code refuse_open(const char *path, bool read_only, int sys_errno,
                                  struct idem_error *error) {
    int length = directory_length(path);
    switch (sys_errno) {
    case ENOENT:
        if (read_only) {
            return idem_error_set(error, IDEM_ERR_IO, sys_errno,
                                  "store %s does not exist yet: the program that uses "
                                  "it makes it when it starts",
                                  path);
        }
        return idem_error_set(error, IDEM_ERR_IO, sys_errno,
                              "store %s: its directory does not exist; create it: "
                              "mkdir -p %.*s",
                              path, length, path);
    case EACCES:
    case EPERM:
        if (read_only) { /* its owner is right, and whoever reads is somebody else */
            return idem_error_set(
                error, IDEM_ERR_IO, sys_errno,
                "store %s: no permission to read it; read as the user of "
                "the program that writes it, or as root",
                path);
        }
        return idem_error_set(error, IDEM_ERR_IO, sys_errno,
                              "store %s: no permission; give the file and its directory "
                              "to the user that runs this program (chown, chmod u+rwx "
                              "%.*s)",
                              path, length, path);
    case EISDIR:
        return idem_error_set(error, IDEM_ERR_IO, sys_errno,
                              "store %s is a directory; name a file in it, such as "
                              "%s/store",
                              path, path);
    default:
        return idem_error_set(error, IDEM_ERR_IO, sys_errno,
                              "store %s cannot be opened: %s", path, strerror(sys_errno));
    }
}

static enum idem_code check_and_lock(struct idem_file *file, const char *path,
                                     bool read_only, struct idem_error *error) {
    struct stat status;
    if (fstat(file->fd, &status) != 0) {
        return refuse_open(path, read_only, errno, error);
    }
    if (!S_ISREG(status.st_mode)) {
        return S_ISDIR(status.st_mode)
                   ? refuse_open(path, read_only, EISDIR, error)
                   : idem_error_set(error, IDEM_ERR_FORMAT, 0,
                                    "store %s is not a regular file", path);
    }
    file->device = status.st_dev;
    file->inode = status.st_ino;
    if (!read_only && flock(file->fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? refuse_busy(file, path, error)
                                    : refuse_open(path, read_only, errno, error);
    }
    if (!remember(file)) {
        return refuse_same_process(path, error);
    }
    return IDEM_OK;
}

enum idem_code idem_file_open(struct idem_file *file, const char *path, bool read_only,
                              struct idem_error *error) {
    *file = (struct idem_file){.fd = -1};
    int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    file->fd = open(path, flags);
    if (file->fd < 0 && errno == ENOENT && !read_only) {
        file->fd = open(path, flags | O_CREAT, S_IRUSR | S_IWUSR);
        file->created = true;
    }
    if (file->fd < 0) {
        return refuse_open(path, read_only, errno, error);
    }
    enum idem_code code = check_and_lock(file, path, read_only, error);
    if (code != IDEM_OK) {
        (void)close(file->fd);
        file->fd = -1;
    }
    return code;
}

void idem_file_close(struct idem_file *file) {
    if (file->fd >= 0) {
        forget(file);
        (void)close(file->fd);
        file->fd = -1;
    }
}
