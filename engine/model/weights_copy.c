#include "model/weights_copy.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_ELEMENTS 65536 /* read at once, so that a transposed chunk stays in cache */

static status check_chunk(struct logger *log, const struct st_file *file,
                          const struct weight_copy *copy, const float *chunk, uint64_t first,
                          uint64_t count)
{
    bool half = copy->target->type == ELEMENT_F16;
    for (uint64_t i = 0; i < count; i++) {
        if (!isfinite(chunk[i]))
            return fail(log, STATUS_BAD_INPUT,
                        "%s: tensor \"%s\": element %" PRIu64 " is %s: expected finite numbers",
                        file->path, copy->source->name, first + i,
                        isnan(chunk[i]) ? "NaN" : "infinite");
        if (half && fabsf(chunk[i]) >= HALF_OVERFLOW)
            return fail(log, STATUS_BAD_INPUT,
                        "%s: tensor \"%s\": element %" PRIu64
                        " is %g: expected at most 65504 for 16 bit storage",
                        file->path, copy->source->name, first + i, (double)chunk[i]);
    }
    return STATUS_OK;
}

static void store(const struct weight *target, uint8_t *block, uint64_t element, float value)
{
    uint8_t *place = block + target->offset + element * element_bytes(target->type);
    if (target->type == ELEMENT_F16) {
        uint16_t half = half_from_float(value);
        memcpy(place, &half, sizeof(half));
    } else {
        memcpy(place, &value, sizeof(value));
    }
}

static void scatter(const struct weight_copy *copy, const float *chunk, uint64_t first_row,
                    uint64_t rows, uint8_t *block)
{
    for (uint64_t c = 0; c < copy->columns; c++) {
        uint64_t column =
            copy->start + c / copy->block * copy->block_step + c % copy->block * copy->column_step;
        for (uint64_t r = 0; r < rows; r++)
            store(copy->target, block, column + (first_row + r) * copy->row_step,
                  chunk[r * copy->columns + c]);
    }
}

static status run_copy(struct logger *log, const struct st_file *file,
                       const struct weight_copy *copy, uint8_t *block)
{
    uint64_t step = size_max(1, CHUNK_ELEMENTS / copy->columns);
    float *chunk = malloc(step * copy->columns * sizeof(*chunk));
    if (!chunk)
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "%s: no memory to read tensor \"%s\"",
                    file->path, copy->source->name);
    status result = STATUS_OK;
    for (uint64_t row = 0; result == STATUS_OK && row < copy->rows; row += step) {
        uint64_t rows = size_min(step, copy->rows - row), count = rows * copy->columns;
        uint64_t first = (copy->first_row + row) * copy->columns;
        result = st_read_floats(log, file, copy->source, first, count, chunk);
        if (result == STATUS_OK)
            result = check_chunk(log, file, copy, chunk, first, count);
        if (result == STATUS_OK)
            scatter(copy, chunk, row, rows, block);
    }
    free(chunk);
    return result;
}

status weight_copies_run(struct logger *log, const struct st_file *file,
                         const struct weight_copy *copies, uint8_t *block)
{
    status result = STATUS_OK;
    for (; result == STATUS_OK && copies; copies = copies->next)
        result = run_copy(log, file, copies, block);
    return result;
}
