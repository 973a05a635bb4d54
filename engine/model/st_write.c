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

/* The header's size, its text and spaces up to a whole step. */
static status write_header(struct file_writer *writer, const char *text)
{
    static const char spaces[HEADER_STEP] = "        ";
    uint8_t prefix[8];
    size_t size = strlen(text), padded = (size_t)size_round_up(size, HEADER_STEP);
    for (int i = 0; i < 8; i++)
        prefix[i] = (uint8_t)((uint64_t)padded >> 8 * i);
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
