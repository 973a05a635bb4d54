#version 450
// p = softmax(r) over heads of r = logits given or W_r q + b_r. top1: the first head of the largest
// logit and its probability; soft: all probabilities. One query an invocation; logits are made four
// heads at a time and made again, rather than kept, where they are needed twice.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
layout(constant_id = ID_TYPE + ROUTE_LOGITS) const uint logits_type = TYPE_F32;
SMALL_WORDS(logits, ROUTE_LOGITS)
#define LOGIT_WORD(i) SMALL_WORD(logits, ROUTE_LOGITS, i)
#include "route.glsl"

layout(local_size_x_id = ID_GROUP) in;
layout(constant_id = ID_GROUP) const uint GROUP = 64;

TENSOR_IN(q, ROUTE_Q)
TENSOR_IN(weight, ROUTE_WEIGHT)
SMALL_WORDS(bias, ROUTE_BIAS)

// Logits of heads h .. h + 3 for query i of (b, g); past the last head, the last one's again.
vec4 four_logits(uint bg, uint i, uint h)
{
    if (router == ROUTER_LOGITS) return given_logits(bg * p.queries + p.first_query + i, h);
    const uint b = bg / p.groups, g = bg % p.groups;
    const uint from = p.q_start + b * p.q_batch + g * p.q_group + i * p.q_row;
    const uvec4 at = g * p.heads + min(h + uvec4(0, 1, 2, 3), uvec4(p.heads - 1));
    vec4 r;
    [[unroll]] for (uint j = 0; j < 4; j++) r[j] = SMALL_FLOAT(bias, ROUTE_BIAS, at[j]);
    for (uint k = 0; k < p.dk4; k++) {
        const vec4 x = LOAD(q, ROUTE_Q, from + k);
        [[unroll]] for (uint j = 0; j < 4; j++)
            r[j] += dot(x, LOAD(weight, ROUTE_WEIGHT, at[j] * p.dk4 + k));
    }
    return r;
}

void main()
{
    BEGIN_ITEM(item);
    const uint tiles = (p.n + GROUP - 1) / GROUP;
    const uint bg = item / tiles, i = item % tiles * GROUP + gl_LocalInvocationIndex;
    if (i >= p.n) return;
    const uint index = bg * p.n + i;
    route_choice choice = no_choice();
    for (uint h = 0; h < p.heads; h += 4) choose(choice, h, four_logits(bg, i, h));
    if (routing == ROUTING_TOP1) {
        store_choice(index, choice);
        return;
    }
    for (uint h = 0; h < p.heads; h += 4)
        store_probabilities(index, h, choice, four_logits(bg, i, h));
}
