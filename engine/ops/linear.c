/* linear: C = act(A W + bias) + residual. A [rows, k], W [k, n], bias [n], residual and C
 * [rows, n]; act is the identity or the exact GELU. normed: A's rows are normalised by their
 * moments, for which the sums of W's columns follow the bias. */
#include "ops/reference.h"
#include "ops/span.h"

enum { TILE_ROWS, TILE_QUADS, TILE_STEP, TILE_VARIABLE };
enum { BLOCK_ROWS = 64, BLOCK_QUADS = 16, BLOCK_STEP = 4 }; /* of the shared memory form */
enum { SUBGROUP_ROWS = 32, MATRIX_STEP = 8 }; /* of the form by matrices, of 16 quads too */
enum { ROW_DEEPEST = 28 };                    /* quads of k that the row form holds */
enum { PAIR_NEEDS = NEED_SHUFFLE | NEED_TEXEL | NEED_INT64 };

static bool is_row(const struct op_candidate *candidate)
{
    return candidate->need & NEED_DEPTH;
}

static bool is_lane(const struct op_candidate *candidate)
{
    return candidate->need & NEED_SHUFFLE && !is_row(candidate);
}

static bool is_matrix(const struct op_candidate *candidate)
{
    return candidate->tiles[TILE_SUBGROUPS] && !is_lane(candidate);
}

static uint64_t tile_rows(const struct op_candidate *candidate)
{
    if (is_matrix(candidate))
        return SUBGROUP_ROWS * candidate->tiles[TILE_SUBGROUPS];
    if (is_row(candidate))
        return candidate->tiles[TILE_ROWS];
    return is_lane(candidate) ? candidate->group * candidate->tiles[TILE_ROWS] : BLOCK_ROWS;
}

static uint64_t column_tiles(const struct op_call *call, const struct op_candidate *candidate)
{
    uint32_t quads = is_lane(candidate) ? candidate->tiles[TILE_QUADS] : BLOCK_QUADS;
    if (is_row(candidate))
        quads = candidate->group * candidate->tiles[TILE_QUADS];
    return size_div_up(call->params.linear.n4, quads);
}

static uint64_t linear_items(const struct op_call *call, const struct op_candidate *candidate)
{
    return size_div_up(call->params.linear.rows, tile_rows(candidate)) *
           column_tiles(call, candidate);
}

/* Through k; of the row form through rows, and the lines that lanes touch. */
static uint64_t linear_iterations(const struct op_call *call, const struct op_candidate *candidate)
{
    const uint32_t *tiles = candidate->tiles;
    if (is_row(candidate))
        return tiles[TILE_ROWS] * (2 + (uint64_t)tiles[TILE_QUADS]);
    uint64_t step = is_matrix(candidate) ? MATRIX_STEP : BLOCK_STEP;
    return size_div_up(call->params.linear.k4, is_lane(candidate) ? tiles[TILE_STEP] : step);
}

static void linear_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                        uint64_t end_item, uint64_t *begin, uint64_t *end)
{
    const struct op_call *call = span_call(dispatch);
    const struct linear_params *p = &call->params.linear;
    uint64_t columns = column_tiles(call, span_candidate(dispatch));
    uint64_t rows = tile_rows(span_candidate(dispatch));
    uint64_t row = first / columns * rows;
    uint64_t row_end = size_min(((end_item - 1) / columns + 1) * rows, p->rows);
    struct span_layout layout = {.start = p->c_start, .row = p->c_row, .width = p->n4,
                                 .groups = 1, .heads = 1};
    if (index == LINEAR_W || index == LINEAR_BIAS) {
        span_whole(dispatch, index, begin, end);
        return;
    }
    if (index == LINEAR_RESIDUAL && !call->options[OPTION_RESIDUAL]) {
        *begin = *end = 0;
        return;
    }
    if (index == LINEAR_MOMENTS) {
        *begin = 16 * (call->options[OPTION_NORMED] ? row : 0);
        *end = 16 * (call->options[OPTION_NORMED] ? row_end : 0);
        return;
    }
    if (index == LINEAR_A) {
        layout.start = p->a_start;
        layout.row = p->a_row;
        layout.width = p->k4;
    }
    span_rows(&layout, call->tensors[index].type, 0, 0, row, row_end, p->rows, begin, end);
}

/* The step over k has no remainder. */
static bool whole_steps(const struct op_call *call, const struct op_candidate *candidate)
{
    return call->params.linear.k4 % candidate->tiles[TILE_STEP] == 0;
}

/* So few k that all of W's that lanes have at a time fit the first cache. */
static bool shallow(const struct op_call *call, const struct op_candidate *candidate)
{
    (void)candidate;
    return call->params.linear.k4 <= ROW_DEEPEST;
}

static bool pairs(const struct op_call *call)
{
    const struct linear_params *p = &call->params.linear;
    return span_pairs(&call->tensors[LINEAR_C], p->c_start | p->c_row | p->n4);
}

static bool shallow_pairs(const struct op_call *call, const struct op_candidate *candidate)
{
    return shallow(call, candidate) && pairs(call);
}

/* Nothing but a bias is added. */
static bool plain_pairs(const struct op_call *call, const struct op_candidate *candidate)
{
    const uint32_t *options = call->options;
    return !options[OPTION_GELU] && !options[OPTION_RESIDUAL] && !options[OPTION_NORMED] &&
           whole_steps(call, candidate) && pairs(call);
}

/* Sums of products of halves only: f32 storage promises more. */
static bool halves(const struct op_call *call, const struct op_candidate *candidate)
{
    (void)candidate;
    return call->tensors[LINEAR_A].type == ELEMENT_F16 &&
           call->tensors[LINEAR_W].type == ELEMENT_F16 &&
           call->tensors[LINEAR_C].type == ELEMENT_F16;
}

static uint32_t linear_depth(const struct op_call *call)
{
    return call->params.linear.k4;
}

static struct op_shape_class linear_class(const struct op_call *call)
{
    const struct linear_params *p = &call->params.linear;
    return (struct op_shape_class){.widths = {p->k4, p->n4}};
}

/* Cooperative matrices are taken where tuning has checked and timed them: drivers differ in what
 * they do with them. */
static const struct op_candidate candidates[] = {
#ifdef COOP_KHR
    {"matrix_khr", SHADER_linear_coop_khr, NEED_MATRIX_KHR, CLASS_TUNED, 128, {16, 16, 16, 4},
     halves},
    {"matrix_khr64", SHADER_linear_coop_khr, NEED_MATRIX_KHR, CLASS_TUNED, 256, {16, 16, 16, 4},
     halves},
    {"matrix_khr16", SHADER_linear_coop_khr, NEED_MATRIX_KHR, CLASS_TUNED, 64, {8, 16, 16, 4},
     halves},
#endif
    {"matrix_nv", SHADER_linear_coop_nv, NEED_MATRIX_NV, CLASS_TUNED, 128, {16, 16, 16, 4}, halves},
#ifdef COOP_CHECK
    {"matrix_check", SHADER_linear_coop, NEED_NOTHING, CLASS_NONE, 128, {16, 16, 16, 4}, halves},
    {"matrix_check8", SHADER_linear_coop, NEED_NOTHING, CLASS_NONE, 64, {8, 8, 16, 2}, halves},
#endif
    {"lane16_texel", SHADER_linear_lane_texel, NEED_SHUFFLE | NEED_TEXEL, CLASS_CPU, 16,
     {5, 8, 2}, whole_steps},
    {"lane16_texel_odd", SHADER_linear_lane_texel, NEED_SHUFFLE | NEED_TEXEL, CLASS_CPU, 16,
     {5, 8, 1}, NULL},
    {"row8_pairs", SHADER_linear_pairs, PAIR_NEEDS | NEED_DEPTH, CLASS_CPU, 8, {256, 2, 1, 0, 1},
     shallow_pairs},
    {"row8", SHADER_linear_pairs, PAIR_NEEDS | NEED_DEPTH, CLASS_CPU, 8, {256, 2, 1, 0, 0},
     shallow},
    {"lane8_pairs", SHADER_linear_pairs, PAIR_NEEDS, CLASS_CPU, 8, {5, 8, 2, 1, 1}, plain_pairs},
    {"lane8_texel", SHADER_linear_lane_texel, NEED_SHUFFLE | NEED_TEXEL, CLASS_CPU, 8,
     {5, 8, 2, 1}, whole_steps},
    {"lane8_texel_odd", SHADER_linear_lane_texel, NEED_SHUFFLE | NEED_TEXEL, CLASS_CPU, 8,
     {5, 8, 1, 1}, NULL},
    /* Fewer rows a lane: where k is small, stores and what comes with them weigh more. */
    {"lane8_texel_rows4", SHADER_linear_lane_texel, NEED_SHUFFLE | NEED_TEXEL, CLASS_TUNED, 8,
     {4, 8, 2, 1}, whole_steps},
    {"lane8", SHADER_linear_lane, NEED_SHUFFLE | NEED_QUAD, CLASS_CPU, 8, {5, 8, 1}, NULL},
    {"lane4_texel", SHADER_linear_lane_texel, NEED_SHUFFLE | NEED_TEXEL, CLASS_CPU, 4, {4, 4, 1},
     NULL},
    {"lane4", SHADER_linear_lane, NEED_SHUFFLE | NEED_QUAD, CLASS_CPU, 4, {2, 4, 1}, NULL},
    {"tile_few", SHADER_linear_tile_few, NEED_NOTHING, CLASS_SPARE, 128, {0}, NULL},
    {"tile", SHADER_linear_tile, NEED_NOTHING, CLASS_ANY, 128, {0}, NULL},
};

const struct op op_linear = {
    .name = "linear",
    .tensor_count = 6,
    .params_size = sizeof(struct linear_params),
    .writes = 1u << LINEAR_C,
    .candidates = candidates,
    .candidate_count = ARRAY_SIZE(candidates),
    .depth = linear_depth,
    .reference = linear_reference,
    .items = linear_items,
    .span = linear_span,
    .iterations = linear_iterations,
    .cost = linear_cost,
    .example = linear_example,
    .shape_class = linear_class,
};
