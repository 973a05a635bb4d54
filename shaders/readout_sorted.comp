#version 450
// y_i = prob_i * phi(q_i)^T S_h / (phi(q_i)^T z_h + eps) for the head h that query i reads. GPU
// form of top-1 routing: the invocations bring the queries of a tile together by head and make, head
// by head, blocks of BLOCK queries x 64 columns, so that a query costs what its own head takes. A
// step is DEEP quads of a block's features: while one is multiplied, the next one is put into
// shared memory, and the one after that is loaded.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "readout.glsl"

layout(local_size_x_id = ID_GROUP) in;
layout(constant_id = ID_GROUP) const uint GROUP = 128;
layout(constant_id = ID_TILE + 0) const uint ROWS = 8;   // queries an invocation sums
layout(constant_id = ID_TILE + 1) const uint WIDTH = 1;  // quads of columns it sums
layout(constant_id = ID_TILE + 2) const uint TILE = 512; // queries
layout(constant_id = ID_TILE + 3) const uint DEEP = 16;  // quads of features
TENSOR_IN(q, READOUT_Q)
WORDS_IN(chosen, READOUT_HEAD) // or LOGITS
SMALL_QUADS(weight, READOUT_WEIGHT)
TENSOR_IN(state, READOUT_S)

const uint ACROSS = 16 / WIDTH, APART = GROUP / ACROSS; // invocations; those of a column
const uint BLOCK = APART * ROWS;                        // queries
const uint AT_ONCE = GROUP / 4, TURNS = BLOCK / AT_ONCE;       // queries that are loaded
const uint QUADS = DEEP / 4, RAW = TURNS * QUADS, SUMS = ROWS * WIDTH; // of an invocation
const uint PITCH = DEEP + 1; // quads a query: one more, against bank conflicts
shared vec4 q_tile[2 * BLOCK * PITCH];
shared float parts[2 * BLOCK * 4]; // of phi(q)^T z: four of each query
#include "readout_sort.glsl"
#include "readout_step.glsl"

// Features past the last one are 0 in the tile.
void multiply(readout_tile t, sorted_step s, uint side, uint lane, inout vec4 sum[SUMS])
{
    const uint row = side * BLOCK + lane / ACROSS;
    const uint from = t.state + s.h * block_quads();
    uint column[WIDTH];
    [[unroll]] for (uint w = 0; w < WIDTH; w++)
        column[w] = from + min(t.column + lane % ACROSS + w * ACROSS, p.dv4 - 1);
    for (uint k0 = 0; k0 < min(DEEP, p.dk4 - s.k0); k0 += 4) {
        [[unroll]] for (uint k = k0; k < k0 + 4; k++) {
            vec4 y[4 * WIDTH];
            [[unroll]] for (uint e = 0; e < 4 * WIDTH; e++) {
                const uint feature = min((s.k0 + k) * 4 + e % 4, p.dk4 * 4 - 1);
                y[e] = LOAD(state, READOUT_S, column[e / 4] + feature * p.dv4);
            }
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                const vec4 x = q_tile[(row + r * APART) * PITCH + k];
                [[unroll]] for (uint e = 0; e < 4 * WIDTH; e++)
                    sum[e / 4 * ROWS + r] += x[e % 4] * y[e];
            }
        }
    }
}

void store_block(readout_tile t, sorted_step s, uint side, uint lane, vec4 sum[SUMS])
{
    const uint column = t.column + lane % ACROSS;
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const uint row = lane / ACROSS + r * APART, at = (side * BLOCK + row) * 4;
        if (s.at + row >= head_end(s.h)) break;
        const uint i = order[s.at + row];
        const float den = parts[at] + parts[at + 1] + parts[at + 2] + parts[at + 3];
        const float factor = made_prob[i] / (den + p.eps);
        const uint to = t.y + (t.query + i) * p.y_row;
        [[unroll]] for (uint w = 0; w < WIDTH; w++) {
            const uint quad = column + w * ACROSS;
            if (quad < p.dv4) STORE(y, READOUT_Y, to + quad, sum[w * ROWS + r] * factor);
        }
    }
}

void main()
{
    BEGIN_ITEM(item);
    const readout_tile t = readout_locate(item, TILE, 16);
    const uint lane = gl_LocalInvocationIndex;
    sort_queries(t, lane);
    zero_rest(t, lane);
    sorted_step s = skip_empty(sorted_step(0, 0, 0)), next = after(s);
    uvec4 x[RAW];
    float part[TURNS];
    load_step(t, s, lane, x);
    keep_step(t, s, 0, lane, x, part);
    load_step(t, next, lane, x);
    barrier();
    vec4 sum[SUMS];
    [[unroll]] for (uint r = 0; r < SUMS; r++) sum[r] = vec4(0);
    for (uint side = 0; s.h < p.heads; side ^= 1) {
        keep_step(t, next, side ^ 1, lane, x, part);
        const sorted_step third = after(next);
        load_step(t, third, lane, x);
        multiply(t, s, side, lane, sum);
        if (ends_block(s)) {
            store_block(t, s, side, lane, sum);
            [[unroll]] for (uint r = 0; r < SUMS; r++) sum[r] = vec4(0);
        }
        barrier();
        s = next;
        next = third;
    }
}
