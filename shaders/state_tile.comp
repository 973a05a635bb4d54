#version 450
// P = sum_j phi(k_j) v_j^T and z = sum_j phi(k_j) over a stretch of pooled segments. GPU form:
// GROUP invocations make 64 features x 64 columns, 8 features and WIDTH quads of columns each. TILE
// segments at a time are pooled into shared memory, by batches of ROWS rows an invocation: the next
// batch is loaded as soon as this one is pooled, and the next tile is pooled beside this one's
// products.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#define HEADS_OUTER true
#include "state.glsl"

layout(local_size_x_id = ID_GROUP) in;
layout(constant_id = ID_GROUP) const uint GROUP = 128;
layout(constant_id = ID_TILE + 0) const uint WIDTH = 1; // quads of columns an invocation
layout(constant_id = ID_TILE + 1) const uint TILE = 16; // segments
layout(constant_id = ID_TILE + 2) const uint ROWS = 2;  // of a batch
layout(constant_id = ID_TILE + 4) const uint UNROLL = 16; // segments whose products are unrolled
TENSOR_IN(k, STATE_K)
TENSOR_IN(v, STATE_V)

const uint APART = GROUP / 16, SLOTS = TILE / APART; // segments at once, of an invocation
const uint ACROSS = 16 / WIDTH, SUMS = 8 * WIDTH;    // invocations that share features; quads
const uint PARTS = GROUP < 64 ? 64 / GROUP : 1;      // of the normaliser, of an invocation
shared vec4 k_tile[2 * TILE * 16], v_tile[2 * TILE * 16]; // two sides
#include "state_batch.glsl"

// Adds the segments of one side.
void add_segments(uint side, uint t, inout vec4 sum[SUMS], inout float z[PARTS])
{
    const uint first = side * TILE * 16, column = t % ACROSS, block = t / ACROSS; // 8 features each
    if (t < 64)
        [[unroll]] for (uint j = 0; j < TILE; j++)
            [[unroll]] for (uint i = 0; i < PARTS; i++)
                z[i] += k_tile[first + j * 16 + i * (GROUP / 4) + (t >> 2)][t & 3];
    for (uint j0 = 0; j0 < TILE; j0 += UNROLL) {
        [[unroll]] for (uint j = 0; j < UNROLL; j++) {
            const uint at = first + (j0 + j) * 16;
            const vec4 low = k_tile[at + block * 2], high = k_tile[at + block * 2 + 1];
            [[unroll]] for (uint w = 0; w < WIDTH; w++) {
                const vec4 y = v_tile[at + column + w * ACROSS];
                [[unroll]] for (uint i = 0; i < 4; i++) {
                    sum[w * 8 + i] += low[i] * y;
                    sum[w * 8 + i + 4] += high[i] * y;
                }
            }
        }
    }
}

void main()
{
    BEGIN_ITEM(item);
    const state_tile s = state_locate(item, 16, 16);
    const uint t = gl_LocalInvocationIndex;
    const uint feature = s.feature * 4 + t / ACROSS * 8, column = s.column + t % ACROSS;
    // feature of the normaliser that this invocation sums, the first one
    const uint quad = s.feature + (t >> 2 & 15), part = t & 3;
    vec4 sum[SUMS];
    [[unroll]] for (uint i = 0; i < SUMS; i++)
        sum[i] = first_state(s, feature + i % 8, column + i / 8 * ACROSS);
    float z[PARTS];
    [[unroll]] for (uint i = 0; i < PARTS; i++)
        z[i] = first_normaliser(s, quad + i * (GROUP / 4))[part];
    rows_ahead ahead;
    begin_rows(s, t, ahead);
    if (s.first < s.end) keep_tile(s, s.first, 0, t, ahead);
    barrier();
    uint side = 0;
    for (uint j0 = s.first; j0 < s.end; j0 += TILE) {
        if (j0 + TILE < s.end) keep_tile(s, j0 + TILE, side ^ 1, t, ahead);
        add_segments(side, t, sum, z);
        barrier();
        side ^= 1;
    }
    [[unroll]] for (uint i = 0; i < SUMS; i++)
        store_state(s, feature + i % 8, column + i / 8 * ACROSS, sum[i]);
    [[unroll]] for (uint i = 0; i < PARTS; i++) {
        const uint at = quad + i * (GROUP / 4);
        if (t < 64 && s.column == 0 && at < (p.dk + 3) / 4)
            partial[normaliser_at(s, at)][part] = z[i];
    }
}
