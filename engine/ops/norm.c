/* norm: Y = (X - mean) / sqrt(variance + eps) * weight + bias over the columns of each row;
 * variance of the centred values over their number. moments: mean and 1 / sqrt(variance + eps). */
#include "ops/example.h"
#include <math.h>

enum { TILE_LANES, TILE_STEP }; /* invocations that share a row; quads each loads at once */

static void norm_row(const struct op_call *call, uint64_t row)
{
    const struct norm_params *p = &call->params.norm;
    const struct tensor *tensors = call->tensors;
    uint64_t x = 4 * row * p->x_row, y = 4 * row * p->y_row;
    double mean = 0, variance = 0;
    for (uint32_t c = 0; c < p->columns; c++)
        mean += tensor_get(&tensors[NORM_X], x + c) / p->columns;
    for (uint32_t c = 0; c < p->columns; c++)
        variance += pow(tensor_get(&tensors[NORM_X], x + c) - mean, 2) / p->columns;
    double scale = 1 / sqrt(variance + p->eps);
    if (call->options[OPTION_MOMENTS]) {
        const double moments[4] = {mean, scale};
        for (uint32_t i = 0; i < 4; i++)
            tensor_set(&tensors[NORM_Y], y + i, moments[i]);
        return;
    }
    for (uint32_t c = 0; c < p->columns; c++)
        tensor_set(&tensors[NORM_Y], y + c,
                   (tensor_get(&tensors[NORM_X], x + c) - mean) * scale *
                           tensor_get(&tensors[NORM_WEIGHT], c) +
                       tensor_get(&tensors[NORM_BIAS], c));
    for (uint32_t c = p->columns; c % 4; c++)
        tensor_set(&tensors[NORM_Y], y + c, 0);
}

static void norm_reference(const struct op_call *call)
{
    for (uint64_t row = 0; row < call->params.norm.rows; row++)
        norm_row(call, row);
}

static uint64_t rows_per_item(const struct op_candidate *candidate)
{
    return candidate->group / candidate->tiles[TILE_LANES];
}

static uint64_t norm_items(const struct op_call *call, const struct op_candidate *candidate)
{
    return size_div_up(call->params.norm.rows, rows_per_item(candidate));
}

/* Twice through a row for its moments, once more to store it; halvings of sums that lanes share. */
static uint64_t norm_iterations(const struct op_call *call, const struct op_candidate *candidate)
{
    uint64_t lanes = candidate->tiles[TILE_LANES], step = candidate->tiles[TILE_STEP];
    uint64_t quads = size_div_up(call->params.norm.columns, 4);
    uint64_t last = call->options[OPTION_MOMENTS] ? 0 : size_div_up(quads, lanes);
    return 2 * (size_div_up(quads, lanes * step) + lanes) + last;
}

static void norm_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                      uint64_t end_item, uint64_t *begin, uint64_t *end)
{
    const struct op_call *call = span_call(dispatch);
    uint64_t rows = rows_per_item(span_candidate(dispatch));
    uint64_t quad = 4 * (uint64_t)element_bytes(call->tensors[index].type);
    if (index == NORM_WEIGHT || index == NORM_BIAS) {
        span_whole(dispatch, index, begin, end);
        return;
    }
    quad *= index == NORM_X ? call->params.norm.x_row : call->params.norm.y_row;
    *begin = quad * rows * first;
    *end = quad * size_min(rows * end_item, call->params.norm.rows);
}

static void norm_cost(const struct op_call *call, double *operations, double *bytes)
{
    double numbers = (double)call->params.norm.rows * call->params.norm.columns;
    bool moments = call->options[OPTION_MOMENTS];
    double written = moments ? 4.0 * call->params.norm.rows : numbers;
    *operations = (moments ? 5 : 8) * numbers;
    *bytes = numbers * element_bytes(call->tensors[NORM_X].type) +
             written * element_bytes(call->tensors[NORM_Y].type);
}

static void norm_example(struct random *random, enum element_type type, struct op_call *call)
{
    struct norm_params *p = &call->params.norm;
    uint32_t quads = example_quads(random) * (example_chance(random, 3) ? 16 : 1);
    p->rows = example_rows(random, 150);
    p->columns = 4 * quads - random_between(random, 0, 3);
    p->eps = example_chance(random, 2) ? 1e-5f : 1e-12f;
    p->x_row = quads + random_between(random, 0, 2);
    bool moments = random_between(random, 0, 1);
    call->options[OPTION_MOMENTS] = moments;
    p->y_row = (moments ? 1 : quads) + random_between(random, 0, 2);
    example_tensor(call, NORM_X, type, 4 * (uint64_t)p->rows * p->x_row);
    example_tensor(call, NORM_Y, moments ? ELEMENT_F32 : type, 4 * (uint64_t)p->rows * p->y_row);
    if (moments)
        return;
    example_tensor(call, NORM_WEIGHT, type, 4 * (uint64_t)quads);
    example_tensor(call, NORM_BIAS, type, 4 * (uint64_t)quads);
}

static struct op_shape_class norm_class(const struct op_call *call)
{
    const struct norm_params *p = &call->params.norm;
    return (struct op_shape_class){.widths = {(p->columns + 3) / 4}};
}

static bool short_rows(const struct op_call *call, const struct op_candidate *candidate)
{
    return call->params.norm.columns <= 16 * candidate->tiles[TILE_LANES];
}

static const struct op_candidate candidates[] = {
    {"row_per_lane_texel", SHADER_norm_texel, NEED_TEXEL, CLASS_CPU, 64, {1, 4}, NULL},
    {"row_per_lane", SHADER_norm, NEED_NOTHING, CLASS_CPU, 64, {1, 4}, NULL},
    {"row_per_32", SHADER_norm, NEED_NOTHING, CLASS_GPU, 64, {32, 1}, short_rows},
    {"row_per_group", SHADER_norm, NEED_NOTHING, CLASS_ANY, 64, {64, 1}, NULL},
};

const struct op op_norm = {
    .name = "norm",
    .tensor_count = 4,
    .params_size = sizeof(struct norm_params),
    .writes = 1u << NORM_Y,
    .candidates = candidates,
    .candidate_count = ARRAY_SIZE(candidates),
    .reference = norm_reference,
    .items = norm_items,
    .span = norm_span,
    .iterations = norm_iterations,
    .cost = norm_cost,
    .example = norm_example,
    .shape_class = norm_class,
};
