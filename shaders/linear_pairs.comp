#version 450
// C = act(A W + bias) + residual. CPU forms that store C in pairs of quads: rows that pass, where k
// is few, and lanes over rows.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
layout(constant_id = ID_DEPTH) const uint DEPTH = 0; // quads of k; 0: any, lanes over rows
const uint DEEP = DEPTH == 0 ? 1 : DEPTH;
#include "linear_cpu.glsl"
#include "linear_lanes.glsl"
#include "linear_rows.glsl"

void main()
{
    BEGIN_ITEM(item);
    if (DEPTH != 0) rows_pass(item);
    else lanes_over_rows(item);
}
