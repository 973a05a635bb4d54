/* softmax: what the kinds built on op_softmax share. */
#ifndef SOFTMAX_H
#define SOFTMAX_H

#include "attn/attn.h"

/* Appends the call of a softmax over all keys, and returns it. */
struct graph_call *softmax_add(struct graph *graph, const struct attn_shape *shape,
                               const struct attn_io *io);
/* Operations and bytes where each (b, g) has so many allowed pairs of a query and a key. */
void softmax_count(const struct attn_shape *shape, double pairs, double *operations, double *bytes);

#endif
