// The steps of readout_sorted, and what is loaded for them. That defines DEEP (quads of features a
// step) and what else is named here, after which it includes this.

// Quads of features from k0 on of a block of the list.
struct sorted_step {
    uint block, k0;
};

bool ends_block(sorted_step s) { return s.k0 + DEEP >= p.dk4; }

sorted_step after(sorted_step s)
{
    return ends_block(s) ? sorted_step(s.block + 1, 0) : sorted_step(s.block, s.k0 + DEEP);
}

// What an invocation has of the next step: one quad of each of its rows, which DEEP invocations
// share.
struct rows_ahead {
    uvec4 q[LOADS];               // as they lie in memory
    uint q_at[LOADS], z_at[LOADS]; // quads at which the row and its head's z lie
    float part[LOADS];            // of phi(q)^T z so far
};

uint row_of(uint lane, uint e) { return e * (128 / DEEP) + lane / DEEP; }

// Units lie in the tile in another order for every quad of features, so that invocations that write
// the same feature of different quads meet different banks.
uint swizzled(uint unit, uint quad) { return unit ^ (quad * (4 / DEEP)); }

// Rows that are none load the first query.
void load_step(readout_tile t, sorted_step s, uint lane, inout rows_ahead a)
{
    const uint quad = min(s.k0 + lane % DEEP, p.dk4 - 1);
    [[unroll]] for (uint e = 0; e < LOADS; e++) {
        if (s.k0 == 0) {
            const uint row = s.block * BLOCK + row_of(lane, e), i = listed(row);
            const uint h = min(unit_head[row / UNIT], p.heads - 1);
            a.q_at[e] = t.q + (t.query + (i == NO_QUERY ? 0 : i)) * p.q_row;
            a.z_at[e] = t.state + h * block_quads() + p.dk4 * 4 * p.dv4;
        }
        a.q[e] = LOAD_RAW(q, READOUT_Q, a.q_at[e] + quad);
    }
}

// Keeps phi of what was loaded in the tile, and this invocation's parts of phi(q)^T z.
void keep_step(sorted_step s, uint lane, inout rows_ahead a)
{
    const uint own = lane % DEEP, quad = s.k0 + own;
    [[unroll]] for (uint e = 0; e < LOADS; e++) {
        const uint row = row_of(lane, e);
        const uint to = own * BLOCK + swizzled(row / UNIT, own) * 2 + row / 4 % 2;
        const vec4 z = LOAD(state, READOUT_S, a.z_at[e] + min(quad, p.dk4 - 1));
        const vec4 phi = feature_map(feature_kind, from_raw(q_type, a.q[e]));
        [[unroll]] for (uint f = 0; f < 4; f++) q_tile[to + f * (BLOCK / 4)][row % 4] = phi[f];
        a.part[e] = (s.k0 == 0 ? 0.0 : a.part[e]) + (quad < p.dk4 ? dot(phi, z) : 0.0);
        if (ends_block(s)) parts[row * DEEP + own] = a.part[e];
    }
}
