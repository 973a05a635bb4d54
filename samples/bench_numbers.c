#include "bench_numbers.h"
#include "ops/random.h"
#include <stdlib.h>

#define COUNT      1048583 /* a prime */
#define CHUNK      1048576 /* numbers written at a time */
#define INPUT_SEED 2108

status numbers_create(struct logger *log, struct numbers *numbers)
{
    struct random random = random_seed(INPUT_SEED);
    for (uint32_t type = 0; type < ARRAY_SIZE(numbers->values); type++) {
        numbers->values[type] = malloc(COUNT * sizeof(float));
        if (!numbers->values[type]) {
            return fail(log, STATUS_OUT_OF_HOST_MEMORY, "bench: no memory for %d numbers", COUNT);
        }
    }
    for (size_t i = 0; i < COUNT; i++) {
        float value = (float)random_normal(&random);
        numbers->values[TYPE_F32][i] = value;
        numbers->values[TYPE_F16][i] = half_to_float(half_from_float(value));
    }
    return STATUS_OK;
}

void numbers_destroy(struct numbers *numbers)
{
    free(numbers->values[TYPE_F32]);
    free(numbers->values[TYPE_F16]);
    *numbers = (struct numbers){0};
}

float numbers_get(const struct numbers *numbers, enum element_type type, uint64_t i)
{
    return numbers->values[type][i % COUNT];
}

void numbers_row(const struct numbers *numbers, const struct number_rows *rows, uint64_t row,
                 double *out)
{
    const float *values = numbers->values[rows->type];
    uint64_t at = (rows->shift + row * rows->width) % COUNT;
    for (uint32_t i = 0; i < rows->width; i++) {
        out[i] = values[at];
        at = at + 1 == COUNT ? 0 : at + 1;
    }
}

/* Writes one row in storage type at out; the padding stays. */
static void put_row(const struct numbers *numbers, const struct number_rows *rows, uint64_t row,
                    void *out)
{
    const float *values = numbers->values[rows->type];
    uint64_t at = (rows->shift + row * rows->width) % COUNT;
    for (uint32_t done = 0; done < rows->width;) {
        uint32_t count = (uint32_t)size_min(rows->width - done, COUNT - at);
        if (rows->type == ELEMENT_F16) {
            half_from_floats((uint16_t *)out + done, values + at, count);
        } else {
            for (uint32_t i = 0; i < count; i++) {
                ((float *)out)[done + i] = values[at + i];
            }
        }
        done += count;
        at = 0;
    }
}

status numbers_write(const struct numbers *numbers, const struct number_rows *rows,
                     struct gpu_buffer *buffer)
{
    uint64_t row_bytes = (uint64_t)rows->stride * element_bytes(rows->type);
    uint64_t step = size_max(1, CHUNK / rows->stride);
    uint8_t *chunk = calloc(step, row_bytes);
    status result = STATUS_OK;
    if (!chunk) {
        return fail(buffer->device->log, STATUS_OUT_OF_HOST_MEMORY,
                    "bench: no memory for rows of %u numbers", rows->stride);
    }
    for (uint64_t first = 0; first < rows->rows && result == STATUS_OK; first += step) {
        uint64_t count = size_min(step, rows->rows - first);
        for (uint64_t i = 0; i < count; i++) {
            put_row(numbers, rows, first + i, chunk + i * row_bytes);
        }
        result = gpu_buffer_write(buffer, first * row_bytes, chunk, count * row_bytes);
    }
    free(chunk);
    return result;
}
