#version 450
// y_i = softmax(scale q_i k^T) v over valid keys, online: keys come in blocks of 32, the running
// maximum and sum rescale what is there. GPU form: 128 invocations make 8 * ROWS queries x 64
// columns. What goes through shared memory at a time gets smaller as ROWS grows.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "softmax.glsl"

layout(local_size_x = 128) in;
layout(constant_id = ID_TILE + 0) const uint ROWS = 4; // or 8: queries of an invocation
TENSOR_IN(q, SOFTMAX_Q)
TENSOR_IN(k, SOFTMAX_K)
TENSOR_IN(v, SOFTMAX_V)
const uint QUERIES = 8 * ROWS, KEYS = 32;
const uint FEATURES = 16 / ROWS; // quads of q and k at a time
const uint VALUES = 128 / ROWS;  // rows of v at a time: all or half
const uint Q_PITCH = QUERIES / 4 + 1, K_PITCH = KEYS / 4 + 1;
const uint K_TILE = FEATURES * 4 * Q_PITCH; // where k begins
const uint PARTS = 128 / QUERIES;           // invocations of a query's exponentials
const uint PART = KEYS / PARTS / 4, OWN = ROWS / 2; // quads of keys; keys of one's scores
shared vec4 tile[16 * VALUES];          // features of q, then of k, transposed; then rows of v
shared vec4 weights[QUERIES * K_PITCH]; // scores, then their exponentials, by query
shared float row_max[QUERIES], row_sum[QUERIES], row_scale[QUERIES];
shared float parts[128]; // maxima, then sums, of a part of a query's keys

// Quads of features from c on of the tile's queries and keys.
void keep_features(softmax_tile t, uint c, uint lane)
{
    const uint row = lane / FEATURES, quad = lane % FEATURES;
    const bool inside = c + quad < p.dk4;
    vec4 x = vec4(0), z = vec4(0);
    if (inside)
        x = LOAD(q, SOFTMAX_Q, t.q + min(t.query + row, t.query_end - 1) * p.q_row + c + quad);
    if (inside && row < KEYS)
        z = LOAD(k, SOFTMAX_K, t.k + min(t.key + row, t.key_end - 1) * p.k_row + c + quad);
    [[unroll]] for (uint e = 0; e < 4; e++) {
        const uint feature = quad * 4 + e;
        tile[feature * Q_PITCH + (row >> 2)][row & 3] = x[e];
        if (row < KEYS) tile[K_TILE + feature * K_PITCH + (row >> 2)][row & 3] = z[e];
    }
}

// weights = scale * q k^T; an invocation makes 4 queries x OWN keys.
void score(softmax_tile t, uint lane)
{
    const uint first = lane % (KEYS / OWN) * OWN, queries = lane / (KEYS / OWN);
    vec4 sum[OWN];
    [[unroll]] for (uint i = 0; i < OWN; i++) sum[i] = vec4(0);
    for (uint c = 0; c < p.dk4; c += FEATURES) {
        keep_features(t, c, lane);
        barrier();
        [[unroll]] for (uint f = 0; f < FEATURES * 4; f++) {
            const vec4 a = tile[f * Q_PITCH + queries];
            const vec4 b = tile[K_TILE + f * K_PITCH + first / 4];
            [[unroll]] for (uint i = 0; i < OWN; i++) sum[i] += a * b[first % 4 + i];
        }
        barrier();
    }
    [[unroll]] for (uint i = 0; i < OWN; i++)
        [[unroll]] for (uint r = 0; r < 4; r++)
            weights[(queries * 4 + r) * K_PITCH + first / 4][first % 4 + i] =
                t.key + first + i < t.key_end ? sum[i][r] * p.scale : NEVER;
}

float highest(vec4 x) { return max(max(x.x, x.y), max(x.z, x.w)); }

// PARTS invocations a query: new maximum, exponentials, and what the sums so far are scaled by.
void exponentials(uint lane)
{
    const uint row = lane / PARTS, first = row * K_PITCH + lane % PARTS * PART, at = row * PARTS;
    vec4 scores[PART];
    float top = row_max[row], sum = 0, pair;
    [[unroll]] for (uint j = 0; j < PART; j++) {
        scores[j] = weights[first + j];
        top = max(top, highest(scores[j]));
    }
    parts[lane] = top;
    barrier();
    [[unroll]] for (uint i = 0; i < PARTS; i++) top = max(top, parts[at + i]);
    barrier();
    [[unroll]] for (uint j = 0; j < PART; j++) {
        const vec4 e = mix(vec4(0), exp(scores[j] - top), greaterThan(scores[j], vec4(NEVER)));
        weights[first + j] = e;
        pair = (j % 2 == 0 ? 0 : pair) + (e.x + e.y + e.z + e.w);
        if (j % 2 == 1) sum += pair; // by pairs, so that ROWS changes no bit
    }
    parts[lane] = sum;
    barrier();
    if (lane % PARTS != 0) return;
    row_scale[row] = exp(row_max[row] - top);
    sum = parts[at] + parts[at + 1] + (PARTS == 4 ? parts[at + 2] + parts[at + PARTS - 1] : 0);
    row_sum[row] = row_sum[row] * row_scale[row] + sum;
    row_max[row] = top;
}

// Rows of v from the block's key j0 on.
void keep_values(softmax_tile t, uint j0, uint lane)
{
    const uint quad = min(t.column + (lane & 15), p.dv4 - 1);
    [[unroll]] for (uint i = 0; i < VALUES / 8; i++) {
        const uint key = min(t.key + j0 + i * 8 + (lane >> 4), t.key_end - 1);
        tile[i * 128 + lane] = LOAD(v, SOFTMAX_V, t.v + key * p.v_row + quad);
    }
}

void add_values(uint j0, uint lane, inout vec4 sum[ROWS])
{
    [[unroll]] for (uint j = 0; j < VALUES; j += 4) {
        vec4 x[4];
        [[unroll]] for (uint e = 0; e < 4; e++) x[e] = tile[(j + e) * 16 + (lane & 15)];
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            const vec4 weight = weights[((lane >> 4) * ROWS + r) * K_PITCH + (j0 + j) / 4];
            [[unroll]] for (uint e = 0; e < 4; e++) sum[r] += weight[e] * x[e];
        }
    }
}

void main()
{
    BEGIN_ITEM(item);
    softmax_tile t = softmax_locate(item, QUERIES, 16);
    const uint lane = gl_LocalInvocationIndex, block = (lane >> 4) * ROWS;
    const uint column = t.column + (lane & 15);
    if (lane < QUERIES) row_max[lane] = NEVER, row_sum[lane] = 0;
    vec4 sum[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) sum[r] = vec4(0);
    for (; next_keys(t); t.key += KEYS) {
        score(t, lane);
        barrier();
        keep_values(t, 0, lane);
        exponentials(lane);
        barrier();
        [[unroll]] for (uint r = 0; r < ROWS; r++) sum[r] *= row_scale[block + r];
        add_values(0, lane, sum);
        if (VALUES < KEYS) {
            barrier();
            keep_values(t, VALUES, lane);
            barrier();
            add_values(VALUES, lane, sum);
        }
        barrier();
    }
    barrier();
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        const uint i = t.query + block + r;
        const vec4 x = i < t.valid ? sum[r] / row_sum[block + r] : vec4(0);
        if (i < t.query_end && column < p.dv4) STORE(y, SOFTMAX_Y, t.y + i * p.y_row + column, x);
    }
    if (lane < QUERIES) store_weights(t, t.query + lane, row_max[lane], row_sum[lane]);
}
