/* placement: where a graph's scratch tensors and constants lie in one arena, by lifetime. */
#ifndef PLACEMENT_H
#define PLACEMENT_H

#include "ops/graph.h"

/* First and last call that uses a tensor, and the bytes it has in the arena. A constant lives
 * always: it is written before the first run. */
struct lifetime {
    uint32_t first, last;
    uint64_t offset, size; /* size 0: bound, or never used */
};

struct placement {
    struct lifetime *lifetimes; /* one a tensor */
    uint32_t *order;            /* tensors placed so far, by offset */
    uint32_t placed;
    uint64_t bytes; /* of the arena */
};

/* Gives every tensor that is not bound its place. On failure *placement needs no finish. */
status placement_init(struct logger *log, const struct graph *graph, struct placement *placement);
void placement_finish(struct placement *placement); /* may be called again */

#endif
