/* readout: y_i = sum over the heads that query i reads of weight * phi(q_i)^T S_h /
 * (phi(q_i)^T z_h + eps). Top-1 reads one head, soft all of them, none the query's own. Fused with
 * the routing, top-1 makes head and weight as `route` does. */
#include "ops/reference.h"
#include "ops/span.h"

enum { TILE_ROWS, TILE_QUADS, TILE_QUERIES, TILE_DEEP, TILE_FILL = TILE_DEEP, TILE_LIST };
#define LIST(queries, fill) ((queries) | (fill) << 16) /* TILE_LIST, of the form by matrices */
enum { ROW_NEEDS = NEED_SHUFFLE | NEED_TEXEL | NEED_INT64 };
enum { BLOCK_QUERIES = 32, BLOCK_QUADS = 16 }; /* of the shared memory form */
/* Of the sorted form: heads at most, queries of a tile at least, rows of a unit and of a block. */
enum { SORTED_HEADS = 64, SORTED_QUERIES = 128, SORTED_UNIT = 8, SORTED_ROWS = 64 };
/* Of the form by matrices: heads and quads of features at most, rows of a block. */
enum { MATRIX_HEADS = 16, MATRIX_DEEPEST = 16, MATRIX_ROWS = 32 };
enum { MATRIX_WASTED = 8 }; /* quads of features with which it multiplies half by nothing */

struct readout_tiles {
    uint64_t queries, rows, columns, heads; /* queries a tile; tiles of rows and of columns */
};

static bool is_lane(const struct op_candidate *candidate)
{
    return candidate->need & NEED_SHUFFLE;
}

static bool is_matrix(const struct op_candidate *candidate)
{
    return !is_lane(candidate) && candidate->tiles[TILE_LIST];
}

/* Queries of a tile at most; 0 where they are not listed by head. */
static uint32_t most_queries(const struct op_candidate *candidate)
{
    return is_matrix(candidate) ? candidate->tiles[TILE_LIST] & 0xffff
                                : candidate->tiles[TILE_QUERIES];
}

/* Queries of a tile of the sorted forms: as many as leave `fill` tiles. */
static uint64_t sorted_queries(const struct readout_params *p,
                               const struct op_candidate *candidate)
{
    const uint32_t *tiles = candidate->tiles;
    uint32_t fill = is_matrix(candidate) ? tiles[TILE_LIST] >> 16 : tiles[TILE_FILL];
    uint64_t size = SORTED_QUERIES;
    while (size < most_queries(candidate) &&
           (uint64_t)p->batch * p->groups * (p->n / (2 * size)) >= fill)
        size *= 2;
    return size;
}

static struct readout_tiles tiles_of(const struct op_call *call,
                                     const struct op_candidate *candidate)
{
    const struct readout_params *p = &call->params.readout;
    bool lane = is_lane(candidate);
    uint64_t quads = lane ? candidate->group * candidate->tiles[TILE_QUADS] : BLOCK_QUADS;
    struct readout_tiles t = {.queries = lane ? candidate->tiles[TILE_QUERIES] : BLOCK_QUERIES,
                              .columns = size_div_up(p->dv4, quads),
                              .heads = 1};
    if (!lane && most_queries(candidate))
        t.queries = sorted_queries(p, candidate);
    t.rows = size_div_up(p->n, t.queries);
    if (call->options[OPTION_ROUTING] == ROUTING_NONE)
        t.heads = p->heads;
    return t;
}

static uint64_t readout_items(const struct op_call *call, const struct op_candidate *candidate)
{
    struct readout_tiles t = tiles_of(call, candidate);
    return (uint64_t)call->params.readout.batch * call->params.readout.groups * t.heads * t.rows *
           t.columns;
}

/* Those of the sorted forms: the list, and each block's features. */
static uint64_t sorted_iterations(const struct op_call *call, const struct op_candidate *candidate)
{
    const struct readout_params *p = &call->params.readout;
    uint64_t block = is_matrix(candidate) ? MATRIX_ROWS : SORTED_ROWS;
    uint64_t unit = is_matrix(candidate) ? block : SORTED_UNIT;
    uint64_t rows = most_queries(candidate) + (uint64_t)p->heads * unit;
    uint64_t routes = most_queries(candidate) / SORTED_QUERIES * p->heads * (p->dk4 + 1);
    return routes + rows + size_div_up(rows, block) * (2 * (uint64_t)p->dk4 + 1);
}

/* Of the lane and row forms: lines of q and y that lanes touch before they list a tile. */
static uint64_t touch_iterations(const struct op_call *call, const struct op_candidate *candidate)
{
    const struct readout_params *p = &call->params.readout;
    const uint32_t *tiles = candidate->tiles, lanes = candidate->group;
    if (!(candidate->need & NEED_TEXEL) || call->options[OPTION_ROUTING] != ROUTING_TOP1 ||
        p->dk4 > READOUT_CACHED / tiles[TILE_QUERIES])
        return 0;
    uint64_t columns = size_min(p->dv4, lanes * tiles[TILE_QUADS]);
    uint64_t lines = size_div_up(size_max(columns, p->dk4), READOUT_LINE);
    return size_div_up(tiles[TILE_QUERIES], lanes) * 2 * lines; /* up to a power of two */
}

/* Those of the lane and row forms, which list a tile's queries by head and answer them list by
 * list; the tile goes through heads and features once. */
static uint64_t readout_iterations(const struct op_call *call, const struct op_candidate *candidate)
{
    const struct readout_params *p = &call->params.readout;
    const uint32_t *tiles = candidate->tiles, *options = call->options, lanes = candidate->group;
    if (!is_lane(candidate))
        return most_queries(candidate) ? sorted_iterations(call, candidate)
                                   : (uint64_t)p->heads * (p->dk4 + 2);
    uint64_t rows = size_div_up(tiles[TILE_QUERIES], lanes);
    uint64_t lists = options[OPTION_ROUTING] == ROUTING_TOP1 ? p->heads : 1;
    uint64_t heads = options[OPTION_ROUTING] == ROUTING_SOFT ? p->heads : 1;
    uint64_t logits = options[OPTION_ROUTER] == ROUTER_WEIGHT ? p->dk4 + 1 : 1;
    uint64_t routes = options[OPTION_FUSED] ? rows * size_div_up(p->heads, 4) * logits : rows;
    uint64_t listing = size_div_up(lists, lanes) * 2 * rows + lists;
    uint64_t answers = tiles[TILE_DEEP] ? (rows + lists) * (lanes + 1)
                                        : (rows / tiles[TILE_ROWS] + lists) * heads * (p->dk4 + 1);
    return touch_iterations(call, candidate) + routes + listing + answers;
}

/* Of HEAD and PROB, or of what stands in their places. Rows from `row` of outer index `low` on to
 * `row_end` of `high`. */
static void route_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t low,
                       uint64_t high, uint64_t row, uint64_t row_end, uint64_t *begin,
                       uint64_t *end)
{
    const struct op_call *call = span_call(dispatch);
    const struct readout_params *p = &call->params.readout;
    bool fused = call->options[OPTION_FUSED];
    uint64_t rows = p->n, width = element_bytes(call->tensors[index].type);
    if (fused && index == READOUT_BIAS) {
        span_whole(dispatch, index, begin, end);
        return;
    }
    if (fused) { /* logits */
        rows = p->queries;
        row += p->first_query;
        row_end += p->first_query;
    }
    if (fused || call->options[OPTION_ROUTING] == ROUTING_SOFT)
        width *= p->heads;
    *begin = width * (low * rows + row) / 4 * 4; /* whole words */
    *end = size_round_up(width * (high * rows + row_end), 4);
}

static void readout_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                         uint64_t end_item, uint64_t *begin, uint64_t *end)
{
    const struct op_call *call = span_call(dispatch);
    const struct readout_params *p = &call->params.readout;
    struct readout_tiles t = tiles_of(call, span_candidate(dispatch));
    uint64_t per_outer = t.rows * t.columns;
    uint64_t low = first / per_outer, high = (end_item - 1) / per_outer;
    uint64_t row = first % per_outer / t.columns * t.queries;
    uint64_t row_end = size_min(((end_item - 1) % per_outer / t.columns + 1) * t.queries, p->n);
    struct span_layout layout = {.groups = p->groups, .heads = (uint32_t)t.heads};
    switch (index) {
    case READOUT_Q:
        layout.start = p->q_start, layout.batch = p->q_batch, layout.group = p->q_group;
        layout.head = p->q_head, layout.row = p->q_row, layout.width = p->dk4;
        break;
    case READOUT_Y:
        layout.start = p->y_start, layout.batch = p->y_batch, layout.group = p->y_group;
        layout.head = p->y_head, layout.row = p->y_row, layout.width = p->dv4;
        break;
    case READOUT_S: {
        uint64_t block = p->heads * ((uint64_t)p->dk4 * 4 * p->dv4 + p->dk4);
        *begin = 16 * (low / t.heads) * block;
        *end = 16 * (high / t.heads + 1) * block;
        return;
    }
    case READOUT_HEAD:
    case READOUT_PROB:
        route_span(dispatch, index, low, high, row, row_end, begin, end);
        return;
    default:
        span_whole(dispatch, index, begin, end);
        return;
    }
    span_rows(&layout, call->tensors[index].type, low, high, row, row_end, p->n, begin, end);
}

/* One lane-wide column tile where that is all there is. */
static bool narrow(const struct op_call *call, const struct op_candidate *candidate)
{
    return call->params.readout.dv4 <= candidate->group;
}

/* A query reads one head, whose features are held all at once. */
static bool one_head(const struct op_call *call, const struct op_candidate *candidate)
{
    return call->options[OPTION_ROUTING] != ROUTING_SOFT &&
           call->params.readout.dk4 <= candidate->tiles[TILE_DEEP];
}

static bool one_narrow_head(const struct op_call *call, const struct op_candidate *candidate)
{
    return one_head(call, candidate) && narrow(call, candidate);
}

static bool one_head_pairs(const struct op_call *call, const struct op_candidate *candidate)
{
    const struct readout_params *p = &call->params.readout;
    uint32_t places = p->y_start | p->y_batch | p->y_group | p->y_head | p->y_row | p->dv4;
    return one_head(call, candidate) && span_pairs(&call->tensors[READOUT_Y], places);
}

static bool top1(const struct op_call *call, const struct op_candidate *candidate)
{
    (void)candidate;
    return call->options[OPTION_ROUTING] == ROUTING_TOP1 &&
           call->params.readout.heads <= SORTED_HEADS;
}

static bool matrix_top1(const struct op_call *call, const struct op_candidate *candidate)
{
    return top1(call, candidate) && call->params.readout.heads <= MATRIX_HEADS &&
           call->params.readout.dk4 <= MATRIX_DEEPEST;
}

static bool matrix_filled(const struct op_call *call, const struct op_candidate *candidate)
{
    return matrix_top1(call, candidate) && call->params.readout.dk4 > MATRIX_WASTED;
}

static bool soft(const struct op_call *call, const struct op_candidate *candidate)
{
    (void)candidate;
    return call->options[OPTION_ROUTING] == ROUTING_SOFT;
}

static struct op_shape_class readout_class(const struct op_call *call)
{
    const struct readout_params *p = &call->params.readout;
    return (struct op_shape_class){.widths = {p->dk4, p->dv4},
                                   .kind = call->options[OPTION_ROUTING]};
}

static const struct op_candidate candidates[] = {
    {"row8_narrow",
     SHADER_readout_row,
     ROW_NEEDS,
     CLASS_CPU,
     8,
     {0, 1, 1024, 8, 0},
     one_narrow_head},
    {"row8_pairs",
     SHADER_readout_row,
     ROW_NEEDS,
     CLASS_CPU,
     8,
     {0, 2, 1024, 16, 1},
     one_head_pairs},
    {"row8", SHADER_readout_row, ROW_NEEDS, CLASS_CPU, 8, {0, 2, 1024, 16, 0}, one_head},
    {"lane16_texel",
     SHADER_readout_lane_texel,
     NEED_SHUFFLE | NEED_TEXEL,
     CLASS_CPU,
     16,
     {4, 1, 1024},
     NULL},
    {"lane8_texel_narrow",
     SHADER_readout_lane_texel,
     NEED_SHUFFLE | NEED_TEXEL,
     CLASS_CPU,
     8,
     {4, 1, 1024},
     narrow},
    {"lane8_texel",
     SHADER_readout_lane_texel,
     NEED_SHUFFLE | NEED_TEXEL,
     CLASS_CPU,
     8,
     {4, 2, 1024},
     NULL},
    /* Many wide heads for each query: fewer queries, for drivers that bound iterations. */
    {"lane8_texel_soft",
     SHADER_readout_lane_texel,
     NEED_SHUFFLE | NEED_TEXEL,
     CLASS_CPU,
     8,
     {4, 2, 128},
     soft},
    {"lane8", SHADER_readout_lane, NEED_SHUFFLE | NEED_QUAD, CLASS_CPU, 8, {4, 1, 256}, NULL},
    {"lane4_texel",
     SHADER_readout_lane_texel,
     NEED_SHUFFLE | NEED_TEXEL,
     CLASS_CPU,
     4,
     {4, 1, 256},
     NULL},
    {"lane4", SHADER_readout_lane, NEED_SHUFFLE | NEED_QUAD, CLASS_CPU, 4, {4, 2, 256}, NULL},
    {"matrix_nv", SHADER_readout_coop_nv, NEED_MATRIX_NV, CLASS_GPU, 256,
     {16, 16, 16, 8, LIST(1024, 256)}, matrix_filled},
#ifdef COOP_CHECK
    {"matrix_check", SHADER_readout_coop, NEED_NOTHING, CLASS_NONE, 128,
     {16, 16, 16, 4, LIST(512, 1)}, matrix_top1},
    {"matrix_check8", SHADER_readout_coop, NEED_NOTHING, CLASS_NONE, 128,
     {8, 8, 8, 8, LIST(128, 1)}, matrix_top1},
#endif
    {"sorted", SHADER_readout_sorted, NEED_NOTHING, CLASS_GPU, 128, {0, 0, 512, 256}, top1},
    /* Large tiles already where there are few queries. */
    {"sorted_check", SHADER_readout_sorted, NEED_NOTHING, CLASS_NONE, 128, {0, 0, 512, 1}, top1},
    {"tile_few", SHADER_readout_tile_few, NEED_NOTHING, CLASS_SPARE, 128, {0}, NULL},
    {"tile", SHADER_readout_tile, NEED_NOTHING, CLASS_ANY, 128, {0}, NULL},
};

const struct op op_readout = {
    .name = "readout",
    .tensor_count = 7,
    .params_size = sizeof(struct readout_params),
    .writes = 1u << READOUT_Y,
    .raw = 1u << READOUT_HEAD | 1u << READOUT_PROB | 1u << READOUT_LENGTHS,
    .candidates = candidates,
    .candidate_count = ARRAY_SIZE(candidates),
    .reference = readout_reference,
    .items = readout_items,
    .span = readout_span,
    .iterations = readout_iterations,
    .cost = readout_cost,
    .example = readout_example,
    .prepare = readout_prepare,
    .shape_class = readout_class,
};
