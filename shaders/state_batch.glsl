// Rows into the tiles of state_tile, and segments out of them. An invocation has one quad of
// columns of every eighth segment. A batch is two of its rows: at rate 1 of two segments, else of
// one. The next batch is loaded as soon as this one is pooled. state_tile, which includes this,
// defines the tiles k_tile and v_tile.
struct rows_ahead {
    uvec4 k[2], v[2]; // the next batch, as it lies in memory
};

vec4 pool_two(vec4 x, vec4 y) { return pooling == POOLING_MAX ? max(x, y) : x + y; }

void load_row(state_tile s, uint t, uint row, uint e, inout rows_ahead a)
{
    const uint key = s.k + min(s.feature + (t & 15), (p.dk + 3) / 4 - 1);
    const uint value = s.v + min(s.column + (t & 15), p.dv4 - 1);
    a.k[e] = LOAD_RAW(k, STATE_K, key + row * p.k_row);
    a.v[e] = LOAD_RAW(v, STATE_V, value + row * p.v_row);
}

// Rows `row` and the next of segments from j0 on, at rate 1 of these and those eight on. Past the
// end of a segment and of the stretch what is last there.
void load_batch(state_tile s, uint j0, uint row, uint t, inout rows_ahead a)
{
    const bool ones = s.rate == 1;
    [[unroll]] for (uint e = 0; e < 2; e++) {
        const uint first = min(j0 + (ones ? e * TILE : 0) + (t >> 4), s.end - 1) * s.rate;
        load_row(s, t, first + min(ones ? 0 : row + e, min(s.rate, s.rows - first) - 1), e, a);
    }
}

// `slot`: of both sides.
void keep_segment(state_tile s, uint slot, uint t, vec4 key, vec4 value)
{
    k_tile[slot * 128 + t] = phi_k(key, s.feature + (t & 15));
    v_tile[slot * 128 + t] = value;
}

void keep_nothing(uint slot, uint t) { k_tile[slot * 128 + t] = v_tile[slot * 128 + t] = vec4(0); }

void add_normaliser(uint slot, const uint count, uint t, inout float z)
{
    if (t >= 64) return;
    [[unroll]] for (uint j = 0; j < count; j++) z += k_tile[slot * 128 + j * 16 + (t >> 2)][t & 3];
}

// Adds segments from j0 on of both sides.
void add_segments(uint j0, const uint count, uint t, inout vec4 sum[8])
{
    const uint column = t & 15, block = t >> 4; // 8 features each
    [[unroll]] for (uint j = 0; j < count; j++) {
        const uint at = (j0 + j) * 16;
        const vec4 y = v_tile[at + column];
        const vec4 low = k_tile[at + block * 2], high = k_tile[at + block * 2 + 1];
        [[unroll]] for (uint i = 0; i < 4; i++) {
            sum[i] += low[i] * y;
            sum[i + 4] += high[i] * y;
        }
    }
}

// No conditions where all segments are whole: compilers would move loads into them.

// Keeps segments of rate 1 in both sides.
void keep_ones(state_tile s, uint j0, uint t, inout rows_ahead a)
{
    const uint j = j0 + (t >> 4), next = j0 + 2 * TILE;
    if (s.end - j0 >= 4 * TILE) {
        [[unroll]] for (uint e = 0; e < 2; e++)
            keep_segment(s, e, t, from_raw(k_type, a.k[e]), from_raw(v_type, a.v[e]));
        [[unroll]] for (uint e = 0; e < 2; e++) load_row(s, t, j + (2 + e) * TILE, e, a);
        return;
    }
    [[unroll]] for (uint e = 0; e < 2; e++) {
        if (j + e * TILE >= s.end) keep_nothing(e, t);
        else keep_segment(s, e, t, from_raw(k_type, a.k[e]), from_raw(v_type, a.v[e]));
    }
    if (next < s.end) load_batch(s, next, 0, t, a);
}

// Pools segments from j0 on into one side.
void keep_pools(state_tile s, uint j0, uint side, uint t, inout rows_ahead a)
{
    const uint j = j0 + (t >> 4), count = j < s.end ? min(s.rate, s.rows - j * s.rate) : 0;
    const uint rows = min(s.rate, s.rows - j0 * s.rate); // of the first segment, which has the most
    vec4 key = vec4(0), value = vec4(0);
    for (uint row = 0; row < rows; row += 2) {
        [[unroll]] for (uint e = 0; e < 2; e++) {
            const vec4 k = from_raw(k_type, a.k[e]), v = from_raw(v_type, a.v[e]);
            if (row + e == 0) key = k, value = v;
            else if (row + e < count) key = pool_two(key, k), value = pool_two(value, v);
        }
        if (row + 2 < rows) load_batch(s, j0, row + 2, t, a);
        else if (s.end - j0 > TILE) load_batch(s, j0 + TILE, 0, t, a);
    }
    const float factor = mean_factor(count);
    if (count > 0) keep_segment(s, side, t, key * factor, value * factor);
    else keep_nothing(side, t);
}

// The same of whole segments of an even rate, which as many follow; between their batches the
// segments of the other side are added, so that loads have time.
void keep_between(state_tile s, uint j0, uint side, uint t, inout rows_ahead a, inout vec4 sum[8])
{
    const uint batches = s.rate / 2, first = (j0 + (t >> 4)) * s.rate, other = (side ^ 1) * TILE;
    vec4 key, value;
    uint added = other, due = 0;
    [[dont_unroll]] for (uint b = 0; b < batches; b++) {
        [[unroll]] for (uint e = 0; e < 2; e++) {
            const vec4 k = from_raw(k_type, a.k[e]), v = from_raw(v_type, a.v[e]);
            key = b + e == 0 ? k : pool_two(key, k);
            value = b + e == 0 ? v : pool_two(value, v);
        }
        const uint next = first + (b + 1 < batches ? (b + 1) * 2 : TILE * s.rate);
        [[unroll]] for (uint e = 0; e < 2; e++) load_row(s, t, next + e, e, a);
        if (batches == 1) add_segments(other, 8, t, sum);
        else if (batches == 2) add_segments(other + b * 4, 4, t, sum);
        else if (batches == 4) add_segments(other + b * 2, 2, t, sum);
        else for (due += TILE; due >= batches; due -= batches) add_segments(added++, 1, t, sum);
    }
    const float factor = mean_factor(s.rate);
    keep_segment(s, side, t, key * factor, value * factor);
}
