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

#endif
