/* span: which bytes of a tensor a range of work items touches, for the usual layouts. */
#ifndef SPAN_H
#define SPAN_H

#include "ops/ops.h"

/* Rows of a [B, G, H, rows, width] tensor, in quads of its storage type. */
struct span_layout {
    uint64_t start, batch, group, head, row, width;
    uint32_t groups, heads; /* outer index = (b * groups + g) * heads + h */
};

/* Bytes of a range of outer indices [first, last]: of the first one the rows from `row` on, of the
 * last one those before `row_end` (at least one where they differ), of those between all,
 * [0, rows). What lies between them in memory is covered too. */
void span_rows(const struct span_layout *layout, enum element_type type, uint64_t first,
               uint64_t last, uint64_t row, uint64_t row_end, uint64_t rows, uint64_t *begin,
               uint64_t *end);

/* The call and candidate behind a dispatch's span_data. */
static inline const struct op_call *span_call(const struct gpu_dispatch *dispatch)
{
    return ((const struct op_dispatch *)dispatch->span_data)->call;
}

static inline const struct op_candidate *span_candidate(const struct gpu_dispatch *dispatch)
{
    return ((const struct op_dispatch *)dispatch->span_data)->candidate;
}

/* Whether kernels address the tensor in words of 4 bytes. */
static inline bool op_tensor_raw(const struct op_call *call, uint32_t index)
{
    return call->op->raw >> index & 1 || call->tensors[index].type == ELEMENT_U32;
}

/* Whether views of what single items touch keep to the device's limits. texels: bit i: the
 * candidate reads tensor i as a texel buffer. */
bool op_items_fit(const struct gpu_device *device, const struct op_call *call,
                  const struct op_candidate *candidate, uint32_t texels);

/* Whether neighbouring quads of the tensor may be stored at once: they lie at even places, in
 * memory too. places: the tensor's start, strides and width in quads, or-ed together. */
static inline bool span_pairs(const struct tensor *tensor, uint32_t places)
{
    return places % 2 == 0 && tensor->offset % (8 * sizeof(float)) == 0;
}

/* All of binding `index`. */
static inline void span_whole(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t *begin,
                              uint64_t *end)
{
    *begin = 0;
    *end = dispatch->bindings[index].size;
}

#endif
