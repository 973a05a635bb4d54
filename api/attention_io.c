/* The front door of adamra_attention_run: everything that the caller brings is checked here. */
#include "attention.h"

#include "adamra_vulkan.h" /* after volk.h, which brings Vulkan without prototypes */

static adamra_tensor at_place(const adamra_place *place)
{
    return (adamra_tensor){.buffer = place->buffer, .offset = place->offset};
}

adamra_tensor attention_io_tensor(const adamra_attention_io *io, enum slot_index slot)
{
    static const adamra_device_io none;
    const adamra_device_io *device = io->device ? io->device : &none;
    const adamra_tensor tensors[SLOT_COUNT] = {
        [SLOT_Q] = io->q,
        [SLOT_K] = io->k,
        [SLOT_V] = io->v,
        [SLOT_LOGITS] = io->router_logits,
        [SLOT_Y] = {io->y.data, io->y.buffer, io->y.offset, io->y.strides},
        [SLOT_KEY_LENGTHS] = at_place(&device->key_lengths),
        [SLOT_QUERY_LENGTHS] = at_place(&device->query_lengths),
        [SLOT_WEIGHT] = at_place(&device->router_weight),
        [SLOT_BIAS] = at_place(&device->router_bias),
        [SLOT_HEAD] = at_place(&device->head),
        [SLOT_PROB] = at_place(&device->prob),
    };
    return tensors[slot];
}

/* Kernels on devices that bind few storage buffers read lengths, the router and its route as
 * texels, which a caller's buffer need not allow: they are copied then. */
static bool lacks_usage(const adamra_tensor *tensor, enum slot_index slot)
{
    return slot >= SLOT_SHARED_COUNT && !tensor->buffer->memory->texel;
}

struct attention_variant attention_io_variant(const struct attention_form *form,
                                              const adamra_attention_io *io)
{
    struct attention_variant variant = {
        .route = io->head || io->prob || attention_io_tensor(io, SLOT_HEAD).buffer};
    for (enum slot_index i = 0; i < SLOT_COUNT; i++) {
        const struct slot *slot = &form->slots[i];
        adamra_tensor tensor = attention_io_tensor(io, i);
        if (!tensor.buffer || slot->rows == 0)
            continue;
        if (i < SLOT_SHARED_COUNT)
            variant.strides[i] = tensor.strides;
        if (slot->width != slot->stride || lacks_usage(&tensor, i))
            variant.repacked |= 1U << i;
    }
    return variant;
}

/* ---- strides ---- */

static status check_steps(struct logger *log, const struct slot *slot, const uint64_t *steps)
{
    static const char *const names[SLOT_DIMS] = {"batch", "group", "head", "row"};
    for (uint32_t i = 0; i < SLOT_DIMS; i++)
        EXPECT(slot->dims[i] <= 1 || steps[i] % 4 == 0,
               "%s: expected strides that are multiples of 4, %s is %llu", slot->name, names[i],
               (unsigned long long)steps[i]);
    EXPECT(slot->width % 4 == 0,
           "%s: expected a width that is a multiple of 4 where strides are given, got %u",
           slot->name, slot->width);
    EXPECT(slot->dims[DIM_ROW] <= 1 || steps[DIM_ROW] >= slot->width,
           "%s: expected a stride of rows of at least the width %u, got %llu", slot->name,
           slot->width, (unsigned long long)steps[DIM_ROW]);
    return STATUS_OK;
}

/* Whether no two rows share a number: from the least stride on, each one steps over all that those
 * before it reach. Enough, if not necessary; the caller has checked that nothing overflows. */
static bool rows_are_apart(const struct slot *slot, const uint64_t *steps)
{
    uint64_t reach = slot->width;
    uint32_t done = 0;
    for (uint32_t round = 0; round < SLOT_DIMS; round++) {
        uint32_t least = SLOT_DIMS;
        for (uint32_t i = 0; i < SLOT_DIMS; i++)
            if (!(done >> i & 1) && slot->dims[i] > 1 &&
                (least == SLOT_DIMS || steps[i] < steps[least]))
                least = i;
        if (least == SLOT_DIMS)
            return true;
        if (steps[least] < reach)
            return false;
        reach += (slot->dims[least] - 1) * steps[least];
        done |= 1U << least;
    }
    return true;
}

static status check_strides(struct logger *log, const struct slot *slot, enum slot_index index,
                            const adamra_tensor *tensor)
{
    const adamra_strides *strides = &tensor->strides;
    const uint64_t steps[SLOT_DIMS] = {strides->batch, strides->group, strides->head, strides->row};
    uint64_t extent;
    if (slot_is_tight(strides))
        return STATUS_OK;
    EXPECT(index != SLOT_LOGITS, "%s: expected no strides: these are always tight", slot->name);
    status result = check_steps(log, slot, steps);
    if (result)
        return result;
    EXPECT(slot_extent(slot, strides, &extent) && extent / 4 <= UINT32_MAX,
           "%s: expected strides that reach fewer than 2^34 numbers", slot->name);
    EXPECT(index != SLOT_Y || rows_are_apart(slot, steps),
           "%s: expected strides by which no two rows share a number", slot->name);
    return STATUS_OK;
}

/* ---- tensors ---- */

/* Bytes from the first of the tensor to its last, all checked. */
static uint64_t tensor_bytes(const struct slot *slot, const adamra_tensor *tensor)
{
    uint64_t elements = 0;
    slot_extent(slot, &tensor->strides, &elements);
    return elements * element_bytes(slot->type);
}

static status check_buffer(const struct adamra_attention *attention, enum slot_index index,
                           const adamra_tensor *tensor)
{
    struct logger *log = &attention->context->log;
    const struct slot *slot = &attention->form.slots[index];
    unsigned long long offset = tensor->offset, size = tensor->buffer->memory->size;
    EXPECT(tensor->buffer->context == attention->context,
           "%s: expected a buffer of the same context", slot->name);
    EXPECT(offset % 16 == 0, "%s: expected an offset that is a multiple of 16, got %llu",
           slot->name, offset);
    if (slot->rows == 0)
        return STATUS_OK;
    status result = check_strides(log, slot, index, tensor);
    if (result)
        return result;
    unsigned long long bytes = tensor_bytes(slot, tensor);
    EXPECT(offset <= size && bytes <= size - offset,
           "%s: expected %llu bytes at offset %llu of its buffer, which has %llu", slot->name,
           bytes, offset, size);
    EXPECT(slot->width == slot->stride || slot_elements(slot) <= UINT32_MAX,
           "%s: expected fewer than 2^32 numbers in a buffer whose rows are no multiple of 4",
           slot->name);
    return STATUS_OK;
}

/* A tensor that is expected: host memory or a buffer, unless it has no numbers. */
static status check_tensor(const struct adamra_attention *attention, enum slot_index index,
                           const adamra_attention_io *io)
{
    struct logger *log = &attention->context->log;
    const struct slot *slot = &attention->form.slots[index];
    adamra_tensor tensor = attention_io_tensor(io, index);
    EXPECT(!tensor.data || !tensor.buffer, "%s: expected host memory or a buffer, got both",
           slot->name);
    if (!slot->used) {
        EXPECT(!tensor.data && !tensor.buffer,
               "%s: given, but this kind, routing and router read none", slot->name);
        return STATUS_OK;
    }
    EXPECT(tensor.data || tensor.buffer || slot->rows == 0,
           "%s: expected host memory or a buffer, got neither", slot->name);
    EXPECT(!tensor.data || slot_is_tight(&tensor.strides),
           "%s: expected no strides: host memory is tight", slot->name);
    EXPECT(!tensor.data || !tensor.offset, "%s: expected no offset: host memory begins at its data",
           slot->name);
    return tensor.buffer ? check_buffer(attention, index, &tensor) : STATUS_OK;
}

static status check_router(const struct adamra_attention *attention, const adamra_attention_io *io)
{
    struct logger *log = &attention->context->log;
    const adamra_tensor *weight = &io->router_weight, *bias = &io->router_bias;
    EXPECT(!weight->buffer && !bias->buffer,
           "router_weight, router_bias: expected host memory, got a buffer; io.device is for "
           "those");
    if (attention->form.slots[SLOT_WEIGHT].used) {
        EXPECT(weight->data || attention_io_tensor(io, SLOT_WEIGHT).buffer,
               "router_weight: expected host memory, or a place of a recorded run, got NULL");
        return STATUS_OK;
    }
    EXPECT(!weight->data && !bias->data,
           "router_weight, router_bias: given, but this kind, routing and router read none");
    return STATUS_OK;
}

/* What io->device names: places of what is used, once. */
static status check_places(const struct adamra_attention *attention, const adamra_attention_io *io)
{
    struct logger *log = &attention->context->log;
    const void *const host[SLOT_COUNT] = {[SLOT_KEY_LENGTHS] = io->key_lengths,
                                          [SLOT_QUERY_LENGTHS] = io->query_lengths,
                                          [SLOT_WEIGHT] = io->router_weight.data,
                                          [SLOT_BIAS] = io->router_bias.data,
                                          [SLOT_HEAD] = io->head,
                                          [SLOT_PROB] = io->prob};
    for (enum slot_index i = SLOT_SHARED_COUNT; i < SLOT_COUNT; i++) {
        const struct slot *slot = &attention->form.slots[i];
        adamra_tensor tensor = attention_io_tensor(io, i);
        if (!tensor.buffer)
            continue;
        EXPECT(slot->used, "%s: given, but this kind, routing and router have none", slot->name);
        EXPECT(!host[i], "%s: expected host memory or a buffer, got both", slot->name);
        status result = check_buffer(attention, i, &tensor);
        if (result)
            return result;
    }
    EXPECT(!attention_io_tensor(io, SLOT_HEAD).buffer == !attention_io_tensor(io, SLOT_PROB).buffer,
           "head, prob: expected buffers for both or for none");
    return STATUS_OK;
}

static status check_lengths(struct logger *log, const char *name, const uint32_t *lengths,
                            uint32_t batch, uint32_t limit)
{
    for (uint32_t b = 0; lengths && b < batch; b++)
        EXPECT(lengths[b] <= limit, "%s[%u]: expected at most %u, got %u", name, b, limit,
               lengths[b]);
    return STATUS_OK;
}

/* Bytes of a buffer. */
struct range {
    VkBuffer buffer;
    uint64_t begin, end;
};

/* Where a caller's buffer has a slot's numbers, from the first to the last; false: in none. */
static bool find_range(const struct adamra_attention *attention, const adamra_attention_io *io,
                       enum slot_index index, struct range *range)
{
    const struct slot *slot = &attention->form.slots[index];
    adamra_tensor tensor = attention_io_tensor(io, index);
    if (!tensor.buffer || slot->rows == 0)
        return false;
    *range = (struct range){.buffer = tensor.buffer->memory->handle,
                            .begin = tensor.offset,
                            .end = tensor.offset + tensor_bytes(slot, &tensor)};
    return true;
}

/* Kernels read inputs while they write outputs. Where strides leave gaps, all between the first and
 * the last number counts. */
static status check_overlap(const struct adamra_attention *attention, const adamra_attention_io *io)
{
    struct logger *log = &attention->context->log;
    const struct slot *slots = attention->form.slots;
    struct range output, other;
    for (enum slot_index i = 0; i < SLOT_COUNT; i++) {
        if (!slot_is_output(i) || !find_range(attention, io, i, &output))
            continue;
        for (enum slot_index j = 0; j < SLOT_COUNT; j++)
            EXPECT(j == i || !find_range(attention, io, j, &other) ||
                       other.buffer != output.buffer || other.begin >= output.end ||
                       other.end <= output.begin,
                   "%s: expected memory of its own, got some between the first and last number "
                   "of %s",
                   slots[i].name, slots[j].name);
    }
    return STATUS_OK;
}

status attention_check_io(const struct adamra_attention *attention, const adamra_attention_io *io)
{
    struct logger *log = &attention->context->log;
    const struct attn_shape *shape = &attention->form.shape;
    EXPECT(io, "io: expected a pointer, got NULL");
    for (enum slot_index i = 0; i < SLOT_SHARED_COUNT; i++) {
        status result = check_tensor(attention, i, io);
        if (result)
            return result;
    }
    status result = check_router(attention, io);
    if (!result)
        result = check_places(attention, io);
    if (!result)
        result = check_lengths(log, "key_lengths", io->key_lengths, shape->batch, shape->m);
    if (!result)
        result = check_lengths(log, "query_lengths", io->query_lengths, shape->batch, shape->n);
    if (!result)
        result = check_overlap(attention, io);
    if (result)
        return result;
    EXPECT(shape->routing == ROUTING_TOP1 || (!io->head && !io->prob),
           "head, prob: expected NULL unless routing is top1");
    return STATUS_OK;
}
