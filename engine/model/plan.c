#include "model/plan.h"
#include "model/placement.h"
#include <stdlib.h>
#include <string.h>

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
    struct gpu_device *device;
    const struct graph *graph;
    struct placement placement;
    struct plan_binding *bindings; /* one a tensor */
    struct plan_params params;
    struct gpu_buffer *arena;
    struct gpu_buffer *staged; /* constants on their way to the arena, or NULL */
    struct gpu_commands *commands;
};

/* The op's candidate of the plan's name, where the device can run it for this call, else the one
 * that runs by default. */
static status choose_candidate(const struct plan *plan, const struct op_call *call,
                               const struct op_candidate **out)
{
    const char *name = plan->params.candidate;
    *out = NULL;
    for (uint32_t i = 0; name && i < call->op->candidate_count; i++) {
        const struct op_candidate *candidate = &call->op->candidates[i];
        if (strcmp(candidate->name, name) == 0 && op_satisfies(plan->device, call, candidate))
            *out = candidate;
    }
    if (!*out)
        *out = op_choose(plan->device, call);
    status result = gpu_needs_status(plan->device);
    return result || *out ? result : op_refuse(plan->device, call);
}

/* All pipelines at once, before the first is needed: they are compiled beside each other. */
static status make_pipelines(const struct plan *plan)
{
    struct gpu_device *device = plan->device;
    struct arena_memory memory = {.buffer = plan->arena};
    const uint32_t count = plan->graph->call_count;
    struct gpu_pipeline_key *keys = calloc((size_t)count + 1, sizeof(*keys));
    if (!keys)
        return fail(device->log, STATUS_OUT_OF_HOST_MEMORY, "no memory for %u pipelines", count);
    status result = STATUS_OK;
    for (uint32_t i = 0; i < count && !result; i++) {
        const struct op_candidate *candidate;
        struct op_call call =
            resolve_call(plan->graph, &plan->placement, plan->bindings, &memory, i);
        result = choose_candidate(plan, &call, &candidate);
        if (!result)
            keys[i] = op_pipeline_key(device, &call, candidate);
    }
    if (!result)
        result = gpu_pipelines_make(device, keys, count);
    free(keys);
    return result;
}

static status record(struct plan *plan, struct gpu_commands *commands)
{
    struct arena_memory memory = {.buffer = plan->arena};
    for (uint32_t i = 0; i < plan->graph->call_count; i++) {
        struct op_call call =
            resolve_call(plan->graph, &plan->placement, plan->bindings, &memory, i);
        const struct op_candidate *candidate;
        status result = choose_candidate(plan, &call, &candidate);
        if (!result)
            result = op_record(commands, &call, candidate);
        if (result)
            return result;
    }
    return gpu_commands_end(commands);
}

static uint64_t constant_bytes(const struct graph *graph, const struct placement *placement,
                               tensor_id id)
{
    bool used = graph->tensors[id].role == GRAPH_CONSTANT && placement->lifetimes[id].size;
    return used ? graph_tensor_bytes(graph, id) : 0;
}

static status upload_constants(struct plan *plan)
{
    const struct graph *graph = plan->graph;
    status result = STATUS_OK;
    for (tensor_id id = 0; id < graph->tensor_count && !result; id++) {
        uint64_t bytes = constant_bytes(graph, &plan->placement, id);
        if (bytes)
            result = gpu_buffer_write(plan->arena, plan->placement.lifetimes[id].offset,
                                      graph->tensors[id].data, bytes);
    }
    return result;
}

/* Where nothing may be submitted and the host cannot write the arena: each execution copies the
 * constants to it from memory that the host can write. */
static status record_constants(struct plan *plan)
{
    const struct graph *graph = plan->graph;
    const struct placement *placement = &plan->placement;
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

static status plan_init(struct plan *plan, const struct plan_binding *bindings)
{
    struct logger *log = plan->device->log;
    const size_t count = plan->graph->tensor_count;
    status result = placement_init(log, plan->graph, &plan->placement);
    if (result)
        return result;
    plan->bindings = calloc(count + 1, sizeof(*bindings));
    if (!plan->bindings)
        return fail(log, STATUS_OUT_OF_HOST_MEMORY, "no memory for a plan of %zu tensors", count);
    if (count)
        memcpy(plan->bindings, bindings, count * sizeof(*bindings));
    result =
        gpu_buffer_create(plan->device, plan->placement.bytes, GPU_MEMORY_DEVICE, &plan->arena);
    if (result)
        return result;
    struct gpu_commands_params commands = {.profile = plan->params.profile,
                                           .command = plan->params.command};
    result = gpu_commands_create(plan->device, &commands, &plan->commands);
    if (!result && plan->params.command && !plan->arena->mapped)
        result = record_constants(plan);
    else if (!result)
        result = upload_constants(plan);
    if (!result)
        result = make_pipelines(plan);
    return result ? result : record(plan, plan->commands);
}

status plan_create(struct gpu_device *device, const struct graph *graph,
                   const struct plan_binding *bindings, const struct plan_params *params,
                   struct plan **out)
{
    *out = NULL;
    status result = graph_status(graph);
    if (result)
        return fail(device->log, result, "no memory for a graph of %u calls", graph->call_count);
    struct plan *plan = calloc(1, sizeof(*plan));
    if (!plan)
        return fail(device->log, STATUS_OUT_OF_HOST_MEMORY, "no memory for a plan");
    plan->device = device;
    plan->graph = graph;
    if (params)
        plan->params = *params;
    result = plan_init(plan, bindings);
    if (result) {
        plan_destroy(plan);
        return result;
    }
    *out = plan;
    return STATUS_OK;
}

void plan_destroy(struct plan *plan)
{
    if (!plan)
        return;
    gpu_commands_destroy(plan->commands);
    gpu_buffer_destroy(plan->staged);
    gpu_buffer_destroy(plan->arena);
    placement_finish(&plan->placement);
    free(plan->bindings);
    free(plan);
}

status plan_refresh(struct plan *plan)
{
    if (!gpu_commands_outgrown(plan->commands))
        return STATUS_OK;
    struct gpu_commands *commands = NULL;
    struct gpu_commands_params params = {.profile = plan->params.profile};
    status result = gpu_commands_create(plan->device, &params, &commands);
    if (!result)
        result = record(plan, commands);
    if (result) {
        gpu_commands_destroy(commands);
        return result;
    }
    gpu_commands_destroy(plan->commands);
    plan->commands = commands;
    return STATUS_OK;
}

status plan_run(struct plan *plan, double *device_ms)
{
    status result = plan_refresh(plan);
    return result ? result : gpu_commands_run(plan->commands, device_ms);
}

uint64_t plan_scratch_bytes(const struct plan *plan)
{
    return plan->placement.bytes;
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
