#version 450
// P = sum_j phi(k_j) v_j^T and z = sum_j phi(k_j) over a stretch of pooled segments. GPU form: 128
// invocations make 64 features x 64 columns; 16 segments at a time are pooled into shared memory.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "state.glsl"

layout(local_size_x = 128) in;
TENSOR_IN(k, STATE_K)
TENSOR_IN(v, STATE_V)
#define FETCH_K(i) LOAD(k, STATE_K, i)
#define FETCH_V(i) LOAD(v, STATE_V, i)
#include "state_pool.glsl"

shared vec4 k_tile[16 * 16], v_tile[16 * 16];

void main()
{
    BEGIN_ITEM(item);
    const state_tile s = state_locate(item, 16, 16);
    const uint t = gl_LocalInvocationIndex, column = t & 15, block = t >> 4; // 8 features each
    // feature of the normaliser that this invocation sums: one of the first 64
    const uint quad = s.feature + (t >> 2 & 15), part = t & 3;
    vec4 sum[8];
    [[unroll]] for (uint i = 0; i < 8; i++)
        sum[i] = first_state(s, s.feature * 4 + block * 8 + i, s.column + column);
    float z = first_normaliser(s, quad)[part];
    for (uint j0 = s.first; j0 < s.end; j0 += 16) {
        [[unroll]] for (uint i = 0; i < 2; i++) {
            const uint at = t + i * 128, j = j0 + (at >> 4);
            vec4 x = vec4(0), y = vec4(0);
            if (j < s.end && s.feature + column < (p.dk + 3) / 4)
                x = phi_k(pool_k(s, j, s.feature + column), s.feature + column);
            if (j < s.end && s.column + column < p.dv4) y = pool_v(s, j, s.column + column);
            k_tile[at] = x;
            v_tile[at] = y;
        }
        barrier();
        if (t < 64)
            [[unroll]] for (uint j = 0; j < 16; j++) z += k_tile[j * 16 + (t >> 2)][part];
        [[unroll]] for (uint j = 0; j < 16; j++) {
            const vec4 y = v_tile[j * 16 + column];
            const vec4 low = k_tile[j * 16 + block * 2], high = k_tile[j * 16 + block * 2 + 1];
            [[unroll]] for (uint i = 0; i < 4; i++) {
                sum[i] += low[i] * y;
                sum[i + 4] += high[i] * y;
            }
        }
        barrier();
    }
    [[unroll]] for (uint i = 0; i < 8; i++)
        store_state(s, s.feature * 4 + block * 8 + i, s.column + column, sum[i]);
    if (t < 64 && s.column == 0 && quad < (p.dk + 3) / 4) partial[normaliser_at(s, quad)][part] = z;
}
