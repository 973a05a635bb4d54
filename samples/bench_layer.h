/* bench_layer: one attention layer with random weights; bench_layer.c builds it, and
 * bench_layer_check.c computes rows of it by the formulas. */
#ifndef BENCH_LAYER_H
#define BENCH_LAYER_H

#include "attention_form.h"
#include "bench_work.h"

struct layer {
    struct attention_form form; /* its core, with a router of weights */
    struct model_config config;
    struct weights weights; /* on the device, and in host memory for the check */
    struct layer_weights layer;
    struct linear_weights products[ATTN_MAX_HEADS + 1];
    tensor_id x, y;
};

/* work_pass.check */
status layer_check(struct work *work, struct work_error *error);

#endif
