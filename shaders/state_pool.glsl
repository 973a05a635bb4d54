// Segment j of keys or values, pooled over its valid rows, one quad. FETCH_K, FETCH_V load.
#define POOL_SEGMENT(FETCH_ROW, start, row_quads)                                                  \
    const uint row = j * s.rate, count = min(s.rate, s.rows - row);                              \
    uint at = (start) + row * (row_quads) + quad;                                                  \
    vec4 x = FETCH_ROW(at);                                                                        \
    for (uint r = 1; r < count; r++) {                                                             \
        at += (row_quads);                                                                         \
        const vec4 y = FETCH_ROW(at);                                                              \
        x = pooling == POOLING_MAX ? max(x, y) : x + y;                                            \
    }                                                                                              \
    return pooling == POOLING_MAX ? x : x / float(count)

vec4 pool_k(state_tile s, uint j, uint quad)
{
    POOL_SEGMENT(FETCH_K, s.k, p.k_row);
}

vec4 pool_v(state_tile s, uint j, uint quad)
{
    POOL_SEGMENT(FETCH_V, s.v, p.v_row);
}
