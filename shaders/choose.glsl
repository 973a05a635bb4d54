// What routing and the readouts that do it themselves share: the running choice over the heads,
// which come four at a time, and where LOGIT_WORD(i) is defined logits given.
layout(constant_id = ID_OPTION + OPTION_ROUTER) const uint router = ROUTER_LOGITS;

const float NEVER = -3.402823466e38; // the least float: no logit is below, and its share is exp(0)

struct route_choice {
    uint best;
    float top, sum; // largest logit, and sum of exp(r - top) over the heads so far
};

route_choice no_choice() { return route_choice(0, NEVER, 0); }

void choose(inout route_choice c, uint h, vec4 r)
{
    [[unroll]] for (uint j = 0; j < 4; j++) {
        const bool more = h + j < p.heads, higher = more && r[j] > c.top;
        const float share = exp(-abs(r[j] - c.top)); // of the lower one in the higher one
        c.sum = higher ? c.sum * share + 1.0 : c.sum + (more ? share : 0.0);
        c.top = higher ? r[j] : c.top;
        c.best = higher ? h + j : c.best;
    }
}

#ifdef LOGIT_WORD
float given_logit(uint element)
{
    if (logits_type == TYPE_F32) return uintBitsToFloat(LOGIT_WORD(element));
    return unpack_pair(LOGIT_WORD(element / 2))[element & 1];
}

// Of heads h .. h + 3 in a row of LOGITS; past the last head, the last one's again.
vec4 given_logits(uint row, uint h)
{
    const uvec4 at = row * p.heads + min(h + uvec4(0, 1, 2, 3), uvec4(p.heads - 1));
    return vec4(given_logit(at.x), given_logit(at.y), given_logit(at.z), given_logit(at.w));
}
#endif
