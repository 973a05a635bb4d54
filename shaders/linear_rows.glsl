// For few k: columns of W over the lanes, QUADS quads a lane (even), all k of them held while ROWS
// rows of A pass, so that a sum ends with its row and is neither loaded nor stored between. SG rows
// at a time are loaded, one a lane, then multiplied one after the other, their numbers broadcast by
// shuffles. Where the columns left are at most half of what all lanes have, lanes share themselves
// among several rows.

// What the lane has of W, the bias, the sums of W's columns, its row of A, and a row of C.
vec4 held[4 * DEEP][QUADS], held_bias[QUADS], held_sums[QUADS], x[DEEP], sum[QUADS];

// A row of C that lanes have sums of.
struct pending_row {
    uint at, left;     // where the lane's quads lie in C; 0 are left where there are none
    float mean, scale; // of A's row
};

// The lane's columns, from quad `first` on.
void hold_columns(uint first)
{
    uint column[QUADS];
    [[unroll]] for (uint c = 0; c < QUADS; c++) {
        column[c] = min(first + c, p.n4 - 1);
        sum[c] = held_bias[c] = held_sums[c] = vec4(0);
        if (with_bias != 0) held_bias[c] = FETCH(bias, LINEAR_BIAS, p.bias_start + column[c]);
        if (normed != 0) held_sums[c] = FETCH(bias, LINEAR_BIAS, p.bias_start + p.n4 + column[c]);
    }
    [[unroll]] for (uint k = 0; k < 4 * DEEP; k++)
        [[unroll]] for (uint c = 0; c < QUADS; c++)
            held[k][c] = FETCH(w, LINEAR_W, p.w_start + k * p.w_row + column[c]);
}

// The products of the row that lane `source` has.
void multiply(uint source)
{
    [[unroll]] for (uint c = 0; c < QUADS; c++) sum[c] = vec4(0);
    [[unroll]] for (uint k = 0; k < 4 * DEEP; k++) {
        const float b = subgroupShuffle(x[k / 4][k % 4], source);
        [[unroll]] for (uint c = 0; c < QUADS; c++) sum[c] += b * held[k][c];
    }
}

void finish(pending_row row)
{
    [[unroll]] for (uint c = 0; c < QUADS; c++) {
        if (normed != 0) sum[c] = (sum[c] - row.mean * held_sums[c]) * row.scale;
        sum[c] += held_bias[c];
        if (with_gelu != 0) sum[c] = gelu_quad(sum[c]);
        if (with_residual != 0)
            sum[c] += FETCH(residual, LINEAR_RESIDUAL, row.at + (c < row.left ? c : 0));
    }
}

// In pairs as bits, not floats: else the compiler keeps the sums themselves in the wide registers
// that they are packed in.
void store(pending_row row, uint zero)
{
    const uint at = row.at - p.items.base[LINEAR_C];
    [[unroll]] for (uint q = 0; q < QUADS; q += 2) {
        const uvec4 near = floatBitsToUint(sum[q]) ^ zero, far = floatBitsToUint(sum[q + 1]) ^ zero;
        if (PAIRED != 0) {
            if (q < row.left) STORE_PAIR(c, at / 2 + q / 2, near, far)
        } else {
            if (q < row.left) STORE_(c, at + q, sum[q])
            if (q + 1 < row.left) STORE_(c, at + q + 1, sum[q + 1])
        }
    }
}

// Brings `quads` quads of C to the cache, which tiles of a longer row keep processors from fetching
// ahead. Writes a word of each line, which an answer writes again: zeros, though no compiler knows.
void touch(uint at, uint quads, uint zero)
{
    const uint words = c_type == TYPE_F16 ? 2 : 4, begin = (at - p.items.base[LINEAR_C]) * words;
    for (uint word = begin; word < begin + quads * words; word += 16) c_words[word] = zero;
    subgroupBarrier(); // of no wider scope, for which software drivers make coroutines
}

void rows_pass(uint item)
{
    const uint zero = lane_zero(1, p.rows), tiles = (p.n4 + SG * QUADS - 1) / (SG * QUADS);
    const uint column0 = item % tiles * (SG * QUADS), width = min(p.n4 - column0, SG * QUADS);
    const uint begin = item / tiles * ROWS, stop = min(begin + ROWS, p.rows);
    const uint a_start = p.a_start, a_row = p.a_row, c_start = p.c_start + column0, c_row = p.c_row;
    const bool touching = with_residual == 0 && tiles > 2;
    // Lanes a row, as a shift: divisions may be moved into the loop, where lanes make them in turn.
    const uint shift = width > QUADS ? findMSB((width - 1) / QUADS) + 1 : 0;
    const uint own = gl_SubgroupInvocationID >> shift, together = SG >> shift;
    const uint first = (gl_SubgroupInvocationID & (1 << shift) - 1) * QUADS;
    const uint left = width - min(first, width);
    hold_columns(column0 + first);
    // A row is finished in the round after its products, after which a loop begins anew: compilers
    // take both in another order, half as fast, when they see them side by side.
    pending_row done = pending_row(c_start + begin * c_row, 0, 0, 0);
    for (uint at = begin; at < stop; at += SG) {
        const uint row = min(at + gl_SubgroupInvocationID, stop - 1);
        const uint place = c_start + row * c_row;
        vec4 m = vec4(0);
        if (normed != 0) m = MOMENTS(moments, LINEAR_MOMENTS, row);
        [[unroll]] for (uint k = 0; k < DEEP; k++)
            x[k] = FETCH(a, LINEAR_A, a_start + row * a_row + k);
        if (touching && at + SG < stop)
            touch(place + min(SG, stop - 1 - row) * c_row, width, zero);
        for (uint next = at; next < min(at + SG, stop); next += together) {
            finish(done);
            store(done, zero);
            const uint source = next - at + own;
            multiply(source);
            done.at = subgroupShuffle(place, source) + min(first, width - 1);
            done.left = next + own < stop ? left : 0;
            done.mean = subgroupShuffle(m.x, source);
            done.scale = subgroupShuffle(m.y, source);
        }
    }
    finish(done);
    store(done, zero);
}
