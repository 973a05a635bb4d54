#version 450
// y_i = weight * phi(q_i)^T S_h / (phi(q_i)^T z_h + eps), for top-1 routing and none. CPU form: the
// S of a head is held, columns over the lanes, while its queries pass, so that sums end with their
// query. SG queries at a time are loaded, one a lane, then multiplied one after the other (two at
// a time make the loop larger than the first cache of instructions), their features broadcast by
// shuffles, of which those by an index that is no constant are the fastest. PAIRED, a lane has
// neighbouring quads of columns, which it stores two at a time.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "lane.glsl"
#include "readout.glsl"

layout(constant_id = ID_TILE + 1) const uint QUADS = 2; // of columns a lane; even where PAIRED
layout(constant_id = ID_TILE + 2) const uint TILE = 1024;
layout(constant_id = ID_TILE + 3) const uint DEEP = 16; // quads of features, at least dk4
layout(constant_id = ID_TILE + 4) const uint PAIRED = 0;
const uint FEATURES = 4 * DEEP;

QUADS_IN(q, READOUT_Q)
QUADS_IN(state, READOUT_S)
WORDS_FETCHED(chosen, READOUT_HEAD) // or LOGITS
QUADS_IN(weight, READOUT_WEIGHT)
#include "readout_list.glsl"

// Quad c of the columns that are the lane's.
uint lane_column(uint c)
{
    return PAIRED != 0 ? gl_SubgroupInvocationID * QUADS + c : c * SG + gl_SubgroupInvocationID;
}

// The state of head h: columns of S over the lanes, z the same on all. What follows the last
// feature is no zero: nothing may come between a fetch and its uses, where it would be done again
// for every query.
void load_state(readout_tile t, uint h, out vec4 s[FEATURES][QUADS], out vec4 z[DEEP])
{
    const uint block = t.state + h * block_quads(), row = p.dv4, features = p.dk4 * 4;
    uint column[QUADS];
    [[unroll]] for (uint c = 0; c < QUADS; c++)
        column[c] = block + min(t.column + lane_column(c), row - 1);
    [[unroll]] for (uint f = 0; f < FEATURES; f++)
        [[unroll]] for (uint c = 0; c < QUADS; c++)
            s[f][c] = FETCH(state, READOUT_S, column[c] + min(f, features - 1) * row);
    [[unroll]] for (uint k = 0; k < DEEP; k++)
        z[k] = FETCH(state, READOUT_S, block + features * row + min(k, p.dk4 - 1));
}

// phi(q) of a query a lane, 0 past the last feature, and phi(q)^T z.
float load_queries(uint at, uint dk4, vec4 z[DEEP], out vec4 x[DEEP])
{
    float sum = 0;
    [[unroll]] for (uint k = 0; k < DEEP; k++) x[k] = FETCH(q, READOUT_Q, at + min(k, dk4 - 1));
    [[unroll]] for (uint k = 0; k < DEEP; k++) {
        x[k] = feature_map(feature_kind, x[k]) * (k < dk4 ? 1.0 : 0.0);
        sum += dot(x[k], z[k]);
    }
    return sum;
}

// The query of lane `source`.
void multiply(vec4 x[DEEP], uint source, vec4 s[FEATURES][QUADS], out vec4 sum[QUADS])
{
    [[unroll]] for (uint c = 0; c < QUADS; c++) sum[c] = vec4(0);
    [[unroll]] for (uint f = 0; f < FEATURES; f++) {
        const float b = subgroupShuffle(x[f / 4][f % 4], source);
        [[unroll]] for (uint c = 0; c < QUADS; c++) sum[c] += b * s[f][c];
    }
}

// Where a query's row of y begins, as store_row takes it: the less is left to add there, the
// better, as software drivers add lane by lane.
uint row_place(readout_tile t, uint query)
{
    const uint row = t.y + t.column + query * p.y_row - p.items.base[READOUT_Y];
    return PAIRED != 0 ? row / 2 : row;
}

// One query's answer, to the `left` quads of its row. In pairs as bits, not floats: else the
// compiler keeps the sums themselves in the wide registers that they are packed in.
void store_row(float w, uint row, uint left, vec4 sum[QUADS])
{
    const uint mask = w == 0.0 ? 0 : 0xffffffff;
    if (PAIRED != 0) {
        uvec4 bits[QUADS];
        [[unroll]] for (uint c = 0; c < QUADS; c++) bits[c] = floatBitsToUint(sum[c] * w) & mask;
        [[unroll]] for (uint c = 0; c < QUADS; c += 2)
            if (lane_column(c) < left)
                STORE_PAIR(y, row + lane_column(c) / 2, bits[c], bits[min(c + 1, QUADS - 1)])
    } else {
        [[unroll]] for (uint c = 0; c < QUADS; c++)
            if (lane_column(c) < left)
                STORE_(y, row + lane_column(c), w == 0.0 ? vec4(0) : sum[c] * w)
    }
}

// Answers the queries [begin, stop) of the tile's order from head h.
void answer(readout_tile t, uint h, uint begin, uint stop)
{
    const uint lane = gl_SubgroupInvocationID, q_row = p.q_row;
    const uint dk4 = p.dk4, left = p.dv4 - t.column;
    const float eps = p.eps;
    vec4 s[FEATURES][QUADS], z[DEEP], x[DEEP], sum[QUADS];
    load_state(t, h, s, z);
    // A query's answer is stored in the round after its products, after which a loop begins anew:
    // compilers take both in another order, half as fast, when they see them side by side.
    float done_w = 0;
    uint done_row = 0, done_left = 0;
    [[unroll]] for (uint c = 0; c < QUADS; c++) sum[c] = vec4(0);
    for (uint at = begin; at < stop; at += SG) {
        const uint query = t.query + order[min(at + lane, stop - 1)];
        float weight = load_queries(t.q + query * q_row, dk4, z, x) + eps;
        weight = query < t.valid ? listed_weight(t, query, h) / weight : 0.0;
        const uint row = row_place(t, query);
        for (uint first = at; first < min(at + SG, stop); first++) {
            store_row(done_w, done_row, done_left, sum);
            const uint source = first - at;
            multiply(x, source, s, sum);
            done_w = subgroupShuffle(weight, source);
            done_row = subgroupShuffle(row, source);
            done_left = left;
        }
    }
    store_row(done_w, done_row, done_left, sum);
}

void main()
{
    BEGIN_ITEM(item);
    const readout_tile t = readout_locate(item, TILE, SG * QUADS);
    const uint lists = routing == ROUTING_TOP1 ? p.heads : 1;
    find_heads(t);
    for (uint first = 0; first < lists; first += SG) {
        uint begins;
        const uint counts = list_queries(t, first, begins);
        for (uint list = 0; list < min(SG, lists - first); list++) {
            const uint begin = any_lane(begins, list), stop = begin + any_lane(counts, list);
            if (stop > begin) answer(t, t.head + first + list, begin, stop);
        }
    }
}
