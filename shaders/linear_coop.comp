#version 450
// C = act(A W + bias) + residual in halves, sums in f32, by cooperative matrices (coop.glsl). The
// workgroup makes 32 rows a scope by 64 columns; 32 columns of A and rows of W at a time go through
// shared memory, the next ones are loaded before the arithmetic on these.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
layout(local_size_x_id = ID_GROUP) in;
layout(constant_id = ID_GROUP) const uint GROUP = 32;
#include "coop.glsl"
#include "linear.glsl"

const uint DOWN = 32 / M, ACROSS = 64 / N; // matrices of a scope
const uint ROWS = 32 * SCOPES;
const uint A_ROW = 5, W_ROW = 9; // words of a row, one of them against bank conflicts
const uint A_WORDS = ROWS * 4 / GROUP, W_WORDS = 256 / GROUP; // an invocation loads
shared uvec4 a_tile[ROWS * A_ROW], w_tile[32 * W_ROW];
shared uvec4 sums[SCOPES * M * N / 4];

// Two quads of halves, 0 past the last of a row or of rows. Kept apart, as they may lie anywhere.
#define LOAD_WORD(name, b, at, inside, quad, quads)                                                \
    uvec4((inside) && (quad) < (quads) ? name##_halves[(at) - p.items.base[b]] : uvec2(0),         \
          (inside) && (quad) + 1 < (quads) ? name##_halves[(at) + 1 - p.items.base[b]] : uvec2(0))

void load_tiles(uint row0, uint column0, uint k0, out uvec4 x[A_WORDS], out uvec4 y[W_WORDS])
{
    [[unroll]] for (uint i = 0; i < A_WORDS; i++) {
        const uint e = i * GROUP + gl_LocalInvocationIndex, row = row0 + e / 4;
        const uint quad = k0 + e % 4 * 2, at = p.a_start + row * p.a_row + quad;
        x[i] = LOAD_WORD(a, LINEAR_A, at, row < p.rows, quad, p.k4);
    }
    [[unroll]] for (uint i = 0; i < W_WORDS; i++) {
        const uint e = i * GROUP + gl_LocalInvocationIndex, k = k0 * 4 + e / 8;
        const uint quad = column0 + e % 8 * 2, at = p.w_start + k * p.w_row + quad;
        y[i] = LOAD_WORD(w, LINEAR_W, at, k < p.k4 * 4, quad, p.n4);
    }
}

void keep_tiles(uvec4 x[A_WORDS], uvec4 y[W_WORDS])
{
    [[unroll]] for (uint i = 0; i < A_WORDS; i++) {
        const uint e = i * GROUP + gl_LocalInvocationIndex;
        a_tile[e / 4 * A_ROW + e % 4] = x[i];
    }
    [[unroll]] for (uint i = 0; i < W_WORDS; i++) {
        const uint e = i * GROUP + gl_LocalInvocationIndex;
        w_tile[e / 8 * W_ROW + e % 8] = y[i];
    }
}

void main()
{
    BEGIN_ITEM(item);
    const uint columns = (p.n4 + 15) / 16, scope = COOP_SCOPE;
    const uint row0 = item / columns * ROWS, column0 = item % columns * 16;
    COOP_SUM sum[DOWN * ACROSS];
    uvec4 x[A_WORDS], y[W_WORDS];
    [[unroll]] for (uint s = 0; s < DOWN * ACROSS; s++) COOP_ZERO(sum[s]);
    load_tiles(row0, column0, 0, x, y);
    for (uint k0 = 0; k0 < p.k4; k0 += 8) {
        barrier();
        keep_tiles(x, y);
        barrier();
        load_tiles(row0, column0, k0 + 8, x, y);
        [[unroll]] for (uint k = 0; k < 32; k += K) {
            COOP_A a[DOWN];
            [[unroll]] for (uint r = 0; r < DOWN; r++)
                COOP_LOAD_A(a[r], a_tile, (scope * 32 + r * M) * A_ROW + k / 8, A_ROW);
            [[unroll]] for (uint q = 0; q < ACROSS; q++) {
                COOP_B b;
                COOP_LOAD_B(b, w_tile, k * W_ROW + q * N / 8, W_ROW);
                [[unroll]] for (uint r = 0; r < DOWN; r++)
                    COOP_MULTIPLY(sum[r * ACROSS + q], a[r], b);
            }
        }
    }
    [[unroll]] for (uint s = 0; s < DOWN * ACROSS; s++) {
        const uint row = row0 + scope * 32 + s / ACROSS * M, column = column0 + s % ACROSS * N / 4;
        barrier();
        COOP_STORE(sum[s], sums, scope * M * N / 4, N / 4);
        barrier();
        for (uint e = COOP_LANE; e < M * N / 4; e += COOP_LANES) {
            store_quad(row + e / (N / 4), column + e % (N / 4),
                       uintBitsToFloat(sums[scope * M * N / 4 + e]));
        }
    }
}
