// Rows into the tiles of state_tile. An invocation has one quad of columns and every eighth
// segment, two of a tile. A batch is two of its rows: of both segments at rate 1, else of one.
const uint SLOTS = TILE / 8; // segments of an invocation

struct rows_ahead {
    uvec4 k[2], v[2]; // the next batch, as it lies in memory
    uint k_at, v_at;  // quads at which the one after it begins, while all segments are whole
};

vec4 pool_two(vec4 x, vec4 y) { return pooling == POOLING_MAX ? max(x, y) : x + y; }

// `slot`: of both sides.
void keep_segment(state_tile s, uint slot, uint t, vec4 key, vec4 value)
{
    const uint to = (slot * 8 + (t >> 4)) * 16 + (t & 15);
    k_tile[to] = phi_k(key, s.feature + (t & 15));
    v_tile[to] = value;
}

// ---- whole segments, of rate 1 or an even one: addresses advance by strides ----

// The rows of a batch lie `apart`; from the batch that is loaded to the next it is `advance` rows.
void load_ahead(uint apart, uint advance, inout rows_ahead a)
{
    [[unroll]] for (uint e = 0; e < 2; e++) {
        a.k[e] = LOAD_RAW(k, STATE_K, a.k_at + e * apart * p.k_row);
        a.v[e] = LOAD_RAW(v, STATE_V, a.v_at + e * apart * p.v_row);
    }
    a.k_at += advance * p.k_row;
    a.v_at += advance * p.v_row;
}

void keep_singles(state_tile s, uint side, uint t, inout rows_ahead a)
{
    [[unroll]] for (uint e = 0; e < 2; e++)
        keep_segment(s, side * SLOTS + e, t, from_raw(k_type, a.k[e]), from_raw(v_type, a.v[e]));
    load_ahead(8, TILE, a);
}

void keep_pairs(state_tile s, uint side, uint t, inout rows_ahead a)
{
    const float factor = mean_factor(s.rate);
    [[dont_unroll]] for (uint slot = 0; slot < SLOTS; slot++) {
        vec4 key, value;
        [[dont_unroll]] for (uint row = 0; row < s.rate; row += 2) {
            [[unroll]] for (uint e = 0; e < 2; e++) {
                const vec4 k = from_raw(k_type, a.k[e]), v = from_raw(v_type, a.v[e]);
                key = row + e == 0 ? k : pool_two(key, k);
                value = row + e == 0 ? v : pool_two(value, v);
            }
            const uint next = row + 2 < s.rate ? row + 2 : 0; // of the batch that is loaded
            load_ahead(1, next + 2 < s.rate ? 2 : 7 * s.rate + 2, a);
        }
        keep_segment(s, side * SLOTS + slot, t, key * factor, value * factor);
    }
}

// ---- any segments ----

// Row e of a batch: the segment, of those of its invocation, and which row of that.
uvec2 row_of(state_tile s, uvec2 batch, uint e)
{
    return batch + (s.rate == 1 ? uvec2(e, 0) : uvec2(0, e));
}

// Past the end of a segment, of the stretch and of the columns what is last there.
void load_rows(state_tile s, uint j0, uvec2 batch, uint t, inout rows_ahead a)
{
    const uint k = s.k + min(s.feature + (t & 15), (p.dk + 3) / 4 - 1);
    const uint v = s.v + min(s.column + (t & 15), p.dv4 - 1);
    [[unroll]] for (uint e = 0; e < 2; e++) {
        const uvec2 at = row_of(s, batch, e);
        const uint first = min(j0 + at.x * 8 + (t >> 4), s.end - 1) * s.rate;
        const uint row = first + min(at.y, min(s.rate, s.rows - first) - 1);
        a.k[e] = LOAD_RAW(k, STATE_K, k + row * p.k_row);
        a.v[e] = LOAD_RAW(v, STATE_V, v + row * p.v_row);
    }
}

// Segment `slot` of an invocation, of `count` rows, which may be none.
void end_segment(state_tile s, uint slot, uint t, uint count, vec4 key, vec4 value)
{
    const float factor = mean_factor(count);
    keep_segment(s, slot, t, key * factor, value * factor);
    if (count > 0) return;
    const uint to = (slot * 8 + (t >> 4)) * 16 + (t & 15);
    k_tile[to] = v_tile[to] = vec4(0);
}

void keep_any(state_tile s, uint j0, uint side, uint t, inout rows_ahead a)
{
    // Rows of the tile's first segment, which has the most, and whether others than 8 follow.
    const uint rows = min(s.rate, s.rows - j0 * s.rate);
    const uint slots = s.rate > 1 && s.end - j0 <= 8 ? 1 : SLOTS;
    vec4 key = vec4(0), value = vec4(0);
    for (uvec2 batch = uvec2(0); batch.x < slots;) {
        [[unroll]] for (uint e = 0; e < 2; e++) {
            const uvec2 at = row_of(s, batch, e);
            const uint j = j0 + at.x * 8 + (t >> 4);
            const uint count = j < s.end ? min(s.rate, s.rows - j * s.rate) : 0;
            const vec4 k = from_raw(k_type, a.k[e]), v = from_raw(v_type, a.v[e]);
            if (at.y == 0) key = k, value = v;
            else if (at.y < count) key = pool_two(key, k), value = pool_two(value, v);
            if (at.y + 1 == rows) end_segment(s, side * SLOTS + at.x, t, count, key, value);
        }
        batch.y += 2;
        if (batch.y >= rows) batch = uvec2(batch.x + (s.rate == 1 ? 2 : 1), 0);
        const bool inside = batch.x < slots;
        const uint from = inside ? j0 : j0 + TILE;
        if (from < s.end) load_rows(s, from, inside ? batch : uvec2(0), t, a);
    }
    if (slots < SLOTS) end_segment(s, side * SLOTS + 1, t, 0, vec4(0), vec4(0));
}

// ----

rows_ahead begin_rows(state_tile s, uint t)
{
    rows_ahead a;
    if (s.first < s.end) load_rows(s, s.first, uvec2(0), t, a);
    const uint segment = s.first + (t >> 4); // of the second batch, its first row
    const uint row = s.rate > 2 ? segment * s.rate + 2
                                : (segment + (s.rate == 1 ? TILE : 8)) * s.rate;
    a.k_at = s.k + min(s.feature + (t & 15), (p.dk + 3) / 4 - 1) + row * p.k_row;
    a.v_at = s.v + min(s.column + (t & 15), p.dv4 - 1) + row * p.v_row;
    return a;
}

// Pools the tile from segment j0 on, whose first batch is in `a`, and leaves the next tile's there.
void keep_tile(state_tile s, uint j0, uint side, uint t, inout rows_ahead a)
{
    const uint whole = min(s.end, s.rows / s.rate);
    const bool next_too = j0 + TILE < whole && whole - j0 - TILE >= TILE;
    if (next_too && s.rate == 1) keep_singles(s, side, t, a);
    else if (next_too && s.rate % 2 == 0) keep_pairs(s, side, t, a);
    else keep_any(s, j0, side, t, a);
}
