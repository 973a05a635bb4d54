#include "gpu/needs.h"
#include "ops/choices.h"
#include "ops/span.h"
#include <assert.h>
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

static bool texels_satisfy(const struct gpu_device *device, const struct op_call *call)
{
    bool halves = false;
    for (uint32_t i = 0; i < call->op->tensor_count; i++) {
        halves |= call->tensors[i].type == ELEMENT_F16 && !op_tensor_raw(call, i);
        if (call->tensors[i].buffer && !call->tensors[i].buffer->texel)
            return false;
    }
    return device->features.texel_f32 && (device->features.texel_f16 || !halves);
}

/* The subgroup size without which the candidate does not work; 0: any. */
static uint32_t required_subgroup(const struct op_candidate *candidate)
{
    if (candidate->need & (NEED_MATRIX_NV | NEED_MATRIX_KHR))
        return candidate->group / candidate->tiles[TILE_SUBGROUPS];
    return 0;
}

static bool matrices_satisfy(const struct gpu_features *features,
                             const struct op_candidate *candidate)
{
    const struct gpu_matrices *matrices =
        candidate->need & NEED_MATRIX_NV ? &features->matrices_nv : &features->matrices_khr;
    const uint32_t *tiles = candidate->tiles, size = required_subgroup(candidate);
    bool fits = features->subgroup_most
                    ? size >= features->subgroup_least && size <= features->subgroup_most
                    : size == features->subgroup_size;
    return fits && features->cooperative_matrix && features->float16 &&
           gpu_matrices_hold(matrices, tiles[TILE_M], tiles[TILE_N], tiles[TILE_K]);
}

/* Fills values[id] for all constant ids; returns their number. */
static uint32_t fill_constants(const struct gpu_device *device, const struct op_call *call,
                               const struct op_candidate *candidate,
                               uint32_t values[GPU_MAX_CONSTANTS])
{
    static_assert(ID_TILE + OP_MAX_TILES <= ID_BY_HAND && ID_SUBGROUP < GPU_MAX_CONSTANTS, "ids");
    values[ID_GROUP] = candidate->group;
    for (uint32_t i = 0; i < OP_MAX_TENSORS; i++)
        values[ID_TYPE + i] = call->tensors[i].type;
    for (uint32_t i = 0; i < OP_MAX_OPTIONS; i++) {
        bool hint = call->op->hints >> i & 1;
        values[ID_OPTION + i] = hint && !(candidate->need & NEED_HINTS) ? 0 : call->options[i];
    }
    memcpy(&values[ID_TILE], candidate->tiles, sizeof(candidate->tiles));
    values[ID_BY_HAND] = !device->features.unpack_half;
    values[ID_SUBGROUP] = required_subgroup(candidate);
    return ID_SUBGROUP + 1;
}

static bool limits_satisfy(const struct gpu_device *device, const struct op_call *call,
                           const struct op_candidate *candidate)
{
    const struct gpu_limits *limits = &device->limits;
    uint32_t values[GPU_MAX_CONSTANTS] = {0};
    uint32_t count = fill_constants(device, call, candidate, values);
    struct gpu_needs needs = gpu_shader_needs(device, candidate->shader, values, count);
    return candidate->group <= limits->group_invocations &&
           candidate->group <= limits->group_size[0] &&
           needs.storage_buffers <= limits->storage_buffers &&
           needs.shared_bytes <= limits->shared_bytes && needs.push_bytes <= limits->push_bytes &&
           (!call->op->iterations ||
            call->op->iterations(call, candidate) <= limits->loop_iterations) &&
           op_items_fit(device, call, candidate, needs.texels);
}

bool op_satisfies(const struct gpu_device *device, const struct op_call *call,
                  const struct op_candidate *candidate)
{
    const struct gpu_features *features = &device->features;
    if (candidate->need & NEED_SHUFFLE &&
        (!features->subgroup_shuffle || features->subgroup_size != candidate->group ||
         device->info.type != GPU_CPU))
        return false;
    if (candidate->need & NEED_QUAD && !features->subgroup_quad)
        return false;
    if (candidate->need & (NEED_MATRIX_NV | NEED_MATRIX_KHR) &&
        !matrices_satisfy(features, candidate))
        return false;
    if (candidate->need & (NEED_TEXEL | NEED_SMALL_TEXEL) && !texels_satisfy(device, call))
        return false;
    if (candidate->need & NEED_TEXEL && device->limits.texel_elements < LEAST_TEXELS)
        return false;
    if (candidate->need & NEED_STORAGE16 && !features->storage16)
        return false;
    return limits_satisfy(device, call, candidate) &&
           (!candidate->accepts || candidate->accepts(call, candidate));
}

const struct op_candidate *op_usual(const struct gpu_device *device, const struct op_call *call)
{
    enum op_class wanted = device->info.type == GPU_CPU ? CLASS_CPU : CLASS_GPU;
    const struct op_candidate *first = NULL;
    for (uint32_t i = 0; i < call->op->candidate_count; i++) {
        const struct op_candidate *candidate = &call->op->candidates[i];
        if (candidate->target == CLASS_TUNED || !op_satisfies(device, call, candidate))
            continue;
        if (candidate->target == CLASS_ANY || candidate->target == wanted)
            return candidate;
        if (!first && candidate->target != CLASS_NONE)
            first = candidate;
    }
    return first ? first : &call->op->candidates[call->op->candidate_count - 1];
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

/* An input of the call that has memory. */
static uint32_t first_input(const struct op_call *call)
{
    uint32_t i = 0;
    while (i + 1 < call->op->tensor_count &&
           (!call->tensors[i].buffer || call->op->writes >> i & 1))
        i++;
    return i;
}

/* Binds all tensors. A shader's binding must have some buffer even where the options keep it from
 * being touched: an input stands in. */
static void bind_tensors(const struct op_call *call, struct gpu_dispatch *dispatch)
{
    const struct tensor *spare = &call->tensors[first_input(call)];
    for (uint32_t i = 0; i < call->op->tensor_count; i++) {
        const struct tensor *tensor = call->tensors[i].buffer ? &call->tensors[i] : spare;
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
    struct gpu_device *device = call->tensors[first_input(call)].buffer->device;
    union op_params push = call->params;
    if (!candidate)
        candidate = op_choose(device, call);
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
