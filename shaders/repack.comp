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

// Element `index` of dst, counted from dst_start.
float element(uint index)
{
    const uint row = index / p.dst_row, column = index % p.dst_row;
    if (row >= p.rows || column >= p.columns) return 0;
    const uint at = p.src_start + row * p.src_row + column;
    if (src_type == TYPE_F32) return uintBitsToFloat(WORD(src, REPACK_SRC, at));
    return unpack_pair(WORD(src, REPACK_SRC, at / 2))[at & 1];
}

void main()
{
    const uint per_word = dst_type == TYPE_F16 ? 2 : 1;
    BEGIN_ELEMENT(index, (p.rows * p.dst_row + per_word - 1) / per_word);
    const uint at = index * per_word;
    uint word;
    if (dst_type == TYPE_F16) word = pack_pair(vec2(element(at), element(at + 1)));
    else word = floatBitsToUint(element(at));
    WORD(dst, REPACK_DST, p.dst_start / per_word + index) = word;
}
