/* state: S = sum_j phi(k_j) v_j^T and z = sum_j phi(k_j) over stretches of pooled segments of one
 * head, or of several; `reduce` adds the stretches. */
#include "ops/reference.h"
#include "ops/span.h"

enum { TILE_QUADS, TILE_STEP, TILE_LANES, TILE_LEVELS, TILE_ROWS };
/* Of the shared memory form: quads of features and of columns, segments at a time. */
enum { BLOCK_QUADS = 16, BLOCK_SEGMENTS = 8 };

/* Heads of one call. */
static uint64_t state_heads(const struct op_call *call)
{
    return call->options[OPTION_HEADS] ? call->params.state.heads : 1;
}

/* Whether an item is of all heads; TILE_LEVELS are the quads of features that it has. */
static bool every_head(const struct op_candidate *candidate)
{
    return candidate->tiles[TILE_LEVELS];
}

/* Heads that have items of their own. */
static uint64_t heads_apart(const struct op_call *call, const struct op_candidate *candidate)
{
    return every_head(candidate) ? 1 : state_heads(call);
}

/* Whether items go head by head: the shared memory form, where heads have rows of their own. */
static bool heads_outer(const struct op_call *call, const struct op_candidate *candidate)
{
    const struct state_params *p = &call->params.state;
    return !(candidate->need & NEED_SHUFFLE) && !every_head(candidate) &&
           (p->k_head || p->v_head);
}

static uint64_t tiles(const struct op_call *call, const struct op_candidate *candidate)
{
    const struct state_params *p = &call->params.state;
    bool lane = candidate->need & NEED_SHUFFLE;
    uint64_t features = lane ? candidate->group * candidate->tiles[TILE_LANES] : BLOCK_QUADS;
    uint64_t columns = lane ? candidate->group * candidate->tiles[TILE_QUADS] : BLOCK_QUADS;
    if (every_head(candidate))
        features = candidate->tiles[TILE_LEVELS];
    return size_div_up(size_div_up(p->dk, 4), features) * size_div_up(p->dv4, columns);
}

static uint64_t state_items(const struct op_call *call, const struct op_candidate *candidate)
{
    const struct state_params *p = &call->params.state;
    return (uint64_t)p->batch * p->groups * p->stretches * heads_apart(call, candidate) *
           tiles(call, candidate);
}

/* The outer indices of a range of items, the first and the last: stretches of all (b, g), heads. */
struct range {
    uint64_t strips[2], heads[2];
};

static struct range range_of(const struct op_call *call, const struct op_candidate *candidate,
                             uint64_t first, uint64_t end_item)
{
    const struct state_params *p = &call->params.state;
    uint64_t heads = heads_apart(call, candidate), stretches = p->stretches;
    uint64_t outer[2] = {first / tiles(call, candidate), (end_item - 1) / tiles(call, candidate)};
    struct range range;
    for (uint32_t i = 0; i < 2; i++) {
        range.strips[i] = outer[i] / heads;
        range.heads[i] = outer[i] % heads;
        if (heads_outer(call, candidate)) {
            range.strips[i] = outer[i] / (stretches * heads) * stretches + outer[i] % stretches;
            range.heads[i] = outer[i] / stretches % heads;
        }
    }
    if (heads_outer(call, candidate) && outer[0] / stretches != outer[1] / stretches) {
        range.strips[0] -= range.strips[0] % stretches;
        range.strips[1] += stretches - 1 - range.strips[1] % stretches;
    }
    if (range.strips[0] / stretches != range.strips[1] / stretches || every_head(candidate) ||
        (!heads_outer(call, candidate) && range.strips[0] != range.strips[1])) {
        range.heads[0] = 0;
        range.heads[1] = state_heads(call) - 1;
    }
    return range;
}

/* Blocks lie by head, then by stretch. */
static void blocks_span(const struct op_call *call, const struct range *range, uint64_t *begin,
                        uint64_t *end)
{
    const struct state_params *p = &call->params.state;
    uint64_t dk4 = size_div_up(p->dk, 4), block = dk4 * 4 * p->dv4 + dk4;
    uint64_t at[2];
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t bg = range->strips[i] / p->stretches, stretch = range->strips[i] % p->stretches;
        at[i] = p->p_start + (bg * state_heads(call) + range->heads[i]) * p->p_group;
        at[i] += stretch * block;
    }
    *begin = 16 * at[0];
    *end = 16 * (at[1] + block);
}

static void state_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                       uint64_t end_item, uint64_t *begin, uint64_t *end)
{
    const struct op_call *call = span_call(dispatch);
    const struct state_params *p = &call->params.state;
    struct range range = range_of(call, span_candidate(dispatch), first, end_item);
    uint64_t low = range.strips[0], high = range.strips[1];
    if (index == STATE_LENGTHS || index == STATE_RATES) {
        span_whole(dispatch, index, begin, end);
        return;
    }
    if (index == STATE_P) {
        blocks_span(call, &range, begin, end);
        return;
    }
    struct span_layout layout = {.start = p->k_start,
                                 .batch = p->k_batch,
                                 .group = p->k_group,
                                 .row = p->k_row,
                                 .width = size_div_up(p->dk, 4),
                                 .groups = p->groups,
                                 .heads = 1};
    uint64_t head = p->k_head;
    if (index == STATE_V) {
        layout = (struct span_layout){.start = p->v_start,
                                      .batch = p->v_batch,
                                      .group = p->v_group,
                                      .row = p->v_row,
                                      .width = p->dv4,
                                      .groups = p->groups,
                                      .heads = 1};
        head = p->v_head;
    }
    uint64_t rows = (uint64_t)p->per_stretch * p->rate;
    enum element_type type = call->tensors[index].type;
    span_rows(&layout, type, low / p->stretches, high / p->stretches, low % p->stretches * rows,
              size_min((high % p->stretches + 1) * rows, p->keys), p->keys, begin, end);
    if (*begin < *end) {
        *begin += 4 * (uint64_t)element_bytes(type) * range.heads[0] * head;
        *end += 4 * (uint64_t)element_bytes(type) * range.heads[1] * head;
    }
}

/* How often the lane form goes round: once for STEP segments, and once for each row of a segment
 * but the first; where rows of rate 1 have a form of their own, through all of them for each
 * STATE_DEEP quads of features. */
static uint64_t lane_iterations(const struct op_call *call, const struct op_candidate *candidate,
                                uint64_t rows, uint64_t rate)
{
    const uint32_t *tiles = candidate->tiles;
    bool several = call->options[OPTION_HEADS];
    uint64_t segments = size_div_up(rows, rate);
    uint64_t pooled = several ? rows : size_div_up(segments, tiles[TILE_STEP]) + rows - segments;
    if (!tiles[TILE_ROWS])
        return pooled;
    uint64_t passes = candidate->group * tiles[TILE_LANES] / STATE_DEEP;
    return size_max(pooled, passes * (size_div_up(rows, STATE_ROWS) + 1));
}

/* Of several heads rates are not known: that of a stretch's one segment is the largest. The shared
 * memory form goes round once for each two rows of BLOCK_SEGMENTS, and may for each of these. */
static uint64_t state_iterations(const struct op_call *call, const struct op_candidate *candidate)
{
    const struct state_params *p = &call->params.state;
    uint64_t rows = size_min((uint64_t)p->per_stretch * p->rate, p->keys);
    uint64_t rate = size_max(1, size_min(p->rate, rows));
    if (every_head(candidate))
        return rows / SHARED_ROWS + 1;
    if (candidate->need & NEED_SHUFFLE)
        return lane_iterations(call, candidate, rows, rate);
    if (call->options[OPTION_HEADS])
        return size_div_up(rows, BLOCK_SEGMENTS) + rows;
    uint64_t segments = size_div_up(rows, rate), steps = size_div_up(segments, BLOCK_SEGMENTS);
    return steps * (rate + 2 + BLOCK_SEGMENTS);
}

/* One lane-wide column tile where that is all there is. */
static bool narrow(const struct op_call *call, const struct op_candidate *candidate)
{
    return call->params.state.dv4 <= candidate->group;
}

/* Twice the features, so that values are loaded half as often. */
static bool deep(const struct op_call *call, const struct op_candidate *candidate)
{
    return call->params.state.dk > 4 * candidate->group && !narrow(call, candidate);
}

/* Rows that lie so close that reading those of V several times costs little: processors fetch them
 * ahead. */
static bool close_rows(const struct op_call *call, const struct op_candidate *candidate)
{
    return deep(call, candidate) && call->params.state.v_row <= 2 * call->params.state.dv4;
}

/* Such rows of rate 1, which have a form of their own; heads of which some may be. */
static bool deep_rows(const struct op_call *call, const struct op_candidate *candidate)
{
    return close_rows(call, candidate) && !call->options[OPTION_HEADS] &&
           call->params.state.rate == 1;
}

static bool deep_heads(const struct op_call *call, const struct op_candidate *candidate)
{
    return close_rows(call, candidate) && call->options[OPTION_HEADS];
}

uint32_t op_shared_rates(const uint32_t *rates, uint32_t heads)
{
    uint32_t shared = 0, segments = 0;
    if (heads < 2 || heads > SHARED_HEADS)
        return 0;
    for (uint32_t head = 0; head < heads; head++) {
        if (rates[head] != 1 && rates[head] != 2 && rates[head] != 4 && rates[head] != 8)
            return 0;
        shared |= rates[head] << 4 * head;
        segments += SHARED_ROWS / rates[head];
    }
    return segments <= SHARED_SEGMENTS ? shared : 0;
}

static bool shared(const struct op_call *call, const struct op_candidate *candidate)
{
    (void)candidate;
    return call->options[OPTION_SHARED];
}

static struct op_shape_class state_class(const struct op_call *call)
{
    const struct state_params *p = &call->params.state;
    return (struct op_shape_class){.widths = {(p->dk + 3) / 4, p->dv4}};
}

static const struct op_candidate candidates[] = {
    {"lane16_texel",
     SHADER_state_lane_texel,
     NEED_SHUFFLE | NEED_TEXEL,
     CLASS_CPU,
     16,
     {1, 2, 1},
     NULL},
    {"lane8_texel_rows",
     SHADER_state_lane_texel,
     NEED_SHUFFLE | NEED_TEXEL,
     CLASS_CPU,
     8,
     {2, 1, 2, 0, STATE_ROWS_ONLY},
     deep_rows},
    {"lane8_texel_heads",
     SHADER_state_lane_texel,
     NEED_SHUFFLE | NEED_TEXEL,
     CLASS_CPU,
     8,
     {2, 1, 2, 0, STATE_ROWS_TOO},
     deep_heads},
    {"lane8_texel_deep",
     SHADER_state_lane_texel,
     NEED_SHUFFLE | NEED_TEXEL,
     CLASS_CPU,
     8,
     {2, 1, 2},
     deep},
    {"lane8_texel_narrow",
     SHADER_state_lane_texel,
     NEED_SHUFFLE | NEED_TEXEL,
     CLASS_CPU,
     8,
     {1, 4, 1},
     narrow},
    {"lane8_texel",
     SHADER_state_lane_texel,
     NEED_SHUFFLE | NEED_TEXEL,
     CLASS_CPU,
     8,
     {2, 4, 1},
     NULL},
    {"lane8", SHADER_state_lane, NEED_SHUFFLE | NEED_QUAD, CLASS_CPU, 8, {1, 4, 1}, NULL},
    {"lane4_texel",
     SHADER_state_lane_texel,
     NEED_SHUFFLE | NEED_TEXEL,
     CLASS_CPU,
     4,
     {1, 4, 1},
     NULL},
    {"lane4", SHADER_state_lane, NEED_SHUFFLE | NEED_QUAD, CLASS_CPU, 4, {2, 1, 1}, NULL},
    {"levels", SHADER_state_levels, NEED_HINTS, CLASS_GPU, 128, {0, 0, 0, 8}, shared},
    {"tile_few", SHADER_state_tile_few, NEED_NOTHING, CLASS_SPARE, 128, {0}, NULL},
    {"tile", SHADER_state_tile, NEED_NOTHING, CLASS_ANY, 128, {0}, NULL},
};

const struct op op_state = {
    .name = "state",
    .tensor_count = 5,
    .params_size = sizeof(struct state_params),
    .writes = 1u << STATE_P,
    .hints = 1u << OPTION_SHARED,
    .raw = 1u << STATE_LENGTHS | 1u << STATE_RATES,
    .candidates = candidates,
    .candidate_count = ARRAY_SIZE(candidates),
    .reference = state_reference,
    .items = state_items,
    .span = state_span,
    .iterations = state_iterations,
    .cost = state_cost,
    .example = state_example,
    .prepare = state_prepare,
    .shape_class = state_class,
};
