#version 450
// The program's own work around attention: stage 0 makes numbers up, stage 1 doubles them.
layout(local_size_x = 64) in;

layout(set = 0, binding = 0, std430) buffer numbers_ { float numbers[]; };
layout(set = 0, binding = 1, std430) writeonly buffer results_ { float results[]; };
layout(push_constant, std430) uniform push_ { uint stage, first, count; } p;

// PCG's output permutation; 12 bits of it, between -1 and 1: exact on every device.
float made_up(uint i)
{
    const uint state = i * 747796405u + 2891336453u;
    const uint word = ((state >> ((state >> 28) + 4u)) ^ state) * 277803737u;
    return float(((word >> 22) ^ word) & 0xfffu) / 2048.0 - 1.0;
}

void main()
{
    const uint i = gl_GlobalInvocationID.x;
    if (i >= p.count) return;
    if (p.stage == 0u) numbers[p.first + i] = made_up(p.first + i);
    else results[i] = 2.0 * numbers[p.first + i];
}
