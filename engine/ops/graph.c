#include "ops/graph.h"
#include <stdlib.h>
#include <string.h>

#define FIRST_SPACE 16

void graph_init(struct graph *graph)
{
    *graph = (struct graph){.state = STATUS_OK};
}

void graph_finish(struct graph *graph)
{
    for (uint32_t i = 0; i < graph->tensor_count; i++)
        free(graph->tensors[i].data);
    free(graph->tensors);
    free(graph->calls);
    *graph = (struct graph){.state = STATUS_OK};
}

status graph_status(const struct graph *graph)
{
    return graph->state;
}

/* Makes room for one more item; keeps a failure. */
static bool grow(struct graph *graph, void **items, uint32_t count, uint32_t *space, size_t size)
{
    if (graph->state)
        return false;
    if (count < *space)
        return true;
    uint64_t wanted = *space ? 2 * (uint64_t)*space : FIRST_SPACE, bytes;
    bool fits = wanted < NO_TENSOR && size_mul(wanted, size, &bytes) && bytes <= SIZE_MAX;
    void *grown = fits ? realloc(*items, (size_t)bytes) : NULL;
    if (!grown) {
        graph->state = STATUS_OUT_OF_HOST_MEMORY;
        return false;
    }
    *items = grown;
    *space = (uint32_t)wanted;
    return true;
}

tensor_id graph_add_tensor(struct graph *graph, const char *name, enum element_type type,
                           uint64_t elements, enum graph_role role)
{
    void *tensors = graph->tensors;
    if (!grow(graph, &tensors, graph->tensor_count, &graph->tensor_space, sizeof(*graph->tensors)))
        return NO_TENSOR;
    graph->tensors = tensors;
    graph->tensors[graph->tensor_count] =
        (struct graph_tensor){.name = name, .type = type, .elements = elements, .role = role};
    return graph->tensor_count++;
}

uint64_t graph_tensor_bytes(const struct graph *graph, tensor_id id)
{
    return graph->tensors[id].elements * element_bytes(graph->tensors[id].type);
}

static tensor_id find_constant(const struct graph *graph, enum element_type type, uint64_t elements,
                               const void *data)
{
    for (tensor_id id = 0; id < graph->tensor_count; id++) {
        const struct graph_tensor *tensor = &graph->tensors[id];
        if (tensor->data && tensor->type == type && tensor->elements == elements &&
            memcmp(tensor->data, data, elements * element_bytes(type)) == 0)
            return id;
    }
    return NO_TENSOR;
}

tensor_id graph_add_constant(struct graph *graph, const char *name, enum element_type type,
                             uint64_t elements, const void *data)
{
    tensor_id id = find_constant(graph, type, elements, data);
    if (id != NO_TENSOR)
        return id;
    id = graph_add_tensor(graph, name, type, elements, GRAPH_CONSTANT);
    if (id == NO_TENSOR)
        return NO_TENSOR;
    size_t bytes = elements * element_bytes(type);
    graph->tensors[id].data = malloc(bytes + 1);
    if (graph->tensors[id].data)
        memcpy(graph->tensors[id].data, data, bytes);
    else
        graph->state = STATUS_OUT_OF_HOST_MEMORY;
    return id;
}

struct graph_call *graph_add_call(struct graph *graph, const struct op *op)
{
    void *calls = graph->calls;
    struct graph_call *call = &graph->dummy;
    if (grow(graph, &calls, graph->call_count, &graph->call_space, sizeof(*graph->calls))) {
        graph->calls = calls;
        call = &graph->calls[graph->call_count++];
    }
    *call = (struct graph_call){.op = op};
    for (uint32_t i = 0; i < OP_MAX_TENSORS; i++)
        call->tensors[i] = NO_TENSOR;
    return call;
}

tensor_id graph_add_copy(struct graph *graph, tensor_id from)
{
    if (from == NO_TENSOR)
        return NO_TENSOR;
    const struct graph_tensor source = graph->tensors[from];
    uint32_t count = (uint32_t)source.elements;
    tensor_id copy =
        graph_add_tensor(graph, source.name, source.type, source.elements, GRAPH_SCRATCH);
    struct graph_call *call = graph_add_call(graph, &op_repack);
    call->params.repack =
        (struct repack_params){.rows = 1, .columns = count, .src_row = count, .dst_row = count};
    call->tensors[REPACK_SRC] = from;
    call->tensors[REPACK_DST] = copy;
    return copy;
}

struct op_call graph_call_shape(const struct graph *graph, const struct graph_call *call)
{
    struct op_call shape = {.op = call->op, .params = call->params};
    memcpy(shape.options, call->options, sizeof(shape.options));
    for (uint32_t i = 0; i < call->op->tensor_count; i++) {
        if (call->tensors[i] == NO_TENSOR)
            continue;
        const struct graph_tensor *tensor = &graph->tensors[call->tensors[i]];
        shape.tensors[i] = (struct tensor){
            .type = tensor->type, .elements = tensor->elements, .host = tensor->data};
    }
    return shape;
}
