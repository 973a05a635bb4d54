#version 450
// y_i = prob_i * phi(q_i)^T S_h / (phi(q_i)^T z_h + eps) for the head h that query i reads, of up
// to 64 features, by cooperative matrices (coop.glsl). As in readout_sorted, queries are listed by
// head; a block of rows is of one head, whose S a subgroup has in registers. Halves can hold the
// operands because the quotient is written as
//   y_i = prob_i * sum over features f of w_f (S_h[f] / z_h[f]),
//   w_f = phi(q_i)[f] z_h[f] / (phi(q_i)^T z_h + eps):
// weights are 1 at most, and what they weigh are means of values. Both are scaled by powers of two
// (means, each column by its own) and taken as sums of two halves, 22 bits; of their four products
// the least is left out.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "readout.glsl"

layout(local_size_x_id = ID_GROUP) in;
layout(constant_id = ID_GROUP) const uint GROUP = 256;
#include "coop.glsl"
// Queries of a tile at most, and tiles that a device should have.
layout(constant_id = ID_TILE + 4) const uint QUERIES = 256 | 256 << 16;
const uint TILE = QUERIES % 65536, FILL = QUERIES / 65536;
TENSOR_IN(q, READOUT_Q)
WORDS_IN(chosen, READOUT_HEAD) // or LOGITS
SMALL_QUADS(weight, READOUT_WEIGHT)
TENSOR_IN(state, READOUT_S)

const uint MOST_HEADS = 16;
const uint BLOCK = 32, UNIT = BLOCK; // rows
const uint ACROSS = 64 / N, DOWN = BLOCK * ACROSS / (M * SCOPES); // scopes; matrices of one
// Words of a row: 64 numbers as high halves and low ones, or as floats; one against bank conflicts.
const uint LOW = 8, PITCH = 17;
shared uvec4 tile[BLOCK * PITCH];
shared float parts[GROUP]; // of phi(q)^T z: SHARE of each row
#include "readout_sort.glsl"
#include "readout_halves.glsl"

// The rows of block b, whose sums `back` takes back to what they would be without scales.
void store_rows(readout_tile t, uint b, uint lane, vec4 back)
{
    const uint column = t.column + lane % 16;
    [[unroll]] for (uint i = 0; i < BLOCK * 16 / GROUP; i++) {
        const uint row = lane / 16 + i * (GROUP / 16), query = listed(b * BLOCK + row);
        const vec4 sum = uintBitsToFloat(tile[row * PITCH + lane % 16]);
        if (query != NO_QUERY && column < p.dv4)
            STORE(y, READOUT_Y, t.y + (t.query + query) * p.y_row + column,
                  sum * (made_prob[query] * back));
    }
}

void main()
{
    BEGIN_ITEM(item);
    const readout_tile t = readout_locate(item, tile_size(), 16);
    const uint lane = gl_LocalInvocationIndex;
    const uint across = COOP_SCOPE % ACROSS, down = COOP_SCOPE / ACROSS * DOWN * M;
    if (lane < 64) largest[lane] = 0;
    const uint blocks = sort_queries(t, lane);
    zero_rest(t, lane);
    uint head = NO_HEAD;
    vec4 back = vec4(0);
    COOP_B high[64 / K], low[64 / K]; // the head's quotients, N columns of them
    uvec4 ahead[OWN];
    if (blocks > 0) load_row(t, 0, lane, ahead);
    for (uint b = 0; b < blocks; b++) {
        const uint h = unit_head[b];
        vec4 product[OWN], quotients[EACH];
        if (h != head) load_quotients(t, h, lane, quotients);
        multiply_row(t, h, lane, ahead, product);
        barrier();
        if (h != head) {
            scale_quotients(lane, quotients);
            back = scale_back(lane % 16);
            [[unroll]] for (uint f = 0; f < 64; f += BLOCK) {
                keep_quotients(lane, f, quotients);
                barrier();
                [[unroll]] for (uint k = 0; k < BLOCK; k += K) {
                    const uint at = k * PITCH + across * (N / 8);
                    COOP_LOAD_B(high[(f + k) / K], tile, at, PITCH);
                    COOP_LOAD_B(low[(f + k) / K], tile, at + LOW, PITCH);
                }
                barrier();
            }
            if (lane < 64) largest[lane] = 0;
            head = h;
        }
        keep_weights(lane, product);
        barrier();
        if (b + 1 < blocks) load_row(t, b + 1, lane, ahead);
        COOP_SUM sum[DOWN];
        [[unroll]] for (uint d = 0; d < DOWN; d++) {
            COOP_ZERO(sum[d]);
            [[unroll]] for (uint k = 0; k < 64; k += K) {
                const uint at = (down + d * M) * PITCH + k / 8;
                COOP_A a, rest;
                COOP_LOAD_A(a, tile, at, PITCH);
                COOP_LOAD_A(rest, tile, at + LOW, PITCH);
                COOP_MULTIPLY(sum[d], rest, high[k / K]);
                COOP_MULTIPLY(sum[d], a, low[k / K]);
                COOP_MULTIPLY(sum[d], a, high[k / K]);
            }
        }
        barrier();
        [[unroll]] for (uint d = 0; d < DOWN; d++)
            COOP_STORE(sum[d], tile, (down + d * M) * PITCH + across * (N / 4), PITCH);
        barrier();
        store_rows(t, b, lane, back);
    }
}
