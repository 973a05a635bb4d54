/* model: the inside of adamra_model, and what tests need of it beyond adamra.h. */
#ifndef MODEL_H
#define MODEL_H

#include "context.h"
#include "model/encoder.h"

#define MODEL_PLANS 4 /* shapes kept */

/* What runs one shape. */
struct model_plan {
    uint32_t batch, n;  /* batch 0: empty */
    uint64_t last_used; /* the model's count of uses then */
    uint64_t memory;    /* bytes of the device's */
    struct encoder encoder;
    struct gpu_buffer *tokens, *lengths, *logits;
    struct plan *plan;
    double operations, bytes;
};

struct adamra_model {
    struct adamra_context *context;
    struct model_config config;
    struct weights weights;
    struct model_plan plans[MODEL_PLANS];
    uint64_t uses;
    uint64_t slice_bytes;
};

/* Bounds the activations of one submission: batches beyond it run in slices, a row at least. */
void adamra_model_slice(adamra_model *model, uint64_t bytes);

/* The plan of a shape; a new one takes the place of the least recently used, and of as many as the
 * device's memory asks for. STATUS_OUT_OF_DEVICE_MEMORY of more than one row is not reported: fewer
 * may do. (model_plans.c) */
status model_plan_find(struct adamra_model *model, uint32_t batch, uint32_t n,
                       struct model_plan **out);
void model_plans_finish(struct adamra_model *model);

#endif
