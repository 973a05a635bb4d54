// What the forms of C = act(A W + bias) + residual for GPUs share: options, bindings, and what is
// made of a sum of products.
#include "linear_options.glsl"

TENSOR_IN(a, LINEAR_A)
TENSOR_IN(w, LINEAR_W)
SMALL_QUADS(bias, LINEAR_BIAS)
TENSOR_IN(residual, LINEAR_RESIDUAL)
TENSOR_OUT(c, LINEAR_C)
MOMENTS_IN(moments, LINEAR_MOMENTS)
PUSH(linear_params)

void store_quad(uint row, uint column, vec4 sum)
{
    if (row >= p.rows || column >= p.n4) return;
    const uint at = p.c_start + row * p.c_row + column;
    if (normed != 0) {
        const vec4 m = MOMENTS(moments, LINEAR_MOMENTS, row);
        sum = (sum - m.x * SMALL_QUAD(bias, LINEAR_BIAS, p.bias_start + p.n4 + column)) * m.y;
    }
    if (with_bias != 0) sum += SMALL_QUAD(bias, LINEAR_BIAS, p.bias_start + column);
    if (with_gelu != 0) sum = gelu_quad(sum);
    if (with_residual != 0) sum += LOAD(residual, LINEAR_RESIDUAL, at);
    STORE(c, LINEAR_C, at, sum);
}
