#include "ops/span.h"

void span_rows(const struct span_layout *layout, enum element_type type, uint64_t first,
               uint64_t last, uint64_t row, uint64_t row_end, uint64_t rows, uint64_t *begin,
               uint64_t *end)
{
    uint64_t heads = layout->heads, groups = layout->groups;
    uint64_t low[3] = {first / heads / groups, first / heads % groups, first % heads};
    uint64_t high[3] = {last / heads / groups, last / heads % groups, last % heads};
    if (first != last) {
        row = 0;
        row_end = rows;
    }
    /* From the outermost index that differs on, inner ones take all their values. */
    if (low[0] != high[0] || low[1] != high[1]) {
        low[2] = 0;
        high[2] = heads - 1;
    }
    if (low[0] != high[0]) {
        low[1] = 0;
        high[1] = groups - 1;
    }
    uint64_t quad = 4 * (uint64_t)element_bytes(type);
    *begin = *end = 0;
    if (row_end <= row)
        return;
    *begin = quad * (layout->start + low[0] * layout->batch + low[1] * layout->group +
                     low[2] * layout->head + row * layout->row);
    *end = quad * (layout->start + high[0] * layout->batch + high[1] * layout->group +
                   high[2] * layout->head + (row_end - 1) * layout->row + layout->width);
}
