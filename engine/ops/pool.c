/* pool: Y_l[b][j] = mean or largest of X[b][j*rate_l .. min((j+1)*rate_l, L_b)), column by column,
 * for one to three levels l of which each pools the one before further; rows of Y_l from segment
 * ceil(L_b / rate_l) on are 0. normed: X's rows are normalised by their moments first. */
#include "ops/example.h"
#include <math.h>

/* Invocations that share a segment; of the CPU form, quads of columns that an item makes, and an
 * invocation at a time. */
enum { TILE_LANES, TILE_COLUMNS = 0, TILE_QUADS };
/* Of the CPU form, which runs on subgroups of any size, best where the workgroup is one. */
enum { LANE_NEEDS = NEED_TEXEL | NEED_INT64, LANE16_NEEDS = LANE_NEEDS | NEED_SHUFFLE };
enum { LANE_TOUCHES = 512 }; /* iterations at most, as it touches what a cache holds */

static bool is_lane(const struct op_candidate *candidate)
{
    return candidate->need & NEED_INT64;
}

static uint32_t top_level(const struct op_call *call)
{
    return call->options[OPTION_LEVELS] - 1;
}

static double number(const struct op_call *call, uint32_t b, uint64_t row, uint32_t column)
{
    const struct pool_params *p = &call->params.pool;
    const struct tensor *moments = &call->tensors[POOL_MOMENTS];
    uint64_t x_at = 4 * ((uint64_t)b * p->x_batch + row * p->x_row) + column;
    uint64_t at = 4 * ((uint64_t)b * p->m_batch + row);
    double x = tensor_get(&call->tensors[POOL_X], x_at);
    if (!call->options[OPTION_NORMED])
        return x;
    if (column >= p->columns)
        return 0;
    return (x - tensor_get(moments, at)) * tensor_get(moments, at + 1);
}

/* Of a column's rows [first, end), of which there is one at least. */
static double pool_rows(const struct op_call *call, uint32_t b, uint32_t column, uint64_t first,
                        uint64_t end)
{
    bool largest = call->options[OPTION_POOLING] == POOLING_MAX;
    double pool = number(call, b, first, column);
    for (uint64_t row = first + 1; row < end; row++) {
        double x = number(call, b, row, column);
        pool = largest ? fmax(pool, x) : pool + x;
    }
    return largest ? pool : pool / (double)(end - first);
}

static void pool_segment(const struct op_call *call, uint32_t level, uint32_t b, uint64_t j)
{
    const struct pool_params *p = &call->params.pool;
    uint64_t rate = p->rates[level];
    uint64_t y = 4 * ((uint64_t)b * p->y_batch[level] + j * p->y_row);
    uint64_t first = j * rate;
    uint64_t end = size_min(first + rate, tensor_length(&call->tensors[POOL_LENGTHS], b, p->rows));
    for (uint32_t c = 0; c < 4 * p->quads; c++) {
        double pool = first < end ? pool_rows(call, b, c, first, end) : 0;
        tensor_set(&call->tensors[POOL_Y + level], y + c, pool);
    }
}

static void pool_reference(const struct op_call *call)
{
    for (uint32_t level = 0; level <= top_level(call); level++)
        for (uint32_t b = 0; b < call->params.pool.batch; b++)
            for (uint64_t j = 0; j < call->params.pool.segments[level]; j++)
                pool_segment(call, level, b, j);
}

/* Quads of segments of the last level that an item makes. */
static uint64_t item_elements(const struct op_candidate *candidate)
{
    return candidate->group / candidate->tiles[TILE_LANES];
}

/* Items that a segment of the last level is, in the CPU form. */
static uint64_t column_tiles(const struct op_call *call, const struct op_candidate *candidate)
{
    return size_div_up(call->params.pool.quads, candidate->tiles[TILE_COLUMNS]);
}

static uint64_t pool_items(const struct op_call *call, const struct op_candidate *candidate)
{
    const struct pool_params *p = &call->params.pool;
    uint64_t segments = p->batch * (uint64_t)p->segments[top_level(call)];
    if (is_lane(candidate))
        return segments * column_tiles(call, candidate);
    return size_div_up(segments * p->quads, item_elements(candidate));
}

static uint64_t pool_iterations(const struct op_call *call, const struct op_candidate *candidate)
{
    const struct pool_params *p = &call->params.pool;
    uint64_t rows = size_min(p->rates[top_level(call)], p->rows);
    uint64_t segments = p->rates[top_level(call)] / p->rates[0];
    if (is_lane(candidate)) {
        uint64_t lanes = (uint64_t)candidate->group * candidate->tiles[TILE_QUADS];
        uint64_t columns = size_min(p->quads, candidate->tiles[TILE_COLUMNS]);
        return size_div_up(columns, lanes) * (rows + 2 * segments + 1) + LANE_TOUCHES;
    }
    return size_div_up(rows, candidate->tiles[TILE_LANES]) + segments;
}

static void pool_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                      uint64_t end_item, uint64_t *begin, uint64_t *end)
{
    const struct op_call *call = span_call(dispatch);
    const struct pool_params *p = &call->params.pool;
    const struct op_candidate *candidate = span_candidate(dispatch);
    const uint64_t top = p->rates[top_level(call)];
    const uint64_t segments = p->segments[top_level(call)], last = p->batch * segments - 1;
    const uint64_t group = is_lane(candidate) ? 1 : item_elements(candidate);
    const uint64_t wide = is_lane(candidate) ? column_tiles(call, candidate) : p->quads;
    const uint64_t low = size_min(first * group / wide, last);
    const uint64_t high = size_min((end_item * group - 1) / wide, last);
    struct span_layout layout = {
        .batch = p->x_batch, .row = p->x_row, .width = p->quads, .groups = 1, .heads = 1};
    uint64_t each = top, rows = p->rows; /* rows of a segment of the last level; of all */
    if (index == POOL_LENGTHS) {
        span_whole(dispatch, index, begin, end);
        return;
    }
    if (index == POOL_MOMENTS) {
        layout = (struct span_layout){
            .batch = p->m_batch, .row = 1, .width = 1, .groups = 1, .heads = 1};
        if (!call->options[OPTION_NORMED]) {
            *begin = *end = 0;
            return;
        }
    } else if (index >= POOL_Y) {
        uint32_t level = index - POOL_Y;
        layout.batch = p->y_batch[level];
        layout.row = p->y_row;
        each = top / p->rates[level];
        rows = p->segments[level];
    }
    span_rows(&layout, call->tensors[index].type, low / segments, high / segments,
              low % segments * each, size_min((high % segments + 1) * each, rows), rows, begin,
              end);
}

static void pool_cost(const struct op_call *call, double *operations, double *bytes)
{
    const struct pool_params *p = &call->params.pool;
    double top = (double)p->segments[top_level(call)] * p->rates[top_level(call)];
    double numbers = 4.0 * p->batch * p->quads;
    *operations = numbers * top;
    *bytes = numbers * top * element_bytes(call->tensors[POOL_X].type);
    if (call->options[OPTION_NORMED])
        *bytes += 16.0 * p->batch * top;
    for (uint32_t level = 0; level <= top_level(call); level++)
        *bytes += numbers * p->segments[level] * element_bytes(call->tensors[POOL_Y].type);
}

static void pool_example(struct random *random, enum element_type type, struct op_call *call)
{
    struct pool_params *p = &call->params.pool;
    bool is_long = example_chance(random, 4);
    uint32_t rate = is_long ? random_between(random, 1, 300) : example_rows(random, 9);
    uint32_t rows = rate * example_rows(random, is_long ? 3 : 60);
    rows -= random_between(random, 0, rate - 1); /* the last segment may be short */
    p->rows = rows;
    p->batch = random_between(random, 1, 3);
    p->quads = example_quads(random);
    call->options[OPTION_POOLING] = random_between(random, POOLING_MEAN, POOLING_MAX);
    call->options[OPTION_LONG] = is_long;
    call->options[OPTION_LEVELS] = is_long ? 1 : random_between(random, 1, POOL_LEVELS);
    p->x_row = p->quads + random_between(random, 0, 2);
    p->y_row = p->quads + random_between(random, 0, 2);
    p->x_batch = rows * p->x_row + random_between(random, 0, 2);
    for (uint32_t level = 0; level <= top_level(call); level++) {
        p->rates[level] = rate;
        p->segments[level] = (uint32_t)size_div_up(rows, rate);
        p->y_batch[level] = p->segments[level] * p->y_row + random_between(random, 0, 2);
        example_tensor(call, POOL_Y + level, type, 4 * (uint64_t)p->batch * p->y_batch[level]);
        rate *= random_between(random, 1, 3);
    }
    example_tensor(call, POOL_X, type, 4 * (uint64_t)p->batch * p->x_batch);
    example_tensor(call, POOL_LENGTHS, ELEMENT_U32, p->batch);
    call->options[OPTION_NORMED] = random_between(random, 0, 1);
    p->m_batch = rows + random_between(random, 0, 2);
    p->columns = 4 * p->quads - random_between(random, 0, 3);
    if (call->options[OPTION_NORMED])
        example_tensor(call, POOL_MOMENTS, ELEMENT_F32, 4 * (uint64_t)p->batch * p->m_batch);
}

static void pool_prepare(struct random *random, const struct op_call *call)
{
    const struct pool_params *p = &call->params.pool;
    example_lengths(random, &call->tensors[POOL_LENGTHS], p->rows);
}

static bool long_segments(const struct op_call *call, const struct op_candidate *candidate)
{
    (void)candidate;
    return call->options[OPTION_LONG];
}

static struct op_shape_class pool_class(const struct op_call *call)
{
    const struct pool_params *p = &call->params.pool;
    return (struct op_shape_class){.widths = {p->quads}, .kind = call->options[OPTION_LONG]};
}

/* Whether rows of all levels are pairs of quads. */
static bool pairs(const struct op_call *call, const struct op_candidate *candidate)
{
    const struct pool_params *p = &call->params.pool;
    (void)candidate;
    for (uint32_t level = 0; level <= top_level(call); level++)
        if (!span_pairs(&call->tensors[POOL_Y + level], p->quads | p->y_row | p->y_batch[level]))
            return false;
    return true;
}

static const struct op_candidate candidates[] = {
    {"lane16_long", SHADER_pool_lane, LANE16_NEEDS, CLASS_CPU, 16, {16, 1}, long_segments},
    {"lane16_pairs", SHADER_pool_lane, LANE16_NEEDS, CLASS_CPU, 16, {128, 2}, pairs},
    {"lane16", SHADER_pool_lane, LANE16_NEEDS, CLASS_CPU, 16, {128, 1}, NULL},
    {"lane8_long", SHADER_pool_lane, LANE_NEEDS, CLASS_CPU, 8, {8, 1}, long_segments},
    {"lane8_pairs", SHADER_pool_lane, LANE_NEEDS, CLASS_CPU, 8, {128, 2}, pairs},
    {"lane8", SHADER_pool_lane, LANE_NEEDS, CLASS_CPU, 8, {128, 1}, NULL},
    {"lanes", SHADER_pool, NEED_NOTHING, CLASS_GPU, 128, {32}, long_segments},
    {"flat_few", SHADER_pool_few, NEED_NOTHING, CLASS_SPARE, 64, {1}, NULL},
    {"flat", SHADER_pool, NEED_NOTHING, CLASS_ANY, 64, {1}, NULL},
};

const struct op op_pool = {
    .name = "pool",
    .tensor_count = POOL_MOMENTS + 1,
    .params_size = sizeof(struct pool_params),
    .writes = 1u << POOL_Y | 1u << (POOL_Y + 1) | 1u << (POOL_Y + 2),
    .hints = 1u << OPTION_LONG,
    .raw = 1u << POOL_LENGTHS,
    .candidates = candidates,
    .candidate_count = ARRAY_SIZE(candidates),
    .reference = pool_reference,
    .items = pool_items,
    .span = pool_span,
    .iterations = pool_iterations,
    .cost = pool_cost,
    .example = pool_example,
    .prepare = pool_prepare,
    .shape_class = pool_class,
};
