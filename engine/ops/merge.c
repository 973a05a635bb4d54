/* merge: softmax of two parts of the keys to that of both (params.h), where there are too many keys
 * for one call. */
#include "ops/example.h"
#include <math.h>

static uint64_t merge_rows(const struct op_call *call)
{
    const struct merge_params *p = &call->params.merge;
    return (uint64_t)p->batch * p->groups * p->n;
}

static uint64_t y_element(const struct merge_params *p, uint64_t row)
{
    uint64_t bg = row / p->n;
    return 4 * (bg / p->groups * p->y_batch + bg % p->groups * p->y_group + row % p->n * p->y_row);
}

static void merge_row(const struct op_call *call, uint64_t row)
{
    const struct merge_params *p = &call->params.merge;
    const struct tensor *tensors = call->tensors, *part = &tensors[MERGE_PART];
    const struct tensor *sum = &tensors[MERGE_SUM], *y = &tensors[MERGE_Y];
    bool last = call->options[OPTION_LAST];
    uint64_t at = 4 * row * (p->dv4 + 1), columns = 4 * (uint64_t)p->dv4, end = at + columns;
    double a = tensor_get(sum, end + 1), b = tensor_get(part, end + 1);
    double top_a = tensor_get(sum, end), top_b = tensor_get(part, end);
    double top = a == 0 ? top_b : b == 0 ? top_a : fmax(top_a, top_b);
    double weight_a = a == 0 ? 0 : a * exp(top_a - top);
    double weight_b = b == 0 ? 0 : b * exp(top_b - top);
    double total = weight_a + weight_b;
    for (uint64_t c = 0; c < columns; c++) {
        double x = weight_a * tensor_get(sum, at + c) + weight_b * tensor_get(part, at + c);
        tensor_set(last ? y : sum, (last ? y_element(p, row) : at) + c, total == 0 ? 0 : x / total);
    }
    if (last)
        return;
    tensor_set(sum, end, top);
    tensor_set(sum, end + 1, total);
    tensor_set(sum, end + 2, 0);
    tensor_set(sum, end + 3, 0);
}

static void merge_reference(const struct op_call *call)
{
    for (uint64_t row = 0; row < merge_rows(call); row++)
        merge_row(call, row);
}

static uint64_t merge_items(const struct op_call *call, const struct op_candidate *candidate)
{
    return size_div_up(merge_rows(call), candidate->group);
}

static uint64_t merge_iterations(const struct op_call *call, const struct op_candidate *candidate)
{
    (void)candidate;
    return call->params.merge.dv4;
}

static void merge_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                       uint64_t end_item, uint64_t *begin, uint64_t *end)
{
    const struct op_call *call = span_call(dispatch);
    const struct merge_params *p = &call->params.merge;
    uint64_t group = span_candidate(dispatch)->group;
    uint64_t row = first * group, row_end = size_min(end_item * group, merge_rows(call));
    if (index != MERGE_Y) {
        *begin = 16 * row * (p->dv4 + 1);
        *end = 16 * row_end * (p->dv4 + 1);
        return;
    }
    *begin = *end = 0;
    if (!call->options[OPTION_LAST])
        return;
    struct span_layout layout = {.batch = p->y_batch,
                                 .group = p->y_group,
                                 .row = p->y_row,
                                 .width = p->dv4,
                                 .groups = p->groups,
                                 .heads = 1};
    span_rows(&layout, call->tensors[index].type, row / p->n, (row_end - 1) / p->n, row % p->n,
              (row_end - 1) % p->n + 1, p->n, begin, end);
}

static void merge_cost(const struct op_call *call, double *operations, double *bytes)
{
    const struct merge_params *p = &call->params.merge;
    double numbers = 4.0 * p->dv4 * (double)merge_rows(call);
    *operations = 4 * numbers;
    *bytes = numbers * (8 + element_bytes(call->options[OPTION_LAST] ? call->tensors[MERGE_Y].type
                                                                     : ELEMENT_F32));
}

static void merge_example(struct random *random, enum element_type type, struct op_call *call)
{
    struct merge_params *p = &call->params.merge;
    p->batch = random_between(random, 1, 3);
    p->groups = random_between(random, 1, 2);
    p->n = example_rows(random, 200);
    p->dv4 = example_quads(random);
    call->options[OPTION_LAST] = random_between(random, 0, 1);
    struct span_layout y = example_layout(random, p->groups, 1, p->n, p->dv4);
    y.start = 0;
    p->y_batch = (uint32_t)y.batch;
    p->y_group = (uint32_t)y.group;
    p->y_row = (uint32_t)y.row;
    uint64_t elements = 4 * merge_rows(call) * (p->dv4 + 1);
    example_tensor(call, MERGE_PART, ELEMENT_F32, elements);
    example_tensor(call, MERGE_SUM, ELEMENT_F32, elements);
    if (call->options[OPTION_LAST])
        example_place(call, MERGE_Y, type, &y, p->batch);
}

/* Rows as partial softmax leaves them, some without a key. */
static void draw_rows(struct random *random, const struct op_call *call, const struct tensor *rows)
{
    uint64_t row = 4 * ((uint64_t)call->params.merge.dv4 + 1);
    for (uint64_t at = 0; at < rows->elements; at += row) {
        bool seen = !example_chance(random, 4);
        for (uint64_t i = 0; i < row; i++)
            tensor_set(rows, at + i, seen && i < row - 3 ? random_normal(random) : 0);
        if (seen)
            tensor_set(rows, at + row - 3, 1 + random_between(random, 0, 9));
    }
}

static void merge_prepare(struct random *random, const struct op_call *call)
{
    draw_rows(random, call, &call->tensors[MERGE_PART]);
    draw_rows(random, call, &call->tensors[MERGE_SUM]);
}

static const struct op_candidate candidates[] = {
    {"flat", SHADER_merge, NEED_NOTHING, CLASS_ANY, 64, {0}, NULL},
};

const struct op op_merge = {
    .name = "merge",
    .tensor_count = MERGE_Y + 1,
    .params_size = sizeof(struct merge_params),
    .writes = 1u << MERGE_SUM | 1u << MERGE_Y,
    .candidates = candidates,
    .candidate_count = ARRAY_SIZE(candidates),
    .reference = merge_reference,
    .items = merge_items,
    .span = merge_span,
    .iterations = merge_iterations,
    .cost = merge_cost,
    .example = merge_example,
    .prepare = merge_prepare,
};
