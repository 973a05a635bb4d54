#version 450
// S = sum over stretches of P, in order
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "flat.glsl"

QUADS_IN(partial, REDUCE_P)
TENSOR_OUT(state, REDUCE_S)
PUSH(reduce_params)

void main()
{
    BEGIN_ELEMENT(index, p.blocks * p.quads);
    const uint block = index / p.quads, quad = index % p.quads;
    uint from = p.p_start + block * p.stretches * p.quads + quad;
    vec4 sum = vec4(0);
    for (uint s = 0; s < p.stretches; s++) {
        sum += FETCH(partial, REDUCE_P, from);
        from += p.quads;
    }
    STORE(state, REDUCE_S, p.s_start + block * p.s_block + quad, sum);
}
