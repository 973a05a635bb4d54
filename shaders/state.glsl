// What the state kernels share: which stretch, features and columns an item has; stores.
layout(constant_id = ID_OPTION + OPTION_POOLING) const uint pooling = POOLING_MEAN;
layout(constant_id = ID_OPTION + OPTION_FEATURE) const uint feature_kind = FEATURE_ELU1;
SMALL_WORDS(lengths, STATE_LENGTHS)
layout(constant_id = ID_OPTION + OPTION_HEADS) const uint several = 0;
layout(constant_id = ID_OPTION + OPTION_CONTINUE) const uint continued = 0;
layout(set = 0, binding = STATE_P, std430) buffer p_buffer { vec4 partial[]; };
PUSH(state_params)

uint head_count() { return several == 1 ? p.heads : 1; }

#ifdef EVERY_HEAD // An item is of all heads: it is located as the first one's, of rate 1.
uint heads_apart() { return 1; }
uint rate_at(uint head) { return p.rate; }
#else
SMALL_WORDS(rates, STATE_RATES)
uint heads_apart() { return head_count(); }
uint rate_at(uint head) { return several == 1 ? SMALL_WORD(rates, STATE_RATES, head) : p.rate; }
#endif

#ifndef HEADS_OUTER
#define HEADS_OUTER false
#endif

struct state_tile {
    uint feature, column; // first feature quad and column quad of the tile
    uint first, end;      // segments
    uint rows, rate;      // valid ones, L_b; of a segment
    uint k, v, out_block; // quads at which the row 0 of (b, g) and the block of the stretch lie
};

// Items: (((b*G + g) * stretches + stretch) * heads + head) * tiles + tile; tiles: features outer.
// Without heads where an item is of all of them. HEADS_OUTER: where heads have rows of their own
// head before stretch, so that the longest work, of the lowest rates, tends to begin first.
state_tile state_locate(uint item, uint feature_quads, uint column_quads)
{
    const uint columns = (p.dv4 + column_quads - 1) / column_quads;
    const uint features = ((p.dk + 3) / 4 + feature_quads - 1) / feature_quads;
    const uint tile = item % (features * columns), outer = item / (features * columns);
    uint head = outer % heads_apart(), strip = outer / heads_apart();
    if (HEADS_OUTER && (p.k_head | p.v_head) != 0) {
        head = outer / p.stretches % heads_apart();
        strip = outer / (p.stretches * heads_apart()) * p.stretches + outer % p.stretches;
    }
    const uint stretch = strip % p.stretches, bg = strip / p.stretches;
    const uint b = bg / p.groups, g = bg % p.groups;
    state_tile s;
    s.feature = tile / columns * feature_quads;
    s.column = tile % columns * column_quads;
    const uint length = SMALL_WORD(lengths, STATE_LENGTHS, b);
    s.rows = min(length / p.divisor + (length % p.divisor != 0 ? 1 : 0), p.keys);
    s.rate = rate_at(head);
    const uint per_stretch = several == 1 ? p.per_stretch / s.rate : p.per_stretch;
    s.first = stretch * per_stretch;
    const uint segments = s.rows / s.rate + (s.rows % s.rate != 0 ? 1 : 0); // no overflow
    s.end = min(s.first + per_stretch, segments);
    s.k = p.k_start + b * p.k_batch + g * p.k_group + head * p.k_head;
    s.v = p.v_start + b * p.v_batch + g * p.v_group + head * p.v_head;
    const uint dk4 = (p.dk + 3) / 4;
    s.out_block = p.p_start + (bg * head_count() + head) * p.p_group;
    s.out_block += stretch * (dk4 * 4 * p.dv4 + dk4);
    return s;
}

// What a sum of rows is multiplied by.
float mean_factor(uint count) { return pooling == POOLING_MAX ? 1.0 : 1.0 / float(max(count, 1)); }

// phi of a quad of keys; 0 past the last feature, where padding would give phi(0) = 1.
vec4 phi_k(vec4 x, uint quad)
{
    const bvec4 real = lessThan(quad * 4 + uvec4(0, 1, 2, 3), uvec4(p.dk));
    return mix(vec4(0), feature_map(feature_kind, x), real);
}

uint state_at(state_tile s, uint feature, uint column)
{
    return s.out_block + feature * p.dv4 + column - p.items.base[STATE_P];
}

uint normaliser_at(state_tile s, uint quad)
{
    return s.out_block + (p.dk + 3) / 4 * 4 * p.dv4 + quad - p.items.base[STATE_P];
}

// What a sum starts from, and where it ends; nothing past the last feature or column.
vec4 first_state(state_tile s, uint feature, uint column)
{
    if (continued == 0 || feature >= (p.dk + 3) / 4 * 4 || column >= p.dv4) return vec4(0);
    return partial[state_at(s, feature, column)];
}

void store_state(state_tile s, uint feature, uint column, vec4 sum)
{
    if (feature < (p.dk + 3) / 4 * 4 && column < p.dv4) partial[state_at(s, feature, column)] = sum;
}

vec4 first_normaliser(state_tile s, uint quad)
{
    if (continued == 0 || s.column > 0 || quad >= (p.dk + 3) / 4) return vec4(0);
    return partial[normaliser_at(s, quad)]; // which only the first columns' item writes
}

void store_normaliser(state_tile s, uint quad, vec4 z)
{
    if (quad < (p.dk + 3) / 4) partial[normaliser_at(s, quad)] = z;
}
