// Rows of state_levels into its tiles: loads, and the segments of every head.
uint rate_of(uint head) { return shared_rates >> 4 * head & 15; } // 0: there is no such head
uint segments_of(uint head) { return rate_of(head) == 0 ? 0 : SHARED_ROWS / max(rate_of(head), 1); }

// The head's first segment in the tiles.
uint first_of(uint head)
{
    return (head > 0 ? segments_of(0) : 0) + (head > 1 ? segments_of(1) : 0) +
        (head > 2 ? segments_of(2) : 0);
}

// Of a row one number of K and two of V, as they lie in memory, and what they are. `lane`, below
// 32: which ones of the tile.
uint load_key(uint at)
{
    return k_type == TYPE_F16 ? k_halves[at / 2] : floatBitsToUint(k_floats[at]);
}
uvec2 load_value(uint at)
{
    return v_type == TYPE_F16 ? uvec2(v_halves[at], 0) : floatBitsToUint(v_floats[at]);
}
float key_of(uint raw, uint lane)
{
    return k_type == TYPE_F16 ? unpack_pair(raw >> lane % 2 * 16).x : uintBitsToFloat(raw);
}
vec2 value_of(uvec2 raw) { return v_type == TYPE_F16 ? unpack_pair(raw.x) : uintBitsToFloat(raw); }

uint key_at(state_tile s, uint row, uint lane)
{
    const uint feature = min(s.feature * 4 + lane, (p.dk + 3) / 4 * 4 - 1);
    return (s.k + row * p.k_row - p.items.base[STATE_K]) * 4 + feature;
}
uint value_at(state_tile s, uint row, uint lane)
{
    const uint pair = min(s.column * 2 + lane, p.dv4 * 2 - 1);
    return (s.v + row * p.v_row - p.items.base[STATE_V]) * 2 + pair;
}

// PART rows from row0 on; past the end the last row.
void load_rows(state_tile s, uint row0, uint lane, out uint x[PART], out uvec2 y[PART])
{
    uint k = key_at(s, min(row0, s.end - 1), lane), v = value_at(s, min(row0, s.end - 1), lane);
    [[unroll]] for (uint r = 0; r < PART; r++) {
        x[r] = load_key(k);
        y[r] = load_value(v);
        k += row0 + r + 1 < s.end ? p.k_row * 4 : 0;
        v += row0 + r + 1 < s.end ? p.v_row * 2 : 0;
    }
}

vec2 pool_two(vec2 x, vec2 y) { return pooling == POOLING_MAX ? max(x, y) : x + y; }

void keep_key(state_tile s, uint segment, uint lane, float x)
{
    const float key = feature_map(feature_kind, vec4(x)).x;
    k_tile[segment * FEATURES + lane / 4][lane & 3] = s.feature * 4 + lane < p.dk ? key : 0;
}

void keep_value(uint segment, uint lane, vec2 y)
{
    v_tile[segment * COLUMNS + lane / 2][lane % 2 * 2] = y.x;
    v_tile[segment * COLUMNS + lane / 2][lane % 2 * 2 + 1] = y.y;
}

// The head's segments of these PART rows, of keys or of values.
void keep_part(state_tile s, uint head, uint part, uint lane, bool keys, vec2 x[PART])
{
    const uint rate = rate_of(head), stride = max(rate, 1);
    [[unroll]] for (uint r0 = 0; r0 < (rate == 0 ? 0 : PART); r0 += stride) {
        const uint segment = first_of(head) + part * (PART / stride) + r0 / stride;
        vec2 sum = x[r0];
        [[unroll]] for (uint r = 1; r < rate; r++) sum = pool_two(sum, x[r0 + r]);
        sum *= mean_factor(stride);
        if (keys) keep_key(s, segment, lane, sum.x);
        else keep_value(segment, lane, sum);
    }
}

void keep_rows(state_tile s, uint part, uint lane, uint raw_k[PART], uvec2 raw_v[PART])
{
    vec2 x[PART];
    [[unroll]] for (uint r = 0; r < PART; r++) x[r] = vec2(key_of(raw_k[r], lane));
    keep_part(s, 0, part, lane, true, x);
    keep_part(s, 1, part, lane, true, x);
    keep_part(s, 2, part, lane, true, x);
    keep_part(s, 3, part, lane, true, x);
    [[unroll]] for (uint r = 0; r < PART; r++) x[r] = value_of(raw_v[r]);
    keep_part(s, 0, part, lane, false, x);
    keep_part(s, 1, part, lane, false, x);
    keep_part(s, 2, part, lane, false, x);
    keep_part(s, 3, part, lane, false, x);
}

// A head's segments of the last rows of a stretch, fewer than SHARED_ROWS: loaded as they are
// needed. Zeros where there is none.
void keep_last(state_tile s, uint head, uint row0, uint part, uint lane)
{
    const uint rate = max(rate_of(head), 1);
    [[dont_unroll]] for (uint j = part; j < segments_of(head); j += 2) {
        const uint row = row0 + j * rate, segment = first_of(head) + j;
        if (row >= s.end) {
            k_tile[segment * FEATURES + lane / 4][lane & 3] = 0;
            keep_value(segment, lane, vec2(0));
            continue;
        }
        const uint count = min(rate, s.end - row);
        float x = key_of(load_key(key_at(s, row, lane)), lane);
        vec2 y = value_of(load_value(value_at(s, row, lane)));
        [[dont_unroll]] for (uint r = 1; r < count; r++) {
            x = pool_two(vec2(x), vec2(key_of(load_key(key_at(s, row + r, lane)), lane))).x;
            y = pool_two(y, value_of(load_value(value_at(s, row + r, lane))));
        }
        const float factor = mean_factor(count);
        keep_key(s, segment, lane, x * factor);
        keep_value(segment, lane, y * factor);
    }
}

void keep_end(state_tile s, uint row0, uint part, uint lane)
{
    keep_last(s, 0, row0, part, lane);
    keep_last(s, 1, row0, part, lane);
    keep_last(s, 2, row0, part, lane);
    keep_last(s, 3, row0, part, lane);
}
