// Two neighbouring quads stored at once, as numbers of 64 bit: software drivers store lane after
// lane, number after number, however wide a number is. Needs shaderInt64, and even indices.
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require

// TENSOR_OUT, and the same memory in pairs.
#define PAIRS_OUT(name, b)                                                                         \
    TENSOR_OUT(name, b)                                                                            \
    layout(set = 0, binding = b, std430) writeonly buffer name##_p32 { u64vec4 name##_pairs[]; };  \
    layout(set = 0, binding = b, std430) writeonly buffer name##_p16 {                             \
        u64vec2 name##_half_pairs[];                                                               \
    };

// Two quads as the words that STORE_PAIR takes.
u64vec4 pair_words(uvec4 x, uvec4 y)
{
    return u64vec4(packUint2x32(x.xy), packUint2x32(x.zw), packUint2x32(y.xy), packUint2x32(y.zw));
}
u64vec2 pair_halves(uvec4 x, uvec4 y)
{
    return u64vec2(packUint2x32(pack_quad(uintBitsToFloat(x))),
                   packUint2x32(pack_quad(uintBitsToFloat(y))));
}

// x, y: bits of the quads 2 i and 2 i + 1, the binding's base subtracted.
#define STORE_PAIR(name, i, x, y)                                                                  \
    {                                                                                              \
        if (name##_type == TYPE_F16) name##_half_pairs[i] = pair_halves(x, y);                     \
        else name##_pairs[i] = pair_words(x, y);                                                   \
    }
