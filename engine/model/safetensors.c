/* safetensors: the header's JSON becomes a table of tensors; what the format forbids is refused.
 * Tensors point into the mapped file, nothing is copied. */
#include "model/safetensors.h"
#include "model/strict_json.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_BYTES 8
#define HEADER_MAX   100000000u
#define METADATA_KEY "__metadata__"

/* What is read so far. */
struct parser {
    struct logger *log;
    struct st_file *file;
    const uint8_t *data; /* behind the header */
    uint64_t data_bytes;
};

/* ---- header ---- */

static uint64_t header_bytes(const uint8_t prefix[PREFIX_BYTES])
{
    uint64_t size = 0;
    for (int i = PREFIX_BYTES - 1; i >= 0; i--)
        size = size << 8 | prefix[i];
    return size;
}

/* Whether bytes that begin so may be of this format. */
static bool begins_as_safetensors(const uint8_t *bytes)
{
    uint64_t size = header_bytes(bytes);
    return size > 0 && size <= HEADER_MAX && bytes[PREFIX_BYTES] == '{';
}

/* Checks the sizes; the header is *size bytes behind the first 8. */
static status check_prefix(struct logger *log, const char *path, const uint8_t *bytes,
                           uint64_t file_bytes, uint64_t *size)
{
    if (file_bytes < PREFIX_BYTES)
        return fail(log, STATUS_BAD_INPUT,
                    "%s: %" PRIu64 " bytes long, expected a safetensors file of at least 8", path,
                    file_bytes);
    *size = header_bytes(bytes);
    if (*size > HEADER_MAX)
        return fail(log, STATUS_BAD_INPUT,
                    "%s: header size %" PRIu64 ", expected at most %u (is it safetensors?)", path,
                    *size, HEADER_MAX);
    if (*size == 0 || (file_bytes > PREFIX_BYTES && bytes[PREFIX_BYTES] != '{'))
        return fail(log, STATUS_BAD_INPUT, "%s: header does not start with '{'", path);
    if (*size > file_bytes - PREFIX_BYTES)
        return fail(log, STATUS_BAD_INPUT,
                    "%s: header of %" PRIu64 " bytes runs past the end of the file, %" PRIu64
                    " bytes long",
                    path, *size, file_bytes);
    return STATUS_OK;
}

/* ---- tensors ---- */

static status fail_tensor(const struct parser *parser, const char *name, const char *key,
                          const json_t *value, const char *expected)
{
    char text[80];
    return fail(parser->log, STATUS_BAD_INPUT, "%s: tensor \"%.200s\": %s: expected %s, got %s",
                parser->file->path, name, key, expected,
                strict_json_text(value, text, sizeof(text)));
}

static status fail_memory(const struct parser *parser)
{
    return fail(parser->log, STATUS_OUT_OF_HOST_MEMORY, "no memory for a table of tensors");
}

static bool plain_integer(const json_t *value, uint64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

/* Fills dims, shape and elements. */
static status parse_shape(const struct parser *parser, const json_t *shape,
                          struct st_tensor *tensor)
{
    if (!json_is_array(shape))
        return fail_tensor(parser, tensor->name, "shape", shape, "a list of non-negative integers");
    if (json_array_size(shape) > ST_MAX_DIMS)
        return fail(parser->log, STATUS_BAD_INPUT,
                    "%s: tensor \"%.200s\": shape has %zu dimensions, expected at most %d",
                    parser->file->path, tensor->name, json_array_size(shape), ST_MAX_DIMS);
    tensor->dims = (uint32_t)json_array_size(shape);
    bool empty = false;
    for (uint32_t i = 0; i < tensor->dims; i++) {
        if (!plain_integer(json_array_get(shape, i), &tensor->shape[i]))
            return fail_tensor(parser, tensor->name, "shape", shape,
                               "a list of non-negative integers");
        empty |= tensor->shape[i] == 0;
    }
    tensor->elements = empty ? 0 : 1;
    for (uint32_t i = 0; i < tensor->dims; i++)
        if (!size_mul(tensor->elements, tensor->shape[i], &tensor->elements))
            return fail_tensor(parser, tensor->name, "shape", shape,
                               "a size that 64 bits can hold");
    return STATUS_OK;
}

/* Fills data and bytes. */
static status parse_offsets(const struct parser *parser, const json_t *offsets,
                            struct st_tensor *tensor)
{
    uint64_t begin, end;
    if (json_array_size(offsets) != 2 || !plain_integer(json_array_get(offsets, 0), &begin) ||
        !plain_integer(json_array_get(offsets, 1), &end))
        return fail_tensor(parser, tensor->name, "data_offsets", offsets,
                           "two non-negative integers");
    if (begin > end)
        return fail_tensor(parser, tensor->name, "data_offsets", offsets, "begin <= end");
    if (end > parser->data_bytes)
        return fail(parser->log, STATUS_BAD_INPUT,
                    "%s: tensor \"%.200s\": data_offsets end at %" PRIu64
                    ", past the end of the data, %" PRIu64 " bytes",
                    parser->file->path, tensor->name, end, parser->data_bytes);
    tensor->data = parser->data + begin;
    tensor->bytes = end - begin;
    return STATUS_OK;
}

/* The shape and the dtype give the size that the offsets must have. */
static status check_size(const struct parser *parser, const struct st_tensor *tensor)
{
    uint64_t bytes;
    char text[200];
    if (tensor->type == ST_UNKNOWN)
        return STATUS_OK;
    if (!size_mul(tensor->elements, st_type_bytes(tensor->type), &bytes))
        return fail(parser->log, STATUS_BAD_INPUT,
                    "%s: tensor \"%.200s\": %s of shape %s: expected a size that 64 bits can hold",
                    parser->file->path, tensor->name, tensor->type_text,
                    st_shape_text(tensor, text, sizeof(text)));
    if (bytes != tensor->bytes)
        return fail(parser->log, STATUS_BAD_INPUT,
                    "%s: tensor \"%.200s\": %s of shape %s: expected %" PRIu64
                    " bytes, data_offsets say %" PRIu64,
                    parser->file->path, tensor->name, tensor->type_text,
                    st_shape_text(tensor, text, sizeof(text)), bytes, tensor->bytes);
    return STATUS_OK;
}

static status parse_tensor(const struct parser *parser, const char *name, const json_t *value,
                           struct st_tensor *tensor)
{
    struct arena *arena = &parser->file->arena;
    tensor->name = arena_strdup(arena, name);
    if (!tensor->name)
        return fail_memory(parser);
    if (!json_is_object(value))
        return fail_tensor(parser, name, "its entry", value,
                           "an object of dtype, shape and data_offsets");
    const json_t *dtype = json_object_get(value, "dtype");
    if (!json_is_string(dtype))
        return fail_tensor(parser, name, "dtype", dtype, "a string");
    tensor->type_text = arena_strdup(arena, json_string_value(dtype));
    if (!tensor->type_text)
        return fail_memory(parser);
    tensor->type = st_type_find(tensor->type_text);
    status result = parse_shape(parser, json_object_get(value, "shape"), tensor);
    if (result == STATUS_OK)
        result = parse_offsets(parser, json_object_get(value, "data_offsets"), tensor);
    if (result == STATUS_OK)
        result = check_size(parser, tensor);
    return result;
}

static status parse_metadata(const struct parser *parser, json_t *metadata)
{
    struct st_file *file = parser->file;
    char text[80];
    if (!json_is_object(metadata))
        return fail(parser->log, STATUS_BAD_INPUT,
                    "%s: " METADATA_KEY ": expected an object of strings, got %s", file->path,
                    strict_json_text(metadata, text, sizeof(text)));
    file->metadata = arena_alloc(&file->arena, 2 * json_object_size(metadata), sizeof(char *));
    if (!file->metadata)
        return fail_memory(parser);
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value))
            return fail(parser->log, STATUS_BAD_INPUT,
                        "%s: " METADATA_KEY ": key \"%.200s\": expected a string, got %s",
                        file->path, key, strict_json_text(value, text, sizeof(text)));
        const char **pair = file->metadata + 2 * (size_t)file->metadata_count;
        pair[0] = arena_strdup(&file->arena, key);
        pair[1] = arena_strdup(&file->arena, json_string_value(value));
        if (!pair[0] || !pair[1])
            return fail_memory(parser);
        file->metadata_count++;
    }
    return STATUS_OK;
}

/* ---- the whole ---- */

/* jansson reads -0 as the integer 0, so only the text tells. Outside of strings a minus stands in
 * no plain non-negative integer. `text` is valid JSON. */
static status check_no_minus(const struct parser *parser, const char *text, size_t size)
{
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (!in_string && text[i] == '-')
            return fail(parser->log, STATUS_BAD_INPUT,
                        "%s: header has a minus at its byte %zu, expected plain non-negative "
                        "integers",
                        parser->file->path, i);
    }
    return STATUS_OK;
}

/* By place; empty tensors come before what starts where they lie. */
static int compare_tensors(const void *left, const void *right)
{
    const struct st_tensor *a = left, *b = right;
    if (a->data != b->data)
        return (const char *)a->data < (const char *)b->data ? -1 : 1;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* Tensors must follow each other from the data's first byte to its last. */
static status check_places(const struct parser *parser)
{
    const struct st_file *file = parser->file;
    uint64_t end = 0;
    const char *before = "";
    for (uint32_t i = 0; i < file->count; i++) {
        const struct st_tensor *tensor = &file->tensors[i];
        uint64_t begin = (uint64_t)((const uint8_t *)tensor->data - parser->data);
        if (begin != end)
            return fail(parser->log, STATUS_BAD_INPUT,
                        "%s: tensor \"%.200s\": data_offsets begin at %" PRIu64
                        ", which %s: expected %" PRIu64 ", right behind %s%.200s",
                        file->path, tensor->name, begin, begin < end ? "overlaps" : "leaves a hole",
                        end, i ? "tensor " : "the header", before);
        end = begin + tensor->bytes;
        before = tensor->name;
    }
    if (end != parser->data_bytes)
        return fail(parser->log, STATUS_BAD_INPUT,
                    "%s: tensors end at byte %" PRIu64
                    " of the data, expected its end, at byte %" PRIu64,
                    file->path, end, parser->data_bytes);
    return STATUS_OK;
}

static status parse_root(const struct parser *parser, json_t *root)
{
    struct st_file *file = parser->file;
    file->tensors = arena_alloc(&file->arena, json_object_size(root), sizeof(*file->tensors));
    if (!file->tensors)
        return fail_memory(parser);
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value)
    {
        status result = strcmp(key, METADATA_KEY) == 0
                            ? parse_metadata(parser, value)
                            : parse_tensor(parser, key, value, &file->tensors[file->count++]);
        if (result != STATUS_OK)
            return result;
    }
    qsort(file->tensors, file->count, sizeof(*file->tensors), compare_tensors);
    return check_places(parser);
}

status st_parse(struct logger *log, const char *path, const void *bytes, size_t size,
                struct st_file *file)
{
    *file = (struct st_file){0};
    uint64_t header = 0;
    status result = check_prefix(log, path, bytes, size, &header);
    if (result != STATUS_OK)
        return result;
    const char *text = (const char *)bytes + PREFIX_BYTES;
    json_t *root;
    result = strict_json_parse(log, path, "header", text, (size_t)header, &root);
    if (result != STATUS_OK)
        return result;
    struct parser parser = {
        .log = log,
        .file = file,
        .data = (const uint8_t *)text + header,
        .data_bytes = size - PREFIX_BYTES - header,
    };
    file->path = arena_strdup(&file->arena, path);
    result = file->path ? parse_root(&parser, root) : fail_memory(&parser);
    if (result == STATUS_OK)
        result = check_no_minus(&parser, text, (size_t)header);
    json_decref(root);
    if (result != STATUS_OK)
        st_finish(file);
    return result;
}

status st_open(struct logger *log, const char *path, struct st_file *file)
{
    struct file_view view;
    *file = (struct st_file){0};
    status result = file_view_open(log, path, begins_as_safetensors, &view);
    if (result != STATUS_OK)
        return result;
    result = st_parse(log, path, view.bytes, view.size, file);
    if (result == STATUS_OK)
        file->view = view;
    else
        file_view_finish(&view);
    return result;
}

void st_finish(struct st_file *file)
{
    arena_finish(&file->arena);
    file_view_finish(&file->view);
    *file = (struct st_file){0};
}

const struct st_tensor *st_find(const struct st_file *file, const char *name)
{
    for (uint32_t i = 0; i < file->count; i++)
        if (strcmp(file->tensors[i].name, name) == 0)
            return &file->tensors[i];
    return NULL;
}

const char *st_metadata(const struct st_file *file, const char *key)
{
    for (uint32_t i = 0; i < file->metadata_count; i++)
        if (strcmp(file->metadata[2 * i], key) == 0)
            return file->metadata[2 * i + 1];
    return NULL;
}
