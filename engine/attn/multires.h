/* multires: the half of multires.c that makes states of keys and values; see attn.h for pieces. */
#ifndef MULTIRES_H
#define MULTIRES_H

#include "attn/attn.h"

/* Appends what fills S [B, G, H] and returns it. */
tensor_id multires_add_states(struct graph *graph, const struct attn_shape *shape,
                              const struct attn_io *io);

/* Of struct attn_pieces. */
struct attn_stretches multires_stretches(const struct attn_shape *shape, uint32_t head);
uint64_t multires_states(const struct attn_shape *shape);
uint64_t multires_partials(const struct attn_shape *shape, const struct attn_keys *keys);
status multires_add_keys(struct graph *graph, const struct attn_shape *shape,
                         const struct attn_io *io, const struct attn_keys *keys, tensor_id partials,
                         tensor_id states);

#endif
