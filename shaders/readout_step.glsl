// The steps of readout_sorted, and what is loaded for them.

// Quads of features from k0 on of the block that begins at `at` of the list of head h; h is heads
// past the last one.
struct sorted_step {
    uint h, at, k0;
};

sorted_step skip_empty(sorted_step s)
{
    while (s.h < p.heads && s.at >= head_end(s.h)) s = sorted_step(s.h + 1, head_end(s.h), 0);
    return s;
}

bool ends_block(sorted_step s) { return s.k0 + DEEP >= p.dk4; }

sorted_step after(sorted_step s)
{
    if (s.h >= p.heads) return s;
    if (!ends_block(s)) return sorted_step(s.h, s.at, s.k0 + DEEP);
    return skip_empty(sorted_step(s.h, s.at + BLOCK, 0));
}

// Four invocations load a query, every fourth quad; past the end of the list its last one.
void load_step(readout_tile t, sorted_step s, uint lane, inout uvec4 x[2])
{
    if (s.h >= p.heads) return;
    const uint i = order[min(s.at + (lane >> 2), head_end(s.h) - 1)];
    const uint from = t.q + (t.query + i) * p.q_row;
    [[unroll]] for (uint e = 0; e < 2; e++)
        x[e] = LOAD_RAW(q, READOUT_Q, from + min(s.k0 + (lane & 3) + e * 4, p.dk4 - 1));
}

// Keeps phi of what was loaded in one side of the tile, and this invocation's part of phi(q)^T z.
void keep_step(readout_tile t, sorted_step s, uint side, uint lane, uvec4 x[2], inout float part)
{
    if (s.h >= p.heads) return;
    const uint z_at = t.state + s.h * block_quads() + p.dk4 * 4 * p.dv4;
    if (s.k0 == 0) part = 0;
    [[unroll]] for (uint e = 0; e < 2; e++) {
        const uint quad = (lane & 3) + e * 4;
        const bool inside = s.k0 + quad < p.dk4;
        const vec4 z = LOAD(state, READOUT_S, z_at + min(s.k0 + quad, p.dk4 - 1));
        const vec4 phi = feature_map(feature_kind, from_raw(q_type, x[e]));
        q_tile[(side * BLOCK + (lane >> 2)) * PITCH + quad] = inside ? phi : vec4(0);
        part += inside ? dot(phi, z) : 0.0;
    }
    parts[side * BLOCK * 4 + lane] = part;
}
