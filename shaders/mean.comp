#version 450
// Y[b] = mean of X[b][0 .. L_b), 0 where L_b = 0
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "flat.glsl"

QUADS_IN(x, MEAN_X)
WORDS_IN(lengths, MEAN_LENGTHS)
TENSOR_OUT(y, MEAN_Y)
PUSH(mean_params)

void main()
{
    BEGIN_ELEMENT(index, p.batch * p.quads);
    const uint b = index / p.quads, quad = index % p.quads;
    const uint rows = min(WORD(lengths, MEAN_LENGTHS, b), p.n);
    vec4 sum = vec4(0);
    for (uint i = 0; i < rows; i++) sum += FETCH(x, MEAN_X, b * p.x_batch + i * p.x_row + quad);
    STORE(y, MEAN_Y, b * p.y_row + quad, sum / float(max(rows, 1)));
}
