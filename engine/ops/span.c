#include "ops/span.h"

/* Where an outer index begins, in quads. */
static uint64_t outer_start(const struct span_layout *layout, uint64_t outer)
{
    uint64_t bg = outer / layout->heads;
    return layout->start + bg / layout->groups * layout->batch +
           bg % layout->groups * layout->group + outer % layout->heads * layout->head;
}

/* The least start of first .. last: theirs who begin a group or a batch row, where some do. */
static uint64_t least_start(const struct span_layout *layout, uint64_t first, uint64_t last)
{
    uint64_t least = outer_start(layout, first);
    const uint64_t units[] = {layout->heads, (uint64_t)layout->heads * layout->groups};
    for (uint32_t i = 0; i < ARRAY_SIZE(units); i++) {
        uint64_t outer = size_round_up(first, units[i]);
        if (outer <= last)
            least = size_min(least, outer_start(layout, outer));
    }
    return least;
}

/* The greatest start of first .. last: theirs who end a group or a batch row, where some do. */
static uint64_t greatest_start(const struct span_layout *layout, uint64_t first, uint64_t last)
{
    uint64_t greatest = outer_start(layout, last);
    const uint64_t units[] = {layout->heads, (uint64_t)layout->heads * layout->groups};
    for (uint32_t i = 0; i < ARRAY_SIZE(units); i++) {
        uint64_t end = (last + 1) / units[i] * units[i];
        if (end > first)
            greatest = size_max(greatest, outer_start(layout, end - 1));
    }
    return greatest;
}

void span_rows(const struct span_layout *layout, enum element_type type, uint64_t first,
               uint64_t last, uint64_t row, uint64_t row_end, uint64_t rows, uint64_t *begin,
               uint64_t *end)
{
    uint64_t quad = 4 * (uint64_t)element_bytes(type);
    *begin = *end = 0;
    if (first == last && row_end <= row)
        return;
    uint64_t low = outer_start(layout, first) + row * layout->row;
    uint64_t high = outer_start(layout, last) + (row_end - 1) * layout->row;
    if (first != last) { /* from row 0 after the first outer index, to the end before the last */
        low = size_min(low, least_start(layout, first + 1, last));
        high = size_max(high, greatest_start(layout, first, last - 1) + (rows - 1) * layout->row);
    }
    *begin = quad * low;
    *end = quad * (high + layout->width);
}

/* Items that are looked at, of calls with more: those of a call have about one size. */
#define MAX_LOOKED_AT 1024

/* The most bytes that a view of the tensor may show. */
static uint64_t view_limit(const struct gpu_device *device, const struct op_call *call,
                           uint32_t index, bool texel)
{
    if (!texel)
        return device->limits.storage_range;
    uint64_t texel_bytes =
        op_tensor_raw(call, index) ? 4 : 4 * (uint64_t)element_bytes(call->tensors[index].type);
    uint64_t bytes;
    return size_mul(device->limits.texel_elements, texel_bytes, &bytes) ? bytes : UINT64_MAX;
}

static bool tensor_fits(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t limit,
                        uint64_t slack)
{
    const struct op_call *call = span_call(dispatch);
    if (!call->op->span)
        return false;
    const uint64_t step = size_div_up(dispatch->items, MAX_LOOKED_AT);
    for (uint64_t item = 0; item < dispatch->items; item += step) {
        uint64_t begin, end;
        call->op->span(dispatch, index, item, item + 1, &begin, &end);
        end = size_min(end, dispatch->bindings[index].size);
        if (end > begin && end - begin + slack > limit)
            return false;
    }
    return true;
}

bool op_items_fit(const struct gpu_device *device, const struct op_call *call,
                  const struct op_candidate *candidate, uint32_t texels)
{
    const struct op_dispatch both = {.call = call, .candidate = candidate};
    struct gpu_dispatch dispatch = {.span_data = &both};
    /* A view begins at the device's alignment and ends with a quad. */
    const uint64_t slack = device->limits.buffer_offset + 16;
    for (uint32_t i = 0; i < call->op->tensor_count; i++) {
        uint64_t bytes = call->tensors[i].elements * element_bytes(call->tensors[i].type);
        uint64_t limit = view_limit(device, call, i, texels >> i & 1);
        dispatch.bindings[i].size = size_round_up(bytes, 16);
        if (dispatch.bindings[i].size + slack <= limit)
            continue;
        dispatch.items = call->op->items(call, candidate);
        if (!tensor_fits(&dispatch, i, limit, slack))
            return false;
    }
    return true;
}
