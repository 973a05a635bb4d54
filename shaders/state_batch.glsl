// Rows into the tiles of state_tile. An invocation has one quad of columns and every APART'th
// segment, SLOTS of a tile; a batch is the next ROWS of its rows: of as many segments as that is at
// rates 1 and 2.
struct rows_ahead {
    uvec4 k[ROWS], v[ROWS]; // the next batch, as it lies in memory
    uint k_at, v_at;        // quads at which the one after it begins, while all segments are whole
};

uint segments_of_batch(state_tile s) { return s.rate == 1 ? ROWS : s.rate == 2 ? ROWS / 2 : 1; }

// Row e of a batch: the segment, of those of its invocation, and which row of that.
uvec2 row_of(state_tile s, uvec2 batch, uint e)
{
    const uint per = ROWS / segments_of_batch(s);
    return batch + uvec2(e / per, e % per);
}

vec4 pool_two(vec4 x, vec4 y) { return pooling == POOLING_MAX ? max(x, y) : x + y; }

void keep_segment(state_tile s, uint slot, uint t, vec4 key, vec4 value)
{
    const uint to = (slot * APART + (t >> 4)) * 16 + (t & 15);
    k_tile[to] = phi_k(key, s.feature + (t & 15));
    v_tile[to] = value;
}

// What a sum of rows is multiplied by.
float mean_factor(uint count) { return pooling == POOLING_MAX ? 1.0 : 1.0 / float(max(count, 1)); }

// ---- whole segments, of rates 1, 2 and multiples of ROWS ----

// `per`: rows of a segment in a batch. `advance`: rows from the batch that is loaded to the next.
void load_ahead(state_tile s, uint per, uint advance, inout rows_ahead a)
{
    const uint step = APART * s.rate;
    [[unroll]] for (uint e = 0; e < ROWS; e++) {
        const uint row = e / per * step + e % per; // the same for all invocations
        a.k[e] = LOAD_RAW(k, STATE_K, a.k_at + row * p.k_row);
        a.v[e] = LOAD_RAW(v, STATE_V, a.v_at + row * p.v_row);
    }
    a.k_at += advance * p.k_row;
    a.v_at += advance * p.v_row;
}

void keep_singles(state_tile s, uint side, uint t, inout rows_ahead a)
{
    [[dont_unroll]] for (uint slot = 0; slot < SLOTS; slot += ROWS) {
        [[unroll]] for (uint e = 0; e < ROWS; e++)
            keep_segment(s, side * SLOTS + slot + e, t, from_raw(k_type, a.k[e]),
                         from_raw(v_type, a.v[e]));
        load_ahead(s, 1, ROWS * APART, a);
    }
}

void keep_pairs(state_tile s, uint side, uint t, inout rows_ahead a)
{
    const float factor = mean_factor(2);
    [[dont_unroll]] for (uint slot = 0; slot < SLOTS; slot += ROWS / 2) {
        [[unroll]] for (uint e = 0; e < ROWS; e += 2) {
            const vec4 key = pool_two(from_raw(k_type, a.k[e]), from_raw(k_type, a.k[e + 1]));
            const vec4 value = pool_two(from_raw(v_type, a.v[e]), from_raw(v_type, a.v[e + 1]));
            keep_segment(s, side * SLOTS + slot + e / 2, t, key * factor, value * factor);
        }
        load_ahead(s, 2, ROWS * APART, a);
    }
}

void keep_multiples(state_tile s, uint side, uint t, inout rows_ahead a)
{
    const float factor = mean_factor(s.rate);
    [[dont_unroll]] for (uint slot = 0; slot < SLOTS; slot++) {
        vec4 key, value;
        [[dont_unroll]] for (uint row = 0; row < s.rate; row += ROWS) {
            [[unroll]] for (uint e = 0; e < ROWS; e++) {
                const vec4 k = from_raw(k_type, a.k[e]), v = from_raw(v_type, a.v[e]);
                key = row + e == 0 ? k : pool_two(key, k);
                value = row + e == 0 ? v : pool_two(value, v);
            }
            const uint next = row + ROWS < s.rate ? row + ROWS : 0;
            load_ahead(s, ROWS, next + ROWS < s.rate ? ROWS : (APART - 1) * s.rate + ROWS, a);
        }
        keep_segment(s, side * SLOTS + slot, t, key * factor, value * factor);
    }
}

// ---- any segments ----

// Past the end of a segment, of the stretch and of the columns what is last there.
void load_rows(state_tile s, uint j0, uvec2 batch, uint t, inout rows_ahead a)
{
    const uint k = s.k + min(s.feature + (t & 15), (p.dk + 3) / 4 - 1);
    const uint v = s.v + min(s.column + (t & 15), p.dv4 - 1);
    [[unroll]] for (uint e = 0; e < ROWS; e++) {
        const uvec2 at = row_of(s, batch, e);
        const uint first = min(j0 + at.x * APART + (t >> 4), s.end - 1) * s.rate;
        const uint row = first + min(at.y, min(s.rate, s.rows - first) - 1);
        a.k[e] = LOAD_RAW(k, STATE_K, k + row * p.k_row);
        a.v[e] = LOAD_RAW(v, STATE_V, v + row * p.v_row);
    }
}

void keep_any(state_tile s, uint j0, uint side, uint t, inout rows_ahead a)
{
    vec4 key = vec4(0), value = vec4(0);
    for (uvec2 batch = uvec2(0); batch.x < SLOTS;) {
        [[unroll]] for (uint e = 0; e < ROWS; e++) {
            const uvec2 at = row_of(s, batch, e);
            const uint j = j0 + at.x * APART + (t >> 4);
            const uint count = j < s.end ? min(s.rate, s.rows - j * s.rate) : 0;
            const vec4 k = from_raw(k_type, a.k[e]), v = from_raw(v_type, a.v[e]);
            if (at.y == 0) key = k, value = v;
            else if (at.y < count) key = pool_two(key, k), value = pool_two(value, v);
            if (at.y + 1 != s.rate) continue;
            const float factor = mean_factor(count);
            keep_segment(s, side * SLOTS + at.x, t, key * factor, value * factor);
            if (count > 0) continue;
            const uint to = ((side * SLOTS + at.x) * APART + (t >> 4)) * 16 + (t & 15);
            k_tile[to] = v_tile[to] = vec4(0);
        }
        batch.y += segments_of_batch(s) == 1 ? ROWS : s.rate;
        if (batch.y >= s.rate) batch = uvec2(batch.x + segments_of_batch(s), 0);
        const bool inside = batch.x < SLOTS;
        const uint from = inside ? j0 : j0 + TILE;
        if (from < s.end) load_rows(s, from, inside ? batch : uvec2(0), t, a);
    }
}

// ----

void begin_rows(state_tile s, uint t, out rows_ahead a)
{
    if (s.first < s.end) load_rows(s, s.first, uvec2(0), t, a);
    const uint segment = s.first + (t >> 4); // of the second batch, its first row
    const uint row = s.rate > ROWS ? segment * s.rate + ROWS
                                   : (segment + APART * segments_of_batch(s)) * s.rate;
    a.k_at = s.k + min(s.feature + (t & 15), (p.dk + 3) / 4 - 1) + row * p.k_row;
    a.v_at = s.v + min(s.column + (t & 15), p.dv4 - 1) + row * p.v_row;
}

// Pools the tile from segment j0 on, whose first batch is in `a`, and leaves the next tile's there.
void keep_tile(state_tile s, uint j0, uint side, uint t, inout rows_ahead a)
{
    const uint whole = min(s.end, s.rows / s.rate);
    const bool next_too = j0 + TILE < whole && whole - j0 - TILE >= TILE;
    if (next_too && s.rate == 1) keep_singles(s, side, t, a);
    else if (next_too && s.rate % ROWS == 0) keep_multiples(s, side, t, a);
    else if (next_too && s.rate == 2) keep_pairs(s, side, t, a);
    else keep_any(s, j0, side, t, a);
}
