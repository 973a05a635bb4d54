#version 450
// y_i = softmax(scale q_i k^T) v over valid keys, online: keys come in blocks of 32, the running
// maximum and sum rescale what is there. GPU form: 128 invocations make 32 queries x 64 columns.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "softmax.glsl"

layout(local_size_x = 128) in;
TENSOR_IN(q, SOFTMAX_Q)
TENSOR_IN(k, SOFTMAX_K)
TENSOR_IN(v, SOFTMAX_V)
const uint PITCH = 9;
shared vec4 tile[32 * 16];           // 16 features of q, then of k, transposed; then rows of v
shared float weights[32 * 33];       // scores, then their exponentials, [query][key]
shared float row_max[32], row_sum[32], row_scale[32];
shared float parts[128]; // maxima, then sums, of a fourth of a query's keys

// weights[query][key] = scale * q k^T for 32 x 32 of them; an invocation makes 4 x 2.
void score(softmax_tile t, uint lane)
{
    const uint row = lane >> 2, quad = lane & 3, keys = lane & 15, queries = lane >> 4;
    vec4 low = vec4(0), high = vec4(0);
    for (uint c = 0; c < p.dk4; c += 4) {
        vec4 x = vec4(0), z = vec4(0);
        if (c + quad < p.dk4) {
            x = LOAD(q, SOFTMAX_Q, t.q + min(t.query + row, t.query_end - 1) * p.q_row + c + quad);
            z = LOAD(k, SOFTMAX_K, t.k + min(t.key + row, t.key_end - 1) * p.k_row + c + quad);
        }
        [[unroll]] for (uint e = 0; e < 4; e++) {
            tile[(quad * 4 + e) * PITCH + (row >> 2)][row & 3] = x[e];
            tile[(16 + quad * 4 + e) * PITCH + (row >> 2)][row & 3] = z[e];
        }
        barrier();
        [[unroll]] for (uint f = 0; f < 16; f++) {
            const vec4 a = tile[f * PITCH + queries], b = tile[(16 + f) * PITCH + (keys >> 1)];
            low += a * b[(keys & 1) * 2];
            high += a * b[(keys & 1) * 2 + 1];
        }
        barrier();
    }
    [[unroll]] for (uint r = 0; r < 4; r++) {
        const uint at = (queries * 4 + r) * 33 + keys * 2;
        weights[at] = t.key + keys * 2 < t.key_end ? low[r] * p.scale : NEVER;
        weights[at + 1] = t.key + keys * 2 + 1 < t.key_end ? high[r] * p.scale : NEVER;
    }
}

// Four invocations a query, eight keys each: new maximum, exponentials, and what the sums so far
// are scaled by.
void exponentials(uint lane)
{
    const uint row = lane >> 2, first = row * 33 + (lane & 3) * 8, at = row * 4;
    float score[8], top = row_max[row], sum = 0;
    [[unroll]] for (uint j = 0; j < 8; j++) {
        score[j] = weights[first + j];
        top = max(top, score[j]);
    }
    parts[lane] = top;
    barrier();
    top = max(max(parts[at], parts[at + 1]), max(parts[at + 2], parts[at + 3]));
    barrier();
    [[unroll]] for (uint j = 0; j < 8; j++) {
        const float e = score[j] > NEVER ? exp(score[j] - top) : 0.0;
        weights[first + j] = e;
        sum += e;
    }
    parts[lane] = sum;
    barrier();
    if ((lane & 3) != 0) return;
    row_scale[row] = exp(row_max[row] - top);
    row_sum[row] = row_sum[row] * row_scale[row] +
        (parts[at] + parts[at + 1] + parts[at + 2] + parts[at + 3]);
    row_max[row] = top;
}

void main()
{
    BEGIN_ITEM(item);
    softmax_tile t = softmax_locate(item, 32, 16);
    const uint lane = gl_LocalInvocationIndex, column = lane & 15, block = lane >> 4;
    if (lane < 32) {
        row_max[lane] = NEVER;
        row_sum[lane] = 0;
    }
    vec4 sum[4];
    [[unroll]] for (uint r = 0; r < 4; r++) sum[r] = vec4(0);
    for (; next_keys(t); t.key += 32) {
        score(t, lane);
        barrier();
        [[unroll]] for (uint i = 0; i < 4; i++) {
            const uint at = lane + i * 128, key = min(t.key + (at >> 4), t.key_end - 1);
            const uint quad = min(t.column + column, p.dv4 - 1);
            tile[at] = LOAD(v, SOFTMAX_V, t.v + key * p.v_row + quad);
        }
        exponentials(lane);
        barrier();
        [[unroll]] for (uint r = 0; r < 4; r++) sum[r] *= row_scale[block * 4 + r];
        [[unroll]] for (uint j = 0; j < 32; j++) {
            const vec4 x = tile[j * 16 + column];
            [[unroll]] for (uint r = 0; r < 4; r++) sum[r] += weights[(block * 4 + r) * 33 + j] * x;
        }
        barrier();
    }
    barrier();
    [[unroll]] for (uint r = 0; r < 4; r++) {
        const uint i = t.query + block * 4 + r;
        if (i >= t.query_end || t.column + column >= p.dv4) continue;
        const vec4 x = i < t.valid ? sum[r] / row_sum[block * 4 + r] : vec4(0);
        STORE(y, SOFTMAX_Y, t.y + i * p.y_row + t.column + column, x);
    }
    if (lane < 32) store_weights(t, t.query + lane, row_max[lane], row_sum[lane]);
}
