#include "attention_form.h"
#include "context.h"
#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

static_assert(ADAMRA_MAX_HEADS == ATTN_MAX_HEADS, "heads");
static_assert(ADAMRA_TOP1 == ROUTING_TOP1, "routing");
static_assert(ADAMRA_SOFT == ROUTING_SOFT, "routing");
static_assert(ADAMRA_NONE == ROUTING_NONE, "routing");
static_assert(ADAMRA_ELU1 == FEATURE_ELU1, "feature map");
static_assert(ADAMRA_RELU == FEATURE_RELU, "feature map");
static_assert(ADAMRA_MEAN == POOLING_MEAN, "pooling");
static_assert(ADAMRA_MAX == POOLING_MAX, "pooling");
static_assert(ADAMRA_ROUTER_LOGITS == ROUTER_LOGITS, "router");
static_assert(ADAMRA_ROUTER_WEIGHT == ROUTER_WEIGHT, "router");
static_assert(ADAMRA_F32 == (int)ELEMENT_F32, "type");
static_assert(ADAMRA_F16 == (int)ELEMENT_F16, "type");

#define DEFAULT_EPS 1e-6F

uint64_t slot_elements(const struct slot *slot)
{
    return slot->rows * slot->stride;
}

uint64_t slot_bytes(const struct slot *slot)
{
    return slot_elements(slot) * element_bytes(slot->type);
}

bool slot_is_tight(const adamra_strides *strides)
{
    return !strides->batch && !strides->group && !strides->head && !strides->row;
}

bool slot_extent(const struct slot *slot, const adamra_strides *strides, uint64_t *elements)
{
    const uint64_t steps[SLOT_DIMS] = {strides->batch, strides->group, strides->head, strides->row};
    *elements = 0;
    if (slot->rows == 0)
        return true;
    if (slot_is_tight(strides))
        return size_mul(slot->rows, slot->width, elements);
    *elements = slot->width;
    for (uint32_t i = 0; i < SLOT_DIMS; i++) {
        uint64_t last;
        if (slot->dims[i] > 1 &&
            (!size_mul(slot->dims[i] - 1, steps[i], &last) || !size_add(*elements, last, elements)))
            return false;
    }
    return true;
}

bool attention_variant_equal(const struct attention_variant *a, const struct attention_variant *b)
{
    return a->repacked == b->repacked && a->route == b->route && a->constants == b->constants &&
           !memcmp(a->strides, b->strides, sizeof(a->strides));
}

/* ---- parameters ---- */

static uint32_t or_one(uint32_t count)
{
    return count ? count : 1;
}

static status check_choices(struct logger *log, const adamra_attention_params *params)
{
    const struct {
        const char *name;
        int value, last;
    } choices[] = {
        {"routing", (int)params->routing, ADAMRA_NONE},
        {"feature_map", (int)params->feature_map, ADAMRA_RELU},
        {"pooling", (int)params->pooling, ADAMRA_MAX},
        {"router", (int)params->router, ADAMRA_ROUTER_WEIGHT},
        {"type", (int)params->type, ADAMRA_F16},
    };
    for (size_t i = 0; i < ARRAY_SIZE(choices); i++)
        EXPECT(choices[i].value >= 0 && choices[i].value <= choices[i].last,
               "%s: expected a value of its enum, 0..%d, got %d", choices[i].name, choices[i].last,
               choices[i].value);
    EXPECT(params->key_width > 0, "key_width: expected at least 1, got 0");
    EXPECT(params->value_width > 0, "value_width: expected at least 1, got 0");
    /* Devices take less for zero, or divide by it to infinity: rows without keys would be NaN. */
    EXPECT(params->eps == 0 || (params->eps >= FLT_MIN && isfinite(params->eps)),
           "eps: expected 0 or a finite number >= %.9g, got %g", (double)FLT_MIN,
           (double)params->eps);
    return STATUS_OK;
}

static status check_heads(struct logger *log, const struct attn_kind *kind,
                          const adamra_attention_params *params)
{
    if (!kind->multires) {
        EXPECT(params->heads <= 1, "heads: expected 1 for kind %s, got %u", kind->name,
               params->heads);
        return STATUS_OK;
    }
    EXPECT(params->heads >= 1 && params->heads <= ADAMRA_MAX_HEADS, "heads: expected 1..%d, got %u",
           ADAMRA_MAX_HEADS, params->heads);
    EXPECT(params->rates, "rates: expected one for each of %u heads, got NULL", params->heads);
    for (uint32_t head = 0; head < params->heads; head++)
        EXPECT(params->rates[head] > 0, "rates[%u]: expected at least 1, got 0", head);
    return STATUS_OK;
}

static status check_bigbird(struct logger *log, const struct attn_kind *kind,
                            const adamra_attention_params *params)
{
    const adamra_bigbird *bigbird = params->bigbird;
    if (kind != &attn_bigbird)
        return STATUS_OK;
    EXPECT(params->keys == params->queries,
           "keys: expected as many as queries, %u, for kind bigbird, got %u", params->queries,
           params->keys);
    EXPECT(!bigbird || bigbird->block > 0, "bigbird->block: expected at least 1, got 0");
    EXPECT(!bigbird || bigbird->window % 2 == 1, "bigbird->window: expected an odd number, got %u",
           bigbird->window);
    return STATUS_OK;
}

static struct bigbird_pattern bigbird_pattern(const adamra_bigbird *bigbird)
{
    if (!bigbird)
        return bigbird_defaults;
    return (struct bigbird_pattern){.block = bigbird->block,
                                    .global_blocks = bigbird->global_blocks,
                                    .window = bigbird->window,
                                    .random_blocks = bigbird->random_blocks,
                                    .seed = bigbird->seed};
}

static void set_shape(struct attn_shape *shape, const struct attn_kind *kind,
                      const adamra_attention_params *params)
{
    *shape = (struct attn_shape){
        .batch = or_one(params->batch),
        .groups = or_one(params->groups),
        .heads = kind->multires ? params->heads : 1,
        .n = params->queries,
        .m = params->keys,
        .dk = params->key_width,
        .dv = params->value_width,
        .rates = {1},
        .routing = kind->multires ? (uint32_t)params->routing : ROUTING_NONE,
        .feature = (uint32_t)params->feature_map,
        .pooling = (uint32_t)params->pooling,
        .router = (uint32_t)params->router,
        .bigbird = bigbird_pattern(params->bigbird),
        .eps = params->eps > 0 ? params->eps : DEFAULT_EPS,
        .type = (enum element_type)params->type,
    };
    if (kind->multires)
        memcpy(shape->rates, params->rates, shape->heads * sizeof(shape->rates[0]));
}

/* ---- slots ---- */

/* Kernels count rows in 32 bits, and look at a stretch or a block of keys past the last. */
#define MOST_ROWS (UINT32_MAX - UINT16_MAX)

/* Whether a product of sizes stays below 2^32, which is what kernels count in. */
static bool addressable(const uint64_t *factors, uint32_t count)
{
    uint64_t product = 1;
    for (uint32_t i = 0; i < count; i++)
        if (factors[i] == 0)
            return true;
    for (uint32_t i = 0; i < count; i++)
        if (!size_mul(product, factors[i], &product) || product > UINT32_MAX)
            return false;
    return true;
}

/* The padded row of a slot of quads. */
static uint32_t quad_stride(uint32_t width)
{
    return (uint32_t)size_round_up(width, 4);
}

static void set_slots(struct attention_form *form)
{
    const struct attn_shape *s = &form->shape;
    bool routed = s->routing != ROUTING_NONE, weights = s->router == ROUTER_WEIGHT;
    bool top1 = s->routing == ROUTING_TOP1;
    uint32_t streams = routed ? 1 : s->heads; /* of queries and outputs */
    uint32_t dk = quad_stride(s->dk), dv = quad_stride(s->dv), b = s->batch, g = s->groups;
    enum element_type type = s->type, f32 = ELEMENT_F32, u32 = ELEMENT_U32;
    uint32_t k_heads = form->shared_keys ? 1 : s->heads;
    uint32_t v_heads = form->shared_values ? 1 : s->heads;
    const struct slot slots[SLOT_COUNT] = {
        [SLOT_Q] = {"q", type, 0, s->dk, dk, true, {b, g, streams, s->n}},
        [SLOT_K] = {"k", type, 0, s->dk, dk, true, {b, g, k_heads, s->m}},
        [SLOT_V] = {"v", type, 0, s->dv, dv, true, {b, g, v_heads, s->m}},
        [SLOT_LOGITS] =
            {"router_logits", type, 0, s->heads, s->heads, routed && !weights, {b, g, 1, s->n}},
        [SLOT_Y] = {"y", type, 0, s->dv, dv, true, {b, g, streams, s->n}},
        [SLOT_KEY_LENGTHS] = {"key_lengths", u32, 0, 1, 1, true, {b, 1, 1, 1}},
        [SLOT_QUERY_LENGTHS] = {"query_lengths", u32, 0, 1, 1, true, {b, 1, 1, 1}},
        [SLOT_WEIGHT] =
            {"router_weight", f32, 0, s->dk, dk, routed && weights, {1, g, s->heads, 1}},
        [SLOT_BIAS] = {"router_bias", f32, 0, 1, 1, routed && weights, {1, g, s->heads, 1}},
        [SLOT_HEAD] = {"head", u32, 0, 1, 1, top1, {b, g, 1, s->n}},
        [SLOT_PROB] = {"prob", f32, 0, 1, 1, top1, {b, g, 1, s->n}},
    };
    memcpy(form->slots, slots, sizeof(slots));
    for (struct slot *slot = form->slots; slot < form->slots + SLOT_COUNT; slot++) {
        slot->rows = 1;
        for (uint32_t i = 0; i < SLOT_DIMS; i++)
            slot->rows *= slot->dims[i];
    }
}

/* Kernels count quads, and words of the route, in 32 bits. */
static status check_sizes(struct logger *log, const struct attention_form *form)
{
    const struct attn_shape *s = &form->shape;
    uint64_t dk4 = size_div_up(s->dk, 4), dv4 = size_div_up(s->dv, 4);
    uint64_t streams = s->routing == ROUTING_NONE ? s->heads : 1;
    const struct {
        const char *what;
        uint64_t factors[5];
    } tensors[] = {
        {"batch x groups x heads", {s->batch, s->groups, s->heads, 1, 1}},
        {"q, in quads", {s->batch, s->groups, streams, s->n, dk4}},
        {"y, in quads", {s->batch, s->groups, streams, s->n, dv4}},
        {"k, in quads", {s->batch, s->groups, form->shared_keys ? 1 : s->heads, s->m, dk4}},
        {"v, in quads", {s->batch, s->groups, form->shared_values ? 1 : s->heads, s->m, dv4}},
        {"router logits", {s->batch, s->groups, s->heads, s->n, 1}},
        {"router_weight, in quads", {s->groups, s->heads, dk4, 1, 1}},
        {"states, in quads", {s->batch, s->groups, s->heads, dk4, 4 * dv4 + 1}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(tensors); i++) {
        const uint64_t *f = tensors[i].factors;
        if (!addressable(f, ARRAY_SIZE(tensors[i].factors)))
            return fail(log, STATUS_OUT_OF_DEVICE_MEMORY,
                        "%s: %llu x %llu x %llu x %llu x %llu, expected a product below 2^32",
                        tensors[i].what, (unsigned long long)f[0], (unsigned long long)f[1],
                        (unsigned long long)f[2], (unsigned long long)f[3],
                        (unsigned long long)f[4]);
    }
    if (s->n > MOST_ROWS || s->m > MOST_ROWS)
        return fail(log, STATUS_OUT_OF_DEVICE_MEMORY,
                    "queries, keys: %u, %u, expected at most %u of each", s->n, s->m, MOST_ROWS);
    return STATUS_OK;
}

status attention_form_init(struct logger *log, const adamra_attention_params *params,
                           struct attention_form *form)
{
    *form = (struct attention_form){0};
    EXPECT(params, "params: expected a pointer, got NULL");
    const char *name = params->kind ? params->kind : attn_adamra.name;
    form->kind = attn_find(name);
    EXPECT(form->kind, "kind: expected adamra, softmax, linear or bigbird, got \"%s\"", name);
    status result = check_choices(log, params);
    if (!result)
        result = check_heads(log, form->kind, params);
    if (!result)
        result = check_bigbird(log, form->kind, params);
    if (result)
        return result;
    set_shape(&form->shape, form->kind, params);
    form->shared_keys = params->shared_keys != 0;
    form->shared_values = params->shared_values != 0;
    result = check_sizes(log, form);
    if (result)
        return result;
    set_slots(form);
    result = form->kind->cost(&form->shape, form->shared_keys && form->shared_values,
                              &form->operations, &form->bytes);
    if (result)
        fail(log, result, "no memory to count the operations of kind %s", form->kind->name);
    return result;
}

/* ---- graph ---- */

struct attn_layout slot_layout(const struct slot *slot, const adamra_strides *strides)
{
    const uint32_t *dims = slot->dims;
    struct attn_layout layout = {.row = strides->row / 4,
                                 .head = strides->head / 4,
                                 .group = strides->group / 4,
                                 .batch = strides->batch / 4};
    if (slot_is_tight(strides)) {
        layout.row = slot->stride / 4;
        layout.head = dims[DIM_ROW] * layout.row;
        layout.group = dims[DIM_HEAD] * layout.head;
        layout.batch = dims[DIM_GROUP] * layout.group;
    }
    /* Steps that are never taken may be anything. */
    layout.row = dims[DIM_ROW] > 1 ? layout.row : 0;
    layout.head = dims[DIM_HEAD] > 1 ? layout.head : 0;
    layout.group = dims[DIM_GROUP] > 1 ? layout.group : 0;
    layout.batch = dims[DIM_BATCH] > 1 ? layout.batch : 0;
    return layout;
}

static void add_repack(struct graph *graph, const struct slot *slot, bool unpack, tensor_id from,
                       tensor_id to)
{
    struct graph_call *call = graph_add_call(graph, &op_repack);
    call->params.repack = (struct repack_params){
        .rows = (uint32_t)slot->rows,
        .columns = slot->width,
        .src_row = unpack ? slot->stride : slot->width,
        .dst_row = unpack ? slot->width : slot->stride,
    };
    call->tensors[REPACK_SRC] = from;
    call->tensors[REPACK_DST] = to;
}

/* Adds the slot's tensor, to be bound but for constants; returns the one that the kernels use: the
 * same, or scratch. */
static tensor_id add_slot(const struct attention_form *form,
                          const struct attention_variant *variant, enum slot_index index,
                          struct graph *graph, tensor_id *bound)
{
    const struct slot *slot = &form->slots[index];
    bool repacked = variant->repacked >> index & 1;
    uint64_t elements = slot->rows * (repacked ? slot->width : slot->stride);
    if (variant->constants && variant->constants[index])
        return graph_add_constant(graph, slot->name, slot->type, size_max(elements, 1),
                                  variant->constants[index]);
    if (index < SLOT_SHARED_COUNT && !slot_is_tight(&variant->strides[index]))
        slot_extent(slot, &variant->strides[index], &elements);
    *bound = graph_add_tensor(graph, slot->name, slot->type, size_max(elements, 1), GRAPH_BOUND);
    if (!repacked)
        return *bound;
    return graph_add_tensor(graph, slot->name, slot->type, slot_elements(slot), GRAPH_SCRATCH);
}

static void set_sources(const struct attention_form *form, const struct attention_variant *variant,
                        const tensor_id used[SLOT_COUNT], struct attn_io *io)
{
    struct attn_layout k = slot_layout(&form->slots[SLOT_K], &variant->strides[SLOT_K]);
    struct attn_layout v = slot_layout(&form->slots[SLOT_V], &variant->strides[SLOT_V]);
    for (uint32_t head = 0; head < form->shape.heads; head++) {
        io->k[head] = (struct attn_source){.tensor = used[SLOT_K], .layout = k};
        io->v[head] = (struct attn_source){.tensor = used[SLOT_V], .layout = v};
        io->k[head].layout.start = head * k.head;
        io->v[head].layout.start = head * v.head;
    }
}

status attention_form_build(const struct attention_form *form,
                            const struct attention_variant *variant, struct graph *graph,
                            tensor_id tensors[SLOT_COUNT])
{
    const struct attn_shape *shape = &form->shape;
    const struct slot *slots = form->slots;
    tensor_id used[SLOT_COUNT];
    for (uint32_t i = 0; i < SLOT_COUNT; i++) {
        tensors[i] = used[i] = NO_TENSOR;
        if (slots[i].used && (!slot_is_route(i) || variant->route))
            used[i] = add_slot(form, variant, i, graph, &tensors[i]);
    }
    for (uint32_t i = 0; i < SLOT_COUNT; i++)
        if (!slot_is_output(i) && tensors[i] != NO_TENSOR && used[i] != tensors[i])
            add_repack(graph, &slots[i], false, tensors[i], used[i]);

    struct attn_io io = {
        .q = used[SLOT_Q],
        .y = used[SLOT_Y],
        .q_layout = slot_layout(&slots[SLOT_Q], &variant->strides[SLOT_Q]),
        .y_layout = slot_layout(&slots[SLOT_Y], &variant->strides[SLOT_Y]),
        .key_lengths = used[SLOT_KEY_LENGTHS],
        .query_lengths = used[SLOT_QUERY_LENGTHS],
        .router_logits = used[SLOT_LOGITS],
        .router_weight = used[SLOT_WEIGHT],
        .router_bias = used[SLOT_BIAS],
        .router_head = used[SLOT_HEAD],
        .router_prob = used[SLOT_PROB],
    };
    set_sources(form, variant, used, &io);
    status result = form->kind->build(graph, shape, &io);
    if (result)
        return result;
    for (uint32_t i = 0; i < SLOT_COUNT; i++)
        if (slot_is_output(i) && used[i] != tensors[i])
            add_repack(graph, &slots[i], true, used[i], tensors[i]);
    return graph_status(graph);
}
