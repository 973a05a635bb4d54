#version 450
// y_i = prob_i * phi(q_i)^T S_h / (phi(q_i)^T z_h + eps) for the head h that query i reads. GPU
// form of top-1 routing: 128 invocations list the queries of a tile head by head and make blocks of
// 64 rows x 64 columns of the list, 8 x 4 each, so that a query costs what its own head takes. The
// 8 rows of an invocation, a unit, are of one head. A step is a few of a block's features: while
// they are multiplied, the next ones are loaded. S comes from memory, where the first cache has it
// after the first block. Shared memory is kept small: it bounds how many workgroups run side by
// side.
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

const uint GROUP = 128, MOST_HEADS = 64;
const uint UNIT = 8;                   // rows of an invocation
const uint BLOCK = 8 * UNIT;           // rows
const uint DEEP = 4;                   // quads of features of a step
const uint LOADS = BLOCK * DEEP / 128; // of them an invocation loads
shared vec4 q_tile[DEEP * BLOCK];      // by feature
shared float parts[DEEP * BLOCK];      // of phi(q)^T z: DEEP of each row
#include "readout_sort.glsl"
#include "readout_step.glsl"

void multiply(readout_tile t, sorted_step s, uint lane, inout vec4 sum[UNIT])
{
    const uint unit = lane >> 4, h = unit_head[s.block * (BLOCK / UNIT) + unit];
    if (h >= p.heads) return;
    const uint end = min(DEEP, p.dk4 - s.k0) * 4;
    uint from = t.state + h * block_quads() + s.k0 * 4 * p.dv4;
    from += min(t.column + (lane & 15), p.dv4 - 1);
    [[dont_unroll]] for (uint k0 = 0; k0 < end; k0 += 4) {
        const uint row = k0 * (BLOCK / 4) + swizzled(unit, k0 / 4) * 2;
        [[unroll]] for (uint e = 0; e < 4; e++) {
            const vec4 y = LOAD(state, READOUT_S, from + e * p.dv4);
            const vec4 low = q_tile[row + e * (BLOCK / 4)];
            const vec4 high = q_tile[row + e * (BLOCK / 4) + 1];
            [[unroll]] for (uint r = 0; r < 4; r++) {
                sum[r] += low[r] * y;
                sum[r + 4] += high[r] * y;
            }
        }
        from += 4 * p.dv4;
    }
}

void store_row(readout_tile t, sorted_step s, uint row, uint lane, vec4 sum)
{
    const uint i = listed(s.block * BLOCK + row), column = t.column + (lane & 15);
    if (i == NO_QUERY || column >= p.dv4) return;
    float den = p.eps;
    [[unroll]] for (uint e = 0; e < DEEP; e++) den += parts[row * DEEP + e];
    STORE(y, READOUT_Y, t.y + (t.query + i) * p.y_row + column, sum * (made_prob[i] / den));
}

void main()
{
    BEGIN_ITEM(item);
    const readout_tile t = readout_locate(item, tile_size(), 16);
    const uint lane = gl_LocalInvocationIndex;
    const uint blocks = sort_queries(t, lane);
    zero_rest(t, lane);
    sorted_step s = sorted_step(0, 0);
    rows_ahead ahead;
    if (blocks > 0) load_step(t, s, lane, ahead);
    vec4 sum[UNIT];
    [[unroll]] for (uint r = 0; r < UNIT; r++) sum[r] = vec4(0);
    while (s.block < blocks) {
        keep_step(s, lane, ahead);
        barrier();
        const sorted_step next = after(s);
        if (next.block < blocks) load_step(t, next, lane, ahead);
        multiply(t, s, lane, sum);
        if (ends_block(s))
            [[unroll]] for (uint r = 0; r < UNIT; r++) {
                store_row(t, s, (lane >> 4) * UNIT + r, lane, sum[r]);
                sum[r] = vec4(0);
            }
        barrier();
        s = next;
    }
}
