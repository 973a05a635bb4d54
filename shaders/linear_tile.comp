#version 450
// C = act(A W + bias) + residual. GPU form: 128 invocations make a tile of 64 rows x 64 columns;
// 16 columns of A and rows of W at a time go through shared memory, A transposed; the next ones are
// loaded while these are multiplied.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "linear.glsl"

layout(local_size_x = 128) in;

const uint PITCH = 17; // quads a row of the A tile: one more than 64 rows, against bank conflicts
shared vec4 a_tile[16 * PITCH];
shared vec4 w_tile[16 * 16];

// The 2 + 2 quads that an invocation loads for one tile of A and of W; 0 past the last.
void load_tiles(uint row0, uint column0, uint k0, uint t, out uvec4 x[2], out uvec4 y[2])
{
    [[unroll]] for (uint i = 0; i < 2; i++) {
        const uint at = t + i * 128;
        const uint row = row0 + (at >> 2), quad = k0 + (at & 3);
        x[i] = uvec4(0);
        if (row < p.rows && quad < p.k4)
            x[i] = LOAD_RAW(a, LINEAR_A, p.a_start + row * p.a_row + quad);
        const uint k = k0 * 4 + (at >> 4), column = column0 + (at & 15);
        y[i] = uvec4(0);
        if (k < p.k4 * 4 && column < p.n4)
            y[i] = LOAD_RAW(w, LINEAR_W, p.w_start + k * p.w_row + column);
    }
}

void keep_tiles(uint t, uvec4 x[2], uvec4 y[2])
{
    [[unroll]] for (uint i = 0; i < 2; i++) {
        const uint at = t + i * 128, row = at >> 2, quad = at & 3;
        const vec4 numbers = from_raw(a_type, x[i]);
        [[unroll]] for (uint e = 0; e < 4; e++)
            a_tile[(quad * 4 + e) * PITCH + (row >> 2)][row & 3] = numbers[e];
        w_tile[at] = from_raw(w_type, y[i]);
    }
}

void main()
{
    BEGIN_ITEM(item);
    const uint columns = (p.n4 + 15) / 16;
    const uint row0 = item / columns * 64, column0 = item % columns * 16;
    const uint t = gl_LocalInvocationIndex, column = t & 15, block = t >> 4; // 8 rows each
    vec4 sum[8];
    [[unroll]] for (uint i = 0; i < 8; i++) sum[i] = vec4(0);
    uvec4 x[2], y[2];
    load_tiles(row0, column0, 0, t, x, y);
    for (uint k0 = 0; k0 < p.k4; k0 += 4) {
        keep_tiles(t, x, y);
        barrier();
        load_tiles(row0, column0, k0 + 4, t, x, y);
        [[unroll]] for (uint k = 0; k < 16; k++) {
            const vec4 b = w_tile[k * 16 + column];
            const vec4 low = a_tile[k * PITCH + block * 2];
            const vec4 high = a_tile[k * PITCH + block * 2 + 1];
            [[unroll]] for (uint i = 0; i < 4; i++) {
                sum[i] += low[i] * b;
                sum[i + 4] += high[i] * b;
            }
        }
        barrier();
    }
    [[unroll]] for (uint i = 0; i < 8; i++)
        store_quad(row0 + block * 8 + i, column0 + column, sum[i]);
}
