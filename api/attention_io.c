/* The front door of adamra_attention_run: everything that the caller brings is checked here. */
#include "attention.h"

adamra_tensor attention_io_tensor(const adamra_attention_io *io, enum slot_index slot)
{
    const adamra_tensor tensors[SLOT_SHARED_COUNT] = {
        [SLOT_Q] = io->q,
        [SLOT_K] = io->k,
        [SLOT_V] = io->v,
        [SLOT_LOGITS] = io->router_logits,
        [SLOT_Y] = {io->y.data, io->y.buffer, io->y.offset},
    };
    return slot < SLOT_SHARED_COUNT ? tensors[slot] : (adamra_tensor){0};
}

static status check_buffer(const struct adamra_attention *attention, const struct slot *slot,
                           const adamra_tensor *tensor)
{
    struct logger *log = &attention->context->log;
    unsigned long long bytes = slot_tight_bytes(slot), offset = tensor->offset;
    unsigned long long size = tensor->buffer->memory->size;
    EXPECT(tensor->buffer->context == attention->context,
           "%s: expected a buffer of the same context", slot->name);
    EXPECT(offset % 16 == 0, "%s: expected an offset that is a multiple of 16, got %llu",
           slot->name, offset);
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
        EXPECT(!tensor.data && !tensor.buffer, "%s: given, but this routing and router read none",
               slot->name);
        return STATUS_OK;
    }
    EXPECT(tensor.data || tensor.buffer || slot->rows == 0,
           "%s: expected host memory or a buffer, got neither", slot->name);
    return tensor.buffer && slot->rows ? check_buffer(attention, slot, &tensor) : STATUS_OK;
}

static status check_router(const struct adamra_attention *attention, const adamra_attention_io *io)
{
    struct logger *log = &attention->context->log;
    const adamra_tensor *weight = &io->router_weight, *bias = &io->router_bias;
    EXPECT(!weight->buffer && !bias->buffer,
           "router_weight, router_bias: expected host memory, got a buffer");
    if (attention->form.slots[SLOT_WEIGHT].used) {
        EXPECT(weight->data, "router_weight: expected host memory, got NULL");
        return STATUS_OK;
    }
    EXPECT(!weight->data && !bias->data,
           "router_weight, router_bias: given, but this routing and router read none");
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

/* Kernels read inputs while they write y. */
static status check_overlap(const struct adamra_attention *attention, const adamra_attention_io *io)
{
    struct logger *log = &attention->context->log;
    const struct slot *slots = attention->form.slots;
    if (!io->y.buffer)
        return STATUS_OK;
    uint64_t begin = io->y.offset, end = begin + slot_tight_bytes(&slots[SLOT_Y]);
    for (enum slot_index i = 0; i < SLOT_Y; i++) {
        adamra_tensor tensor = attention_io_tensor(io, i);
        uint64_t bytes = slot_tight_bytes(&slots[i]);
        EXPECT(tensor.buffer != io->y.buffer || tensor.offset >= end ||
                   tensor.offset + bytes <= begin,
               "y: expected memory of its own, got bytes that %s has too", slots[i].name);
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
