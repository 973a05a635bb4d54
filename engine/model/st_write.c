/* st_write: a safetensors file, written from tensors in memory as a stream. */
#include "model/safetensors.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_STEP 8 /* the header is padded by spaces, so that the data is aligned */

/* An entry of the header; NULL when memory is short or the name is not UTF-8. */
static json_t *describe(const struct st_tensor *tensor, uint64_t begin)
{
    json_t *shape = json_array();
    for (uint32_t i = 0; i < tensor->dims; i++)
        if (json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", st_type_name(tensor->type), "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)(begin + tensor->bytes));
}

static json_t *describe_metadata(const char *const *metadata, uint32_t count)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < count; i++)
        if (json_object_set_new(object, metadata[2 * i], json_string(metadata[2 * i + 1])) != 0) {
            json_decref(object);
            return NULL;
        }
    return object;
}

/* The header's JSON text, to be freed; NULL as above. */
static char *make_header(const struct st_tensor *tensors, uint32_t count,
                         const char *const *metadata, uint32_t metadata_count)
{
    char *text = NULL;
    json_t *root = json_object();
    if (metadata_count > 0 &&
        json_object_set_new(root, "__metadata__", describe_metadata(metadata, metadata_count)) != 0)
        goto out;
    uint64_t begin = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (json_object_set_new(root, tensors[i].name, describe(&tensors[i], begin)) != 0)
            goto out;
        begin += tensors[i].bytes;
    }
    text = json_dumps(root, JSON_COMPACT);
out:
    json_decref(root);
    return text;
}

#define PREFIX_BYTES 8

/* The header's size: of its text and spaces up to a whole step. */
static size_t set_prefix(const char *text, uint8_t prefix[PREFIX_BYTES])
{
    size_t padded = (size_t)size_round_up(strlen(text), HEADER_STEP);
    for (int i = 0; i < PREFIX_BYTES; i++)
        prefix[i] = (uint8_t)((uint64_t)padded >> 8 * i);
    return padded;
}

static status write_header(struct file_writer *writer, const char *text)
{
    static const char spaces[HEADER_STEP] = "        ";
    uint8_t prefix[PREFIX_BYTES];
    size_t size = strlen(text), padded = set_prefix(text, prefix);
    status result = file_writer_write(writer, prefix, sizeof(prefix));
    if (result == STATUS_OK)
        result = file_writer_write(writer, text, size);
    if (result == STATUS_OK)
        result = file_writer_write(writer, spaces, padded - size);
    return result;
}

status st_write(struct logger *log, const char *path, const struct st_tensor *tensors,
                uint32_t count, const char *const *metadata, uint32_t metadata_count)
{
    char *header = make_header(tensors, count, metadata, metadata_count);
    if (!header)
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory for the header", path);
    struct file_writer writer;
    status result = file_writer_open(log, path, &writer);
    if (result != STATUS_OK)
        goto out;
    result = write_header(&writer, header);
    for (uint32_t i = 0; i < count && result == STATUS_OK; i++)
        result = file_writer_write(&writer, tensors[i].data, (size_t)tensors[i].bytes);
    if (result == STATUS_OK)
        result = file_writer_commit(&writer);
    else
        file_writer_discard(&writer);
out:
    free(header);
    return result;
}

/* ---- drafts ---- */

/* All zeros; mapped where that can be done. */
static status make_room(struct logger *log, struct st_draft *draft)
{
    void *memory;
    status result = file_writer_map(&draft->writer, draft->size, &memory);
    draft->mapped = memory != NULL;
    if (!result && !memory) {
        memory = calloc(1, draft->size);
        if (!memory)
            result = fail(log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory for %zu bytes",
                          draft->writer.path, draft->size);
    }
    draft->bytes = memory;
    return result;
}

/* Bytes of the file; false when they do not fit. */
static bool count_bytes(const struct st_tensor *tensors, uint32_t count, size_t header, size_t *out)
{
    uint64_t size = PREFIX_BYTES + (uint64_t)header;
    for (uint32_t i = 0; i < count; i++)
        if (!size_add(size, tensors[i].bytes, &size))
            return false;
    *out = (size_t)size;
    return size <= SIZE_MAX;
}

/* Fills the start of the file, and says where tensors are. */
static void fill_header(const char *text, struct st_tensor *tensors, uint32_t count, uint8_t *bytes)
{
    size_t padded = set_prefix(text, bytes), size = strlen(text);
    memcpy(bytes + PREFIX_BYTES, text, size);
    memset(bytes + PREFIX_BYTES + size, ' ', padded - size);
    uint8_t *next = bytes + PREFIX_BYTES + padded;
    for (uint32_t i = 0; i < count; i++) {
        tensors[i].data = next;
        next += tensors[i].bytes;
    }
}

status st_draft_open(struct logger *log, const char *path, struct st_tensor *tensors,
                     uint32_t count, const char *const *metadata, uint32_t metadata_count,
                     struct st_draft *draft)
{
    *draft = (struct st_draft){0};
    uint8_t prefix[PREFIX_BYTES];
    char *header = make_header(tensors, count, metadata, metadata_count);
    if (!header)
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory for the header", path);
    status result = STATUS_OK;
    if (!count_bytes(tensors, count, set_prefix(header, prefix), &draft->size))
        result = fail(log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory for over 2^64 bytes", path);
    if (!result)
        result = file_writer_open(log, path, &draft->writer);
    if (result)
        goto out;
    result = make_room(log, draft);
    if (result)
        st_draft_discard(draft);
    else
        fill_header(header, tensors, count, draft->bytes);
out:
    free(header);
    return result;
}

status st_draft_sync(struct st_draft *draft)
{
    return draft->mapped ? file_writer_sync(&draft->writer) : STATUS_OK;
}

status st_draft_commit(struct st_draft *draft)
{
    status result = STATUS_OK;
    if (!draft->mapped)
        result = file_writer_write(&draft->writer, draft->bytes, draft->size);
    if (result) {
        st_draft_discard(draft);
        return result;
    }
    result = file_writer_commit(&draft->writer);
    if (!draft->mapped)
        free(draft->bytes);
    *draft = (struct st_draft){0};
    return result;
}

void st_draft_discard(struct st_draft *draft)
{
    if (draft->writer.path)
        file_writer_discard(&draft->writer);
    if (!draft->mapped)
        free(draft->bytes);
    *draft = (struct st_draft){0};
}
