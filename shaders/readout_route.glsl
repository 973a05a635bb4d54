// The route of a tile's 32 queries, in shared memory: read, or made where the readout does that, by
// four invocations a query. The order of each sum is that of route.comp.
shared uint read_head[32];
shared float read_prob[32];
shared uint present[2]; // bit h: some query of the tile reads head h

#define LOGIT_WORD(i) WORD(chosen, READOUT_LOGITS, i)
#include "choose.glsl"

float logit(readout_tile t, uint i, uint h)
{
    if (router == ROUTER_LOGITS) return given_logit(logits_row(t, i) * p.heads + h);
    const uint at = t.bg % p.groups * p.heads + h, from = t.q + i * p.q_row;
    float r = SMALL_FLOAT(prob, READOUT_BIAS, at);
    for (uint k = 0; k < p.dk4; k++)
        r += dot(LOAD(q, READOUT_Q, from + k), SMALL_QUAD(weight, READOUT_WEIGHT, at * p.dk4 + k));
    return r;
}

void make_route(readout_tile t, uint lane)
{
    const uint row = lane >> 2, i = min(t.query + row, p.n - 1);
    route_choice choice = no_choice();
    for (uint h = 0; h < p.heads; h += 4) {
        parts[lane] = logit(t, i, min(h + (lane & 3), p.heads - 1));
        barrier();
        const uint at = row * 4;
        choose(choice, h, vec4(parts[at], parts[at + 1], parts[at + 2], parts[at + 3]));
        barrier();
    }
    if ((lane & 3) == 0) {
        read_head[row] = choice.best;
        read_prob[row] = 1.0 / choice.sum;
    }
}

void find_heads(readout_tile t, uint lane)
{
    if (lane < 2) present[lane] = routing == ROUTING_TOP1 ? 0 : 0xffffffffu;
    if (fused != 0) {
        make_route(t, lane);
    } else if (routing == ROUTING_TOP1 && lane < 32) {
        const uint at = t.bg * p.n + min(t.query + lane, p.n - 1);
        read_head[lane] = min(WORD(chosen, READOUT_HEAD, at), p.heads - 1);
        read_prob[lane] = SMALL_FLOAT(prob, READOUT_PROB, at);
    }
    barrier();
    if (routing == ROUTING_TOP1 && lane < 32 && t.query + lane < t.valid)
        atomicOr(present[read_head[lane] >> 5], 1u << (read_head[lane] & 31));
    barrier();
}

bool reads_head(uint row, uint h) { return routing != ROUTING_TOP1 || read_head[row] == h; }

// The weight of head h's answer to query `row` of the tile, which reads it.
float tile_weight(readout_tile t, uint row, uint h)
{
    return routing == ROUTING_TOP1 ? read_prob[row] : head_weight(t, t.query + row, h);
}
