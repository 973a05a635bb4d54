#include "model/placement.h"
#include "model/plan.h"
#include <stdlib.h>

/* Scratch tensors start at multiples of this: any device's alignment of bindings, and of copies
 * worth having. */
#define ARENA_ALIGNMENT 256

/* Kernels count quads in 32 bits, and single numbers of tensors that they address in words. */
#define MAX_TENSOR_ELEMENTS (4 * (uint64_t)UINT32_MAX)
#define MAX_RAW_ELEMENTS    ((uint64_t)UINT32_MAX)

void placement_finish(struct placement *placement)
{
    free(placement->lifetimes);
    free(placement->order);
    *placement = (struct placement){0};
}

static void find_lifetimes(const struct graph *graph, struct lifetime *lifetimes)
{
    for (uint32_t i = 0; i < graph->call_count; i++) {
        for (uint32_t t = 0; t < graph->calls[i].op->tensor_count; t++) {
            tensor_id id = graph->calls[i].tensors[t];
            if (id == NO_TENSOR || graph->tensors[id].role == GRAPH_BOUND)
                continue;
            bool constant = graph->tensors[id].role == GRAPH_CONSTANT;
            struct lifetime *lifetime = &lifetimes[id];
            if (lifetime->size == 0) {
                uint64_t bytes = size_max(1, graph_tensor_bytes(graph, id));
                lifetime->first = constant ? 0 : i;
                lifetime->size = size_round_up(bytes, ARENA_ALIGNMENT);
            }
            lifetime->last = constant ? graph->call_count : i;
        }
    }
}

static bool lifetimes_overlap(const struct lifetime *a, const struct lifetime *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest gap between tensors that live at the same time (first fit). */
static void place(struct placement *placement, tensor_id id)
{
    struct lifetime *lifetime = &placement->lifetimes[id];
    uint64_t offset = 0;
    for (uint32_t i = 0; i < placement->placed; i++) {
        const struct lifetime *other = &placement->lifetimes[placement->order[i]];
        if (!lifetimes_overlap(lifetime, other))
            continue;
        if (other->offset >= offset && other->offset - offset >= lifetime->size)
            break;
        offset = size_max(offset, other->offset + other->size);
    }
    lifetime->offset = offset;
    placement->bytes = size_max(placement->bytes, offset + lifetime->size);

    uint32_t at = placement->placed++;
    for (; at > 0 && placement->lifetimes[placement->order[at - 1]].offset > offset; at--)
        placement->order[at] = placement->order[at - 1];
    placement->order[at] = id;
}

static status check_size(struct logger *log, const struct graph_tensor *tensor, uint64_t most)
{
    return tensor->elements <= most
               ? STATUS_OK
               : fail(log, STATUS_OUT_OF_DEVICE_MEMORY,
                      "%s: %llu numbers, expected at most %llu in one tensor", tensor->name,
                      (unsigned long long)tensor->elements, (unsigned long long)most);
}

static status check_sizes(struct logger *log, const struct graph *graph)
{
    uint64_t total = 0;
    status result = STATUS_OK;
    for (uint32_t i = 0; i < graph->tensor_count && !result; i++) {
        bool counted = size_add(total, graph->tensors[i].elements, &total);
        result = check_size(log, &graph->tensors[i], counted ? MAX_TENSOR_ELEMENTS : 0);
    }
    for (uint32_t i = 0; i < graph->call_count && !result; i++) {
        const struct graph_call *call = &graph->calls[i];
        for (uint32_t t = 0; t < call->op->tensor_count && !result; t++)
            if (call->op->raw >> t & 1 && call->tensors[t] != NO_TENSOR)
                result = check_size(log, &graph->tensors[call->tensors[t]], MAX_RAW_ELEMENTS);
    }
    return result;
}

status placement_init(struct logger *log, const struct graph *graph, struct placement *placement)
{
    *placement = (struct placement){0};
    status result = check_sizes(log, graph);
    if (result)
        return result;
    size_t count = graph->tensor_count;
    placement->lifetimes = calloc(count + 1, sizeof(*placement->lifetimes));
    placement->order = calloc(count + 1, sizeof(*placement->order));
    if (!placement->lifetimes || !placement->order) {
        placement_finish(placement);
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "no memory to place %zu tensors", count);
    }
    find_lifetimes(graph, placement->lifetimes);
    for (tensor_id id = 0; id < count; id++)
        if (placement->lifetimes[id].size)
            place(placement, id);
    return STATUS_OK;
}

status plan_measure(struct logger *log, const struct graph *graph, uint64_t *bytes)
{
    struct placement placement;
    status result = placement_init(log, graph, &placement);
    *bytes = 0;
    if (result)
        return result;
    *bytes = placement.bytes;
    placement_finish(&placement);
    return STATUS_OK;
}
