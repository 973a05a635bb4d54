#version 450
// The states of all heads of a stretch, which read the same rows: each row of K and V is read once.
// GPU form: 128 invocations make 32 features x 64 columns, one half of them of heads 0 and 3, one
// of 1 and 2. Sixteen rows at a time are pooled at all rates into shared memory, by each half in
// turn: it loads its next rows before the ones between are multiplied.
#extension GL_GOOGLE_include_directive : require
#define EVERY_HEAD
#include "common.glsl"
#include "state.glsl"

layout(local_size_x = 128) in;
layout(constant_id = ID_OPTION + OPTION_SHARED) const uint shared_rates = 0x8421;
layout(constant_id = ID_TYPE + STATE_K) const uint k_type = TYPE_F32;
layout(constant_id = ID_TYPE + STATE_V) const uint v_type = TYPE_F32;
layout(set = 0, binding = STATE_K, std430) readonly buffer k_f32 { float k_floats[]; };
layout(set = 0, binding = STATE_K, std430) readonly buffer k_f16 { uint k_halves[]; };
layout(set = 0, binding = STATE_V, std430) readonly buffer v_f32 { vec2 v_floats[]; };
layout(set = 0, binding = STATE_V, std430) readonly buffer v_f16 { uint v_halves[]; };

const uint FEATURES = 8, COLUMNS = 16; // quads
const uint PART = 8;                   // rows that an invocation pools; every rate divides it
shared vec4 k_tile[SHARED_SEGMENTS * FEATURES], v_tile[SHARED_SEGMENTS * COLUMNS];
#include "state_levels.glsl"

void add_segments(uint head, uint lane, inout vec4 sum[8], inout float z)
{
    const uint column = lane & 15, block = lane >> 4; // 8 features each
    const uint z_quad = first_of(head) * FEATURES + (lane >> 2 & 7);
    [[unroll]] for (uint j = 0; j < segments_of(head); j++)
        z += k_tile[z_quad + j * FEATURES][lane & 3];
    [[unroll]] for (uint j = 0; j < segments_of(head); j++) {
        const uint at = first_of(head) + j;
        const vec4 y = v_tile[at * COLUMNS + column];
        const vec4 low = k_tile[at * FEATURES + block * 2];
        const vec4 high = k_tile[at * FEATURES + block * 2 + 1];
        [[unroll]] for (uint i = 0; i < 4; i++) {
            sum[i] += low[i] * y;
            sum[i + 4] += high[i] * y;
        }
    }
}

void first_sums(state_tile s, uint head, uint lane, out vec4 sum[8], out float z)
{
    s.out_block += min(head, p.heads - 1) * p.p_group;
    [[unroll]] for (uint i = 0; i < 8; i++)
        sum[i] = first_state(s, (s.feature + (lane >> 4) * 2) * 4 + i, s.column + (lane & 15));
    z = first_normaliser(s, s.feature + (lane >> 2 & 7))[lane & 3];
}

void store_sums(state_tile s, uint head, uint lane, vec4 sum[8], float z)
{
    if (head >= p.heads) return;
    s.out_block += head * p.p_group;
    [[unroll]] for (uint i = 0; i < 8; i++)
        store_state(s, (s.feature + (lane >> 4) * 2) * 4 + i, s.column + (lane & 15), sum[i]);
    const uint quad = s.feature + (lane >> 2 & 7);
    if (lane < 32 && s.column == 0 && quad < (p.dk + 3) / 4)
        partial[normaliser_at(s, quad)][lane & 3] = z;
}

void main()
{
    BEGIN_ITEM(item);
    const state_tile s = state_locate(item, FEATURES, COLUMNS);
    const uint t = gl_LocalInvocationIndex, lane = t & 63, part = lane >> 5, turn = t >> 6;
    const uint own = (turn ^ item) & 1; // heads' work differs: halves take turns at the longer one
    vec4 low[8], high[8];
    float low_z, high_z;
    first_sums(s, own, lane, low, low_z);
    first_sums(s, 3 - own, lane, high, high_z);
    uint x[PART];
    uvec2 y[PART];
    if (s.first < s.end)
        load_rows(s, s.first + turn * SHARED_ROWS + part * PART, lane & 31, x, y);
    uint step = 0;
    for (uint row = s.first; row < s.end; row += SHARED_ROWS) {
        if ((step++ & 1) == turn) {
            if (row + SHARED_ROWS <= s.end) keep_rows(s, part, lane & 31, x, y);
            else keep_end(s, row, part, lane & 31);
            load_rows(s, row + 2 * SHARED_ROWS + part * PART, lane & 31, x, y);
        }
        barrier();
        if (own == 0) {
            add_segments(0, lane, low, low_z);
            add_segments(3, lane, high, high_z);
        } else {
            add_segments(1, lane, low, low_z);
            add_segments(2, lane, high, high_z);
        }
        barrier();
    }
    store_sums(s, own, lane, low, low_z);
    store_sums(s, 3 - own, lane, high, high_z);
}
