#version 450
// Y[b] = mean of X[b][0 .. L_b), 0 where L_b = 0. LANES invocations share a quad of columns: one
// where there are few processors, many where the rows of a quad would be a long way for one.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x_id = ID_GROUP) in;
layout(constant_id = ID_GROUP) const uint GROUP = 64;
layout(constant_id = ID_TILE + 0) const uint LANES = 1; // a power of two that divides GROUP

QUADS_IN(x, MEAN_X)
WORDS_IN(lengths, MEAN_LENGTHS)
TENSOR_OUT(y, MEAN_Y)
PUSH(mean_params)

const uint AT_ONCE = 8;            // loads, before the first is used
const uint WIDTH = GROUP / LANES;  // quads of an item
shared vec4 parts[GROUP];

// Of rows lane, lane + LANES ... No condition lies between loads and their use: compilers would
// move the loads there, one by one.
vec4 sum_rows(uint from, uint lane, uint rows)
{
    vec4 sum = vec4(0);
    uint i = lane;
    for (; i + (AT_ONCE - 1) * LANES < rows; i += AT_ONCE * LANES) {
        vec4 x[AT_ONCE];
        [[unroll]] for (uint j = 0; j < AT_ONCE; j++)
            x[j] = FETCH(x, MEAN_X, from + (i + j * LANES) * p.x_row);
        [[unroll]] for (uint j = 0; j < AT_ONCE; j++) sum += x[j];
    }
    for (; i < rows; i += LANES) sum += FETCH(x, MEAN_X, from + i * p.x_row);
    return sum;
}

void main()
{
    BEGIN_ITEM(item);
    const uint t = gl_LocalInvocationIndex, lane = t / WIDTH, index = item * WIDTH + t % WIDTH;
    const uint b = min(index / p.quads, p.batch - 1), quad = index % p.quads;
    const uint rows = min(WORD(lengths, MEAN_LENGTHS, b), p.n);
    vec4 sum = sum_rows(b * p.x_batch + quad, lane, rows);
    if (LANES > 1) {
        parts[t] = sum;
        barrier();
        for (uint step = LANES / 2; step > 0; step /= 2) {
            if (lane < step) parts[t] += parts[t + step * WIDTH];
            barrier();
        }
        sum = parts[t % WIDTH];
    }
    if (lane == 0 && index < p.batch * p.quads)
        STORE(y, MEAN_Y, b * p.y_row + quad, sum / float(max(rows, 1)));
}
