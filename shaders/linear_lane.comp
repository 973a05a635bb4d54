#version 450
// C = act(A W + bias) + residual. CPU form for any k: lanes over rows.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "linear_cpu.glsl"
#include "linear_lanes.glsl"

void main()
{
    BEGIN_ITEM(item);
    lanes_over_rows(item);
}
