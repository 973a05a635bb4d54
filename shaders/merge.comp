#version 450
// Softmax of two parts of the keys to that of both, a query an invocation: each part's row weighs
// what its keys weigh beside the largest score of both.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "flat.glsl"

layout(constant_id = ID_OPTION + OPTION_LAST) const uint last = 0;

TENSOR_IN(part, MERGE_PART)
TENSOR_INOUT(sum, MERGE_SUM)
TENSOR_OUT(y, MERGE_Y)
PUSH(merge_params)

void main()
{
    BEGIN_ELEMENT(row, p.batch * p.groups * p.n);
    const uint i = row % p.n, bg = row / p.n;
    const uint at = row * (p.dv4 + 1);
    const uint y_at = bg / p.groups * p.y_batch + bg % p.groups * p.y_group + i * p.y_row;
    const vec4 a = LOAD(sum, MERGE_SUM, at + p.dv4), b = LOAD(part, MERGE_PART, at + p.dv4);
    // Weights are the sums, a part without a key has 0 of them and no score.
    const float top = a.y == 0 ? b.x : b.y == 0 ? a.x : max(a.x, b.x);
    const float wa = a.y == 0 ? 0.0 : a.y * exp(a.x - top);
    const float wb = b.y == 0 ? 0.0 : b.y * exp(b.x - top);
    const float total = wa + wb, scale = total == 0 ? 0.0 : 1.0 / total;
    for (uint c = 0; c < p.dv4; c++) {
        const vec4 u = LOAD(sum, MERGE_SUM, at + c), v = LOAD(part, MERGE_PART, at + c);
        const vec4 x = (wa * u + wb * v) * scale;
        if (last == 1) STORE(y, MERGE_Y, y_at + c, x)
        else STORE(sum, MERGE_SUM, at + c, x)
    }
    if (last == 0) STORE(sum, MERGE_SUM, at + p.dv4, vec4(top, total, 0, 0))
}
