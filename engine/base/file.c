#include "base/file.h"
#include "base/system.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STREAM_MAX  ((size_t)1 << 30) /* a device may never end */
#define STREAM_STEP ((size_t)1 << 16)
#define CALL_MAX    ((size_t)1 << 30) /* bytes of one read or write: an int on Windows */
#define NAME_TRIES  1000

/* ---- reading ---- */

static ssize_t read_some(int descriptor, void *bytes, size_t size)
{
    ssize_t count;
    do
        count = read(descriptor, bytes, (unsigned)size_min(size, CALL_MAX));
    while (count < 0 && errno == EINTR);
    return count;
}

/* To the end of the stream, or of what `begins` allows; 0 or an errno. On failure *view holds what
 * came so far. */
static int read_stream(int descriptor, file_begins begins, struct file_view *view)
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
            if (begins && view->size >= FILE_BEGINNING) {
                if (!begins(view->bytes))
                    return 0;
                begins = NULL;
            }
        }
    }
    return EFBIG;
}

/* 0 or an errno */
static int map_file(int descriptor, uint64_t size, struct file_view *view)
{
    if (size > SIZE_MAX)
        return EFBIG;
    void *memory;
    int error = system_map(descriptor, (size_t)size, &memory);
    if (error)
        return error;
    *view =
        (struct file_view){.bytes = memory, .size = (size_t)size, .memory = memory, .mapped = true};
    return 0;
}

status file_view_open(struct logger *log, const char *path, file_begins begins,
                      struct file_view *view)
{
    *view = (struct file_view){0};
    int descriptor = system_open(path, SYSTEM_READ);
    if (descriptor < 0)
        return fail(log, STATUS_IO, "%s: cannot open: %s", path, strerror(errno));
    struct stat info;
    int error;
    if (fstat(descriptor, &info) != 0)
        error = errno;
    else if (S_ISREG(info.st_mode) && info.st_size > 0)
        error = map_file(descriptor, (uint64_t)info.st_size, view);
    else /* files of /proc say that they are empty: read them too */
        error = read_stream(descriptor, begins, view);
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
        system_unmap(view->memory, view->size);
    else
        free(view->memory);
    *view = (struct file_view){0};
}

char *file_join(const char *folder, const char *name)
{
    size_t size = strlen(folder) + 1 + strlen(name) + 1;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s/%s", folder, name);
    return path;
}

bool file_load(const char *path, void *bytes, size_t *size)
{
    enum system_kind kind;
    size_t room = bytes ? *size : 0;
    *size = 0;
    if (system_kind(path, &kind) != 0 || kind != SYSTEM_FILE)
        return false;
    int descriptor = system_open(path, SYSTEM_READ);
    if (descriptor < 0)
        return false;
    struct stat info;
    ssize_t count = fstat(descriptor, &info) == 0 ? 0 : -1;
    if (!bytes && count == 0 && info.st_size > 0 && (uint64_t)info.st_size <= SIZE_MAX)
        *size = (size_t)info.st_size;
    while (room > *size && count >= 0) {
        count = read_some(descriptor, (char *)bytes + *size, room - *size);
        if (count == 0)
            break;
        *size += count > 0 ? (size_t)count : 0;
    }
    close(descriptor);
    return count >= 0;
}

/* ---- writing ---- */

static status fail_write(const struct file_writer *writer, int error)
{
    return fail(writer->log, STATUS_IO, "%s: cannot write: %s", writer->path, strerror(error));
}

static void release_file(struct file_writer *writer)
{
    if (writer->memory)
        system_unmap(writer->memory, writer->size);
    if (writer->descriptor >= 0)
        close(writer->descriptor);
    writer->memory = NULL;
    writer->descriptor = -1;
}

static void finish_writer(struct file_writer *writer)
{
    release_file(writer);
    free(writer->target);
    free(writer->temporary);
    *writer = (struct file_writer){.descriptor = -1};
}

/* Bytes of the path up to the file's own name. */
static size_t folder_bytes(const char *path)
{
    size_t bytes = strlen(path);
    while (bytes > 0 && !system_is_separator(path[bytes - 1]))
        bytes--;
    return bytes;
}

/* Creates a new file beside the target, of a name that is short: that of the target may have all
 * the letters that a name can have. mkstemp would ignore the umask. 0 or an errno. */
static int open_temporary(struct file_writer *writer)
{
    size_t folder = folder_bytes(writer->target), size = folder + 40;
    writer->temporary = malloc(size);
    if (!writer->temporary)
        return ENOMEM;
    for (int i = 0; i < NAME_TRIES; i++) {
        snprintf(writer->temporary, size, "%.*sadamra.tmp%ld-%d", (int)folder, writer->target,
                 (long)getpid(), i);
        writer->descriptor = system_open(writer->temporary, SYSTEM_CREATE);
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
    enum system_kind kind;
    int error = system_kind(writer->path, &kind);
    if (error)
        return error;
    if (kind == SYSTEM_OTHER) {
        writer->descriptor = system_open(writer->path, SYSTEM_WRITE);
        return writer->descriptor < 0 ? errno : 0;
    }
    if (!*writer->path)
        return ENOENT;
    writer->target = system_resolve(writer->path);
    if (!writer->target)
        return errno;
    error = open_temporary(writer);
    if (!error && kind == SYSTEM_FILE)
        system_copy_permissions(writer->descriptor, writer->target);
    return error;
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
        ssize_t count = write(writer->descriptor, next, (unsigned)size_min(size, CALL_MAX));
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return fail_write(writer, count < 0 ? errno : EIO);
        next += count;
        size -= (size_t)count;
    }
    return STATUS_OK;
}

status file_writer_map(struct file_writer *writer, size_t size, void **memory)
{
    *memory = NULL;
    int error = writer->temporary ? system_map_new(writer->descriptor, size, memory) : ENODEV;
    if (error && error != ENODEV)
        return fail_write(writer, error);
    writer->memory = *memory;
    writer->size = size;
    return STATUS_OK;
}

status file_writer_sync(struct file_writer *writer)
{
    int error = writer->memory ? system_flush(writer->memory, writer->size) : 0;
    if (!error && writer->temporary)
        error = system_sync(writer->descriptor);
    return error ? fail_write(writer, error) : STATUS_OK;
}

/* 0 or an errno */
static int close_map(struct file_writer *writer)
{
    void *memory = writer->memory;
    if (!memory)
        return 0;
    int error = system_flush(memory, writer->size);
    writer->memory = NULL;
    system_unmap(memory, writer->size);
    return error;
}

/* 0 or an errno. The order matters: the name must never show a file that is not on disk. */
static int put_in_place(struct file_writer *writer)
{
    int error = close_map(writer);
    if (!error && writer->temporary)
        error = system_sync(writer->descriptor);
    if (error)
        return error;
    int descriptor = writer->descriptor;
    writer->descriptor = -1; /* closed, whatever close says */
    if (close(descriptor) != 0)
        return errno;
    return writer->temporary ? system_replace(writer->temporary, writer->target) : 0;
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
    release_file(writer); /* Windows removes no file that is open */
    if (writer->temporary)
        (void)system_remove(writer->temporary);
    finish_writer(writer);
}
