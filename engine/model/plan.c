#include "model/plan.h"
#include <stdlib.h>
#include <string.h>

/* Scratch tensors start at multiples of this: any device's alignment of bindings, and of copies
 * worth having. */
#define ARENA_ALIGNMENT 256

/* Kernels count quads in 32 bits. */
#define MAX_TENSOR_ELEMENTS (4 * (uint64_t)UINT32_MAX)

/* ---- placement of scratch tensors and constants ---- */

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

static void placement_finish(struct placement *placement)
{
    free(placement->lifetimes);
    free(placement->order);
}

static uint64_t tensor_bytes(const struct graph_tensor *tensor)
{
    return tensor->elements * element_bytes(tensor->type);
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
                uint64_t bytes = size_max(1, tensor_bytes(&graph->tensors[id]));
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

static status check_sizes(struct logger *log, const struct graph *graph)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < graph->tensor_count; i++) {
        const struct graph_tensor *tensor = &graph->tensors[i];
        if (tensor->elements > MAX_TENSOR_ELEMENTS || !size_add(total, tensor->elements, &total))
            return fail(log, STATUS_OUT_OF_DEVICE_MEMORY,
                        "%s: %llu numbers, expected at most %llu in one tensor", tensor->name,
                        (unsigned long long)tensor->elements,
                        (unsigned long long)MAX_TENSOR_ELEMENTS);
    }
    return STATUS_OK;
}

/* Gives every tensor that is not bound its place. On failure *placement needs no finish. */
static status placement_init(struct logger *log, const struct graph *graph,
                             struct placement *placement)
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

/* ---- calls over placed tensors ---- */

/* The memory of scratch tensors and constants: one of the two. */
struct arena_memory {
    struct gpu_buffer *buffer;
    uint8_t *host;
};

static void place_tensor(const struct graph *graph, const struct placement *placement,
                         const struct plan_binding *bindings, const struct arena_memory *memory,
                         tensor_id id, struct tensor *tensor)
{
    enum graph_role role = graph->tensors[id].role;
    if (role == GRAPH_BOUND) {
        tensor->buffer = bindings[id].buffer;
        tensor->offset = bindings[id].offset;
        tensor->host = bindings[id].host;
        return;
    }
    tensor->buffer = memory->buffer;
    tensor->offset = placement->lifetimes[id].offset;
    if (role == GRAPH_SCRATCH && memory->host)
        tensor->host = memory->host + tensor->offset;
}

static struct op_call resolve_call(const struct graph *graph, const struct placement *placement,
                                   const struct plan_binding *bindings,
                                   const struct arena_memory *memory, uint32_t index)
{
    const struct graph_call *source = &graph->calls[index];
    struct op_call call = graph_call_shape(graph, source);
    for (uint32_t t = 0; t < source->op->tensor_count; t++)
        if (source->tensors[t] != NO_TENSOR)
            place_tensor(graph, placement, bindings, memory, source->tensors[t], &call.tensors[t]);
    return call;
}

/* ---- the device path ---- */

struct plan {
    struct gpu_buffer *arena;
    struct gpu_buffer *staged; /* constants on their way to the arena, or NULL */
    struct gpu_commands *commands;
    uint64_t scratch_bytes;
};

/* The op's candidate of that name, where the device can run it for this call; else NULL. */
static const struct op_candidate *forced_candidate(const struct gpu_device *device,
                                                   const struct op_call *call, const char *name)
{
    for (uint32_t i = 0; name && i < call->op->candidate_count; i++) {
        const struct op_candidate *candidate = &call->op->candidates[i];
        if (strcmp(candidate->name, name) == 0 && op_satisfies(device, call, candidate))
            return candidate;
    }
    return NULL;
}

static status record(struct gpu_device *device, const struct graph *graph,
                     const struct placement *placement, const struct plan_binding *bindings,
                     const struct plan_params *params, struct plan *plan)
{
    struct arena_memory memory = {.buffer = plan->arena};
    for (uint32_t i = 0; i < graph->call_count; i++) {
        struct op_call call = resolve_call(graph, placement, bindings, &memory, i);
        status result =
            op_record(plan->commands, &call, forced_candidate(device, &call, params->candidate));
        if (result)
            return result;
    }
    return gpu_commands_end(plan->commands);
}

static uint64_t constant_bytes(const struct graph *graph, const struct placement *placement,
                               tensor_id id)
{
    bool used = graph->tensors[id].role == GRAPH_CONSTANT && placement->lifetimes[id].size;
    return used ? tensor_bytes(&graph->tensors[id]) : 0;
}

static status upload_constants(const struct graph *graph, const struct placement *placement,
                               struct gpu_buffer *arena)
{
    status result = STATUS_OK;
    for (tensor_id id = 0; id < graph->tensor_count && !result; id++) {
        uint64_t bytes = constant_bytes(graph, placement, id);
        if (bytes)
            result = gpu_buffer_write(arena, placement->lifetimes[id].offset,
                                      graph->tensors[id].data, bytes);
    }
    return result;
}

/* Where nothing may be submitted and the host cannot write the arena: each execution copies the
 * constants to it from memory that the host can write. */
static status record_constants(const struct graph *graph, const struct placement *placement,
                               struct plan *plan)
{
    uint64_t total = 0, at = 0;
    for (tensor_id id = 0; id < graph->tensor_count; id++)
        total += constant_bytes(graph, placement, id);
    if (!total)
        return STATUS_OK;
    status result = gpu_buffer_create(plan->arena->device, total, GPU_MEMORY_UPLOAD, &plan->staged);
    for (tensor_id id = 0; id < graph->tensor_count && !result; id++) {
        uint64_t bytes = constant_bytes(graph, placement, id);
        if (!bytes)
            continue;
        result = gpu_buffer_write(plan->staged, at, graph->tensors[id].data, bytes);
        if (!result)
            result = gpu_commands_copy(plan->commands, plan->staged, at, plan->arena,
                                       placement->lifetimes[id].offset, bytes);
        at += bytes;
    }
    return result;
}

status plan_create(struct gpu_device *device, const struct graph *graph,
                   const struct plan_binding *bindings, const struct plan_params *params,
                   struct plan **out)
{
    static const struct plan_params defaults;
    struct placement placement = {0};
    struct plan *plan = NULL;
    *out = NULL;
    if (!params)
        params = &defaults;

    status result = graph_status(graph);
    if (result)
        return fail(device->log, result, "no memory for a graph of %u calls", graph->call_count);
    result = placement_init(device->log, graph, &placement);
    if (result)
        return result;
    plan = calloc(1, sizeof(*plan));
    if (!plan) {
        result = fail(device->log, STATUS_OUT_OF_HOST_MEMORY, "no memory for a plan");
        goto error;
    }
    plan->scratch_bytes = placement.bytes;
    result = gpu_buffer_create(device, placement.bytes, GPU_MEMORY_DEVICE, &plan->arena);
    if (result)
        goto error;
    struct gpu_commands_params commands = {.profile = params->profile, .command = params->command};
    result = gpu_commands_create(device, &commands, &plan->commands);
    if (result)
        goto error;
    if (params->command && !plan->arena->mapped)
        result = record_constants(graph, &placement, plan);
    else
        result = upload_constants(graph, &placement, plan->arena);
    if (result)
        goto error;
    result = record(device, graph, &placement, bindings, params, plan);
    if (result)
        goto error;
    placement_finish(&placement);
    *out = plan;
    return STATUS_OK;

error:
    placement_finish(&placement);
    plan_destroy(plan);
    return result;
}

void plan_destroy(struct plan *plan)
{
    if (!plan)
        return;
    gpu_commands_destroy(plan->commands);
    gpu_buffer_destroy(plan->staged);
    gpu_buffer_destroy(plan->arena);
    free(plan);
}

status plan_run(struct plan *plan, double *device_ms)
{
    return gpu_commands_run(plan->commands, device_ms);
}

uint64_t plan_scratch_bytes(const struct plan *plan)
{
    return plan->scratch_bytes;
}

struct gpu_commands *plan_commands(struct plan *plan)
{
    return plan->commands;
}

/* ---- the reference path ---- */

status plan_run_reference(struct logger *log, const struct graph *graph,
                          const struct plan_binding *bindings)
{
    status result = graph_status(graph);
    if (result)
        return fail(log, result, "no memory for a graph of %u calls", graph->call_count);
    struct placement placement;
    result = placement_init(log, graph, &placement);
    if (result)
        return result;
    struct arena_memory memory = {.host = malloc((size_t)placement.bytes + 1)};
    if (!memory.host) {
        result = fail(log, STATUS_OUT_OF_HOST_MEMORY, "no memory for %llu bytes of scratch",
                      (unsigned long long)placement.bytes);
        goto error;
    }
    for (uint32_t i = 0; i < graph->call_count; i++) {
        struct op_call call = resolve_call(graph, &placement, bindings, &memory, i);
        call.op->reference(&call);
    }
error:
    free(memory.host);
    placement_finish(&placement);
    return result;
}
