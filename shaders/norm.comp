#version 450
// Y = (X - mean) / sqrt(variance + eps) * weight + bias over each row. LANES invocations share a
// row: one where loads cost the same in any order (CPU), a group where neighbours should load
// neighbours (GPU).
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x_id = ID_GROUP) in;
layout(constant_id = ID_GROUP) const uint GROUP = 64;
layout(constant_id = ID_TILE + 0) const uint LANES = 1; // a power of two that divides GROUP

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

// 0 in the padding of a row.
vec4 in_row(vec4 quad, uint column)
{
    return mix(vec4(0), quad, lessThan(column * 4 + uvec4(0, 1, 2, 3), uvec4(p.columns)));
}

void main()
{
    BEGIN_ITEM(item);
    const uint row = item * (GROUP / LANES) + gl_LocalInvocationIndex / LANES;
    const uint first = gl_LocalInvocationIndex % LANES, quads = (p.columns + 3) / 4;
    const uint from = min(row, p.rows - 1) * p.x_row, to = row * p.y_row;
    float sum = 0, squares = 0;
    for (uint i = first; i < quads; i += LANES)
        sum += dot(in_row(FETCH(x, NORM_X, from + i), i), vec4(1));
    const float mean = row_sum(sum) / float(p.columns);
    for (uint i = first; i < quads; i += LANES) {
        const vec4 centred = in_row(FETCH(x, NORM_X, from + i) - mean, i);
        squares += dot(centred, centred);
    }
    const float scale = 1.0 / sqrt(row_sum(squares) / float(p.columns) + p.eps);
    if (row >= p.rows) return;
    for (uint i = first; i < quads; i += LANES) {
        const vec4 w = FETCH(weight, NORM_WEIGHT, i), b = FETCH(bias, NORM_BIAS, i);
        STORE(y, NORM_Y, to + i, in_row((FETCH(x, NORM_X, from + i) - mean) * scale * w + b, i));
    }
}
