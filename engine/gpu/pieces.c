/* Cuts a dispatch into pieces that keep to the device's limits: the size of a descriptor's view and
 * the number of workgroups. */
#include "gpu/commands.h"
#include <assert.h>
#include <string.h>

/* Views begin and end at whole quads, so that a shader's array of quads covers them. */
#define VIEW_STEP 16
/* Items are counted in 32 bits by shaders; half of that leaves room for idle groups. */
#define MAX_ITEMS (UINT64_C(1) << 31)

static const uint64_t element_bytes[] = {[GPU_RAW] = 4, [GPU_RGBA32F] = 16, [GPU_RGBA16F] = 8};

/* The most bytes that a view of the binding may show. */
static uint64_t view_limit(const struct gpu_device *device, const struct gpu_dispatch *dispatch,
                           uint32_t index)
{
    const struct gpu_binding *binding = &dispatch->bindings[index];
    if (dispatch->pipeline->reflection.kinds[index] == GPU_BINDING_STORAGE)
        return device->limits.storage_range;
    uint64_t bytes;
    if (!size_mul(device->limits.texel_elements, element_bytes[binding->format], &bytes))
        return UINT64_MAX;
    return bytes;
}

/* What the items [first, end) need of a binding. */
static struct gpu_window make_window(const struct gpu_device *device,
                                     const struct gpu_dispatch *dispatch, uint32_t index,
                                     uint64_t first, uint64_t end)
{
    const struct gpu_binding *binding = &dispatch->bindings[index];
    const uint64_t total = binding->buffer->bytes;
    const uint64_t step = device->limits.buffer_offset;
    uint64_t from = 0, to = binding->size;
    if (dispatch->span)
        dispatch->span(dispatch, index, first, end, &from, &to);
    assert(from >= to || to <= binding->size);
    if (from >= to) /* an untouched binding still needs a view of something */
        from = to = 0;
    struct gpu_window window;
    window.begin = size_min(binding->offset + from, total - VIEW_STEP) / step * step;
    window.end = size_round_up(binding->offset + to, VIEW_STEP);
    window.end = size_min(size_max(window.end, window.begin + VIEW_STEP), total);
    window.end -= (window.end - window.begin) % element_bytes[binding->format];
    /* A view may begin before its binding: the shader's subtraction wraps in the same way. */
    const uint64_t element = element_bytes[binding->format];
    window.base = (uint32_t)(window.begin / element - binding->offset / element);
    return window;
}

/* Whether the items fit all views; with `piece`, fills its windows. Sets *tight to the first
 * binding that does not fit. */
static bool items_fit(const struct gpu_device *device, const struct gpu_dispatch *dispatch,
                      uint64_t first, uint64_t end, struct gpu_piece *piece, uint32_t *tight)
{
    const struct gpu_reflection *reflection = &dispatch->pipeline->reflection;
    for (uint32_t i = 0; i < reflection->binding_count; i++) {
        if (!reflection->kinds[i])
            continue;
        struct gpu_window window = make_window(device, dispatch, i, first, end);
        *tight = i;
        if (window.end - window.begin > view_limit(device, dispatch, i))
            return false;
        if (piece)
            piece->windows[i] = window;
    }
    return true;
}

/* Rows of groups: as few as the limit in x allows, of about one length. */
static void set_groups(const struct gpu_device *device, struct gpu_piece *piece)
{
    uint64_t count = piece->end - piece->first;
    uint64_t rows = size_div_up(count, size_max(device->limits.groups[0], 1));
    piece->groups_y = (uint32_t)rows;
    piece->groups_x = (uint32_t)size_div_up(count, rows);
}

static status fail_item(struct gpu_device *device, const struct gpu_dispatch *dispatch,
                        uint32_t tight, uint64_t item)
{
    const struct gpu_window window = make_window(device, dispatch, tight, item, item + 1);
    const unsigned long long most = view_limit(device, dispatch, tight);
    return fail(device->log, STATUS_UNSUPPORTED,
                "%s: one item needs %llu bytes of binding %u, %s can bind %llu",
                dispatch->label ? dispatch->label : gpu_shader_name(dispatch->pipeline->shader),
                (unsigned long long)(window.end - window.begin), tight, device->info.name, most);
}

status gpu_piece_next(struct gpu_device *device, const struct gpu_dispatch *dispatch,
                      uint64_t first, uint64_t most, struct gpu_piece *piece)
{
    const uint32_t *groups = device->limits.groups;
    uint32_t tight = 0;
    most = size_min(most, size_max((uint64_t)groups[0] * groups[1], 1));
    uint64_t end = first + size_min(dispatch->items - first, most);
    if (!items_fit(device, dispatch, first, end, NULL, &tight)) {
        /* `low` items fit (none is known to), `high` do not. */
        uint64_t low = first, high = end;
        while (high - low > 1) {
            uint64_t middle = low + (high - low) / 2;
            if (items_fit(device, dispatch, first, middle, NULL, &tight))
                low = middle;
            else
                high = middle;
        }
        end = low;
    }
    if (end == first)
        return fail_item(device, dispatch, tight, first);
    memset(piece, 0, sizeof(*piece));
    piece->first = first;
    piece->end = end;
    items_fit(device, dispatch, first, end, piece, &tight);
    set_groups(device, piece);
    return STATUS_OK;
}

/* What is wrong with a binding, or NULL. */
static const char *binding_fault(const struct gpu_dispatch *dispatch, uint32_t index)
{
    const struct gpu_binding *binding = &dispatch->bindings[index];
    bool texel = dispatch->pipeline->reflection.kinds[index] == GPU_BINDING_TEXEL;
    if (index >= dispatch->binding_count || !binding->buffer)
        return "no buffer is bound";
    if (binding->offset % VIEW_STEP)
        return "the offset is no multiple of 16";
    if (binding->offset > binding->buffer->size ||
        binding->size > binding->buffer->bytes - binding->offset)
        return "the range passes the end of its buffer";
    if (texel && !binding->buffer->texel)
        return "the buffer was made without texel usage";
    return NULL;
}

status gpu_dispatch_check(struct gpu_device *device, const struct gpu_dispatch *dispatch)
{
    const struct gpu_reflection *reflection = &dispatch->pipeline->reflection;
    const char *name = gpu_shader_name(dispatch->pipeline->shader);
    for (uint32_t i = 0; i < reflection->binding_count; i++) {
        const char *fault = reflection->kinds[i] ? binding_fault(dispatch, i) : NULL;
        if (fault)
            return fail(device->log, STATUS_INVALID_ARGUMENT, "shader %s, binding %u: %s", name, i,
                        fault);
    }
    if (dispatch->push_size < reflection->push_bytes ||
        dispatch->push_size < sizeof(struct item_range) ||
        dispatch->push_size > device->limits.push_bytes)
        return fail(device->log, STATUS_INVALID_ARGUMENT,
                    "shader %s: %u bytes of push constants, it declares %u", name,
                    dispatch->push_size, reflection->push_bytes);
    if (dispatch->items > MAX_ITEMS)
        return fail(device->log, STATUS_UNSUPPORTED, "shader %s: %llu work items pass 2^31", name,
                    (unsigned long long)dispatch->items);
    return STATUS_OK;
}
