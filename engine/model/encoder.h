/* encoder: the graph of a model for one shape: token ids in, logits out. */
#ifndef ENCODER_H
#define ENCODER_H

#include "model/plan.h"
#include "model/weights.h"

struct encoder {
    struct graph graph;
    struct plan_binding *bindings; /* an entry a tensor of the graph: the weights' are filled in,
                                    * the caller fills those of tokens, lengths and logits */
    tensor_id tokens;              /* u32 [batch, n], each < vocab_size */
    tensor_id lengths;             /* u32 [batch], each <= n */
    tensor_id logits;              /* f32 [batch, num_labels], rows padded to whole quads */
};

/* Builds the graph; batch >= 1, 1 <= n <= max_position_embeddings. `weights` must outlive it.
 * copied: kernels read a copy of the lengths, whose own buffer needs no usage but storage then.
 * STATUS_OUT_OF_DEVICE_MEMORY when batch * n passes 32 bits. On failure *encoder needs no
 * finish. */
status encoder_build(struct logger *log, const struct model_config *config,
                     const struct weights *weights, uint32_t batch, uint32_t n, bool copied,
                     struct encoder *encoder);
void encoder_finish(struct encoder *encoder);
/* Operations and bytes of one run: the sum over its calls. */
void encoder_cost(const struct encoder *encoder, double *operations, double *bytes);
/* An upper bound of the activations of one row of n tokens, in bytes: what a batch is sliced by. */
uint64_t encoder_row_bytes(const struct model_config *config, const struct weights *weights,
                           uint32_t n);

#endif
