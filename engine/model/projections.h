/* projections: which products give the queries, keys and values of a layer.
 *
 * What is projected from the same rows is one product. Mean pooling commutes with a linear layer,
 * so the keys and values of a head at rate c are projected from rows pooled by c; queries and heads
 * at rate 1 from the sequence. Max pooling does not commute: there everything is projected from the
 * sequence and pooled when states are accumulated. A block of columns is one head of one group,
 * padded to dk4 quads; the columns of a product are [Q: G blocks] (of the sequence's only), then
 * [K_h: G blocks, V_h: G blocks] for each of its heads. */
#ifndef PROJECTIONS_H
#define PROJECTIONS_H

#include "model/config.h"

struct product {
    uint32_t rate; /* of the pooled rows that it reads; 1: the sequence */
    uint32_t n4;   /* quads of an output row */
};

/* Where a head's keys and values are; group g's lie g * dk4 quads further. */
struct head_columns {
    uint32_t product;
    uint32_t key, value; /* first column, quads */
};

struct projections {
    struct product products[ATTN_MAX_HEADS + 1]; /* the first reads the sequence */
    uint32_t count;
    struct head_columns heads[ATTN_MAX_HEADS];
    uint32_t dk4;
    uint32_t block_columns; /* columns of G blocks, quads */
};

void projections_init(struct projections *projections, const struct model_config *config);

#endif
