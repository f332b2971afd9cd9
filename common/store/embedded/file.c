/* SPDX-License-Identifier: MIT
 * Opening the store's file: rights, locks, and texts that say what to do. */
#include "store/embedded/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* LMDB forbids a file to be opened twice in one process: closing either would drop the locks of the
 * other. Only the process as a whole can know, hence the one list. */
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

/* Who holds the flock, by the kernel's list; 0 where it does not tell (another pid name space). Lines:
 * "1: FLOCK  ADVISORY  WRITE 4711 08:01:123456 0 EOF". */
static long holder_of(const struct idem_file *file) {
    FILE *locks = fopen("/proc/locks", "re");
    if (locks == NULL) {
        return 0;
    }
    char line[256];
    long holder = 0;
    while (holder == 0 && fgets(line, sizeof line, locks) != NULL) {
        long pid = 0;
        unsigned major_no = 0;
        unsigned minor_no = 0;
        unsigned long inode = 0;
        if (sscanf(line, "%*u: FLOCK ADVISORY WRITE %ld %x:%x:%lu", &pid, &major_no,
                   &minor_no, &inode) == 4 &&
            inode == (unsigned long)file->inode && major_no == major(file->device) &&
            minor_no == minor(file->device)) {
            holder = pid;
        }
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
                                  "store %s does not exist yet", path);
        }
        return idem_error_set(error, IDEM_ERR_IO, sys_errno,
                              "store %s: its directory does not exist; create it: "
                              "mkdir -p %.*s",
                              path, length, path);
    case EACCES:
    case EPERM:
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
