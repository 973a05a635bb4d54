#version 450
// Y_l[b][j] = pool of X, as pool.comp. CPU form: an item is a segment of the last level, and those
// of the levels before that it consists of, of COLUMNS quads of columns; an invocation has QUADS
// neighbouring ones at a time.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "pool.glsl"
#include "pairs.glsl"

layout(local_size_x_id = ID_GROUP) in;
layout(constant_id = ID_GROUP) const uint GROUP = 8;
layout(constant_id = ID_TILE + 0) const uint COLUMNS = 128;
layout(constant_id = ID_TILE + 1) const uint QUADS = 1; // 2: stored as a pair

PAIRS_OUT(y0, POOL_Y)
PAIRS_OUT(y1, POOL_Y + 1)
PAIRS_OUT(y2, POOL_Y + 2)
const uint LINE = y0_type == TYPE_F16 ? 8 : 4; // quads of a line of the cache
const uint TOUCHED = 2048 / COLUMNS;           // rows of an item that the first cache holds

// Sums or largest of the rows so far, of `count` of them that are valid; of a quad and the next.
struct pooled {
    vec4 near, far;
    uint count;
};
const pooled NOTHING = pooled(vec4(0), vec4(0), 0);

void add(inout pooled a, pooled b)
{
    if (a.count == 0) a = b;
    else if (b.count > 0)
        a = pooled(pool_two(a.near, b.near), pool_two(a.far, b.far), a.count + b.count);
}

// A segment of level 0, of `count` rows of X.
pooled pool_rows(uint at, uint m_at, uint count)
{
    pooled a = pooled(vec4(0), vec4(0), count);
    if (count > 0) {
        a.near = read_row(at, m_at);
        if (QUADS == 2) a.far = read_row(at + 1, m_at);
    }
    for (uint r = 1; r < count; r++) {
        at += p.x_row;
        a.near = pool_two(a.near, read_row(at, m_at + r));
        if (QUADS == 2) a.far = pool_two(a.far, read_row(at + 1, m_at + r));
    }
    return a;
}

// What is stored of a quad, `column` of its row.
vec4 finish(vec4 sum, uint count, uint column)
{
    if (pooling == POOLING_MEAN) sum *= 1.0 / float(max(count, 1));
    return without_padding(sum, column);
}

#define STORE_POOLED(name, b, at, near, far)                                                       \
    {                                                                                              \
        const uint place = (at) - p.items.base[b];                                                 \
        if (QUADS == 2)                                                                            \
            STORE_PAIR(name, place / 2, floatBitsToUint(near) ^ zero, floatBitsToUint(far) ^ zero) \
        else STORE_(name, place, near)                                                             \
    }

// zero: 0, though no compiler knows: else it keeps sums in the wide registers of packed pairs.
void store_segment(uint level, uint at, uint column, pooled a, uint zero)
{
    const vec4 near = finish(a.near, a.count, column), far = finish(a.far, a.count, column + 1);
    if (level == 0) STORE_POOLED(y0, POOL_Y, at, near, far)
    else if (level == 1) STORE_POOLED(y1, POOL_Y + 1, at, near, far)
    else STORE_POOLED(y2, POOL_Y + 2, at, near, far)
}

// Of a rate over one that divides it. Software drivers divide integers lane by lane.
uint ratio(uint rate, uint finer) { return uint(float(rate) / float(finer) + 0.5); }

// Brings rows of X to the cache in the order of memory, in which processors fetch ahead. Returns
// `zero`, as if it came from them.
uint touch(uint at, uint rows, uint width, uint zero)
{
    uint seen = 0;
    for (uint r = 0; r < rows; r++)
        for (uint c = gl_LocalInvocationIndex * LINE; c < width; c += GROUP * LINE)
            seen |= floatBitsToUint(FETCH(x, POOL_X, at + r * p.x_row + c).x);
    return zero ^ (seen & zero);
}

void main()
{
    const uint top = levels - 1;
    BEGIN_ITEM(item);
    const uint tiles = (p.quads + COLUMNS - 1) / COLUMNS;
    const uint row = item / tiles, column = (item - row * tiles) * COLUMNS;
    const uint b = row / p.segments[top], j2 = row - b * p.segments[top];
    const uint ratio1 = levels > 1 ? ratio(p.rates[1], p.rates[0]) : 1;
    const uint ratio2 = levels > 2 ? ratio(p.rates[2], p.rates[1]) : 1;
    const uint j1 = j2 * ratio2, j0 = j1 * ratio1, first = j2 * p.rates[top];
    const uint valid = min(SMALL_WORD(lengths, POOL_LENGTHS, b), p.rows);
    const uint count = min(p.rates[top], valid - min(valid, first)); // rows of X
    const uint segments = min(ratio1 * ratio2, p.segments[0] - min(p.segments[0], j0));
    const uint width = min(p.quads - column, COLUMNS);
    const uint x_at = b * p.x_batch + first * p.x_row + column, m_at = b * p.m_batch + first;
    const uint y0_at = b * p.y_batch[0] + j0 * p.y_row + column;
    const uint y1_at = b * p.y_batch[1] + j1 * p.y_row + column;
    const uint y2_at = b * p.y_batch[2] + j2 * p.y_row + column;
    const uint zero = touch(x_at, count <= TOUCHED ? count : 0, width, min(p.rows, 1) - 1);
    for (uint c = gl_LocalInvocationIndex * QUADS; c < width; c += GROUP * QUADS) {
        pooled a2 = NOTHING;
        for (uint s0 = 0, s1 = 0; s0 < segments; s1++) {
            pooled a1 = NOTHING;
            for (const uint end = min(s0 + ratio1, segments); s0 < end; s0++) {
                const uint r = s0 * p.rates[0], rows = min(p.rates[0], count - min(count, r));
                const pooled a = pool_rows(x_at + r * p.x_row + c, m_at + r, rows);
                store_segment(0, y0_at + s0 * p.y_row + c, column + c, a, zero);
                add(a1, a);
            }
            if (levels > 1) store_segment(1, y1_at + s1 * p.y_row + c, column + c, a1, zero);
            add(a2, a1);
        }
        if (levels > 2) store_segment(2, y2_at + c, column + c, a2, zero);
    }
}
