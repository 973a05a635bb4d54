/* steps: the ops of an encoder as steps over rows of activations.
 *
 * A step appends one op to the encoder's graph and returns its output. A failed allocation is kept
 * in the builder (or the graph): what follows it does nothing. */
#ifndef STEPS_H
#define STEPS_H

#include "model/encoder.h"

struct builder {
    const struct model_config *config;
    const struct weights *weights;
    struct encoder *encoder;
    uint32_t batch, n, rows; /* rows = batch * n */
    uint32_t binding_space;  /* entries of encoder->bindings */
    tensor_id lengths;       /* as kernels read them */
    status state;
};

/* Rows of activations of `quads` each, tight. */
struct rows {
    tensor_id tensor;
    uint32_t count, quads;
    uint32_t row;      /* quads from one to the next */
    bool normed;       /* what reads them normalises them, by */
    tensor_id moments; /* a quad a row */
};

struct rows add_rows(struct builder *builder, const char *name, enum element_type type,
                     uint32_t count, uint32_t quads, enum graph_role role);
/* Rows of the storage type as kernels that go over many of them like it: where they would be a
 * multiple of 1 KiB apart, which a processor's cache puts all into few of its sets, they are 128
 * bytes further. */
struct rows add_spread(struct builder *builder, const char *name, uint32_t count, uint32_t quads,
                       enum graph_role role);
/* Quads that such a row takes. */
uint32_t spread_row(enum element_type type, uint32_t quads);
/* Scratch rows of that kind. */
struct rows add_scratch(struct builder *builder, const char *name, uint32_t count, uint32_t quads);
/* A weight as a bound tensor. */
tensor_id add_weight(struct builder *builder, const char *name, const struct weight *weight);
/* Makes encoder->bindings hold `count` entries at least; false when there is no memory. */
bool reserve_bindings(struct builder *builder, uint32_t count);

/* token_embedding[tokens] + position_embedding */
struct rows step_embed(struct builder *builder);
/* The rows of x, whose readers (linear, pool) are to normalise them. */
struct rows step_moments(struct builder *builder, struct rows x);
struct rows step_norm(struct builder *builder, const struct norm_weights *weights, struct rows x);

enum linear_flag {
    LINEAR_PLAIN = 0,
    LINEAR_GELU = 1, /* C = gelu(A W + b) */
    LINEAR_ADD = 2,  /* C += A W + b */
};

/* C = A W + b, over the rows of A. */
void step_linear(struct builder *builder, const struct linear_weights *weights, struct rows a,
                 struct rows c, uint32_t flags);
/* out = attention(x), or out += with LINEAR_ADD: queries, keys and values from the rows x, the
 * router from its weights, the attention of builder->config, the output projection. */
void step_attention(struct builder *builder, const struct layer_weights *layer, struct rows x,
                    struct rows out, uint32_t flags);
/* Means of segments of rates[l] rows of each batch row for l < count, each rate over 1: one op for
 * rates that follow one another and divide the next. *pooled gets the rows of each. */
void step_pool(struct builder *builder, struct rows x, const uint32_t *rates, uint32_t count,
               struct rows *pooled);
/* The mean of each batch row's valid rows: f32 [batch]. */
struct rows step_mean(struct builder *builder, struct rows x);

#endif
