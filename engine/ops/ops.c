#include "gpu/needs.h"
#include "ops/choices.h"
#include "ops/span.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Texels that a view must hold for a texel candidate to be worth its splits. */
#define LEAST_TEXELS (1u << 24)

const struct op *const op_list[] = {
    &op_linear, &op_norm,    &op_embed,   &op_pool,  &op_state,  &op_reduce,
    &op_route,  &op_readout, &op_softmax, &op_merge, &op_repack,
};
const uint32_t op_count = ARRAY_SIZE(op_list);

const struct op *op_find(const char *name)
{
    for (uint32_t i = 0; i < op_count; i++)
        if (strcmp(op_list[i]->name, name) == 0)
            return op_list[i];
    return NULL;
}

/* How well a tensor stands in for one that the call lacks: inputs before outputs, and where texels
 * are asked for, what can be read so before all others. */
static uint32_t spare_rank(const struct op_call *call, uint32_t i, bool texel)
{
    const struct gpu_buffer *buffer = call->tensors[i].buffer;
    return !buffer ? 0 : 1 + !(call->op->writes >> i & 1) + 2 * (texel && buffer->texel);
}

/* A tensor of the call that has memory, if any has. */
static const struct tensor *spare_tensor(const struct op_call *call, bool texel)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < call->op->tensor_count; i++)
        if (spare_rank(call, i, texel) > spare_rank(call, best, texel))
            best = i;
    return &call->tensors[best];
}

/* What is bound as tensor i. A shader's binding must have some buffer even where the options keep
 * it from being touched: another tensor stands in. */
static const struct tensor *bound_tensor(const struct op_call *call, uint32_t i, bool texel)
{
    return call->tensors[i].buffer ? &call->tensors[i] : spare_tensor(call, texel);
}

/* Whether the device reads the tensors of these bits as texels; buffers of a caller's may lack the
 * usage. */
static bool texels_satisfy(const struct gpu_device *device, const struct op_call *call,
                           uint32_t texels)
{
    bool satisfied = true;
    for (uint32_t i = 0; i < call->op->tensor_count; i++) {
        if (!(texels >> i & 1))
            continue;
        const struct gpu_buffer *buffer = bound_tensor(call, i, true)->buffer;
        bool half = call->tensors[i].type == ELEMENT_F16;
        satisfied &= !buffer || buffer->texel;
        satisfied &= op_tensor_raw(call, i) ||
                     (half ? device->features.texel_f16 : device->features.texel_f32);
    }
    return satisfied;
}

/* The subgroup size without which the candidate does not work; 0: any, or none can be required.
 * Where sizes may vary, the device's usual one is no promise that a workgroup is one subgroup. */
static uint32_t required_subgroup(const struct gpu_features *features,
                                  const struct op_candidate *candidate)
{
    if (candidate->need & (NEED_MATRIX_NV | NEED_MATRIX_KHR))
        return candidate->group / candidate->tiles[TILE_SUBGROUPS];
    bool possible =
        candidate->group >= features->subgroup_least && candidate->group <= features->subgroup_most;
    return candidate->need & NEED_SHUFFLE && possible ? candidate->group : 0;
}

static bool matrices_satisfy(const struct gpu_features *features,
                             const struct op_candidate *candidate)
{
    const struct gpu_matrices *matrices =
        candidate->need & NEED_MATRIX_NV ? &features->matrices_nv : &features->matrices_khr;
    const uint32_t *tiles = candidate->tiles, size = required_subgroup(features, candidate);
    bool fits = features->subgroup_most
                    ? size >= features->subgroup_least && size <= features->subgroup_most &&
                          tiles[TILE_SUBGROUPS] <= features->group_subgroups
                    : size == features->subgroup_size;
    return fits && features->cooperative_matrix && features->float16 &&
           gpu_matrices_hold(matrices, tiles[TILE_M], tiles[TILE_N], tiles[TILE_K]);
}

/* Fills values[id] for all constant ids; returns their number. */
static uint32_t fill_constants(const struct gpu_device *device, const struct op_call *call,
                               const struct op_candidate *candidate,
                               uint32_t values[GPU_MAX_CONSTANTS])
{
    static_assert(ID_TILE + OP_MAX_TILES <= ID_UNPACK_BY_HAND, "ids");
    static_assert(ID_PACK_BY_HAND < GPU_MAX_CONSTANTS, "ids");
    values[ID_GROUP] = candidate->group;
    for (uint32_t i = 0; i < OP_MAX_TENSORS; i++)
        values[ID_TYPE + i] = call->tensors[i].type;
    for (uint32_t i = 0; i < OP_MAX_OPTIONS; i++) {
        bool hint = call->op->hints >> i & 1;
        values[ID_OPTION + i] = hint && !(candidate->need & NEED_HINTS) ? 0 : call->options[i];
    }
    memcpy(&values[ID_TILE], candidate->tiles, sizeof(candidate->tiles));
    values[ID_UNPACK_BY_HAND] = !device->features.unpack_half;
    values[ID_PACK_BY_HAND] = !device->features.pack_half;
    values[ID_SUBGROUP] = required_subgroup(&device->features, candidate);
    values[ID_DEPTH] = candidate->need & NEED_DEPTH ? call->op->depth(call) : 0;
    return ID_PACK_BY_HAND + 1;
}

static bool features_satisfy(const struct gpu_device *device, const struct op_candidate *candidate)
{
    const struct gpu_features *features = &device->features;
    if (candidate->need & NEED_SHUFFLE &&
        (!features->subgroup_shuffle || features->subgroup_size != candidate->group ||
         device->info.type != GPU_CPU))
        return false;
    if (candidate->need & NEED_INT64 && !features->int64)
        return false;
    if (candidate->need & NEED_QUAD && !features->subgroup_quad)
        return false;
    if (candidate->need & (NEED_MATRIX_NV | NEED_MATRIX_KHR) &&
        !matrices_satisfy(features, candidate))
        return false;
    return !(candidate->need & NEED_TEXEL) || device->limits.texel_elements >= LEAST_TEXELS;
}

/* What the candidate lacks for this call, whatever the tensors' sizes; NULL: nothing. Sets *texels
 * to the tensors that it reads as texels. */
static const char *unmet(const struct gpu_device *device, const struct op_call *call,
                         const struct op_candidate *candidate, uint32_t *texels)
{
    const struct gpu_limits *limits = &device->limits;
    uint32_t values[GPU_MAX_CONSTANTS] = {0};
    if (!features_satisfy(device, candidate))
        return "a feature of the device";
    uint32_t count = fill_constants(device, call, candidate, values);
    struct gpu_needs needs = gpu_shader_needs(device, candidate->shader, values, count);
    *texels = needs.texels;
    if (candidate->group > limits->group_invocations || candidate->group > limits->group_size[0])
        return "larger workgroups";
    if (needs.storage_buffers > limits->storage_buffers)
        return "more storage buffers";
    if (needs.shared_bytes > limits->shared_bytes)
        return "more shared memory";
    if (needs.push_bytes > limits->push_bytes)
        return "more push constants";
    if (call->op->iterations && call->op->iterations(call, candidate) > limits->loop_iterations)
        return "longer loops than the driver runs";
    if (!texels_satisfy(device, call, needs.texels))
        return "uniform texel usage of a buffer that was made without";
    return candidate->accepts && !candidate->accepts(call, candidate) ? "another shape" : NULL;
}

bool op_satisfies(const struct gpu_device *device, const struct op_call *call,
                  const struct op_candidate *candidate)
{
    uint32_t texels;
    return !unmet(device, call, candidate, &texels) &&
           op_items_fit(device, call, candidate, texels);
}

const struct op_candidate *op_usual(const struct gpu_device *device, const struct op_call *call)
{
    enum op_class wanted = device->info.type == GPU_CPU ? CLASS_CPU : CLASS_GPU;
    const struct op_candidate *first = NULL, *last = NULL;
    for (uint32_t i = 0; i < call->op->candidate_count; i++) {
        const struct op_candidate *candidate = &call->op->candidates[i];
        uint32_t texels;
        if (candidate->target == CLASS_TUNED || unmet(device, call, candidate, &texels))
            continue;
        if (!op_items_fit(device, call, candidate, texels)) {
            last = candidate->target == CLASS_NONE ? last : candidate;
            continue;
        }
        if (candidate->target == CLASS_ANY || candidate->target == wanted)
            return candidate;
        if (!first && candidate->target != CLASS_NONE)
            first = candidate;
    }
    return first ? first : last;
}

const struct op_candidate *op_stand_in(const struct op *op, const struct op_candidate *candidate)
{
    const struct op_candidate *next = candidate + 1;
    bool same = next < op->candidates + op->candidate_count && candidate->accepts &&
                next->target == CLASS_NONE && !next->accepts && next->shader == candidate->shader;
    return same ? next : NULL;
}

status op_refuse(struct gpu_device *device, const struct op_call *call)
{
    const struct op_candidate *candidates = call->op->candidates;
    const uint32_t count = call->op->candidate_count;
    char text[256] = "";
    uint32_t texels, length = 0;
    status result = gpu_needs_status(device);
    for (uint32_t i = 0; i < count && !result; i++) {
        const char *what = unmet(device, call, &candidates[i], &texels);
        if (what && length < sizeof(text) &&
            (candidates[i].target == CLASS_SPARE || i + 1 == count))
            length += (uint32_t)snprintf(text + length, sizeof(text) - length, "%s%s needs %s",
                                         length ? "; " : "", candidates[i].name, what);
    }
    return result ? result
                  : fail(device->log, STATUS_UNSUPPORTED, "%s: no kernel runs on %s: %s",
                         call->op->name, device->info.name, text);
}

const struct op_candidate *op_choose(const struct gpu_device *device, const struct op_call *call)
{
    const struct op_candidate *chosen = op_chosen(device, call);
    return chosen ? chosen : op_usual(device, call);
}

static enum gpu_format tensor_format(const struct op_call *call, uint32_t index)
{
    if (op_tensor_raw(call, index))
        return GPU_RAW;
    return call->tensors[index].type == ELEMENT_F16 ? GPU_RGBA16F : GPU_RGBA32F;
}

static void bind_tensors(const struct op_call *call, struct gpu_dispatch *dispatch)
{
    const struct gpu_reflection *reflection = &dispatch->pipeline->reflection;
    for (uint32_t i = 0; i < call->op->tensor_count; i++) {
        bool texel = i < reflection->binding_count && reflection->kinds[i] == GPU_BINDING_TEXEL;
        const struct tensor *tensor = bound_tensor(call, i, texel);
        uint64_t bytes = size_round_up(tensor->elements * element_bytes(tensor->type), 16);
        dispatch->bindings[i] =
            (struct gpu_binding){.buffer = tensor->buffer,
                                 .offset = tensor->offset,
                                 .size = size_min(bytes, tensor->buffer->bytes - tensor->offset),
                                 .format = tensor_format(call, i)};
    }
    dispatch->binding_count = call->op->tensor_count;
}

/* The op's span, cut at the tensor's end, of the tensors that the call has; nothing of the rest. */
static void call_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                      uint64_t end_item, uint64_t *begin, uint64_t *end)
{
    const struct op_call *call = span_call(dispatch);
    *begin = *end = 0;
    if (!call->tensors[index].buffer)
        return;
    if (call->op->span)
        call->op->span(dispatch, index, first, end_item, begin, end);
    else
        span_whole(dispatch, index, begin, end);
    *end = size_min(*end, dispatch->bindings[index].size);
}

struct gpu_pipeline_key op_pipeline_key(const struct gpu_device *device, const struct op_call *call,
                                        const struct op_candidate *candidate)
{
    struct gpu_pipeline_key key = {.shader = candidate->shader};
    key.count = fill_constants(device, call, candidate, key.values);
    return key;
}

status op_pipeline(struct gpu_device *device, const struct op_call *call,
                   const struct op_candidate *candidate, const struct gpu_pipeline **out)
{
    struct gpu_pipeline_key key = op_pipeline_key(device, call, candidate);
    return gpu_pipeline_get(device, key.shader, key.values, key.count, out);
}

status op_record(struct gpu_commands *commands, const struct op_call *call,
                 const struct op_candidate *candidate)
{
    struct gpu_device *device = spare_tensor(call, false)->buffer->device;
    union op_params push = call->params;
    if (!candidate)
        candidate = op_choose(device, call);
    if (!candidate)
        return op_refuse(device, call);
    struct op_dispatch span_data = {.call = call, .candidate = candidate};
    struct gpu_dispatch dispatch = {.label = call->op->name,
                                    .push = &push,
                                    .push_size = call->op->params_size,
                                    .items = call->op->items(call, candidate),
                                    .span = call_span,
                                    .span_data = &span_data};
    status result = op_pipeline(device, call, candidate, &dispatch.pipeline);
    if (result)
        return result;
    double bytes;
    call->op->cost(call, &dispatch.operations, &bytes);
    dispatch.operations += bytes * GPU_OPERATIONS_PER_BYTE;
    bind_tensors(call, &dispatch);
    return gpu_commands_dispatch(commands, &dispatch);
}
