#version 450
// Y_l[b][j] = pool of X[b][j*rate_l .. min((j+1)*rate_l, L_b)); 0 from segment ceil(L_b / rate_l)
// on. An invocation makes one segment of the last level, of one quad of columns, and those of the
// levels before that it consists of: X is read once. LANES of them share a segment where it is long
// and the only level.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "pool.glsl"

layout(local_size_x_id = ID_GROUP) in;
layout(constant_id = ID_GROUP) const uint GROUP = 64;
layout(constant_id = ID_TILE + 0) const uint LANES = 1; // a power of two that divides GROUP

TENSOR_OUT(y0, POOL_Y)
TENSOR_OUT(y1, POOL_Y + 1)
TENSOR_OUT(y2, POOL_Y + 2)
const uint WIDTH = GROUP / LANES; // elements of an item
const uint AT_ONCE = 4;           // rows that a lane loads, before it uses the first
shared vec4 parts[LANES > 1 ? GROUP : 1];

// Sums or largest of the rows so far, of `count` of them that are valid.
struct pooled {
    vec4 sum;
    uint count;
};

void add(inout pooled a, vec4 sum, uint count)
{
    if (pooling == POOLING_MEAN || a.count == 0) a.sum += sum; // a.sum was 0
    else if (count > 0) a.sum = max(a.sum, sum);
    a.count += count;
}

void store_segment(uint level, uint b, uint j, uint quad, pooled a)
{
    if (j >= p.segments[level]) return;
    vec4 y = pooling == POOLING_MEAN ? a.sum / float(max(a.count, 1)) : a.sum;
    y = without_padding(y, quad);
    const uint at = b * p.y_batch[level] + j * p.y_row + quad;
    if (level == 0) STORE(y0, POOL_Y, at, y)
    else if (level == 1) STORE(y1, POOL_Y + 1, at, y)
    else STORE(y2, POOL_Y + 2, at, y)
}

// A segment of level 0 from row `first` of X on, whose quad is at `at`.
pooled pool_rows(uint at, uint m_at, uint first, uint valid)
{
    pooled a = pooled(vec4(0), min(p.rates[0], valid - min(valid, first)));
    if (a.count > 0) a.sum = read_row(at, m_at);
    for (uint r = 1; r < a.count; r++) {
        at += p.x_row;
        a.sum = pool_two(a.sum, read_row(at, m_at + r));
    }
    return a;
}

// Rows lane, lane + LANES ... of `count`; 0, or the first row, where there is none.
vec4 pool_lane(uint at, uint m_at, uint lane, uint count)
{
    vec4 sum = vec4(0);
    if (pooling == POOLING_MAX && count > 0) sum = read_row(at, m_at);
    uint r = lane;
    for (; r + (AT_ONCE - 1) * LANES < count; r += AT_ONCE * LANES) {
        vec4 x[AT_ONCE];
        [[unroll]] for (uint i = 0; i < AT_ONCE; i++)
            x[i] = read_row(at + (r + i * LANES) * p.x_row, m_at + r + i * LANES);
        [[unroll]] for (uint i = 0; i < AT_ONCE; i++) sum = pool_two(sum, x[i]);
    }
    for (; r < count; r += LANES) sum = pool_two(sum, read_row(at + r * p.x_row, m_at + r));
    return sum;
}

void share_segment(uint b, uint j, uint quad, uint valid, bool inside)
{
    const uint t = gl_LocalInvocationIndex, lane = t / WIDTH, first = j * p.rates[0];
    const uint count = min(p.rates[0], valid - min(valid, first));
    const uint at = b * p.x_batch + first * p.x_row + quad;
    parts[t] = pool_lane(at, b * p.m_batch + first, lane, count);
    barrier();
    for (uint step = LANES / 2; step > 0; step /= 2) {
        if (lane < step) parts[t] = pool_two(parts[t], parts[t + step * WIDTH]);
        barrier();
    }
    if (lane == 0 && inside) store_segment(0, b, j, quad, pooled(parts[t], count));
}

void main()
{
    const uint top = levels - 1;
    BEGIN_ITEM(item);
    const uint elements = p.batch * p.segments[top] * p.quads;
    const uint place = item * WIDTH + gl_LocalInvocationIndex % WIDTH;
    const uint index = min(place, elements - 1), quad = index % p.quads, row = index / p.quads;
    const uint j = row % p.segments[top], b = row / p.segments[top];
    const uint valid = min(SMALL_WORD(lengths, POOL_LENGTHS, b), p.rows);
    if (LANES > 1) {
        share_segment(b, j, quad, valid, place < elements);
        return;
    }
    if (place >= elements) return;
    const uint first = j * p.rates[top], end = first + p.rates[top];
    pooled upper[POOL_LEVELS];
    uint segment[POOL_LEVELS], rows[POOL_LEVELS]; // of upper: its number, rows so far
    [[unroll]] for (uint l = 0; l < levels; l++) {
        upper[l] = pooled(vec4(0), 0);
        segment[l] = j * (p.rates[top] / p.rates[l]);
        rows[l] = 0;
    }
    for (uint i = first; i < end; i += p.rates[0]) {
        const uint at = b * p.x_batch + i * p.x_row + quad;
        const pooled a = pool_rows(at, b * p.m_batch + i, i, valid);
        store_segment(0, b, segment[0]++, quad, a);
        [[unroll]] for (uint l = 1; l < levels; l++) {
            add(upper[l], a.sum, a.count);
            rows[l] += p.rates[0];
            if (rows[l] == p.rates[l]) {
                store_segment(l, b, segment[l]++, quad, upper[l]);
                upper[l] = pooled(vec4(0), 0);
                rows[l] = 0;
            }
        }
    }
}
