#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define STREAM_MAX  ((size_t)1 << 30) /* a device may never end */
#define STREAM_STEP ((size_t)1 << 16)
#define NAME_TRIES  1000

/* ---- reading ---- */

static ssize_t read_some(int descriptor, void *bytes, size_t size)
{
    ssize_t count;
    do
        count = read(descriptor, bytes, size);
    while (count < 0 && errno == EINTR);
    return count;
}

/* To the end of the stream; 0 or an errno. On failure *view holds what came so far. */
static int read_stream(int descriptor, struct file_view *view)
{
    for (size_t space = STREAM_STEP; space <= STREAM_MAX; space *= 2) {
        char *bytes = realloc(view->memory, space);
        if (!bytes)
            return ENOMEM;
        view->bytes = view->memory = bytes;
        while (view->size < space) {
            ssize_t count = read_some(descriptor, bytes + view->size, space - view->size);
            if (count <= 0)
                return count < 0 ? errno : 0;
            view->size += (size_t)count;
        }
    }
    return EFBIG;
}

/* 0 or an errno */
static int map_file(int descriptor, uint64_t size, struct file_view *view)
{
    if (size > SIZE_MAX)
        return EFBIG;
    void *memory = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (memory == MAP_FAILED)
        return errno;
    *view =
        (struct file_view){.bytes = memory, .size = (size_t)size, .memory = memory, .mapped = true};
    return 0;
}

status file_view_open(struct logger *log, const char *path, struct file_view *view)
{
    *view = (struct file_view){0};
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return fail(log, STATUS_IO, "%s: cannot open: %s", path, strerror(errno));
    struct stat info;
    int error;
    if (fstat(descriptor, &info) != 0)
        error = errno;
    else if (S_ISREG(info.st_mode) && info.st_size > 0)
        error = map_file(descriptor, (uint64_t)info.st_size, view);
    else /* files of /proc say that they are empty: read them too */
        error = read_stream(descriptor, view);
    close(descriptor);
    if (!error)
        return STATUS_OK;
    file_view_finish(view);
    return fail(log, error == ENOMEM ? STATUS_OUT_OF_HOST_MEMORY : STATUS_IO, "%s: cannot read: %s",
                path, strerror(error));
}

void file_view_finish(struct file_view *view)
{
    if (view->mapped)
        munmap(view->memory, view->size);
    else
        free(view->memory);
    *view = (struct file_view){0};
}

/* ---- writing ---- */

static status fail_write(const struct file_writer *writer, int error)
{
    return fail(writer->log, STATUS_IO, "%s: cannot write: %s", writer->path, strerror(error));
}

static void finish_writer(struct file_writer *writer)
{
    if (writer->descriptor >= 0)
        close(writer->descriptor);
    free(writer->target);
    free(writer->temporary);
    *writer = (struct file_writer){.descriptor = -1};
}

/* Creates a new file beside the target. mkstemp would ignore the umask. 0 or an errno. */
static int open_temporary(struct file_writer *writer)
{
    size_t size = strlen(writer->target) + 40;
    writer->temporary = malloc(size);
    if (!writer->temporary)
        return ENOMEM;
    for (int i = 0; i < NAME_TRIES; i++) {
        snprintf(writer->temporary, size, "%s.tmp%ld-%d", writer->target, (long)getpid(), i);
        writer->descriptor = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (writer->descriptor >= 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    int error = errno;
    free(writer->temporary); /* not ours to remove */
    writer->temporary = NULL;
    return error;
}

/* 0 or an errno */
static int open_target(struct file_writer *writer)
{
    struct stat info, link;
    bool exists = stat(writer->path, &info) == 0;
    int error = exists ? 0 : errno;
    /* A link that leads nowhere is not a name that is free: it may be /dev/stdout. */
    if (!exists && (error != ENOENT || lstat(writer->path, &link) == 0))
        return error;
    if (exists && !S_ISREG(info.st_mode)) {
        writer->descriptor = open(writer->path, O_WRONLY | O_CLOEXEC);
        return writer->descriptor < 0 ? errno : 0;
    }
    writer->target = exists ? realpath(writer->path, NULL) : strdup(writer->path);
    if (!writer->target)
        return errno;
    error = open_temporary(writer);
    if (error)
        return error;
    /* The old file's permissions, where the file system has any: not worth failing for. */
    if (exists)
        (void)fchmod(writer->descriptor, info.st_mode & 0777);
    return 0;
}

status file_writer_open(struct logger *log, const char *path, struct file_writer *writer)
{
    *writer = (struct file_writer){.log = log, .path = path, .descriptor = -1};
    int error = open_target(writer);
    if (!error)
        return STATUS_OK;
    status result = fail_write(writer, error);
    finish_writer(writer);
    return result;
}

status file_writer_write(struct file_writer *writer, const void *bytes, size_t size)
{
    const char *next = bytes;
    while (size > 0) {
        ssize_t count = write(writer->descriptor, next, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return fail_write(writer, count < 0 ? errno : EIO);
        next += count;
        size -= (size_t)count;
    }
    return STATUS_OK;
}

/* 0 or an errno. The order matters: the name must never show a file that is not on disk. */
static int put_in_place(struct file_writer *writer)
{
    if (writer->temporary && fsync(writer->descriptor) != 0)
        return errno;
    int descriptor = writer->descriptor;
    writer->descriptor = -1; /* closed, whatever close says */
    if (close(descriptor) != 0)
        return errno;
    if (writer->temporary && rename(writer->temporary, writer->target) != 0)
        return errno;
    return 0;
}

status file_writer_commit(struct file_writer *writer)
{
    int error = put_in_place(writer);
    if (error) {
        status result = fail_write(writer, error);
        file_writer_discard(writer);
        return result;
    }
    finish_writer(writer);
    return STATUS_OK;
}

void file_writer_discard(struct file_writer *writer)
{
    if (writer->temporary)
        unlink(writer->temporary);
    finish_writer(writer);
}
