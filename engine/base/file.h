/* file: whole files as bytes, and files that are replaced in one step. What differs
 * between operating systems is in system.h. */
#ifndef FILE_H
#define FILE_H

#include "base/base.h"

/* The bytes of a file. A regular file is mapped: it must not be cut short while the view lives. */
struct file_view {
    const void *bytes;
    size_t size;
    void *memory; /* what finish frees; NULL when there is nothing */
    bool mapped;
};

#define FILE_BEGINNING 16 /* bytes that say whether the rest is worth reading */

/* Given the first FILE_BEGINNING bytes. */
typedef bool (*file_begins)(const uint8_t *bytes);

/* Maps `path`, or reads it to its end when it is a pipe or a device (less than 1 GiB). Of such a
 * one that does not begin as `begins` wants it (NULL: no wish) the view holds the beginning only,
 * for the caller to refuse: a device may never end. STATUS_IO with path and reason; then *view
 * needs no finish. */
status file_view_open(struct logger *log, const char *path, file_begins begins,
                      struct file_view *view);
/* {0} is fine. */
void file_view_finish(struct file_view *view);

/* "FOLDER/NAME", malloc'ed; NULL without memory. */
char *file_join(const char *folder, const char *name);
/* Fills bytes with what a regular file holds, at most *size bytes; *size becomes how many. NULL:
 * counts only. False: there is no such file, or it cannot be read; nothing is reported. */
bool file_load(const char *path, void *bytes, size_t *size);

/* A file being written. Until commit the old content stays under its name: the new one lies in a
 * temporary file beside it. A target that exists and is not a regular file is written directly. */
struct file_writer {
    struct logger *log;
    const char *path; /* as the caller said it, for messages */
    char *target;     /* symbolic links resolved */
    char *temporary;  /* NULL: written directly */
    int descriptor;
    void *memory; /* of file_writer_map; NULL: none */
    size_t size;
};

/* `path` must outlive the writer. On failure *writer needs no discard. */
status file_writer_open(struct logger *log, const char *path, struct file_writer *writer);
/* Writes all of it or reports STATUS_IO; the writer is then good for discard only. */
status file_writer_write(struct file_writer *writer, const void *bytes, size_t size);
/* In place of writes: the whole content, `size` > 0 bytes of it, zero, in memory that is the file's
 * until commit or discard, with its room on the disk taken. *memory is NULL where the target cannot
 * be mapped. */
status file_writer_map(struct file_writer *writer, size_t size, void **memory);
/* Until what file_writer_map gave is on disk: commit has little to do then. Reports STATUS_IO, and
 * the writer is then good for discard only. */
status file_writer_sync(struct file_writer *writer);
/* Puts the new content in place; finishes the writer in every case. */
status file_writer_commit(struct file_writer *writer);
/* Removes what was written, so that the old content stays; finishes the writer. */
void file_writer_discard(struct file_writer *writer);

#endif
