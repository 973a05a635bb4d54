// Halves in words of 32 bits: two in one, by the driver or, where a constant says so, by integers.
layout(constant_id = ID_UNPACK_BY_HAND) const uint unpack_by_hand = 0;
layout(constant_id = ID_PACK_BY_HAND) const uint pack_by_hand = 0;

// unpackHalf2x16 in integers: exponents move by 112, that of infinities twice; a subnormal is the
// mantissa of a number between 2^-14 and 2^-13, less 2^-14.
vec2 unpack_integers(uint word)
{
    const uvec2 halves = uvec2(word & 0xffff, word >> 16), bits = (halves & 0x7fff) << 13;
    const uvec2 normal = bits + (112 << 23) +
        mix(uvec2(0), uvec2(112 << 23), greaterThanEqual(bits, uvec2(31 << 23)));
    const vec2 subnormal = uintBitsToFloat(bits | (113 << 23)) - uintBitsToFloat(113 << 23);
    const uvec2 magnitude =
        mix(normal, floatBitsToUint(subnormal), lessThan(bits, uvec2(1 << 23)));
    return uintBitsToFloat(magnitude | (halves & 0x8000) << 16);
}

// unpackHalf2x16; always by this function.
vec2 unpack_pair(uint word)
{
    if (unpack_by_hand != 0) return unpack_integers(word);
    return unpackHalf2x16(word);
}
vec4 unpack_quad(uvec2 words) { return vec4(unpack_pair(words.x), unpack_pair(words.y)); }

// packHalf2x16 in integers, to the nearest half, of two to the even one. 2^16 and more become
// infinity by carries; a subnormal half is what a sum with 0.5 has in its last places.
uint pack_integers(vec2 x)
{
    const uvec2 bits = floatBitsToUint(x), magnitude = bits & 0x7fffffff;
    const uvec2 finite = min(magnitude, uvec2(143 << 23));
    const uvec2 normal = (finite + (finite >> 13 & 1) + (0xfff - (112 << 23))) >> 13;
    const uvec2 subnormal = floatBitsToUint(uintBitsToFloat(magnitude) + 0.5) - (126 << 23);
    const uvec2 nan = mix(uvec2(0), uvec2(0x200), greaterThan(magnitude, uvec2(255 << 23)));
    const uvec2 halves = mix(normal, subnormal, lessThan(magnitude, uvec2(113 << 23))) | nan;
    return halves.x | halves.y << 16 | bits.x >> 16 & 0x8000 | bits.y & 0x80000000;
}

// packHalf2x16; always by this function.
uint pack_pair(vec2 x)
{
    if (pack_by_hand != 0) return pack_integers(x);
    return packHalf2x16(x);
}
uvec2 pack_quad(vec4 quad) { return uvec2(pack_pair(quad.xy), pack_pair(quad.zw)); }
