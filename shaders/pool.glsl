// What the forms of pooling share: options, inputs, and what is made of rows of X.
layout(constant_id = ID_OPTION + OPTION_POOLING) const uint pooling = POOLING_MEAN;
layout(constant_id = ID_OPTION + OPTION_LEVELS) const uint levels = 1;
layout(constant_id = ID_OPTION + OPTION_NORMED) const uint normed = 0;

QUADS_IN(x, POOL_X)
SMALL_WORDS(lengths, POOL_LENGTHS)
MOMENTS_IN(moments, POOL_MOMENTS)
PUSH(pool_params)

// A quad of X, of the row whose moments are at `m_at`.
vec4 read_row(uint at, uint m_at)
{
    const vec4 x = FETCH(x, POOL_X, at);
    if (normed == 0) return x;
    const vec4 m = MOMENTS(moments, POOL_MOMENTS, m_at);
    return (x - m.x) * m.y;
}

vec4 pool_two(vec4 x, vec4 y) { return pooling == POOLING_MAX ? max(x, y) : x + y; }

// What is stored of quad `column` of a row: what pads columns to quads stays 0.
vec4 without_padding(vec4 y, uint column)
{
    if (normed == 0) return y;
    return mix(vec4(0), y, lessThan(column * 4 + uvec4(0, 1, 2, 3), uvec4(p.columns)));
}
