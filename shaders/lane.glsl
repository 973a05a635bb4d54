// For kernels whose workgroup is one subgroup of a CPU device: a lane of the subgroup is a lane of
// the SIMD unit, a shuffle by a constant is one instruction, loops are unrolled so that it is one.
#extension GL_KHR_shader_subgroup_basic : enable
#extension GL_KHR_shader_subgroup_shuffle : enable

layout(local_size_x_id = ID_GROUP) in;
layout(constant_id = ID_GROUP) const uint SG = 8; // lanes of a subgroup

// 0; where `variable` is set, one that no compiler knows. A shuffle by a constant index becomes two
// instructions where AVX2 is, and one by any other index. positive: a parameter that is never 0.
uint lane_zero(uint variable, uint positive) { return variable != 0 ? min(positive, 1) - 1 : 0; }

// The value that a lane has, which may be another one for each.
uint any_lane(uint x, uint lane) { return subgroupShuffle(x, lane); }

// The value that a lane has, the same one for all. Without texel buffers a subgroup may be of four
// lanes (SwiftShader), where a broadcast within a quad is one instruction and a shuffle a dozen.
#ifndef TEXEL
#extension GL_KHR_shader_subgroup_quad : enable
#define FROM_LANE(type)                                                                            \
    type from_lane(type x, uint lane)                                                              \
    {                                                                                              \
        if (SG != 4) return subgroupShuffle(x, lane);                                              \
        if (lane == 0) return subgroupQuadBroadcast(x, 0);                                         \
        if (lane == 1) return subgroupQuadBroadcast(x, 1);                                         \
        return lane == 2 ? subgroupQuadBroadcast(x, 2) : subgroupQuadBroadcast(x, 3);              \
    }
FROM_LANE(int)
FROM_LANE(uint)
FROM_LANE(float)
FROM_LANE(vec4)
#define subgroupShuffle from_lane
#endif

// Four consecutive sums of a lane as a quad.
#define QUAD(sums, i) vec4(sums[i], sums[(i) + 1], sums[(i) + 2], sums[(i) + 3])
