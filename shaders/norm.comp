#version 450
// Y = (X - mean) / sqrt(variance + eps) * weight + bias over each row. LANES invocations share a
// row: one where loads cost the same in any order (CPU), a group where neighbours should load
// neighbours (GPU).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x_id = ID_GROUP) in;
layout(constant_id = ID_GROUP) const uint GROUP = 64;
layout(constant_id = ID_TILE + 0) const uint LANES = 1; // a power of two that divides GROUP
layout(constant_id = ID_TILE + 1) const uint STEP = 1; // quads that a lane loads at once

layout(constant_id = ID_OPTION + OPTION_MOMENTS) const uint moments = 0;

QUADS_IN(x, NORM_X)
QUADS_IN(weight, NORM_WEIGHT)
QUADS_IN(bias, NORM_BIAS)
TENSOR_OUT(y, NORM_Y)
PUSH(norm_params)

shared float parts[GROUP];

// The sum over the LANES invocations of a row, in a fixed order.
float row_sum(float part)
{
    if (LANES == 1) return part;
    const uint lane = gl_LocalInvocationIndex;
    parts[lane] = part;
    barrier();
    for (uint step = LANES / 2; step > 0; step /= 2) {
        if (lane % LANES < step) parts[lane] += parts[lane + step];
        barrier();
    }
    const float sum = parts[lane / LANES * LANES];
    barrier();
    return sum;
}

// 0 in the padding of a row, and past it.
vec4 in_row(vec4 quad, uint column)
{
    return mix(vec4(0), quad, lessThan(column * 4 + uvec4(0, 1, 2, 3), uvec4(p.columns)));
}

// Quads i, i + LANES ... of the row at `from`, each less `mean`.
void load_step(uint from, uint i, float mean, out vec4 x[STEP])
{
    const uint last = (p.columns + 3) / 4 - 1;
    [[unroll]] for (uint s = 0; s < STEP; s++)
        x[s] = FETCH(x, NORM_X, from + min(i + s * LANES, last)) - mean;
    [[unroll]] for (uint s = 0; s < STEP; s++) x[s] = in_row(x[s], i + s * LANES);
}

void main()
{
    BEGIN_ITEM(item);
    const uint row = item * (GROUP / LANES) + gl_LocalInvocationIndex / LANES;
    const uint first = gl_LocalInvocationIndex % LANES, quads = (p.columns + 3) / 4;
    const uint from = min(row, p.rows - 1) * p.x_row, to = row * p.y_row;
    float sum = 0, squares = 0;
    vec4 x[STEP];
    for (uint i = first; i < quads; i += LANES * STEP) {
        load_step(from, i, 0, x);
        [[unroll]] for (uint s = 0; s < STEP; s++) sum += dot(x[s], vec4(1));
    }
    const float mean = row_sum(sum) / float(p.columns);
    for (uint i = first; i < quads; i += LANES * STEP) {
        load_step(from, i, mean, x);
        [[unroll]] for (uint s = 0; s < STEP; s++) squares += dot(x[s], x[s]);
    }
    const float scale = 1.0 / sqrt(row_sum(squares) / float(p.columns) + p.eps);
    if (row >= p.rows) return;
    if (moments != 0) {
        if (first == 0) STORE(y, NORM_Y, to, vec4(mean, scale, 0, 0));
        return;
    }
    for (uint i = first; i < quads; i += LANES) {
        const vec4 w = FETCH(weight, NORM_WEIGHT, i), b = FETCH(bias, NORM_BIAS, i);
        STORE(y, NORM_Y, to + i, in_row((FETCH(x, NORM_X, from + i) - mean) * scale * w + b, i));
    }
}
