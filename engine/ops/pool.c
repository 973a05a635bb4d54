/* pool: Y[b][j] = mean or largest of X[b][j*rate .. min((j+1)*rate, L_b)), column by column; rows
 * of Y from segment ceil(L_b / rate) on are 0. */
#include "ops/example.h"
#include "ops/reference.h"

static void pool_segment(const struct op_call *call, uint32_t b, uint64_t j)
{
    const struct pool_params *p = &call->params.pool;
    uint64_t x = 4 * (uint64_t)b * p->x_batch, y = 4 * ((uint64_t)b * p->y_batch + j * p->y_row);
    uint64_t first = j * p->rate, length = tensor_get_u32(&call->tensors[POOL_LENGTHS], b);
    uint64_t end = size_min(first + p->rate, length);
    for (uint32_t c = 0; c < 4 * p->quads; c++) {
        double pool = 0;
        if (first < end)
            pool = reference_pool(&call->tensors[POOL_X], x + c, 4 * (uint64_t)p->x_row, first, end,
                                  call->options[OPTION_POOLING]);
        tensor_set(&call->tensors[POOL_Y], y + c, pool);
    }
}

static void pool_reference(const struct op_call *call)
{
    for (uint32_t b = 0; b < call->params.pool.batch; b++)
        for (uint64_t j = 0; j < call->params.pool.segments; j++)
            pool_segment(call, b, j);
}

static uint64_t pool_items(const struct op_call *call, const struct op_candidate *candidate)
{
    const struct pool_params *p = &call->params.pool;
    return size_div_up((uint64_t)p->batch * p->segments * p->quads, candidate->group);
}

static void pool_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                      uint64_t end_item, uint64_t *begin, uint64_t *end)
{
    const struct op_call *call = span_call(dispatch);
    const struct pool_params *p = &call->params.pool;
    uint64_t group = span_candidate(dispatch)->group;
    uint64_t last = (uint64_t)p->batch * p->segments - 1;
    uint64_t low = size_min(first * group / p->quads, last);
    uint64_t high = size_min((end_item * group - 1) / p->quads, last);
    uint64_t rows = index == POOL_X ? p->rate : 1;
    struct span_layout layout = {
        .batch = p->y_batch, .row = p->y_row, .width = p->quads, .groups = 1, .heads = 1};
    if (index == POOL_LENGTHS) {
        span_whole(dispatch, index, begin, end);
        return;
    }
    if (index == POOL_X) {
        layout.batch = p->x_batch;
        layout.row = p->x_row;
    }
    span_rows(&layout, call->tensors[index].type, low / p->segments, high / p->segments,
              low % p->segments * rows, (high % p->segments + 1) * rows, p->segments * rows, begin,
              end);
}

static void pool_cost(const struct op_call *call, double *operations, double *bytes)
{
    const struct pool_params *p = &call->params.pool;
    double pooled = 4.0 * p->batch * p->segments * p->quads;
    *operations = pooled * p->rate;
    *bytes = pooled * (p->rate * element_bytes(call->tensors[POOL_X].type) +
                       element_bytes(call->tensors[POOL_Y].type));
}

static void pool_example(struct random *random, enum element_type type, struct op_call *call)
{
    struct pool_params *p = &call->params.pool;
    p->batch = random_between(random, 1, 3);
    p->segments = example_rows(random, 60);
    p->rate = example_rows(random, 9);
    p->quads = example_quads(random);
    call->options[OPTION_POOLING] = random_between(random, POOLING_MEAN, POOLING_MAX);
    uint32_t rows = p->segments * p->rate;
    p->x_row = p->quads + random_between(random, 0, 2);
    p->x_batch = rows * p->x_row + random_between(random, 0, 2);
    p->y_row = p->quads + random_between(random, 0, 2);
    p->y_batch = p->segments * p->y_row + random_between(random, 0, 2);
    example_tensor(call, POOL_X, type, 4 * (uint64_t)p->batch * p->x_batch);
    example_tensor(call, POOL_LENGTHS, ELEMENT_U32, p->batch);
    example_tensor(call, POOL_Y, type, 4 * (uint64_t)p->batch * p->y_batch);
}

static void pool_prepare(struct random *random, const struct op_call *call)
{
    const struct pool_params *p = &call->params.pool;
    example_lengths(random, &call->tensors[POOL_LENGTHS], p->segments * p->rate);
}

static const struct op_candidate candidates[] = {
    {"flat_texel", SHADER_pool_texel, NEED_TEXEL, CLASS_CPU, 64, {0}, NULL},
    {"flat", SHADER_pool, NEED_NOTHING, CLASS_ANY, 64, {0}, NULL},
};

const struct op op_pool = {
    .name = "pool",
    .tensor_count = 3,
    .params_size = sizeof(struct pool_params),
    .writes = 1u << POOL_Y,
    .raw = 1u << POOL_LENGTHS,
    .candidates = candidates,
    .candidate_count = ARRAY_SIZE(candidates),
    .reference = pool_reference,
    .items = pool_items,
    .span = pool_span,
    .cost = pool_cost,
    .example = pool_example,
    .prepare = pool_prepare,
};
