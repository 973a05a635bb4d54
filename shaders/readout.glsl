// What the readout kernels share: bindings, where a query lies, its head and its probability.
layout(constant_id = ID_OPTION + OPTION_FEATURE) const uint feature_kind = FEATURE_ELU1;
layout(constant_id = ID_OPTION + OPTION_ROUTING) const uint routing = ROUTING_TOP1;
layout(constant_id = ID_OPTION + OPTION_FUSED) const uint fused = 0;
layout(constant_id = ID_TYPE + READOUT_LOGITS) const uint logits_type = TYPE_F32;
SMALL_WORDS(prob, READOUT_PROB)
SMALL_WORDS(lengths, READOUT_LENGTHS)
#ifdef PAIRS
#include "pairs.glsl"
PAIRS_OUT(y, READOUT_Y)
#else
TENSOR_OUT(y, READOUT_Y)
#endif
PUSH(readout_params)

struct readout_tile {
    uint bg, head;     // head: of this item without routing, else 0
    uint query, column; // first query and column quad
    uint valid;        // queries before N_b
    uint q, y;         // quads at which query 0 lies
    uint state;        // quads at which the block of head 0 lies
};

uint block_quads() { return p.dk4 * 4 * p.dv4 + p.dk4; }

// Items: ((b*G + g) * heads' + h) * tiles + tile; heads' = H without routing, else 1; tiles of
// queries outer, of columns inner.
readout_tile readout_locate(uint item, uint queries, uint column_quads)
{
    const uint columns = (p.dv4 + column_quads - 1) / column_quads;
    const uint tiles = (p.n + queries - 1) / queries * columns;
    const uint tile = item % tiles, outer = item / tiles;
    const uint heads = routing == ROUTING_NONE ? p.heads : 1;
    readout_tile t;
    t.bg = outer / heads;
    t.head = outer % heads;
    t.query = tile / columns * queries;
    t.column = tile % columns * column_quads;
    const uint b = t.bg / p.groups, g = t.bg % p.groups;
    const uint length = SMALL_WORD(lengths, READOUT_LENGTHS, b);
    t.valid = min(length - min(length, p.first_query), p.n);
    t.q = p.q_start + b * p.q_batch + g * p.q_group + t.head * p.q_head;
    t.y = p.y_start + b * p.y_batch + g * p.y_group + t.head * p.y_head;
    t.state = t.bg * p.heads * block_quads();
    return t;
}

// The row of LOGITS of query i.
uint logits_row(readout_tile t, uint i) { return t.bg * p.queries + p.first_query + i; }

// The weight of head h's answer to query i, which reads it, where there is PROB or no routing.
float head_weight(readout_tile t, uint i, uint h)
{
    const uint row = t.bg * p.n + i;
    if (routing == ROUTING_TOP1) return SMALL_FLOAT(prob, READOUT_PROB, row);
    if (routing == ROUTING_SOFT) return SMALL_FLOAT(prob, READOUT_PROB, row * p.heads + h);
    return 1.0;
}
