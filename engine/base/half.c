/* half: IEEE binary16 and bfloat16 in integer and single precision arithmetic. The loops have no
 * branches, so that compilers vectorise them on every target. */
#include "base/base.h"

union float_bits {
    float value;
    uint32_t bits;
};

#define FLOAT_INF       0x7f800000u
#define FLOAT_QUIET     0x00400000u          /* set in a quiet NaN */
#define REBIAS          ((127u - 15u) << 23) /* from binary16's exponent bias to binary32's */
#define HALF_INF        0x7c00u
#define HALF_MIN_NORMAL 0x0400u

static inline float half_decode(uint16_t half)
{
    uint32_t magnitude = half & 0x7fffu;
    uint32_t nan = magnitude > HALF_INF ? FLOAT_QUIET : 0;
    union float_bits subnormal = {.value = (float)(int32_t)magnitude * 0x1p-24f};
    uint32_t normal = (magnitude << 13) + REBIAS;
    uint32_t special = (magnitude << 13) | FLOAT_INF | nan;
    uint32_t bits = magnitude < HALF_MIN_NORMAL ? subnormal.bits : normal;
    bits = magnitude >= HALF_INF ? special : bits;
    union float_bits result = {.bits = bits | (uint32_t)(half & 0x8000u) << 16};
    return result.value;
}

static inline uint16_t half_encode(float value)
{
    union float_bits in = {.value = value};
    uint32_t magnitude = in.bits & 0x7fffffffu;
    /* Adding 0.5 leaves a subnormal's digits, rounded, at the end of the significand. */
    union float_bits shifted = {.bits = magnitude};
    shifted.value += 0.5f;
    uint32_t subnormal = shifted.bits - 0x3f000000u;
    /* Half of the last place that stays, less one unless that place is odd; a carry out of the
     * significand raises the exponent, up to infinity. */
    uint32_t normal = (magnitude - REBIAS + 0xfffu + (magnitude >> 13 & 1)) >> 13;
    uint32_t nan = 0x7e00u | (magnitude >> 13 & 0x3ffu);
    uint32_t half = magnitude < 0x38800000u ? subnormal : normal; /* 2^-14 */
    half = magnitude >= 0x47800000u ? HALF_INF : half;            /* 2^16 */
    half = magnitude > FLOAT_INF ? nan : half;
    return (uint16_t)(half | (in.bits >> 16 & 0x8000u));
}

float half_to_float(uint16_t half)
{
    return half_decode(half);
}

uint16_t half_from_float(float value)
{
    return half_encode(value);
}

void half_to_floats(float *out, const uint16_t *in, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = half_decode(in[i]);
}

void half_from_floats(uint16_t *out, const float *in, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = half_encode(in[i]);
}

float bfloat_to_float(uint16_t bits)
{
    union float_bits result = {.bits = (uint32_t)bits << 16};
    return result.value;
}
