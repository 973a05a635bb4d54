/* shapes: calls that stand for their classes (choices.h) when kernels are timed: widths of an
 * attention with d 64, of a layer of 512, and of a small text model (d 32, layers of 96 and 192),
 * over as many rows as are asked for. */
#ifndef SHAPES_H
#define SHAPES_H

#include "ops/random.h"
#include "ops/ops.h"

/* One class; a class has one shape at most. */
struct op_shape {
    const struct op *op;
    const char *text; /* "dk 64, dv 64, top1" */
    uint32_t a, b;    /* widths in numbers; b 0 where there is one */
    uint32_t kind;    /* of struct op_shape_class */
    uint32_t rows;    /* to be timed at most; a multiple of SHAPE_ROWS */
    /* Fills params, options, and type and elements of each tensor. */
    void (*fill)(const struct op_shape *shape, enum element_type type, uint32_t rows,
                 struct op_call *call);
};

#define SHAPE_ROWS 256 /* rows are a multiple of it */

/* Those that matter most come first. */
extern const struct op_shape op_shapes[];
extern const uint32_t op_shape_count;

/* The call over so many rows. */
struct op_call op_shape_call(const struct op_shape *shape, enum element_type type, uint32_t rows);
/* Fills host memory of an input of such a call: numbers in [0.5, 1.5), full lengths, indices. */
void op_shape_fill(struct random *random, const struct op_call *call, uint32_t index);

#endif
