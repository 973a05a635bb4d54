/* st_types: the dtypes of safetensors, and reading numbers of any host's byte order and alignment.
 */
#include "model/safetensors.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CHUNK 1024

/* Compilers make one load of these where the host allows it. */
static uint16_t load_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static uint32_t load_u32(const uint8_t *bytes)
{
    return load_u16(bytes) | (uint32_t)load_u16(bytes + 2) << 16;
}

static uint64_t load_u64(const uint8_t *bytes)
{
    return load_u32(bytes) | (uint64_t)load_u32(bytes + 4) << 32;
}

static void floats_of_f16(float *out, const uint8_t *in, size_t count)
{
    uint16_t chunk[CHUNK];
    for (size_t first = 0; first < count; first += CHUNK) {
        size_t part = count - first < CHUNK ? count - first : CHUNK;
        for (size_t i = 0; i < part; i++)
            chunk[i] = load_u16(in + 2 * (first + i));
        half_to_floats(out + first, chunk, part);
    }
}

static void floats_of_bf16(float *out, const uint8_t *in, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = bfloat_to_float(load_u16(in + 2 * i));
}

static void floats_of_f32(float *out, const uint8_t *in, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = load_u32(in + 4 * i);
        memcpy(out + i, &bits, sizeof(bits));
    }
}

static void floats_of_f64(float *out, const uint8_t *in, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = load_u64(in + 8 * i);
        double value;
        memcpy(&value, &bits, sizeof(bits));
        out[i] = (float)value;
    }
}

static void ints_of_i32(int64_t *out, const uint8_t *in, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (int32_t)load_u32(in + 4 * i);
}

static void ints_of_i64(int64_t *out, const uint8_t *in, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (int64_t)load_u64(in + 8 * i);
}

static const struct type_row {
    const char *name;
    uint32_t bytes;
    void (*floats)(float *out, const uint8_t *in, size_t count); /* NULL: not a float type */
    void (*ints)(int64_t *out, const uint8_t *in, size_t count); /* NULL: not read as ints */
} types[] = {
    [ST_BOOL] = {"BOOL", 1},
    [ST_U8] = {"U8", 1},
    [ST_I8] = {"I8", 1},
    [ST_I16] = {"I16", 2},
    [ST_U16] = {"U16", 2},
    [ST_F16] = {"F16", 2, .floats = floats_of_f16},
    [ST_BF16] = {"BF16", 2, .floats = floats_of_bf16},
    [ST_I32] = {"I32", 4, .ints = ints_of_i32},
    [ST_U32] = {"U32", 4},
    [ST_F32] = {"F32", 4, .floats = floats_of_f32},
    [ST_F64] = {"F64", 8, .floats = floats_of_f64},
    [ST_I64] = {"I64", 8, .ints = ints_of_i64},
    [ST_U64] = {"U64", 8},
    [ST_UNKNOWN] = {"unknown", 0},
};

const char *st_type_name(enum st_type type)
{
    return types[type].name;
}

uint32_t st_type_bytes(enum st_type type)
{
    return types[type].bytes;
}

enum st_type st_type_find(const char *name)
{
    enum st_type type = 0;
    while (type < ST_UNKNOWN && strcmp(types[type].name, name) != 0)
        type++;
    return type;
}

const char *st_shape_text(const struct st_tensor *tensor, char *text, size_t size)
{
    size_t used = 0;
    for (uint32_t i = 0; i < tensor->dims && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%" PRIu64, i ? ", " : "[",
                                 tensor->shape[i]);
    if (used < size)
        snprintf(text + used, size - used, tensor->dims ? "]" : "[]");
    return text;
}

static const uint8_t *element(const struct st_tensor *tensor, uint64_t first, uint64_t count)
{
    assert(first <= tensor->elements && count <= tensor->elements - first);
    (void)count;
    return count ? (const uint8_t *)tensor->data + first * types[tensor->type].bytes : NULL;
}

static status wrong_type(struct logger *log, const struct st_file *file,
                         const struct st_tensor *tensor, const char *expected)
{
    return fail(log, STATUS_BAD_INPUT, "%s: tensor \"%.200s\" is of dtype %.40s, expected %s",
                file->path, tensor->name, tensor->type_text, expected);
}

const float *st_floats(const struct st_tensor *tensor)
{
    static const uint16_t one = 1;
    bool little_endian = *(const uint8_t *)&one == 1;
    bool aligned = (uintptr_t)tensor->data % sizeof(float) == 0;
    return tensor->type == ST_F32 && little_endian && aligned ? tensor->data : NULL;
}

status st_read_floats(struct logger *log, const struct st_file *file,
                      const struct st_tensor *tensor, uint64_t first, uint64_t count, float *out)
{
    if (!types[tensor->type].floats)
        return wrong_type(log, file, tensor, "F32, F16, BF16 or F64");
    types[tensor->type].floats(out, element(tensor, first, count), (size_t)count);
    return STATUS_OK;
}

status st_read_ints(struct logger *log, const struct st_file *file, const struct st_tensor *tensor,
                    uint64_t first, uint64_t count, int64_t *out)
{
    if (!types[tensor->type].ints)
        return wrong_type(log, file, tensor, "I32 or I64");
    types[tensor->type].ints(out, element(tensor, first, count), (size_t)count);
    return STATUS_OK;
}
