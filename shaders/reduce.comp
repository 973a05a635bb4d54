#version 450
// S = sum over stretches of P, in order
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "flat.glsl"

QUADS_IN(partial, REDUCE_P)
TENSOR_INOUT(state, REDUCE_S)
layout(constant_id = ID_OPTION + OPTION_CONTINUE) const uint continued = 0;
PUSH(reduce_params)
const uint AT_ONCE = 16; // loads, before the first is used

void main()
{
    BEGIN_ITEM(item);
    const uint items = (p.quads + GROUP - 1) / GROUP; // of a block
    const uint block = item / items, quad = item % items * GROUP + gl_LocalInvocationIndex;
    if (quad >= p.quads) return;
    const uint head = block / p.blocks;
    uint from = p.p_start + block * p.stretches * p.quads + quad;
    const uint to = p.s_start + (block - head * p.blocks) * p.s_block + head * p.quads + quad;
    vec4 sum = vec4(0);
    if (continued != 0) sum = LOAD(state, REDUCE_S, to);
    // No condition between the loads and their use: compilers move loads into it, one by one.
    uint s = 0;
    for (; s + AT_ONCE <= p.stretches; s += AT_ONCE) {
        vec4 x[AT_ONCE];
        [[unroll]] for (uint i = 0; i < AT_ONCE; i++)
            x[i] = FETCH(partial, REDUCE_P, from + i * p.quads);
        [[unroll]] for (uint i = 0; i < AT_ONCE; i++) sum += x[i];
        from += AT_ONCE * p.quads;
    }
    for (; s < p.stretches; s++) {
        sum += FETCH(partial, REDUCE_P, from);
        from += p.quads;
    }
    STORE(state, REDUCE_S, to, sum);
}
