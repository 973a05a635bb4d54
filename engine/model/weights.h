/* weights: the numbers of a model, in one block of memory, in the layout that the ops read.
 *
 * Tables and products are kept in the storage type; biases, norms and the router in f32. Rows are
 * padded with zeros to whole quads, and so is every head's block of columns (projections.h). */
#ifndef WEIGHTS_H
#define WEIGHTS_H

#include "model/projections.h"
#include "model/safetensors.h"

/* A tensor within the block. */
struct weight {
    enum element_type type;
    uint64_t offset;   /* bytes */
    uint64_t elements; /* padding included */
};

static inline uint64_t weight_bytes(const struct weight *weight)
{
    return weight->elements * element_bytes(weight->type);
}

/* C = A W + b; W [k, n], b [n]. Where A's rows are those of a norm, W and b hold its scale and
 * shift (weights_fold.h), and after b come the sums of W's columns. */
struct linear_weights {
    struct weight weight, bias;
    uint32_t k4, n4; /* quads */
};

struct norm_weights {
    struct weight scale, bias;
};

struct layer_weights {
    struct norm_weights attention_norm, ffn_norm; /* folded into what reads them */
    struct linear_weights *products;          /* weights.projections.count */
    struct weight router_weight, router_bias; /* multires attention only */
    struct linear_weights output, ffn_in, ffn_out;
};

struct weights {
    enum element_type type; /* storage type */
    struct projections projections;
    struct weight token_table, position_table;
    struct layer_weights *layers;
    struct norm_weights norm;
    struct linear_weights classifier_in, classifier_out;
    struct gpu_buffer *buffer; /* the block; NULL on the reference path */
    uint8_t *host;             /* the block on the reference path, else NULL */
    uint64_t bytes;
    struct arena arena;
};

/* Loads a model file that fits `config`. device NULL: for the reference path. STATUS_BAD_INPUT
 * names path and tensor. On failure *weights needs no finish. */
status weights_load(struct logger *log, struct gpu_device *device,
                    const struct model_config *config, const char *path, enum element_type type,
                    struct weights *weights);
/* The same of an open file, which may go afterwards. */
status weights_take(struct logger *log, struct gpu_device *device,
                    const struct model_config *config, const struct st_file *file,
                    enum element_type type, struct weights *weights);
void weights_finish(struct weights *weights);

#endif
