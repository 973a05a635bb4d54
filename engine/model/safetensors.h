/* safetensors: reads and writes the format of the specification (model-format.md), refusing with
 * one line that says what is wrong and where. */
#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include "base/base.h"
#include "base/file.h"

#define ST_MAX_DIMS 32 /* as many as NumPy has had */

enum st_type {
    ST_BOOL,
    ST_U8,
    ST_I8,
    ST_I16,
    ST_U16,
    ST_F16,
    ST_BF16,
    ST_I32,
    ST_U32,
    ST_F32,
    ST_F64,
    ST_I64,
    ST_U64,
    ST_UNKNOWN /* another dtype: an error only when the tensor is asked for */
};

const char *st_type_name(enum st_type type); /* "F32", ... */
uint32_t st_type_bytes(enum st_type type);   /* of one element; 0 for ST_UNKNOWN */
enum st_type st_type_find(const char *name); /* ST_UNKNOWN when there is none of that name */

struct st_tensor {
    const char *name;
    enum st_type type;
    const char *type_text; /* as the file says it */
    uint32_t dims;
    uint64_t shape[ST_MAX_DIMS];
    uint64_t elements;
    const void *data; /* little-endian, at any alignment */
    uint64_t bytes;
};

struct st_file {
    const char *path;          /* for messages */
    struct st_tensor *tensors; /* in the order of their offsets */
    uint32_t count;
    const char **metadata; /* key, value, key, value, ...; metadata_count pairs */
    uint32_t metadata_count;
    struct arena arena;
    struct file_view view; /* of the file; empty when memory is the caller's */
};

/* Maps a file, which must not be cut short while it is open, and checks all of it that can be
 * checked without its use. STATUS_IO when it cannot
 * be opened or read, STATUS_BAD_INPUT for its content. On failure *file needs no finish. */
status st_open(struct logger *log, const char *path, struct st_file *file);
/* The same for bytes in memory, which must outlive it. */
status st_parse(struct logger *log, const char *path, const void *bytes, size_t size,
                struct st_file *file);
void st_finish(struct st_file *file);

/* NULL when there is none of that name. */
const struct st_tensor *st_find(const struct st_file *file, const char *name);
const char *st_metadata(const struct st_file *file, const char *key); /* NULL if absent */
/* "[2, 3, 4]" into text; returns text. */
const char *st_shape_text(const struct st_tensor *tensor, char *text, size_t size);

/* Converts `count` elements from element `first` on, which the tensor has. F32, F16, BF16, F64
 * only: otherwise STATUS_BAD_INPUT, with path and tensor. */
status st_read_floats(struct logger *log, const struct st_file *file,
                      const struct st_tensor *tensor, uint64_t first, uint64_t count, float *out);
/* The numbers where they lie, when they are F32 and the host reads them as they are; else NULL. */
const float *st_floats(const struct st_tensor *tensor);
/* I32 or I64 only; values that int64 holds. */
status st_read_ints(struct logger *log, const struct st_file *file, const struct st_tensor *tensor,
                    uint64_t first, uint64_t count, int64_t *out);

/* Writes tensors (name, type, dims, shape, data, bytes are read) to a temporary file beside `path`
 * and renames it; a target that exists and is not a regular file is written directly. On failure
 * the old file stays and STATUS_IO is reported. Names are UTF-8 and differ; data is little-endian.
 * metadata: key, value pairs, may be NULL. */
status st_write(struct logger *log, const char *path, const struct st_tensor *tensors,
                uint32_t count, const char *const *metadata, uint32_t metadata_count);

/* A file whose tensors are still to be filled in; it takes no host memory where files can be
 * mapped. */
struct st_draft {
    struct file_writer writer;
    uint8_t *bytes; /* of the file */
    size_t size;
    bool mapped; /* else of malloc, and to be written */
};

/* Begins a file as st_write does, with the room that it needs on the disk, and points each tensor's
 * `data` to its bytes, all zero, at a multiple of its element's size. `path` outlives the draft. On
 * failure *draft needs no discard. */
status st_draft_open(struct logger *log, const char *path, struct st_tensor *tensors,
                     uint32_t count, const char *const *metadata, uint32_t metadata_count,
                     struct st_draft *draft);
/* Until the tensors are on disk, where they are mapped: the time that commit would take. After a
 * failure, which it reports, the draft is good for discard only. */
status st_draft_sync(struct st_draft *draft);
/* Puts the file in place, or leaves the old one there; {0} is fine for discard. */
status st_draft_commit(struct st_draft *draft);
void st_draft_discard(struct st_draft *draft);

#endif
