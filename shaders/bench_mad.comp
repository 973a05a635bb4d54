#version 450
// Chains of multiply-adds that stay in registers: the rate of a device's units. Not an op: `adamra
// bench` measures devices by it. With HALF, in 16 bit floats, two at a time.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "params.h"

layout(local_size_x_id = ID_GROUP) in;

#ifdef HALF
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define PAIR f16vec2
#else
#define PAIR vec2
#endif

layout(set = 0, binding = BENCH_SUMS, std430) writeonly buffer sums_ { vec2 sums[]; };
layout(push_constant, std430) uniform push_ { bench_params p; };

void main()
{
    const uint item = p.items.first + gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x;
    if (item >= p.items.end) return;
    const uint index = item * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
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
