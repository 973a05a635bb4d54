#version 450
// Y[b][j] = pool of X[b][j*rate .. min((j+1)*rate, L_b)); 0 from segment ceil(L_b / rate) on
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "flat.glsl"

layout(constant_id = ID_OPTION + OPTION_POOLING) const uint pooling = POOLING_MEAN;

QUADS_IN(x, POOL_X)
WORDS_IN(lengths, POOL_LENGTHS)
TENSOR_OUT(y, POOL_Y)
PUSH(pool_params)

void main()
{
    BEGIN_ELEMENT(index, p.batch * p.segments * p.quads);
    const uint quad = index % p.quads, j = index / p.quads % p.segments;
    const uint b = index / p.quads / p.segments;
    const uint first = j * p.rate, valid = WORD(lengths, POOL_LENGTHS, b);
    const uint count = min(p.rate, valid - min(valid, first));
    const uint from = b * p.x_batch + first * p.x_row + quad;
    vec4 sum = vec4(0);
    if (count > 0) sum = FETCH(x, POOL_X, from);
    for (uint r = 1; r < count; r++) {
        const vec4 row = FETCH(x, POOL_X, from + r * p.x_row);
        sum = pooling == POOLING_MAX ? max(sum, row) : sum + row;
    }
    if (pooling == POOLING_MEAN) sum /= float(max(count, 1));
    STORE(y, POOL_Y, b * p.y_batch + j * p.y_row + quad, sum);
}
