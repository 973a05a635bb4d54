#version 450
// y_i = softmax(scale q_i k^T) v over valid keys, online. CPU form: lanes over queries, ROWS a
// lane; KEYS keys at a time, a key a lane while scores are made, a quad of columns a lane while
// values are added; both are broadcast by shuffles.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "softmax.glsl"
#include "lane.glsl"

layout(constant_id = ID_TILE + 0) const uint ROWS = 4;
layout(constant_id = ID_TILE + 1) const uint QUADS = 2; // quads of columns a lane
layout(constant_id = ID_TILE + 2) const uint KEYS = 16; // a multiple of SG
layout(constant_id = ID_TILE + 3) const uint VARIABLE = 0; // 1: no shuffle index is constant
const uint FETCHES = KEYS / SG;
const uint WIDTH = 4 * SG; // columns that a quad a lane makes

QUADS_IN(q, SOFTMAX_Q)
QUADS_IN(k, SOFTMAX_K)
QUADS_IN(v, SOFTMAX_V)

// s[r][j] = scale * q_r k_j^T, NEVER past the last key of the run
void score(softmax_tile t, uint q_at[ROWS], out float s[ROWS][KEYS])
{
    const uint zero = lane_zero(VARIABLE, p.dv4);
    uint k_at[FETCHES];
    [[unroll]] for (uint f = 0; f < FETCHES; f++)
        k_at[f] = t.k + min(t.key + f * SG + gl_SubgroupInvocationID, t.key_end - 1) * p.k_row;
    [[unroll]] for (uint r = 0; r < ROWS; r++)
        [[unroll]] for (uint j = 0; j < KEYS; j++) s[r][j] = 0;
    for (uint c = 0; c < p.dk4; c++) {
        vec4 x[ROWS], z[FETCHES];
        [[unroll]] for (uint r = 0; r < ROWS; r++) x[r] = FETCH(q, SOFTMAX_Q, q_at[r] + c);
        [[unroll]] for (uint f = 0; f < FETCHES; f++) z[f] = FETCH(k, SOFTMAX_K, k_at[f] + c);
        [[unroll]] for (uint j = 0; j < KEYS; j++)
            [[unroll]] for (uint e = 0; e < 4; e++) {
                const float b = subgroupShuffle(z[j / SG][e], zero + j % SG);
                [[unroll]] for (uint r = 0; r < ROWS; r++) s[r][j] += x[r][e] * b;
            }
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++)
        [[unroll]] for (uint j = 0; j < KEYS; j++)
            s[r][j] = t.key + j < t.key_end ? s[r][j] * p.scale : NEVER;
}

// Scores to weights, in place. Returns what rescales the sums so far to the new maximum.
float exponentials(inout float s[KEYS], inout float top, inout float total)
{
    float best = top, added = 0;
    [[unroll]] for (uint j = 0; j < KEYS; j++) best = max(best, s[j]);
    [[unroll]] for (uint j = 0; j < KEYS; j++) {
        s[j] = s[j] > NEVER ? exp(s[j] - best) : 0.0;
        added += s[j];
    }
    const float shrink = exp(top - best);
    total = total * shrink + added;
    top = best;
    return shrink;
}

void add_values(softmax_tile t, float s[ROWS][KEYS], float shrink[ROWS],
                inout float sum[ROWS][QUADS][WIDTH])
{
    const uint zero = lane_zero(VARIABLE, p.dv4);
    [[unroll]] for (uint c = 0; c < QUADS; c++) {
        const uint quad = min(t.column + c * SG + gl_SubgroupInvocationID, p.dv4 - 1);
        vec4 x[KEYS];
        [[unroll]] for (uint j = 0; j < KEYS; j++)
            x[j] = FETCH(v, SOFTMAX_V, t.v + min(t.key + j, t.key_end - 1) * p.v_row + quad);
        [[unroll]] for (uint l = 0; l < SG; l++)
            [[unroll]] for (uint e = 0; e < 4; e++) {
                [[unroll]] for (uint r = 0; r < ROWS; r++) sum[r][c][l * 4 + e] *= shrink[r];
                [[unroll]] for (uint j = 0; j < KEYS; j++) {
                    const float b = subgroupShuffle(x[j][e], zero + l);
                    [[unroll]] for (uint r = 0; r < ROWS; r++) sum[r][c][l * 4 + e] += s[r][j] * b;
                }
            }
    }
}

void main()
{
    BEGIN_ITEM(item);
    softmax_tile t = softmax_locate(item, SG * ROWS, SG * QUADS);
    float sum[ROWS][QUADS][WIDTH], top[ROWS], total[ROWS];
    uint q_at[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        q_at[r] = t.q + min(t.query + r * SG + gl_SubgroupInvocationID, t.query_end - 1) * p.q_row;
        top[r] = NEVER;
        total[r] = 0;
        [[unroll]] for (uint c = 0; c < QUADS; c++)
            [[unroll]] for (uint x = 0; x < WIDTH; x++) sum[r][c][x] = 0;
    }
    for (; next_keys(t); t.key += KEYS) {
        float s[ROWS][KEYS], shrink[ROWS];
        score(t, q_at, s);
        [[unroll]] for (uint r = 0; r < ROWS; r++) shrink[r] = exponentials(s[r], top[r], total[r]);
        add_values(t, s, shrink, sum);
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const uint i = t.query + r * SG + gl_SubgroupInvocationID;
        const bool valid = i < t.valid;
        [[unroll]] for (uint c = 0; c < QUADS; c++)
            [[unroll]] for (uint l = 0; l < SG; l++) {
                const uint quad = t.column + c * SG + l;
                const vec4 x = valid ? QUAD(sum[r][c], l * 4) / total[r] : vec4(0);
                if (i < t.query_end && quad < p.dv4)
                    STORE(y, SOFTMAX_Y, t.y + i * p.y_row + quad, x);
            }
        store_weights(t, i, top[r], total[r]);
    }
}
