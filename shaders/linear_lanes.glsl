// Lanes over rows, ROWS rows a lane, QUADS quads of columns; W's columns lie over the lanes and are
// broadcast by shuffles. STEP quads of k are loaded before the arithmetic, so that a sum is read
// and written once for STEP * 4 products; a quad of columns of all rows fits the registers.
const uint PER_FETCH = SG / QUADS; // rows of W that one fetch of all lanes brings; no remainder
const uint FETCHES = STEP * 4 / PER_FETCH;

void store_quad(uint row, uint column, vec4 sum)
{
    if (row >= p.rows || column >= p.n4) return;
    const uint at = p.c_start + row * p.c_row + column;
    if (with_gelu != 0) sum = gelu_quad(sum);
    if (with_residual != 0) sum += FETCH(residual, LINEAR_RESIDUAL, at);
    STORE(c, LINEAR_C, at, sum);
}

void lanes_over_rows(uint item)
{
    const uint lane = gl_SubgroupInvocationID;
    const uint zero = lane_zero(VARIABLE, p.rows);
    const uint columns = (p.n4 + QUADS - 1) / QUADS;
    const uint row0 = item / columns * (SG * ROWS) + lane, column0 = item % columns * QUADS;
    float sum[ROWS][4 * QUADS];
    uint a_at[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        a_at[r] = p.a_start + min(row0 + r * SG, p.rows - 1) * p.a_row;
        [[unroll]] for (uint v = 0; v < 4 * QUADS; v++) sum[r][v] = 0;
    }
    const uint w_column = min(column0 + lane % QUADS, p.n4 - 1);
    uint w_at = p.w_start + lane / QUADS * p.w_row + w_column;
    for (uint k = 0; k < p.k4; k += STEP) {
        vec4 x[ROWS][STEP], y[FETCHES];
        [[unroll]] for (uint r = 0; r < ROWS; r++)
            [[unroll]] for (uint u = 0; u < STEP; u++)
                x[r][u] = FETCH(a, LINEAR_A, a_at[r] + k + u);
        [[unroll]] for (uint f = 0; f < FETCHES; f++)
            y[f] = FETCH(w, LINEAR_W, w_at + f * PER_FETCH * p.w_row);
        w_at += STEP * 4 * p.w_row;
        [[unroll]] for (uint q = 0; q < QUADS; q++)
            [[unroll]] for (uint i = 0; i < STEP * 4; i++) {
                const uint source = zero + i % PER_FETCH * QUADS + q;
                vec4 b;
                [[unroll]] for (uint e = 0; e < 4; e++)
                    b[e] = subgroupShuffle(y[i / PER_FETCH][e], source);
                [[unroll]] for (uint r = 0; r < ROWS; r++)
                    [[unroll]] for (uint e = 0; e < 4; e++)
                        sum[r][q * 4 + e] += x[r][i >> 2][i & 3] * b[e];
            }
    }
    // Bias, and sums of W's columns, of the quad of columns that is the lane's.
    vec4 own = vec4(0), own_u = vec4(0), m[ROWS];
    if (with_bias != 0) own = FETCH(bias, LINEAR_BIAS, p.bias_start + w_column);
    if (normed != 0) own_u = FETCH(bias, LINEAR_BIAS, p.bias_start + p.n4 + w_column);
    [[unroll]] for (uint r = 0; r < ROWS; r++)
        if (normed != 0) m[r] = MOMENTS(moments, LINEAR_MOMENTS, min(row0 + r * SG, p.rows - 1));
#ifdef PAIRS
    if (PAIRED != 0) {
        // Row after row, so that a line of C is written at once. As bits, with a zero that no
        // compiler knows (VARIABLE): else it keeps sums in the wide registers of packed pairs.
        const uint left = p.n4 - column0;
        const uint c_at = (p.c_start + column0 - p.items.base[LINEAR_C]) / 2;
        vec4 b[QUADS];
        [[unroll]] for (uint q = 0; q < QUADS; q++)
            [[unroll]] for (uint e = 0; e < 4; e++) b[q][e] = subgroupShuffle(own[e], zero + q);
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            const uint row = row0 + r * SG, at = c_at + row * (p.c_row / 2);
            [[unroll]] for (uint q = 0; q < QUADS; q += 2) {
                const vec4 near = QUAD(sum[r], q * 4) + b[q];
                const vec4 far = QUAD(sum[r], q * 4 + 4) + b[q + 1];
                if (row < p.rows && q < left)
                    STORE_PAIR(c, at + q / 2, floatBitsToUint(near) ^ zero,
                               floatBitsToUint(far) ^ zero)
            }
        }
        return;
    }
#endif
    [[unroll]] for (uint q = 0; q < QUADS; q++) {
        vec4 b, u;
        [[unroll]] for (uint e = 0; e < 4; e++) {
            b[e] = subgroupShuffle(own[e], zero + q);
            u[e] = subgroupShuffle(own_u[e], zero + q);
        }
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            vec4 s = QUAD(sum[r], q * 4);
            if (normed != 0) s = (s - m[r].x * u) * m[r].y;
            store_quad(row0 + r * SG, column0 + q, s + b);
        }
    }
}
