#version 450
// P = sum_j phi(k_j) v_j^T and z = sum_j phi(k_j) over a stretch of pooled segments. GPU form: 128
// invocations make 64 features x 64 columns, 8 x 4 each. Eight segments at a time are pooled into
// one side of shared memory while those of the other are multiplied; at rate 1, where there is
// nothing to pool, both sides hold 16. Not more: shared memory bounds how many workgroups run side
// by side.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#define HEADS_OUTER true
#include "state.glsl"

layout(local_size_x = 128) in;
TENSOR_IN(k, STATE_K)
TENSOR_IN(v, STATE_V)

const uint TILE = 8; // segments of a side
shared vec4 k_tile[2 * TILE * 16], v_tile[2 * TILE * 16];
#include "state_batch.glsl"

void add_ones(state_tile s, uint t, inout rows_ahead ahead, inout vec4 sum[8], inout float z)
{
    for (uint j0 = s.first; j0 < s.end; j0 += 2 * TILE) {
        keep_ones(s, j0, t, ahead);
        barrier();
        add_normaliser(0, 2 * TILE, t, z);
        add_segments(0, 2 * TILE, t, sum);
        barrier();
    }
}

void add_pools(state_tile s, uint t, inout rows_ahead ahead, inout vec4 sum[8], inout float z)
{
    const uint whole = min(s.end, s.rows / s.rate);
    if (s.first < s.end) keep_pools(s, s.first, 0, t, ahead);
    barrier();
    uint side = 0;
    for (uint j0 = s.first; j0 < s.end; j0 += TILE) {
        const bool between = s.rate % 2 == 0 && whole > j0 && whole - j0 >= 3 * TILE;
        add_normaliser(side, TILE, t, z);
        if (between) keep_between(s, j0 + TILE, side ^ 1, t, ahead, sum);
        else {
            if (s.end - j0 > TILE) keep_pools(s, j0 + TILE, side ^ 1, t, ahead);
            add_segments(side * TILE, TILE, t, sum);
        }
        barrier();
        side ^= 1;
    }
}

void main()
{
    BEGIN_ITEM(item);
    const state_tile s = state_locate(item, 16, 16);
    const uint t = gl_LocalInvocationIndex;
    const uint feature = s.feature * 4 + (t >> 4) * 8, column = s.column + (t & 15);
    // feature of the normaliser that this invocation sums: one of the first 64
    const uint quad = s.feature + (t >> 2 & 15), part = t & 3;
    vec4 sum[8];
    [[unroll]] for (uint i = 0; i < 8; i++) sum[i] = first_state(s, feature + i, column);
    float z = first_normaliser(s, quad)[part];
    rows_ahead ahead;
    if (s.first < s.end) load_batch(s, s.first, 0, t, ahead);
    if (s.rate == 1) add_ones(s, t, ahead, sum, z);
    else add_pools(s, t, ahead, sum, z);
    [[unroll]] for (uint i = 0; i < 8; i++) store_state(s, feature + i, column, sum[i]);
    if (t < 64 && s.column == 0 && quad < (p.dk + 3) / 4) partial[normaliser_at(s, quad)][part] = z;
}
