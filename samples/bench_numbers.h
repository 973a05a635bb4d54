/* bench_numbers: the inputs of a benchmark. A long sequence of normally distributed numbers repeats
 * through every tensor, so that gigabytes are made at the speed of a copy, and the check can look
 * up any number without a copy of the tensor. Its length is prime: rows differ. */
#ifndef BENCH_NUMBERS_H
#define BENCH_NUMBERS_H

#include "ops/ops.h"

struct numbers {
    float *values[2]; /* by storage type: those of TYPE_F16 are halves' values */
};

/* A tensor of such numbers: `rows` of `width`, each padded with zeros to `stride`. */
struct number_rows {
    enum element_type type; /* f32 or f16 */
    uint64_t rows;
    uint32_t width, stride;
    uint64_t shift; /* where in the sequence it starts */
};

status numbers_create(struct logger *log, struct numbers *numbers);
void numbers_destroy(struct numbers *numbers);
/* Columns [0, width) of a row, as the device reads them. */
void numbers_row(const struct numbers *numbers, const struct number_rows *rows, uint64_t row,
                 double *out);
/* Number i of the sequence. */
float numbers_get(const struct numbers *numbers, enum element_type type, uint64_t i);
/* Fills a buffer of rows * stride numbers. */
status numbers_write(const struct numbers *numbers, const struct number_rows *rows,
                     struct gpu_buffer *buffer);

#endif
