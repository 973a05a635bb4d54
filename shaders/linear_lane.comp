#version 450
// C = act(A W + bias) + residual. CPU form: lanes over rows, ROWS rows a lane, QUADS quads of
// columns; W's columns lie over the lanes and are broadcast by shuffles. STEP quads of k are loaded
// before the arithmetic, so that a sum is read and written once for STEP * 4 products; a quad of
// columns of all rows fits the registers.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "lane.glsl"
#include "gelu.glsl"

layout(constant_id = ID_OPTION + OPTION_BIAS) const uint with_bias = 0;
layout(constant_id = ID_OPTION + OPTION_GELU) const uint with_gelu = 0;
layout(constant_id = ID_OPTION + OPTION_RESIDUAL) const uint with_residual = 0;
layout(constant_id = ID_OPTION + OPTION_NORMED) const uint normed = 0;
layout(constant_id = ID_TILE + 0) const uint ROWS = 5;
layout(constant_id = ID_TILE + 1) const uint QUADS = 8; // divides SG
layout(constant_id = ID_TILE + 2) const uint STEP = 2;
layout(constant_id = ID_TILE + 3) const uint VARIABLE = 0; // 1: no shuffle index is constant
const uint PER_FETCH = SG / QUADS;        // rows of W that one fetch of all lanes brings
const uint FETCHES = STEP * 4 / PER_FETCH;

QUADS_IN(a, LINEAR_A)
QUADS_IN(w, LINEAR_W)
QUADS_IN(bias, LINEAR_BIAS)
QUADS_IN(residual, LINEAR_RESIDUAL)
TENSOR_OUT(c, LINEAR_C)
MOMENTS_IN(moments, LINEAR_MOMENTS)
PUSH(linear_params)

void store_quad(uint row, uint column, vec4 sum)
{
    if (row >= p.rows || column >= p.n4) return;
    const uint at = p.c_start + row * p.c_row + column;
    if (with_gelu != 0) sum = gelu_quad(sum);
    if (with_residual != 0) sum += FETCH(residual, LINEAR_RESIDUAL, at);
    STORE(c, LINEAR_C, at, sum);
}

void main()
{
    BEGIN_ITEM(item);
    const uint lane = gl_SubgroupInvocationID;
    const uint zero = lane_zero(VARIABLE, p.rows);
    const uint columns = (p.n4 + QUADS - 1) / QUADS;
    const uint row0 = item / columns * (SG * ROWS) + lane, column0 = item % columns * QUADS;
    float sum[ROWS][4 * QUADS];
    uint a_at[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        a_at[r] = p.a_start + min(row0 + r * SG, p.rows - 1) * p.a_row;
        [[unroll]] for (uint v = 0; v < 4 * QUADS; v++) sum[r][v] = 0;
    }
    const uint w_column = min(column0 + lane % QUADS, p.n4 - 1);
    uint w_at = p.w_start + lane / QUADS * p.w_row + w_column;
    for (uint k = 0; k < p.k4; k += STEP) {
        vec4 x[ROWS][STEP], y[FETCHES];
        [[unroll]] for (uint r = 0; r < ROWS; r++)
            [[unroll]] for (uint u = 0; u < STEP; u++)
                x[r][u] = FETCH(a, LINEAR_A, a_at[r] + k + u);
        [[unroll]] for (uint f = 0; f < FETCHES; f++)
            y[f] = FETCH(w, LINEAR_W, w_at + f * PER_FETCH * p.w_row);
        w_at += STEP * 4 * p.w_row;
        [[unroll]] for (uint q = 0; q < QUADS; q++)
            [[unroll]] for (uint i = 0; i < STEP * 4; i++) {
                const uint source = zero + i % PER_FETCH * QUADS + q;
                vec4 b;
                [[unroll]] for (uint e = 0; e < 4; e++)
                    b[e] = subgroupShuffle(y[i / PER_FETCH][e], source);
                [[unroll]] for (uint r = 0; r < ROWS; r++)
                    [[unroll]] for (uint e = 0; e < 4; e++)
                        sum[r][q * 4 + e] += x[r][i >> 2][i & 3] * b[e];
            }
    }
    // Bias, and sums of W's columns, of the quad of columns that is the lane's.
    vec4 own = vec4(0), own_u = vec4(0), m[ROWS];
    if (with_bias != 0) own = FETCH(bias, LINEAR_BIAS, p.bias_start + w_column);
    if (normed != 0) own_u = FETCH(bias, LINEAR_BIAS, p.bias_start + p.n4 + w_column);
    [[unroll]] for (uint r = 0; r < ROWS; r++)
        if (normed != 0) m[r] = MOMENTS(moments, LINEAR_MOMENTS, min(row0 + r * SG, p.rows - 1));
    [[unroll]] for (uint q = 0; q < QUADS; q++) {
        vec4 b, u;
        [[unroll]] for (uint e = 0; e < 4; e++) {
            b[e] = subgroupShuffle(own[e], zero + q);
            u[e] = subgroupShuffle(own_u[e], zero + q);
        }
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            vec4 s = QUAD(sum[r], q * 4);
            if (normed != 0) s = (s - m[r].x * u) * m[r].y;
            store_quad(row0 + r * SG, column0 + q, s + b);
        }
    }
}
