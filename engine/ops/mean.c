/* mean: Y[b] = mean of X[b][0 .. L_b), column by column; 0 where L_b = 0. */
#include "ops/example.h"
#include "ops/reference.h"

enum { TILE_LANES }; /* invocations that share a quad of columns */

static void mean_reference(const struct op_call *call)
{
    const struct mean_params *p = &call->params.mean;
    for (uint32_t b = 0; b < p->batch; b++) {
        uint32_t rows = tensor_length(&call->tensors[MEAN_LENGTHS], b, p->n);
        for (uint64_t c = 0; c < 4 * (uint64_t)p->quads; c++) {
            double mean = 0;
            if (rows > 0)
                mean = reference_pool(&call->tensors[MEAN_X], 4 * (uint64_t)b * p->x_batch + c,
                                      4 * (uint64_t)p->x_row, 0, rows, POOLING_MEAN);
            tensor_set(&call->tensors[MEAN_Y], 4 * (uint64_t)b * p->y_row + c, mean);
        }
    }
}

/* Quads of columns that an item has. */
static uint64_t item_quads(const struct op_candidate *candidate)
{
    return candidate->group / candidate->tiles[TILE_LANES];
}

static uint64_t mean_items(const struct op_call *call, const struct op_candidate *candidate)
{
    return size_div_up((uint64_t)call->params.mean.batch * call->params.mean.quads,
                       item_quads(candidate));
}

static void mean_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                      uint64_t end_item, uint64_t *begin, uint64_t *end)
{
    const struct op_call *call = span_call(dispatch);
    const struct mean_params *p = &call->params.mean;
    uint64_t group = item_quads(span_candidate(dispatch));
    uint64_t quad = 4 * (uint64_t)element_bytes(call->tensors[index].type);
    if (index == MEAN_LENGTHS) {
        span_whole(dispatch, index, begin, end);
        return;
    }
    quad *= index == MEAN_X ? p->x_batch : p->y_row;
    *begin = first * group / p->quads * quad;
    *end = size_div_up(end_item * group, p->quads) * quad;
}

static void mean_cost(const struct op_call *call, double *operations, double *bytes)
{
    const struct mean_params *p = &call->params.mean;
    double columns = 4.0 * p->batch * p->quads;
    *operations = columns * p->n;
    *bytes = columns * ((double)p->n * element_bytes(call->tensors[MEAN_X].type) +
                        element_bytes(call->tensors[MEAN_Y].type));
}

static void mean_example(struct random *random, enum element_type type, struct op_call *call)
{
    struct mean_params *p = &call->params.mean;
    p->batch = random_between(random, 1, 4);
    p->n = example_rows(random, 200);
    p->quads = example_quads(random);
    p->x_row = p->quads + random_between(random, 0, 2);
    p->x_batch = p->n * p->x_row + random_between(random, 0, 2);
    p->y_row = p->quads + random_between(random, 0, 2);
    example_tensor(call, MEAN_X, type, 4 * (uint64_t)p->batch * p->x_batch);
    example_tensor(call, MEAN_LENGTHS, ELEMENT_U32, p->batch);
    example_tensor(call, MEAN_Y, ELEMENT_F32, 4 * (uint64_t)p->batch * p->y_row);
}

static void mean_prepare(struct random *random, const struct op_call *call)
{
    example_lengths(random, &call->tensors[MEAN_LENGTHS], call->params.mean.n);
}

static struct op_shape_class mean_class(const struct op_call *call)
{
    const struct mean_params *p = &call->params.mean;
    return (struct op_shape_class){.widths = {p->quads}};
}

static const struct op_candidate candidates[] = {
    {"flat_texel", SHADER_mean_texel, NEED_TEXEL, CLASS_CPU, 64, {1}, NULL},
    {"flat", SHADER_mean, NEED_NOTHING, CLASS_CPU, 64, {1}, NULL},
    {"lanes", SHADER_mean, NEED_NOTHING, CLASS_ANY, 128, {32}, NULL},
};

const struct op op_mean = {
    .name = "mean",
    .tensor_count = 3,
    .params_size = sizeof(struct mean_params),
    .writes = 1u << MEAN_Y,
    .raw = 1u << MEAN_LENGTHS,
    .candidates = candidates,
    .candidate_count = ARRAY_SIZE(candidates),
    .reference = mean_reference,
    .items = mean_items,
    .span = mean_span,
    .cost = mean_cost,
    .example = mean_example,
    .prepare = mean_prepare,
    .shape_class = mean_class,
};
