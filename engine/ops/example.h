/* example: what the ops' `example` and `prepare` functions draw from: sizes, strides, lengths. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include "ops/random.h"
#include "ops/span.h"

/* True once in `times` draws. */
bool example_chance(struct random *random, uint32_t times);
/* A number of quads in a row, 1 to 24: around the sizes of kernels' tiles, and between them. */
uint32_t example_quads(struct random *random);
/* A number of rows, 1 to `most`, often small. */
uint32_t example_rows(struct random *random, uint32_t most);
/* Strides of a [batch, groups, heads, rows, width] tensor whose rows of one head follow each other
 * or whose heads of one row do, with or without gaps between them. */
struct span_layout example_layout(struct random *random, uint32_t groups, uint32_t heads,
                                  uint64_t rows, uint64_t width);
/* Sets type and elements of tensor `index`: all of a layout's `batch` rows. */
void example_place(struct op_call *call, uint32_t index, enum element_type type,
                   const struct span_layout *layout, uint64_t batch);
/* Sets type and elements of tensor `index`. */
void example_tensor(struct op_call *call, uint32_t index, enum element_type type,
                    uint64_t elements);
/* Fills a u32 tensor with lengths: half of them `most`, others 0, 1, more, or any. */
void example_lengths(struct random *random, const struct tensor *lengths, uint32_t most);
/* Fills a u32 tensor with numbers from 0 to `most`. */
void example_numbers(struct random *random, const struct tensor *numbers, uint32_t most);

#endif
