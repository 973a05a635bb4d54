#include "attention_import.h"
#include "base/system.h"

/* Below it a copy costs less than what an import does: a buffer, and commands recorded anew. */
#define LEAST_BYTES ((uint64_t)1 << 20)

/* A tensor's bytes in host memory; none where it is not there. */
struct host_range {
    uintptr_t begin, end;
};

static struct host_range host_range(const struct adamra_attention *attention,
                                    const adamra_attention_io *io, enum slot_index index)
{
    const struct slot *slot = &attention->form.slots[index];
    adamra_tensor tensor = attention_io_tensor(io, index);
    if (!slot->used || !tensor.data)
        return (struct host_range){0};
    uintptr_t begin = (uintptr_t)tensor.data;
    return (struct host_range){begin, begin + slot->rows * slot->width * sizeof(float)};
}

/* y may be where an input is, as long as that is copied. */
static bool y_is_apart(const struct adamra_attention *attention, const adamra_attention_io *io)
{
    struct host_range y = host_range(attention, io, SLOT_Y);
    for (enum slot_index i = 0; i < SLOT_Y; i++) {
        struct host_range input = host_range(attention, io, i);
        if (input.begin < y.end && y.begin < input.end)
            return false;
    }
    return true;
}

/* Whether the device can read the numbers as the host has them, and gains by it. */
static bool is_worthwhile(const struct adamra_attention *attention, enum slot_index index,
                          const struct host_range *range)
{
    const struct slot *slot = &attention->form.slots[index];
    return range->end - range->begin >= LEAST_BYTES && slot->type == ELEMENT_F32 &&
           slot->width == slot->stride && range->begin % 16 == 0;
}

/* The pages of a range that another import has, or new ones. */
static void import_range(struct adamra_attention *attention, const struct host_range *range,
                         struct host_import imports[SLOT_SHARED_COUNT], enum slot_index index)
{
    struct gpu_device *device = attention->context->device;
    uint64_t page = device->limits.host_import;
    uintptr_t begin = range->begin / page * page, end = size_round_up(range->end, page);
    for (enum slot_index i = 0; i < index; i++)
        if (imports[i].buffer && imports[i].buffer->mapped == (uint8_t *)begin &&
            imports[i].buffer->size == end - begin)
            imports[index] = (struct host_import){.buffer = imports[i].buffer, .shared = true};
    /* Drivers pin inputs as if they were written: of memory that cannot be, such as a mapped file,
     * some say so only by losing the device. */
    if (!imports[index].buffer &&
        (!system_is_writable((void *)begin, end - begin) ||
         gpu_buffer_import(device, (void *)begin, end - begin, &imports[index].buffer)))
        return;
    imports[index].offset = range->begin - begin;
}

void attention_import(struct adamra_attention *attention, const adamra_attention_io *io,
                      struct host_import imports[SLOT_SHARED_COUNT])
{
    const struct gpu_features *features = &attention->context->device->features;
    for (enum slot_index i = 0; i < SLOT_SHARED_COUNT; i++)
        imports[i] = (struct host_import){0};
    if (!features->unified || !features->host_import)
        return;
    /* Of what lies around a tensor only the rest of its pages is known to be there. */
    if (attention->context->device->limits.host_import > system_page_size())
        return;
    for (enum slot_index i = 0; i < SLOT_SHARED_COUNT; i++) {
        struct host_range range = host_range(attention, io, i);
        if (is_worthwhile(attention, i, &range) && (i != SLOT_Y || y_is_apart(attention, io)))
            import_range(attention, &range, imports, i);
    }
}

void attention_import_finish(struct host_import imports[SLOT_SHARED_COUNT])
{
    for (enum slot_index i = 0; i < SLOT_SHARED_COUNT; i++)
        if (!imports[i].shared)
            gpu_buffer_destroy(imports[i].buffer);
}
