/* state: S = sum_j phi(k_j) v_j^T and z = sum_j phi(k_j) over stretches of pooled segments of one
 * head; `reduce` adds the stretches. */
#include "ops/reference.h"
#include "ops/span.h"

enum { TILE_QUADS, TILE_STEP, TILE_LANES };
enum { BLOCK_QUADS = 16 }; /* of features and of columns, in the shared memory form */

static uint64_t tiles(const struct op_call *call, const struct op_candidate *candidate)
{
    const struct state_params *p = &call->params.state;
    bool lane = candidate->need & NEED_SHUFFLE;
    uint64_t features = lane ? candidate->group * candidate->tiles[TILE_LANES] : BLOCK_QUADS;
    uint64_t columns = lane ? candidate->group * candidate->tiles[TILE_QUADS] : BLOCK_QUADS;
    return size_div_up(size_div_up(p->dk, 4), features) * size_div_up(p->dv4, columns);
}

static uint64_t state_items(const struct op_call *call, const struct op_candidate *candidate)
{
    const struct state_params *p = &call->params.state;
    return (uint64_t)p->batch * p->groups * p->stretches * tiles(call, candidate);
}

static void state_span(const struct gpu_dispatch *dispatch, uint32_t index, uint64_t first,
                       uint64_t end_item, uint64_t *begin, uint64_t *end)
{
    const struct op_call *call = span_call(dispatch);
    const struct state_params *p = &call->params.state;
    uint64_t per_stretch = tiles(call, span_candidate(dispatch));
    uint64_t low = first / per_stretch, high = (end_item - 1) / per_stretch;
    uint64_t dk4 = size_div_up(p->dk, 4), block = dk4 * 4 * p->dv4 + dk4;
    if (index == STATE_LENGTHS) {
        span_whole(dispatch, index, begin, end);
        return;
    }
    if (index == STATE_P) {
        *begin = 16 * (p->p_start + low / p->stretches * p->p_group + low % p->stretches * block);
        *end = 16 * (p->p_start + high / p->stretches * p->p_group +
                     (high % p->stretches + 1) * block);
        return;
    }
    struct span_layout layout = {.start = p->k_start, .batch = p->k_batch, .group = p->k_group,
                                 .row = p->k_row, .width = dk4, .groups = p->groups, .heads = 1};
    if (index == STATE_V)
        layout = (struct span_layout){.start = p->v_start, .batch = p->v_batch,
                                      .group = p->v_group, .row = p->v_row, .width = p->dv4,
                                      .groups = p->groups, .heads = 1};
    uint64_t rows = (uint64_t)p->per_stretch * p->rate;
    span_rows(&layout, call->tensors[index].type, low / p->stretches, high / p->stretches,
              low % p->stretches * rows, size_min((high % p->stretches + 1) * rows, p->keys),
              p->keys, begin, end);
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

static const struct op_candidate candidates[] = {
    {"lane8_texel_deep", SHADER_state_lane_texel, NEED_SHUFFLE | NEED_TEXEL, CLASS_CPU, 8,
     {2, 2, 2}, deep},
    {"lane8_texel_narrow", SHADER_state_lane_texel, NEED_SHUFFLE | NEED_TEXEL, CLASS_CPU, 8,
     {1, 4, 1}, narrow},
    {"lane8_texel", SHADER_state_lane_texel, NEED_SHUFFLE | NEED_TEXEL, CLASS_CPU, 8, {2, 4, 1},
     NULL},
    {"lane8", SHADER_state_lane, NEED_SHUFFLE, CLASS_CPU, 8, {1, 4, 1}, NULL},
    {"lane4_texel", SHADER_state_lane_texel, NEED_SHUFFLE | NEED_TEXEL, CLASS_CPU, 4, {1, 4, 1},
     NULL},
    {"tile", SHADER_state_tile, NEED_NOTHING, CLASS_ANY, 128, {0}, NULL},
};

const struct op op_state = {
    .name = "state",
    .tensor_count = 4,
    .params_size = sizeof(struct state_params),
    .writes = 1u << STATE_P,
    .raw = 1u << STATE_LENGTHS,
    .candidates = candidates,
    .candidate_count = ARRAY_SIZE(candidates),
    .reference = state_reference,
    .items = state_items,
    .span = state_span,
    .cost = state_cost,
    .example = state_example,
    .prepare = state_prepare,
};
