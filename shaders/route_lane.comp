#version 450
// r = W_r q + b_r, and softmax over heads as in route.comp. CPU form: lanes over queries, ROWS a
// lane; the weights of four heads lie over the lanes and are broadcast by constant shuffles.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "lane.glsl"
#include "route.glsl"

layout(constant_id = ID_TILE + 0) const uint ROWS = 4;
const uint STEP = SG / 4; // quads of k that one fetch of the weights of four heads brings

QUADS_IN(q, ROUTE_Q)
QUADS_IN(weight, ROUTE_WEIGHT)
FLOATS_IN(bias, ROUTE_BIAS)

// Logits of heads h .. h + 3 of ROWS queries.
void four_logits(uint g, uint h, uint q_at[ROWS], out vec4 r[ROWS])
{
    const uint lane = gl_SubgroupInvocationID;
    const uint w_at = (g * p.heads + min(h + lane % 4, p.heads - 1)) * p.dk4;
    vec4 first;
    [[unroll]] for (uint j = 0; j < 4; j++)
        first[j] = WORD(bias, ROUTE_BIAS, g * p.heads + min(h + j, p.heads - 1));
    [[unroll]] for (uint i = 0; i < ROWS; i++) r[i] = first;
    for (uint k = 0; k < p.dk4; k += STEP) {
        const vec4 w = FETCH(weight, ROUTE_WEIGHT, w_at + min(k + lane / 4, p.dk4 - 1));
        [[unroll]] for (uint u = 0; u < STEP; u++) {
            const bool more = k + u < p.dk4;
            vec4 x[ROWS];
            [[unroll]] for (uint i = 0; i < ROWS; i++)
                x[i] = more ? FETCH(q, ROUTE_Q, q_at[i] + k + u) : vec4(0);
            [[unroll]] for (uint j = 0; j < 4; j++)
                [[unroll]] for (uint e = 0; e < 4; e++) {
                    const float b = subgroupShuffle(w[e], u * 4 + j);
                    [[unroll]] for (uint i = 0; i < ROWS; i++) r[i][j] += x[i][e] * b;
                }
        }
    }
}

void main()
{
    BEGIN_ITEM(item);
    const uint tiles = (p.n + ROWS * SG - 1) / (ROWS * SG);
    const uint bg = item / tiles, first = item % tiles * ROWS * SG + gl_SubgroupInvocationID;
    const uint b = bg / p.groups, g = bg % p.groups;
    const uint q_start = p.q_start + b * p.q_batch + g * p.q_group;
    uint q_at[ROWS];
    route_choice choice[ROWS];
    vec4 r[ROWS];
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        q_at[i] = q_start + min(first + i * SG, p.n - 1) * p.q_row;
        choice[i] = route_choice(0, NEVER, 0);
    }
    for (uint h = 0; h < p.heads; h += 4) {
        four_logits(g, h, q_at, r);
        [[unroll]] for (uint i = 0; i < ROWS; i++) choose(choice[i], h, r[i]);
    }
    if (routing == ROUTING_TOP1) {
        [[unroll]] for (uint i = 0; i < ROWS; i++)
            if (first + i * SG < p.n) store_choice(bg * p.n + first + i * SG, choice[i]);
        return;
    }
    for (uint h = 0; h < p.heads; h += 4) {
        four_logits(g, h, q_at, r);
        [[unroll]] for (uint i = 0; i < ROWS; i++)
            if (first + i * SG < p.n)
                store_probabilities(bg * p.n + first + i * SG, h, choice[i], r[i]);
    }
}
