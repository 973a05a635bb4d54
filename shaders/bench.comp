#version 450
// What a device can do, which `adamra bench` measures results by. Not an op. Copies quads, or with
// MADS runs chains of multiply-adds that stay in registers; with HALF those are of 16 bit floats,
// two at a time.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "lane.glsl"

layout(constant_id = ID_TILE + 0) const uint STEPS = 1; // of BENCH_COPY_QUADS quads
layout(constant_id = ID_TILE + 1) const uint MADS = 0;

#ifdef HALF
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define PAIR f16vec2
#else
#define PAIR vec2
#endif

QUADS_IN(source, BENCH_SOURCE)
TENSOR_OUT(target, BENCH_TARGET)
layout(set = 0, binding = BENCH_TARGET, std430) writeonly buffer sums_ { vec2 sums[]; };
PUSH(bench_params)

void copy(uint item)
{
    for (uint step = 0; step < STEPS; step++) {
        const uint first = (item * STEPS + step) * SG * BENCH_COPY_QUADS + gl_LocalInvocationIndex;
        vec4 quads[BENCH_COPY_QUADS];
        [[unroll]] for (uint i = 0; i < BENCH_COPY_QUADS; i++)
            quads[i] = FETCH(source, BENCH_SOURCE, first + i * SG);
        [[unroll]] for (uint i = 0; i < BENCH_COPY_QUADS; i++)
            STORE(target, BENCH_TARGET, first + i * SG, quads[i]);
    }
}

void multiply_add(uint item)
{
    const uint index = item * SG + gl_LocalInvocationIndex;
    const PAIR factor = PAIR(p.factor), addend = PAIR(p.addend);
    PAIR x[BENCH_CHAINS];
    [[unroll]] for (uint i = 0; i < BENCH_CHAINS; i++) x[i] = PAIR(float(i + (index & 15u)));
    for (uint round = 0; round < p.rounds; round++)
        [[unroll]] for (uint step = 0; step < BENCH_STEPS; step++)
            [[unroll]] for (uint i = 0; i < BENCH_CHAINS; i++) x[i] = x[i] * factor + addend;
    PAIR sum = x[0];
    [[unroll]] for (uint i = 1; i < BENCH_CHAINS; i++) sum += x[i];
    sums[index] = vec2(sum);
}

void main()
{
    BEGIN_ITEM(item);
    if (MADS != 0) multiply_add(item);
    else copy(item);
}
