#version 450
// y_i = sum over the heads that it reads of weight * phi(q_i)^T S_h / (phi(q_i)^T z_h + eps). CPU
// form: lanes over queries, ROWS a lane. With top-1 routing the TILE queries of an item are first
// brought together by head, so that only the chosen head's product is computed; S lies over the
// lanes and is broadcast by constant shuffles.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "lane.glsl"
#include "readout.glsl"

layout(constant_id = ID_TILE + 0) const uint ROWS = 4; // a multiple of 4
layout(constant_id = ID_TILE + 1) const uint QUADS = 2; // quads of columns a lane
layout(constant_id = ID_TILE + 2) const uint TILE = 512;
const uint WIDTH = 4 * SG; // columns that a quad a lane makes
const uint FOURS = ROWS / 4;

QUADS_IN(q, READOUT_Q)
QUADS_IN(state, READOUT_S)
WORDS_FETCHED(chosen, READOUT_HEAD) // or LOGITS
QUADS_IN(weight, READOUT_WEIGHT)
#include "readout_list.glsl"

// ROWS * SG queries of the tile's order from `at` on, those before `stop`, through the heads
// [first, end). All of it is one function and four rows are a vector, since what a driver does
// before it finds its compiled code again takes the longer the more variables and copies of arrays
// there are.
void answer(readout_tile t, uint at, uint stop, uint first, uint end)
{
    uint query[ROWS], q_at[ROWS], column[QUADS];
    vec4 total[QUADS][WIDTH][FOURS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        query[r] = t.query + order[min(at + r * SG + gl_SubgroupInvocationID, stop - 1)];
        q_at[r] = t.q + query[r] * p.q_row;
    }
    [[unroll]] for (uint c = 0; c < QUADS; c++) {
        column[c] = min(t.column + c * SG + gl_SubgroupInvocationID, p.dv4 - 1);
        [[unroll]] for (uint v = 0; v < WIDTH; v++)
            [[unroll]] for (uint r = 0; r < FOURS; r++) total[c][v][r] = vec4(0);
    }
    for (uint h = first; h < end; h++) {
        const uint block = t.state + h * block_quads();
        vec4 sum[QUADS][WIDTH][FOURS], den[FOURS]; // phi(q)^T S_h, phi(q)^T z_h
        [[unroll]] for (uint r = 0; r < FOURS; r++) den[r] = vec4(0);
        [[unroll]] for (uint c = 0; c < QUADS; c++)
            [[unroll]] for (uint v = 0; v < WIDTH; v++)
                [[unroll]] for (uint r = 0; r < FOURS; r++) sum[c][v][r] = vec4(0);
        for (uint k = 0; k < p.dk4; k++) {
            vec4 x[FOURS][4]; // x[r][f]: feature f of rows 4 * r to 4 * r + 3
            const vec4 z = FETCH(state, READOUT_S, block + p.dk4 * 4 * p.dv4 + k);
            [[unroll]] for (uint r = 0; r < FOURS; r++) {
                vec4 q[4];
                [[unroll]] for (uint i = 0; i < 4; i++)
                    q[i] = feature_map(feature_kind, FETCH(q, READOUT_Q, q_at[4 * r + i] + k));
                den[r] += vec4(dot(q[0], z), dot(q[1], z), dot(q[2], z), dot(q[3], z));
                x[r][0] = vec4(q[0].x, q[1].x, q[2].x, q[3].x);
                x[r][1] = vec4(q[0].y, q[1].y, q[2].y, q[3].y);
                x[r][2] = vec4(q[0].z, q[1].z, q[2].z, q[3].z);
                x[r][3] = vec4(q[0].w, q[1].w, q[2].w, q[3].w);
            }
            [[unroll]] for (uint c = 0; c < QUADS; c++) {
                const uint s_at = block + k * 4 * p.dv4 + column[c];
                vec4 s[4];
                [[unroll]] for (uint f = 0; f < 4; f++)
                    s[f] = FETCH(state, READOUT_S, s_at + f * p.dv4);
                [[unroll]] for (uint l = 0; l < SG; l++)
                    [[unroll]] for (uint e = 0; e < 4; e++)
                        [[unroll]] for (uint f = 0; f < 4; f++) {
                            const float b = subgroupShuffle(s[f][e], l);
                            [[unroll]] for (uint r = 0; r < FOURS; r++)
                                sum[c][l * 4 + e][r] += x[r][f] * b;
                        }
            }
        }
        [[unroll]] for (uint r = 0; r < FOURS; r++) {
            vec4 weight;
            [[unroll]] for (uint i = 0; i < 4; i++)
                weight[i] = listed_weight(t, query[4 * r + i], h);
            weight /= den[r] + p.eps;
            [[unroll]] for (uint c = 0; c < QUADS; c++)
                [[unroll]] for (uint v = 0; v < WIDTH; v++)
                    total[c][v][r] += sum[c][v][r] * weight;
        }
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        if (at + r * SG + gl_SubgroupInvocationID >= stop) continue;
        // The column comes from a remainder: compared with the width by itself, it is worked out
        // again for every store.
        const uint first = t.y + query[r] * p.y_row, row = first + t.column;
        const bool valid = query[r] < t.valid;
        [[unroll]] for (uint c = 0; c < QUADS; c++)
            [[unroll]] for (uint l = 0; l < SG; l++) {
                const uint v = 4 * l, i = r / 4, j = r % 4;
                const vec4 x = vec4(total[c][v][i][j], total[c][v + 1][i][j],
                                    total[c][v + 2][i][j], total[c][v + 3][i][j]);
                if (row + c * SG + l < first + p.dv4)
                    STORE(y, READOUT_Y, row + c * SG + l, valid ? x : vec4(0));
            }
    }
}

void main()
{
    BEGIN_ITEM(item);
    const readout_tile t = readout_locate(item, TILE, SG * QUADS);
    const uint lists = routing == ROUTING_TOP1 ? p.heads : 1;
    find_heads(t);
    for (uint first = 0; first < lists; first += SG) {
        uint begins;
        const uint counts = list_queries(t, first, begins);
        for (uint list = 0; list < min(SG, lists - first); list++) {
            const uint begin = any_lane(begins, list), stop = begin + any_lane(counts, list);
            const uint head = t.head + first + list;
            const uint end = routing == ROUTING_SOFT ? p.heads : head + 1;
            for (uint at = begin; at < stop; at += ROWS * SG) answer(t, at, stop, head, end);
        }
    }
}
