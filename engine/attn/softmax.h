/* softmax: what the kinds built on op_softmax share. */
#ifndef SOFTMAX_H
#define SOFTMAX_H

#include "attn/attn.h"

/* Which keys each block of queries sees: SOFTMAX_RUNS (params.h), and how many queries a block has.
 * words NULL: all see all keys. */
struct softmax_runs {
    const uint32_t *words;
    uint32_t block;
};

/* Appends the calls of a softmax over the keys that the runs say. Runs of many keys are cut into
 * parts, a call each, whose results are merged: drivers bound the iterations of a shader
 * (limits.loop_iterations). */
status softmax_add(struct graph *graph, const struct attn_shape *shape, const struct attn_io *io,
                   const struct softmax_runs *runs);
/* Operations and bytes where each (b, g) has so many allowed pairs of a query and a key. */
void softmax_count(const struct attn_shape *shape, double pairs, double *operations, double *bytes);

#endif
