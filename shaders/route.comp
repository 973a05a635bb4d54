#version 450
// p = softmax(r) over heads of r = logits given or W_r q + b_r. top1: the first head of the largest
// logit and its probability; soft: all probabilities. One query an invocation; logits are made four
// heads at a time and made again, rather than kept, where they are needed twice.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
layout(constant_id = ID_TYPE + ROUTE_LOGITS) const uint logits_type = TYPE_F32;
WORDS_IN(logits, ROUTE_LOGITS)
#define LOGIT_WORD(i) WORD(logits, ROUTE_LOGITS, i)
#include "route.glsl"

layout(local_size_x_id = ID_GROUP) in;
layout(constant_id = ID_GROUP) const uint GROUP = 64;

TENSOR_IN(q, ROUTE_Q)
SMALL_QUADS(weight, ROUTE_WEIGHT) // unlike Q and LOGITS never of a caller's buffer
SMALL_WORDS(bias, ROUTE_BIAS)

#define ROUTER_Q(i) LOAD(q, ROUTE_Q, i)
#define ROUTER_W(i) SMALL_QUAD(weight, ROUTE_WEIGHT, i)
#define ROUTER_B(i) SMALL_FLOAT(bias, ROUTE_BIAS, i)
#include "choose_plain.glsl"

// Of query i of (b, g); past the last head, the last one's again.
vec4 query_logits(uint bg, uint i, uint h)
{
    if (router == ROUTER_LOGITS) return given_logits(bg * p.queries + p.first_query + i, h);
    const uint b = bg / p.groups, g = bg % p.groups;
    return four_logits(g, h, p.q_start + b * p.q_batch + g * p.q_group + i * p.q_row);
}

void main()
{
    BEGIN_ITEM(item);
    const uint tiles = (p.n + GROUP - 1) / GROUP;
    const uint bg = item / tiles, i = item % tiles * GROUP + gl_LocalInvocationIndex;
    if (i >= p.n) return;
    const uint index = bg * p.n + i;
    route_choice choice = no_choice();
    for (uint h = 0; h < p.heads; h += 4) choose(choice, h, query_logits(bg, i, h));
    if (routing == ROUTING_TOP1) {
        store_choice(index, choice);
        return;
    }
    for (uint h = 0; h < p.heads; h += 4)
        store_probabilities(index, h, choice, query_logits(bg, i, h));
}
