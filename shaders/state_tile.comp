#version 450
// P = sum_j phi(k_j) v_j^T and z = sum_j phi(k_j) over a stretch of pooled segments. GPU form: 128
// invocations make 64 features x 64 columns, 8 x 4 each. 16 segments at a time are pooled into
// shared memory, by batches of two rows an invocation: the next batch is loaded as soon as this one
// is pooled, and the next tile is pooled beside this one's products.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#define HEADS_OUTER true
#include "state.glsl"

layout(local_size_x = 128) in;
TENSOR_IN(k, STATE_K)
TENSOR_IN(v, STATE_V)

const uint TILE = 16; // segments
shared vec4 k_tile[2 * TILE * 16], v_tile[2 * TILE * 16]; // two sides
#include "state_batch.glsl"

// Adds the segments of one side.
void add_segments(uint side, uint t, inout vec4 sum[8], inout float z)
{
    const uint first = side * TILE * 16, column = t & 15, block = t >> 4; // 8 features each
    if (t < 64)
        [[unroll]] for (uint j = 0; j < TILE; j++) z += k_tile[first + j * 16 + (t >> 2)][t & 3];
    [[unroll]] for (uint j = 0; j < TILE; j++) {
        const uint at = first + j * 16;
        const vec4 y = v_tile[at + column];
        const vec4 low = k_tile[at + block * 2], high = k_tile[at + block * 2 + 1];
        [[unroll]] for (uint i = 0; i < 4; i++) {
            sum[i] += low[i] * y;
            sum[i + 4] += high[i] * y;
        }
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
    rows_ahead ahead = begin_rows(s, t);
    if (s.first < s.end) keep_tile(s, s.first, 0, t, ahead);
    barrier();
    uint side = 0;
    for (uint j0 = s.first; j0 < s.end; j0 += TILE) {
        if (j0 + TILE < s.end) keep_tile(s, j0 + TILE, side ^ 1, t, ahead);
        add_segments(side, t, sum, z);
        barrier();
        side ^= 1;
    }
    [[unroll]] for (uint i = 0; i < 8; i++) store_state(s, feature + i, column, sum[i]);
    if (t < 64 && s.column == 0 && quad < (p.dk + 3) / 4) partial[normaliser_at(s, quad)][part] = z;
}
