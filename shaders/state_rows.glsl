// The states of rows that are not pooled (rate 1) by lanes over columns. A sum takes ROWS products
// each time it is read and written, and only DEEP quads of features are gone through at a time: so
// the loop keeps to half of a processor's first cache of instructions, which is worth more than
// that V is read again for the next features.
const uint DEEP = STATE_DEEP, ROWS = STATE_ROWS;
const uint KEYS = DEEP * ROWS / SG; // fetches of keys: ROWS rows of a quad, then those of the next

// phi of the keys of the rows from `row` on; 0 past the stretch, where its last row is read again.
void load_keys(state_tile s, uint quad, uint row, out vec4 x[KEYS])
{
    const uint lane = gl_SubgroupInvocationID, last = (p.dk + 3) / 4 - 1;
    [[unroll]] for (uint i = 0; i < KEYS; i++) {
        const uint place = i * SG + lane, feature = min(quad + place / ROWS, last);
        x[i] = FETCH(k, STATE_K, s.k + min(row + place % ROWS, s.end - 1) * p.k_row + feature);
    }
    [[unroll]] for (uint i = 0; i < KEYS; i++) {
        const uint place = i * SG + lane;
        x[i] = phi_k(x[i], quad + place / ROWS) * (row + place % ROWS < s.end ? 1.0 : 0.0);
    }
}

// The states of DEEP quads of features.
void sum_rows(state_tile s, uint quad, uint columns[QUADS])
{
    const uint lane = gl_SubgroupInvocationID, zero = lane_zero(1, p.dk);
    vec4 sum[4 * DEEP][QUADS], z[DEEP]; // z the same on all lanes
    [[unroll]] for (uint f = 0; f < DEEP; f++) z[f] = first_normaliser(s, quad + f);
    [[unroll]] for (uint f = 0; f < 4 * DEEP; f++)
        [[unroll]] for (uint c = 0; c < QUADS; c++)
            sum[f][c] = first_state(s, quad * 4 + f, s.column + c * SG + lane);
    for (uint row = s.first; row < s.end; row += ROWS) {
        vec4 x[KEYS], y[ROWS][QUADS];
        load_keys(s, quad, row, x);
        [[unroll]] for (uint u = 0; u < ROWS; u++)
            [[unroll]] for (uint c = 0; c < QUADS; c++)
                y[u][c] = FETCH(v, STATE_V, columns[c] + min(row + u, s.end - 1) * p.v_row);
        [[unroll]] for (uint f = 0; f < 4 * DEEP; f++)
            [[unroll]] for (uint u = 0; u < ROWS; u++) {
                const uint place = f / 4 * ROWS + u;
                const float b = subgroupShuffle(x[place / SG][f & 3], zero + place % SG);
                z[f / 4][f & 3] += b;
                [[unroll]] for (uint c = 0; c < QUADS; c++) sum[f][c] += b * y[u][c];
            }
    }
    [[unroll]] for (uint f = 0; f < 4 * DEEP; f++)
        [[unroll]] for (uint c = 0; c < QUADS; c++)
            store_state(s, quad * 4 + f, s.column + c * SG + lane, sum[f][c]);
    [[unroll]] for (uint f = 0; f < DEEP; f++)
        if (s.column == 0 && lane == 0) store_normaliser(s, quad + f, z[f]);
}

// The item, of rate 1.
void rows_alone(state_tile s)
{
    uint columns[QUADS];
    [[unroll]] for (uint c = 0; c < QUADS; c++)
        columns[c] = s.v + min(s.column + c * SG + gl_SubgroupInvocationID, p.dv4 - 1);
    const uint end = min(s.feature + SG * LANES, (p.dk + 3) / 4);
    for (uint quad = s.feature; quad < end; quad += DEEP) sum_rows(s, quad, columns);
}
