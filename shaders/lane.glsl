// For kernels whose workgroup is one subgroup of a CPU device: a lane of the subgroup is a lane of
// the SIMD unit, a shuffle by a constant is one instruction, loops are unrolled so that it is one.
#extension GL_KHR_shader_subgroup_shuffle : enable

layout(local_size_x_id = ID_GROUP) in;
layout(constant_id = ID_GROUP) const uint SG = 8; // lanes of a subgroup

// Four consecutive sums of a lane as a quad.
#define QUAD(sums, i) vec4(sums[i], sums[(i) + 1], sums[(i) + 2], sums[(i) + 3])
