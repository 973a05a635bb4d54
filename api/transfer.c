#include "transfer.h"
#include <stdlib.h>
#include <string.h>

/* Rows are converted through host memory of this size where the host cannot map the buffer. */
#define CHUNK_BYTES ((uint64_t)4 << 20)

/* Rows of one slot, with rows that need no padding taken apart into single numbers: then a chunk
 * may end anywhere. */
struct rows {
    enum element_type type;
    uint64_t count;
    uint64_t width, stride;
    uint64_t bytes; /* of a row on the device */
};

static struct rows slot_rows(const struct slot *slot)
{
    struct rows rows = {.type = slot->type, .width = 1, .stride = 1};
    rows.count = slot->rows * slot->width;
    if (slot->width != slot->stride) {
        rows.count = slot->rows;
        rows.width = slot->width;
        rows.stride = slot->stride;
    }
    rows.bytes = rows.stride * element_bytes(rows.type);
    return rows;
}

static bool is_plain(const struct rows *rows)
{
    return rows->type == ELEMENT_F32 && rows->width == rows->stride;
}

static void to_storage(enum element_type type, void *out, const float *in, uint64_t count)
{
    if (type == ELEMENT_F16)
        half_from_floats(out, in, count);
    else
        memcpy(out, in, count * sizeof(float));
}

static void from_storage(enum element_type type, float *out, const void *in, uint64_t count)
{
    if (type == ELEMENT_F16)
        half_to_floats(out, in, count);
    else
        memcpy(out, in, count * sizeof(float));
}

static void pack_rows(const struct rows *rows, uint8_t *out, const float *in, uint64_t count)
{
    if (rows->width == rows->stride) {
        to_storage(rows->type, out, in, count * rows->width);
        return;
    }
    uint64_t used = rows->width * element_bytes(rows->type);
    for (uint64_t row = 0; row < count; row++, out += rows->bytes, in += rows->width) {
        to_storage(rows->type, out, in, rows->width);
        memset(out + used, 0, rows->bytes - used);
    }
}

static void unpack_rows(const struct rows *rows, float *out, const uint8_t *in, uint64_t count)
{
    if (rows->width == rows->stride) {
        from_storage(rows->type, out, in, count * rows->width);
        return;
    }
    for (uint64_t row = 0; row < count; row++, in += rows->bytes, out += rows->width)
        from_storage(rows->type, out, in, rows->width);
}

void transfer_pack(const struct slot *slot, void *out, const float *in, uint64_t count)
{
    struct rows rows = slot_rows(slot);
    pack_rows(&rows, out, in, rows.width == 1 ? count * slot->width : count);
}

void transfer_unpack(const struct slot *slot, float *out, const void *in, uint64_t count)
{
    struct rows rows = slot_rows(slot);
    unpack_rows(&rows, out, in, rows.width == 1 ? count * slot->width : count);
}

static uint8_t *chunk_create(struct gpu_buffer *buffer, const struct rows *rows, uint64_t *count)
{
    *count = size_min(rows->count, size_max(1, CHUNK_BYTES / rows->bytes));
    uint8_t *chunk = malloc(*count * rows->bytes);
    if (!chunk)
        fail(buffer->device->log, STATUS_OUT_OF_HOST_MEMORY, "no memory for a chunk of %llu bytes",
             (unsigned long long)(*count * rows->bytes));
    return chunk;
}

status transfer_upload(struct gpu_buffer *target, const struct slot *slot, const float *data)
{
    struct rows rows = slot_rows(slot);
    if (rows.count == 0)
        return STATUS_OK;
    if (is_plain(&rows))
        return gpu_buffer_write(target, 0, data, rows.count * rows.bytes);
    if (target->mapped) {
        pack_rows(&rows, target->mapped, data, rows.count);
        return gpu_buffer_flush(target, 0, rows.count * rows.bytes);
    }

    uint64_t step;
    uint8_t *chunk = chunk_create(target, &rows, &step);
    if (!chunk)
        return STATUS_OUT_OF_HOST_MEMORY;
    status result = STATUS_OK;
    for (uint64_t first = 0; first < rows.count && !result; first += step) {
        uint64_t count = size_min(step, rows.count - first);
        pack_rows(&rows, chunk, data + first * rows.width, count);
        result = gpu_buffer_write(target, first * rows.bytes, chunk, count * rows.bytes);
    }
    free(chunk);
    return result;
}

status transfer_download(struct gpu_buffer *source, const struct slot *slot, float *data)
{
    struct rows rows = slot_rows(slot);
    if (rows.count == 0)
        return STATUS_OK;
    if (is_plain(&rows))
        return gpu_buffer_read(source, 0, data, rows.count * rows.bytes);
    if (source->mapped) {
        status result = gpu_buffer_invalidate(source, 0, rows.count * rows.bytes);
        if (!result)
            unpack_rows(&rows, data, source->mapped, rows.count);
        return result;
    }

    uint64_t step;
    uint8_t *chunk = chunk_create(source, &rows, &step);
    if (!chunk)
        return STATUS_OUT_OF_HOST_MEMORY;
    status result = STATUS_OK;
    for (uint64_t first = 0; first < rows.count && !result; first += step) {
        uint64_t count = size_min(step, rows.count - first);
        result = gpu_buffer_read(source, first * rows.bytes, chunk, count * rows.bytes);
        if (!result)
            unpack_rows(&rows, data + first * rows.width, chunk, count);
    }
    free(chunk);
    return result;
}
