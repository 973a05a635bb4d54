/* graph: op calls over tensors that have no memory yet, in the order in which they run.
 *
 * attn/ and model/ build graphs; model/plan.h gives the tensors memory and runs them, on a device
 * or on the reference loops. Ownership: a graph owns everything in it; `{0}` plus graph_init is
 * valid. A failed allocation is kept: later calls do nothing and graph_status reports it. */
#ifndef GRAPH_H
#define GRAPH_H

#include "ops/ops.h"

typedef uint32_t tensor_id; /* index into graph.tensors */
#define NO_TENSOR UINT32_MAX

enum graph_role {
    GRAPH_SCRATCH,  /* written and read inside the graph: placed in the plan's arena */
    GRAPH_BOUND,    /* memory is brought at plan time: inputs, outputs, weights */
    GRAPH_CONSTANT, /* known when the graph is built: copied into the plan's memory, once */
};

struct graph_tensor {
    const char *name; /* static or arena text, for messages */
    enum element_type type;
    uint64_t elements;
    enum graph_role role;
    void *data; /* a constant's elements, the graph's own; else NULL */
};

struct graph_call {
    const struct op *op;
    union op_params params;
    uint32_t options[OP_MAX_OPTIONS];
    tensor_id tensors[OP_MAX_TENSORS]; /* NO_TENSOR where the options say it is unused */
};

struct graph {
    struct graph_tensor *tensors;
    struct graph_call *calls;
    uint32_t tensor_count, tensor_space, call_count, call_space;
    status state;
    struct graph_call dummy; /* given out after a failed allocation, never run */
};

void graph_init(struct graph *graph);
void graph_finish(struct graph *graph);
/* STATUS_OUT_OF_HOST_MEMORY if any allocation failed. */
status graph_status(const struct graph *graph);
tensor_id graph_add_tensor(struct graph *graph, const char *name, enum element_type type,
                           uint64_t elements, enum graph_role role);
uint64_t graph_tensor_bytes(const struct graph *graph, tensor_id id);
/* Appends a copy of a tensor of 32 bit numbers into scratch, which is returned. */
tensor_id graph_add_copy(struct graph *graph, tensor_id from);
/* Adds a constant with a copy of `data`. One of the same type and content is there once: its id is
 * returned again. */
tensor_id graph_add_constant(struct graph *graph, const char *name, enum element_type type,
                             uint64_t elements, const void *data);
/* Appends a zeroed call and returns it to be filled (valid until the next one is added; on
 * allocation failure a dummy that is discarded). All tensors start as NO_TENSOR. */
struct graph_call *graph_add_call(struct graph *graph, const struct op *op);
/* The call with types and sizes of its tensors and with constants' data, and with no other memory:
 * enough for op.cost. */
struct op_call graph_call_shape(const struct graph *graph, const struct graph_call *call);

#endif
