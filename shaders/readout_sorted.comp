#version 450
// y_i = prob_i * phi(q_i)^T S_h / (phi(q_i)^T z_h + eps) for the head h that query i reads. GPU
// form of top-1 routing: 128 invocations bring the queries of a tile together by head and make,
// head by head, blocks of 32 queries x 64 columns, 4 x 4 each, so that a query costs what its own
// head takes. A step is 32 of a block's features: while one is multiplied, the next one is put into
// shared memory, and the one after that is loaded. S comes from memory, where the first cache has
// it after the first block.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "readout.glsl"

layout(local_size_x = 128) in;
layout(constant_id = ID_TILE + 2) const uint TILE = 512; // queries at most, a multiple of 128
layout(constant_id = ID_TILE + 3) const uint FILL = 256; // tiles that a device should have
TENSOR_IN(q, READOUT_Q)
WORDS_IN(chosen, READOUT_HEAD) // or LOGITS
SMALL_QUADS(weight, READOUT_WEIGHT)
TENSOR_IN(state, READOUT_S)

const uint BLOCK = 32;       // queries
const uint DEEP = 8;         // quads of features of a step
const uint PITCH = DEEP + 1; // quads a query: one more, against bank conflicts
shared vec4 q_tile[2 * BLOCK * PITCH]; // two sides
shared float parts[2 * BLOCK * 4];     // of phi(q)^T z: four of each query
#include "readout_sort.glsl"
#include "readout_step.glsl"

// Features past the last one are 0 in the tile.
void multiply(readout_tile t, sorted_step s, uint side, uint lane, inout vec4 sum[4])
{
    const uint row = side * BLOCK + (lane >> 4);
    const uint from = t.state + s.h * block_quads() + min(t.column + (lane & 15), p.dv4 - 1);
    for (uint k0 = 0; k0 < min(DEEP, p.dk4 - s.k0); k0 += 4) {
        [[unroll]] for (uint k = k0; k < k0 + 4; k++) {
            vec4 y[4];
            [[unroll]] for (uint e = 0; e < 4; e++) {
                const uint feature = min((s.k0 + k) * 4 + e, p.dk4 * 4 - 1);
                y[e] = LOAD(state, READOUT_S, from + feature * p.dv4);
            }
            [[unroll]] for (uint r = 0; r < 4; r++) {
                const vec4 x = q_tile[(row + r * 8) * PITCH + k];
                [[unroll]] for (uint e = 0; e < 4; e++) sum[r] += x[e] * y[e];
            }
        }
    }
}

void store_block(readout_tile t, sorted_step s, uint side, uint lane, vec4 sum[4])
{
    const uint column = t.column + (lane & 15);
    [[unroll]] for (uint r = 0; r < 4; r++) {
        const uint row = (lane >> 4) + r * 8, at = (side * BLOCK + row) * 4;
        if (s.at + row >= head_end(s.h)) break;
        const uint i = order[s.at + row];
        const float den = parts[at] + parts[at + 1] + parts[at + 2] + parts[at + 3];
        if (column < p.dv4)
            STORE(y, READOUT_Y, t.y + (t.query + i) * p.y_row + column,
                  sum[r] * (made_prob[i] / (den + p.eps)));
    }
}

void main()
{
    BEGIN_ITEM(item);
    const readout_tile t = readout_locate(item, tile_size(), 16);
    const uint lane = gl_LocalInvocationIndex;
    sort_queries(t, lane);
    zero_rest(t, lane);
    sorted_step s = skip_empty(sorted_step(0, 0, 0)), next = after(s);
    uvec4 x[2];
    float part = 0;
    load_step(t, s, lane, x);
    keep_step(t, s, 0, lane, x, part);
    load_step(t, next, lane, x);
    barrier();
    vec4 sum[4];
    [[unroll]] for (uint r = 0; r < 4; r++) sum[r] = vec4(0);
    for (uint side = 0; s.h < p.heads; side ^= 1) {
        keep_step(t, next, side ^ 1, lane, x, part);
        const sorted_step third = after(next);
        load_step(t, third, lane, x);
        multiply(t, s, side, lane, sum);
        if (ends_block(s)) {
            store_block(t, s, side, lane, sum);
            [[unroll]] for (uint r = 0; r < 4; r++) sum[r] = vec4(0);
        }
        barrier();
        s = next;
        next = third;
    }
}
