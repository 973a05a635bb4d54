/* attn: one attention kind = which ops in which order, as one const struct.
 *
 * A kind appends its ops to a graph, over tensors that the caller added: the same code serves the
 * attention core (`attend`, the API) and a layer of a model. */
#ifndef ATTN_H
#define ATTN_H

#include "ops/graph.h"

#define ATTN_MAX_HEADS 64

/* Where the rows of a [B, G, H, rows, width] tensor lie; quads of its storage type. */
struct attn_layout {
    uint64_t start, batch, group, head, row;
};

/* Which blocks of keys a block of queries attends to: bigbird's, as the specification says. */
struct bigbird_pattern {
    uint32_t block;         /* tokens, at least 1 */
    uint32_t global_blocks; /* the first ones: seen by all, and they see all */
    uint32_t window;        /* odd: blocks around the query's own */
    uint32_t random_blocks, seed;
};
extern const struct bigbird_pattern bigbird_defaults;

struct attn_shape {
    uint32_t batch, groups, heads; /* heads: H; 1 for the baselines */
    uint32_t n, m, dk, dv;
    uint32_t rates[ATTN_MAX_HEADS];
    uint32_t routing;               /* ROUTING_... */
    uint32_t feature;               /* FEATURE_... */
    uint32_t pooling;               /* POOLING_... */
    uint32_t router;                /* ROUTER_...; routing none ignores it */
    struct bigbird_pattern bigbird; /* bigbird only; n = m there */
    float eps;
    enum element_type type; /* storage of q, k, v, y */
};

/* Keys or values of one head. pooled: the rows are segments already (ceil(m / rate) of them). */
struct attn_source {
    tensor_id tensor;
    struct attn_layout layout; /* .start includes the head's offset; .head unused */
    bool pooled;
};

struct attn_io {
    tensor_id q, y;
    struct attn_layout q_layout, y_layout; /* both start at 0 */
    struct attn_source k[ATTN_MAX_HEADS], v[ATTN_MAX_HEADS];
    tensor_id key_lengths, query_lengths; /* u32 [B] */
    tensor_id router_logits;              /* or NO_TENSOR */
    tensor_id router_weight, router_bias; /* or NO_TENSOR; weight [G, H, dk4] quads, bias f32 */
    tensor_id router_head, router_prob;   /* outputs, or NO_TENSOR: scratch is made if needed */
};

/* ---- in pieces: sequences that are larger than the device's memory ----
 *
 * Keys are summed in stretches, each from its first key to its last, and the stretches are summed
 * in order. So the same bits come from pieces that hold some rows of several stretches at a time,
 * as long as the rows of each stretch come in order and stretches come in order; and queries do not
 * know of each other. Tensors of a piece are laid out as if it were the whole. */

/* How the keys of a head are cut: `count` stretches of `rows` keys, the last may have fewer. A
 * stretch is cut between pieces at multiples of `unit` only. */
struct attn_stretches {
    uint32_t count, rows, unit;
};

/* A piece of keys: of stretches [stretch, stretch + count) some `rows` rows each, one stretch after
 * the other, and key lengths that count them; of heads with equal stretches. */
struct attn_keys {
    uint32_t head, heads;
    uint32_t stretch, count;
    uint32_t rows;    /* a multiple of the stretches' unit */
    bool first, last; /* piece of these stretches */
};

struct attn_pieces {
    struct attn_stretches (*stretches)(const struct attn_shape *shape, uint32_t head);
    /* Quads of all states, and of the partial states that a piece adds to. */
    uint64_t (*states)(const struct attn_shape *shape);
    uint64_t (*partials)(const struct attn_shape *shape, const struct attn_keys *keys);
    /* Appends what adds a piece to the partial states, and with the last one those to the states.
     * shape: of the whole; io: K, V and key lengths of the piece. */
    status (*add_keys)(struct graph *graph, const struct attn_shape *shape,
                       const struct attn_io *io, const struct attn_keys *keys, tensor_id partials,
                       tensor_id states);
    /* Appends what answers a piece of the queries; shape.n: those of the piece. */
    status (*add_queries)(struct graph *graph, const struct attn_shape *shape,
                          const struct attn_io *io, tensor_id states);
};

struct attn_kind {
    const char *name;
    bool multires; /* has rates and a router */
    /* Appends the ops. `shape` and `io` have been validated. */
    status (*build)(struct graph *graph, const struct attn_shape *shape, const struct attn_io *io);
    /* Operations and bytes as the specification counts them. May lack host memory. */
    status (*cost)(const struct attn_shape *shape, bool shared_kv, double *operations,
                   double *bytes);
    const struct attn_pieces *pieces; /* NULL: all of it must fit the device */
};

extern const struct attn_kind attn_adamra, attn_softmax, attn_linear, attn_bigbird;
extern const struct attn_kind *const attn_kinds[];
extern const uint32_t attn_kind_count;
const struct attn_kind *attn_find(const char *name); /* NULL when there is none */

#endif
