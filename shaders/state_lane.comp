#version 450
// P = sum_j phi(k_j) v_j^T and z = sum_j phi(k_j) over a stretch of pooled segments. CPU form:
// lanes over columns of v, QUADS quads a lane; features, LANES quads a lane, are broadcast by
// constant shuffles. STEP segments, four at most, are loaded and pooled before the arithmetic.
// Rows of rate 1 may have a form of their own (state_rows.glsl).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "lane.glsl"
#include "state.glsl"

layout(constant_id = ID_TILE + 0) const uint QUADS = 1;
layout(constant_id = ID_TILE + 1) const uint STEP = 4;
layout(constant_id = ID_TILE + 2) const uint LANES = 1; // quads of features a lane
layout(constant_id = ID_TILE + 4) const uint BY_ROWS = 0; // STATE_ROWS_...
const uint FEATURES = 4 * SG * LANES;

QUADS_IN(k, STATE_K)
QUADS_IN(v, STATE_V)

#include "state_rows.glsl"

void accumulate(inout vec4 sum, vec4 x)
{
    if (pooling == POOLING_MAX) sum = max(sum, x);
    else sum += x;
}

// Rows of a stretch: how many are still to be read, and where the next one lies.
struct reader {
    uint left, k_at, v_at;
};

reader read_stretch(state_tile s)
{
    if (s.first >= s.end) return reader(0, s.k, s.v);
    const uint row = s.first * s.rate, last = (s.end - 1) * s.rate; // of the last segment
    return reader(last + min(s.rate, s.rows - last) - row, s.k + row * p.k_row,
                  s.v + row * p.v_row);
}

// Adds up the rows of the next segment and returns how many they are: none past the stretch, whose
// last row is read again then.
uint load_segment(inout reader rows, uint rate, uint features[LANES], uint columns[QUADS],
                  out vec4 x[LANES], out vec4 y[QUADS])
{
    const uint count = min(rate, rows.left);
    [[unroll]] for (uint f = 0; f < LANES; f++) x[f] = FETCH(k, STATE_K, rows.k_at + features[f]);
    [[unroll]] for (uint c = 0; c < QUADS; c++) y[c] = FETCH(v, STATE_V, rows.v_at + columns[c]);
    for (uint r = 1; r < count; r++) {
        rows.k_at += p.k_row;
        rows.v_at += p.v_row;
        [[unroll]] for (uint f = 0; f < LANES; f++)
            accumulate(x[f], FETCH(k, STATE_K, rows.k_at + features[f]));
        [[unroll]] for (uint c = 0; c < QUADS; c++)
            accumulate(y[c], FETCH(v, STATE_V, rows.v_at + columns[c]));
    }
    rows.left -= count;
    rows.k_at += rows.left > 0 ? p.k_row : 0;
    rows.v_at += rows.left > 0 ? p.v_row : 0;
    return count;
}

// Loads the next STEP segments: features (phi applied, 0 past the stretch) and columns. One by
// one: rows of all of them in step would need masks. Not in a loop: drivers unroll none around
// another, and would index registers. And all of them before the arithmetic, which waits for loads.
#define LOAD_SEGMENT(u)                                                                            \
    if (STEP > u)                                                                                  \
    count[u % STEP] = load_segment(rows, rate, features, columns, x[u % STEP], y[u % STEP])
void load_segments(inout reader rows, uint rate, uint features[LANES], uint columns[QUADS],
                   out vec4 x[STEP][LANES], out vec4 y[STEP][QUADS])
{
    uint count[STEP];
    LOAD_SEGMENT(0);
    LOAD_SEGMENT(1);
    LOAD_SEGMENT(2);
    LOAD_SEGMENT(3);
    [[unroll]] for (uint u = 0; u < STEP; u++) {
        const float scale = mean_factor(count[u]);
        [[unroll]] for (uint f = 0; f < LANES; f++) {
            x[u][f] = phi_k(x[u][f] * scale, features[f]);
            if (u > 0) x[u][f] *= count[u] > 0 ? 1.0 : 0.0;
        }
        [[unroll]] for (uint c = 0; c < QUADS; c++) y[u][c] *= scale;
    }
}

void sum_segments(state_tile s)
{
    const uint lane = gl_SubgroupInvocationID;
    uint columns[QUADS], features[LANES];
    [[unroll]] for (uint f = 0; f < LANES; f++)
        features[f] = min(s.feature + f * SG + lane, (p.dk + 3) / 4 - 1);
    [[unroll]] for (uint c = 0; c < QUADS; c++)
        columns[c] = min(s.column + c * SG + lane, p.dv4 - 1);
    vec4 sum[FEATURES][QUADS], z[LANES];
    [[unroll]] for (uint f = 0; f < LANES; f++)
        z[f] = first_normaliser(s, s.feature + f * SG + lane);
    [[unroll]] for (uint f = 0; f < FEATURES; f++)
        [[unroll]] for (uint c = 0; c < QUADS; c++)
            sum[f][c] = first_state(s, s.feature * 4 + f, s.column + c * SG + lane);
    reader rows = read_stretch(s);
    while (rows.left > 0) {
        vec4 x[STEP][LANES], y[STEP][QUADS];
        load_segments(rows, s.rate, features, columns, x, y);
        [[unroll]] for (uint u = 0; u < STEP; u++)
            [[unroll]] for (uint f = 0; f < LANES; f++) z[f] += x[u][f];
        [[unroll]] for (uint f = 0; f < FEATURES; f++)
            [[unroll]] for (uint u = 0; u < STEP; u++) {
                const float b = subgroupShuffle(x[u][f / (4 * SG)][f & 3], f / 4 % SG);
                [[unroll]] for (uint c = 0; c < QUADS; c++) sum[f][c] += b * y[u][c];
            }
    }
    [[unroll]] for (uint f = 0; f < FEATURES; f++)
        [[unroll]] for (uint c = 0; c < QUADS; c++)
            store_state(s, s.feature * 4 + f, s.column + c * SG + lane, sum[f][c]);
    [[unroll]] for (uint f = 0; f < LANES; f++)
        if (s.column == 0) store_normaliser(s, s.feature + f * SG + lane, z[f]);
}

void main()
{
    BEGIN_ITEM(item);
    const state_tile s = state_locate(item, SG * LANES, SG * QUADS);
    if (BY_ROWS == STATE_ROWS_ONLY || (BY_ROWS == STATE_ROWS_TOO && s.rate == 1)) rows_alone(s);
    else sum_segments(s);
}
