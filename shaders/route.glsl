// What the routing kernels share: bindings, and what is made of a choice.
layout(constant_id = ID_OPTION + OPTION_ROUTING) const uint routing = ROUTING_TOP1;
WORDS_OUT(head, ROUTE_HEAD)
FLOATS_OUT(prob, ROUTE_PROB)
PUSH(route_params)
#include "choose.glsl"

// `row` counts the queries of all (b, g).
void store_choice(uint row, route_choice c)
{
    WORD(head, ROUTE_HEAD, row) = c.best;
    WORD(prob, ROUTE_PROB, row) = 1.0 / c.sum;
}

void store_probabilities(uint row, uint h, route_choice c, vec4 r)
{
    const vec4 share = exp(r - c.top) / c.sum;
    [[unroll]] for (uint j = 0; j < 4; j++)
        if (h + j < p.heads) WORD(prob, ROUTE_PROB, row * p.heads + h + j) = share[j];
}
