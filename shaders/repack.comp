#version 450
// dst[r][0..columns) = src[r][0..columns), between strides and storage types; 0 up to dst_row. An
// invocation makes a whole 32 bit word: one float, or two halves.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "flat.glsl"

layout(constant_id = ID_TYPE + REPACK_SRC) const uint src_type = TYPE_F32;
layout(constant_id = ID_TYPE + REPACK_DST) const uint dst_type = TYPE_F32;

WORDS_IN(src, REPACK_SRC)
WORDS_OUT(dst, REPACK_DST)
PUSH(repack_params)

const uint NOTHING = 0xffffffff;

// Where element `index` of dst, counted from dst_start, lies in src; NOTHING: it is 0.
uint source(uint index)
{
    const uint row = index / p.dst_row, column = index % p.dst_row;
    if (row >= p.rows || column >= p.columns) return NOTHING;
    return p.src_start + row * p.src_row + column;
}

float element(uint index)
{
    const uint at = source(index);
    if (at == NOTHING) return 0;
    if (src_type == TYPE_F32) return uintBitsToFloat(WORD(src, REPACK_SRC, at));
    return unpack_pair(WORD(src, REPACK_SRC, at / 2))[at & 1];
}

uint converted(uint at)
{
    if (dst_type == TYPE_F16) return pack_pair(vec2(element(at), element(at + 1)));
    if (src_type != dst_type) return floatBitsToUint(element(at));
    const uint from = source(at);
    return from == NOTHING ? 0 : WORD(src, REPACK_SRC, from);
}

void main()
{
    const uint per_word = dst_type == TYPE_F16 ? 2 : 1;
    BEGIN_ELEMENT(index, (p.rows * p.dst_row + per_word - 1) / per_word);
    WORD(dst, REPACK_DST, p.dst_start / per_word + index) = converted(index * per_word);
}
