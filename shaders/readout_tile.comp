#version 450
// y_i = sum over the heads that it reads of weight * phi(q_i)^T S_h / (phi(q_i)^T z_h + eps). GPU
// form: 128 invocations make 32 queries x 64 columns, head by head; heads that no query of the tile
// reads are left out. 16 features at a time go through shared memory.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "readout.glsl"

layout(local_size_x = 128) in;
TENSOR_IN(q, READOUT_Q)
WORDS_IN(chosen, READOUT_HEAD) // or LOGITS
SMALL_QUADS(weight, READOUT_WEIGHT)
TENSOR_IN(state, READOUT_S)

const uint PITCH = 9; // quads a feature of the q tile: 32 queries, and one against bank conflicts
shared vec4 q_tile[16 * PITCH];
shared vec4 s_tile[16 * 16];
shared float parts[128];
#include "readout_route.glsl"

// Loads phi(q) [16 features][32 queries] and S [16 features][16 quads] from feature quad k0 on;
// returns this invocation's part of phi(q)^T z: of query lane / 4.
float load_tiles(readout_tile t, uint h, uint k0, uint lane)
{
    const uint row = lane >> 2, quad = k0 + (lane & 3), i = min(t.query + row, p.n - 1);
    const uint block = t.state + h * block_quads();
    vec4 x = vec4(0);
    float part = 0;
    if (quad < p.dk4) {
        x = feature_map(feature_kind, LOAD(q, READOUT_Q, t.q + i * p.q_row + quad));
        part = dot(x, LOAD(state, READOUT_S, block + p.dk4 * 4 * p.dv4 + quad));
    }
    [[unroll]] for (uint e = 0; e < 4; e++)
        q_tile[((lane & 3) * 4 + e) * PITCH + (row >> 2)][row & 3] = x[e];
    [[unroll]] for (uint n = 0; n < 2; n++) {
        const uint at = lane + n * 128, k = k0 * 4 + (at >> 4), column = t.column + (at & 15);
        s_tile[at] = vec4(0);
        if (k < p.dk4 * 4 && column < p.dv4)
            s_tile[at] = LOAD(state, READOUT_S, block + k * p.dv4 + column);
    }
    return part;
}

void main()
{
    BEGIN_ITEM(item);
    const readout_tile t = readout_locate(item, 32, 16);
    // 16 quads of columns by 8 blocks of 4 queries
    const uint lane = gl_LocalInvocationIndex, column = lane & 15, block = lane >> 4;
    vec4 total[4];
    [[unroll]] for (uint r = 0; r < 4; r++) total[r] = vec4(0);
    find_heads(t, lane);
    const uint first = routing == ROUTING_NONE ? t.head : 0;
    const uint end = routing == ROUTING_NONE ? t.head + 1 : p.heads;
    for (uint h = first; h < end; h++) {
        if ((present[h >> 5] >> (h & 31) & 1) == 0) continue;
        vec4 sum[4];
        [[unroll]] for (uint r = 0; r < 4; r++) sum[r] = vec4(0);
        float part = 0;
        for (uint k0 = 0; k0 < p.dk4; k0 += 4) {
            part += load_tiles(t, h, k0, lane);
            barrier();
            [[unroll]] for (uint k = 0; k < 16; k++) {
                const vec4 x = q_tile[k * PITCH + block], s = s_tile[k * 16 + column];
                [[unroll]] for (uint r = 0; r < 4; r++) sum[r] += x[r] * s;
            }
            barrier();
        }
        parts[lane] = part;
        barrier();
        [[unroll]] for (uint r = 0; r < 4; r++) {
            const uint at = (block * 4 + r) * 4, i = t.query + block * 4 + r;
            const float den = parts[at] + parts[at + 1] + parts[at + 2] + parts[at + 3];
            if (i < t.valid && reads_head(block * 4 + r, h))
                total[r] += sum[r] * (tile_weight(t, block * 4 + r, h) / (den + p.eps));
        }
        barrier();
    }
    [[unroll]] for (uint r = 0; r < 4; r++) {
        const uint i = t.query + block * 4 + r;
        if (i < p.n && t.column + column < p.dv4)
            STORE(y, READOUT_Y, t.y + i * p.y_row + t.column + column, total[r]);
    }
}
