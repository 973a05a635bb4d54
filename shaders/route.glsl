// What the routing kernels share: the running choice over the heads, which come four at a time.
layout(constant_id = ID_OPTION + OPTION_ROUTING) const uint routing = ROUTING_TOP1;
WORDS_OUT(head, ROUTE_HEAD)
FLOATS_OUT(prob, ROUTE_PROB)
PUSH(route_params)

const float NEVER = -3.0e38; // below every logit, finite so that differences are

struct route_choice {
    uint best;
    float top, sum; // largest logit, and sum of exp(r - top) over the heads so far
};

void choose(inout route_choice c, uint h, vec4 r)
{
    for (uint j = 0; j < min(4, p.heads - h); j++) {
        const bool higher = r[j] > c.top;
        c.sum = higher ? c.sum * exp(c.top - r[j]) + 1.0 : c.sum + exp(r[j] - c.top);
        c.top = higher ? r[j] : c.top;
        c.best = higher ? h + j : c.best;
    }
}

// `row` counts the queries of all (b, g).
void store_choice(uint row, route_choice c)
{
    WORD(head, ROUTE_HEAD, row) = c.best;
    WORD(prob, ROUTE_PROB, row) = 1.0 / c.sum;
}

void store_probabilities(uint row, uint h, route_choice c, vec4 r)
{
    const vec4 share = exp(r - c.top) / c.sum;
    for (uint j = 0; j < min(4, p.heads - h); j++)
        WORD(prob, ROUTE_PROB, row * p.heads + h + j) = share[j];
}
