#version 450
// Copies quads: the bandwidth that a kernel gets. Not an op: `adamra bench` measures devices by it.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "lane.glsl"

layout(constant_id = ID_TILE) const uint STEPS = 1; // of BENCH_COPY_QUADS quads

QUADS_IN(source, BENCH_SOURCE)
TENSOR_OUT(target, BENCH_TARGET)
PUSH(bench_params)

void main()
{
    BEGIN_ITEM(item);
    for (uint step = 0; step < STEPS; step++) {
        const uint first = (item * STEPS + step) * SG * BENCH_COPY_QUADS + gl_LocalInvocationIndex;
        vec4 quads[BENCH_COPY_QUADS];
        [[unroll]] for (uint i = 0; i < BENCH_COPY_QUADS; i++)
            quads[i] = FETCH(source, BENCH_SOURCE, first + i * SG);
        [[unroll]] for (uint i = 0; i < BENCH_COPY_QUADS; i++)
            STORE(target, BENCH_TARGET, first + i * SG, quads[i]);
    }
}
