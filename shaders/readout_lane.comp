#version 450
// y_i = sum over the heads that it reads of weight * phi(q_i)^T S_h / (phi(q_i)^T z_h + eps). CPU
// form: lanes over queries, ROWS a lane. With top-1 routing the TILE queries of an item are first
// brought together by head, so that only the chosen head's product is computed; S lies over the
// lanes and is broadcast by constant shuffles.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "lane.glsl"
#include "readout.glsl"

layout(constant_id = ID_TILE + 0) const uint ROWS = 4;
layout(constant_id = ID_TILE + 1) const uint QUADS = 2; // quads of columns a lane
layout(constant_id = ID_TILE + 2) const uint TILE = 512;
const uint WIDTH = 4 * SG; // columns that a quad a lane makes

QUADS_IN(q, READOUT_Q)
QUADS_IN(state, READOUT_S)
WORDS_FETCHED(chosen, READOUT_HEAD)

shared uint order[TILE]; // queries of the tile that read the head at hand

const uint BATCH = 8; // queries a lane looks at together

// Whether queries i, i + SG, ... of the tile read the list of head h; without top-1 routing there
// is one list, of all.
void in_list(readout_tile t, uint i, uint h, out bool found[BATCH])
{
    [[unroll]] for (uint u = 0; u < BATCH; u++) {
        const uint query = t.query + i + u * SG;
        found[u] = query < p.n;
        if (routing == ROUTING_TOP1) {
            const uint row = t.bg * p.n + min(query, p.n - 1);
            found[u] = FETCH_WORD(chosen, READOUT_HEAD, row) == h && found[u];
        }
    }
}

// Lists the queries of head h in `order`, lane by lane; returns how many.
uint list_queries(readout_tile t, uint h)
{
    const uint lane = gl_SubgroupInvocationID;
    uint count = 0, before = 0, total = 0;
    bool found[BATCH];
    for (uint i = lane; i < TILE; i += SG * BATCH) {
        in_list(t, i, h, found);
        [[unroll]] for (uint u = 0; u < BATCH; u++) count += found[u] ? 1 : 0;
    }
    [[unroll]] for (uint l = 0; l < SG; l++) {
        const uint other = subgroupShuffle(count, l);
        before += l < lane ? other : 0;
        total += other;
    }
    for (uint i = lane; i < TILE; i += SG * BATCH) {
        in_list(t, i, h, found);
        [[unroll]] for (uint u = 0; u < BATCH; u++)
            if (found[u]) order[before++] = i + u * SG;
    }
    memoryBarrierShared(); // the group is one subgroup, whose lanes go in step
    return total;
}

// sum[r] = phi(q_r)^T S_h, den[r] = phi(q_r)^T z_h
void multiply(readout_tile t, uint h, uint query[ROWS], out float sum[QUADS][ROWS][WIDTH],
              out float den[ROWS])
{
    const uint block = t.state + h * block_quads();
    uint q_at[ROWS], s_at[QUADS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        q_at[r] = t.q + query[r] * p.q_row;
        den[r] = 0;
    }
    [[unroll]] for (uint c = 0; c < QUADS; c++) {
        s_at[c] = block + min(t.column + c * SG + gl_SubgroupInvocationID, p.dv4 - 1);
        [[unroll]] for (uint r = 0; r < ROWS; r++)
            [[unroll]] for (uint v = 0; v < WIDTH; v++) sum[c][r][v] = 0;
    }
    for (uint k = 0; k < p.dk4; k++) {
        vec4 x[ROWS];
        const vec4 z = FETCH(state, READOUT_S, block + p.dk4 * 4 * p.dv4 + k);
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            x[r] = feature_map(feature_kind, FETCH(q, READOUT_Q, q_at[r] + k));
            den[r] += dot(x[r], z);
        }
        [[unroll]] for (uint c = 0; c < QUADS; c++) {
            vec4 s[4];
            [[unroll]] for (uint f = 0; f < 4; f++)
                s[f] = FETCH(state, READOUT_S, s_at[c] + (k * 4 + f) * p.dv4);
            [[unroll]] for (uint l = 0; l < SG; l++)
                [[unroll]] for (uint e = 0; e < 4; e++)
                    [[unroll]] for (uint f = 0; f < 4; f++) {
                        const float b = subgroupShuffle(s[f][e], l);
                        [[unroll]] for (uint r = 0; r < ROWS; r++)
                            sum[c][r][l * 4 + e] += x[r][f] * b;
                    }
        }
    }
}

// ROWS * SG queries of the list from `at` on, through the heads [first, end).
void answer(readout_tile t, uint at, uint count, uint first, uint end)
{
    uint query[ROWS];
    float total[QUADS][ROWS][WIDTH];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        query[r] = t.query + order[min(at + r * SG + gl_SubgroupInvocationID, count - 1)];
        [[unroll]] for (uint c = 0; c < QUADS; c++)
            [[unroll]] for (uint v = 0; v < WIDTH; v++) total[c][r][v] = 0;
    }
    for (uint h = first; h < end; h++) {
        float sum[QUADS][ROWS][WIDTH], den[ROWS];
        multiply(t, h, query, sum, den);
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            const float weight = head_weight(t, query[r], h) / (den[r] + p.eps);
            [[unroll]] for (uint c = 0; c < QUADS; c++)
                [[unroll]] for (uint v = 0; v < WIDTH; v++) total[c][r][v] += sum[c][r][v] * weight;
        }
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        if (at + r * SG + gl_SubgroupInvocationID >= count) continue;
        const uint row = t.y + query[r] * p.y_row + t.column;
        const bool valid = query[r] < t.valid;
        [[unroll]] for (uint c = 0; c < QUADS; c++)
            [[unroll]] for (uint l = 0; l < SG; l++) {
                const vec4 x = QUAD(total[c][r], l * 4);
                if (t.column + c * SG + l < p.dv4)
                    STORE(y, READOUT_Y, row + c * SG + l, valid ? x : vec4(0));
            }
    }
}

void main()
{
    BEGIN_ITEM(item);
    const readout_tile t = readout_locate(item, TILE, SG * QUADS);
    const uint lists = routing == ROUTING_TOP1 ? p.heads : 1;
    const uint end = routing == ROUTING_SOFT ? p.heads : t.head + 1;
    for (uint list = 0; list < lists; list++) {
        const uint count = list_queries(t, list);
        for (uint at = 0; at < count; at += ROWS * SG) {
            if (routing == ROUTING_TOP1) answer(t, at, count, list, list + 1);
            else answer(t, at, count, t.head, end);
        }
    }
}
