/* softmax: y_i = softmax(scale q_i k^T) v over valid keys, or over the valid ones of the runs that
 * the block of query i sees; online: no n x m matrix in memory. */
#include "ops/reference.h"
#include "ops/span.h"

enum { TILE_ROWS, TILE_QUADS, TILE_KEYS };
enum { BLOCK_ROWS = 8, BLOCK_QUADS = 16, BLOCK_KEYS = 32 }; /* of the shared memory form */
enum { MANY_ITEMS = 256 }; /* that fill a device */

static bool is_lane(const struct op_candidate *candidate)
{
    return candidate->need & NEED_SHUFFLE;
}

static uint64_t tile_queries(const struct op_candidate *candidate)
{
    return candidate->tiles[TILE_ROWS] * (is_lane(candidate) ? candidate->group : BLOCK_ROWS);
}

static uint64_t column_tiles(const struct op_call *call, const struct op_candidate *candidate)
{
    uint32_t quads =
        is_lane(candidate) ? candidate->group * candidate->tiles[TILE_QUADS] : BLOCK_QUADS;
    return size_div_up(call->params.softmax.dv4, quads);
}

/* A tile lies in one block of queries. */
static uint64_t row_tiles(const struct op_call *call, const struct op_candidate *candidate)
{
    uint32_t n = call->params.softmax.n, block = call->params.softmax.block;
    uint64_t queries = tile_queries(candidate);
    return n / block * size_div_up(block, queries) + size_div_up(n % block, queries);
}

/* The first query of a row of tiles. */
static uint64_t tile_query(const struct op_call *call, const struct op_candidate *candidate,
                           uint64_t row)
{
    uint64_t block = call->params.softmax.block, queries = tile_queries(candidate);
    uint64_t block_rows = size_div_up(block, queries);
    return row / block_rows * block + row % block_rows * queries;
}

static uint64_t softmax_items(const struct op_call *call, const struct op_candidate *candidate)
{
    return (uint64_t)call->params.softmax.batch * call->params.softmax.groups *
           row_tiles(call, candidate) * column_tiles(call, candidate);
}

static void softmax_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                         uint64_t end_item, uint64_t *begin, uint64_t *end)
{
    const struct op_call *call = span_call(dispatch);
    const struct softmax_params *p = &call->params.softmax;
    const struct op_candidate *candidate = span_candidate(dispatch);
    uint64_t columns = column_tiles(call, candidate);
    uint64_t per_outer = row_tiles(call, candidate) * columns;
    uint64_t low = first / per_outer, high = (end_item - 1) / per_outer;
    uint64_t rows = p->n, row = tile_query(call, candidate, first % per_outer / columns);
    uint64_t last = tile_query(call, candidate, (end_item - 1) % per_outer / columns);
    uint64_t row_end = size_min(last + tile_queries(candidate), p->n);
    struct span_layout layout = {.groups = p->groups, .heads = 1};
    switch (index) {
    case SOFTMAX_Q:
        layout.batch = p->q_batch, layout.group = p->q_group;
        layout.row = p->q_row, layout.width = p->dk4;
        break;
    case SOFTMAX_Y:
        layout.batch = p->y_batch, layout.group = p->y_group;
        layout.row = p->y_row, layout.width = p->dv4 + call->options[OPTION_PARTIAL];
        break;
    case SOFTMAX_K:
        layout.start = p->k_start, layout.batch = p->k_batch, layout.group = p->k_group;
        layout.row = p->k_row, layout.width = p->dk4;
        row = 0, row_end = rows = p->m;
        break;
    case SOFTMAX_V:
        layout.start = p->v_start, layout.batch = p->v_batch, layout.group = p->v_group;
        layout.row = p->v_row, layout.width = p->dv4;
        row = 0, row_end = rows = p->m;
        break;
    default:
        span_whole(dispatch, index, begin, end);
        return;
    }
    span_rows(&layout, call->tensors[index].type, low, high, row, row_end, rows, begin, end);
}

/* Of sparse calls the plan cuts the runs (attn/softmax.c), but not within the keys of a step. */
static uint64_t softmax_iterations(const struct op_call *call, const struct op_candidate *candidate)
{
    const struct softmax_params *p = &call->params.softmax;
    uint64_t keys = is_lane(candidate) ? candidate->tiles[TILE_KEYS] : BLOCK_KEYS;
    uint64_t seen = call->options[OPTION_SPARSE] ? size_min(p->m, BLOCK_KEYS) : p->m;
    return size_div_up(seen, keys) * (p->dk4 + 2);
}

/* One lane-wide column tile where that is all there is. */
static bool narrow(const struct op_call *call, const struct op_candidate *candidate)
{
    return call->params.softmax.dv4 <= candidate->group;
}

static bool many(const struct op_call *call, const struct op_candidate *candidate)
{
    return softmax_items(call, candidate) >= MANY_ITEMS;
}

static struct op_shape_class softmax_class(const struct op_call *call)
{
    const struct softmax_params *p = &call->params.softmax;
    return (struct op_shape_class){.widths = {p->dk4, p->dv4},
                                   .kind = call->options[OPTION_SPARSE]};
}

static const struct op_candidate candidates[] = {
    {"lane16_texel",
     SHADER_softmax_lane_texel,
     NEED_SHUFFLE | NEED_TEXEL,
     CLASS_CPU,
     16,
     {4, 1, 16},
     NULL},
    {"lane8_texel_narrow",
     SHADER_softmax_lane_texel,
     NEED_SHUFFLE | NEED_TEXEL,
     CLASS_CPU,
     8,
     {4, 1, 8, 1},
     narrow},
    {"lane8_texel",
     SHADER_softmax_lane_texel,
     NEED_SHUFFLE | NEED_TEXEL,
     CLASS_CPU,
     8,
     {4, 2, 8, 1},
     NULL},
    /* More keys at a time, for more time to compile. */
    {"lane8_texel_keys16",
     SHADER_softmax_lane_texel,
     NEED_SHUFFLE | NEED_TEXEL,
     CLASS_TUNED,
     8,
     {4, 2, 16, 1},
     NULL},
    {"lane8", SHADER_softmax_lane, NEED_SHUFFLE | NEED_QUAD, CLASS_CPU, 8, {4, 1, 8}, NULL},
    {"lane4_texel",
     SHADER_softmax_lane_texel,
     NEED_SHUFFLE | NEED_TEXEL,
     CLASS_CPU,
     4,
     {4, 1, 4},
     NULL},
    {"lane4", SHADER_softmax_lane, NEED_SHUFFLE | NEED_QUAD, CLASS_CPU, 4, {2, 2, 4}, NULL},
    /* Twice the queries: fewer loads from shared memory, for fewer workgroups. */
    {"tile_rows8", SHADER_softmax_tile, NEED_NOTHING, CLASS_GPU, 128, {8}, many},
    {"tile_rows8_check", SHADER_softmax_tile, NEED_NOTHING, CLASS_NONE, 128, {8}, NULL},
    {"tile_few", SHADER_softmax_tile_few, NEED_NOTHING, CLASS_SPARE, 128, {4}, NULL},
    {"tile", SHADER_softmax_tile, NEED_NOTHING, CLASS_ANY, 128, {4}, NULL},
};

const struct op op_softmax = {
    .name = "softmax",
    .tensor_count = 7,
    .params_size = sizeof(struct softmax_params),
    .writes = 1u << SOFTMAX_Y,
    .raw = 1u << SOFTMAX_KEY_LENGTHS | 1u << SOFTMAX_QUERY_LENGTHS | 1u << SOFTMAX_RUNS,
    .candidates = candidates,
    .candidate_count = ARRAY_SIZE(candidates),
    .reference = softmax_reference,
    .items = softmax_items,
    .span = softmax_span,
    .iterations = softmax_iterations,
    .cost = softmax_cost,
    .example = softmax_example,
    .prepare = softmax_prepare,
    .shape_class = softmax_class,
};
