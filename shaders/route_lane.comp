#version 450
// r = W_r q + b_r, and softmax over heads as in route.comp. CPU form: lanes over queries, BATCH a
// lane.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "lane.glsl"
#include "route.glsl"

layout(constant_id = ID_TILE + 0) const uint BATCH = 4;

QUADS_IN(q, ROUTE_Q)
QUADS_IN(weight, ROUTE_WEIGHT)
FLOATS_IN(bias, ROUTE_BIAS)
#define ROUTER_Q(i) FETCH(q, ROUTE_Q, i)
#define ROUTER_W(i) FETCH(weight, ROUTE_WEIGHT, i)
#define ROUTER_B(i) WORD(bias, ROUTE_BIAS, i)
#include "choose_lane.glsl"

void main()
{
    BEGIN_ITEM(item);
    const uint tiles = (p.n + BATCH * SG - 1) / (BATCH * SG);
    const uint bg = item / tiles, first = item % tiles * BATCH * SG + gl_SubgroupInvocationID;
    const uint b = bg / p.groups, g = bg % p.groups;
    const uint q_start = p.q_start + b * p.q_batch + g * p.q_group;
    uint q_at[BATCH];
    route_choice choice[BATCH];
    vec4 r[BATCH];
    [[unroll]] for (uint i = 0; i < BATCH; i++) {
        q_at[i] = q_start + min(first + i * SG, p.n - 1) * p.q_row;
        choice[i] = no_choice();
    }
    for (uint h = 0; h < p.heads; h += 4) {
        four_logits(g, h, q_at, r);
        [[unroll]] for (uint i = 0; i < BATCH; i++) choose(choice[i], h, r[i]);
    }
    if (routing == ROUTING_TOP1) {
        [[unroll]] for (uint i = 0; i < BATCH; i++)
            if (first + i * SG < p.n) store_choice(bg * p.n + first + i * SG, choice[i]);
        return;
    }
    for (uint h = 0; h < p.heads; h += 4) {
        four_logits(g, h, q_at, r);
        [[unroll]] for (uint i = 0; i < BATCH; i++)
            if (first + i * SG < p.n)
                store_probabilities(bg * p.n + first + i * SG, h, choice[i], r[i]);
    }
}
