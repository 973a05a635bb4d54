// What every shader shares: storage of tensors as quads, work items, feature map, GELU.
//
// A tensor is declared by TENSOR_IN(name, binding), TENSOR_OUT or TENSOR_INOUT: quads of 32 or 16
// bit floats, chosen by a specialisation constant per binding: one module serves all storage
// types. Half quads are packed in 32 bit words: no 16 bit feature is needed.
#extension GL_EXT_control_flow_attributes : enable
#include "params.h"

#define TENSOR_(name, b, access)                                                                   \
    layout(constant_id = ID_TYPE + b) const uint name##_type = TYPE_F32;                           \
    layout(set = 0, binding = b, std430) access buffer name##_f32 { vec4 name##_quads[]; };        \
    layout(set = 0, binding = b, std430) access buffer name##_f16 { uvec2 name##_halves[]; };
#define TENSOR_IN(name, b) TENSOR_(name, b, readonly)
#define TENSOR_OUT(name, b) TENSOR_(name, b, writeonly)
#define TENSOR_INOUT(name, b) TENSOR_(name, b, )

#include "halves.glsl"

// LOAD and STORE take an absolute quad index; the binding's base is subtracted.
#define LOAD_(name, i)                                                                             \
    (name##_type == TYPE_F16 ? unpack_quad(name##_halves[i]) : name##_quads[i])
#define LOAD(name, b, i) LOAD_(name, (i) - p.items.base[b])
#define STORE_(name, i, value)                                                                     \
    {                                                                                              \
        if (name##_type == TYPE_F16) name##_halves[i] = pack_quad(value);                          \
        else name##_quads[i] = value;                                                              \
    }
#define STORE(name, b, i, value) STORE_(name, (i) - p.items.base[b], value)

// A quad as it lies in memory, and the numbers that it is: for loads long before the use, as a
// conversion waits for its load.
#define LOAD_RAW(name, b, i)                                                                       \
    (name##_type == TYPE_F16 ? uvec4(name##_halves[(i) - p.items.base[b]], 0, 0)                   \
                             : floatBitsToUint(name##_quads[(i) - p.items.base[b]]))
vec4 from_raw(uint type, uvec4 raw)
{
    return type == TYPE_F16 ? unpack_quad(raw.xy) : uintBitsToFloat(raw);
}

// Plain elements: 32 bit words or floats, one at a time.
#define WORDS_IN(name, b)                                                                          \
    layout(set = 0, binding = b, std430) readonly buffer name##_words_ { uint name##_words[]; };
#define WORDS_OUT(name, b)                                                                         \
    layout(set = 0, binding = b, std430) writeonly buffer name##_words_ { uint name##_words[]; };
#define FLOATS_IN(name, b)                                                                         \
    layout(set = 0, binding = b, std430) readonly buffer name##_words_ { float name##_words[]; };
#define FLOATS_OUT(name, b)                                                                        \
    layout(set = 0, binding = b, std430) writeonly buffer name##_words_ { float name##_words[]; };
#define WORD(name, b, i) name##_words[(i) - p.items.base[b]]

// Inputs that a TEXEL build reads as texel buffers: software drivers load those in straight-line,
// vectorised code, of either storage type.
#ifdef TEXEL
#define QUADS_IN(name, b) layout(set = 0, binding = b) uniform samplerBuffer name##_texels;
#define FETCH(name, b, i) texelFetch(name##_texels, int((i) - p.items.base[b]))
#define WORDS_FETCHED(name, b) layout(set = 0, binding = b) uniform usamplerBuffer name##_texels;
#define FETCH_WORD(name, b, i) FETCH(name, b, i).x
#else
#define QUADS_IN(name, b) TENSOR_IN(name, b)
#define FETCH(name, b, i) LOAD(name, b, i)
#define WORDS_FETCHED(name, b) WORDS_IN(name, b)
#define FETCH_WORD(name, b, i) WORD(name, b, i)
#endif

// Small inputs, which a FEW build reads as texel buffers: then four storage buffers are left, and
// more no device need have.
#ifdef FEW
#define SMALL_QUADS(name, b) layout(set = 0, binding = b) uniform samplerBuffer name##_small;
#define SMALL_QUAD(name, b, i) texelFetch(name##_small, int((i) - p.items.base[b]))
#define SMALL_WORDS(name, b) layout(set = 0, binding = b) uniform usamplerBuffer name##_small;
#define SMALL_WORD(name, b, i) texelFetch(name##_small, int((i) - p.items.base[b])).x
#else
#define SMALL_QUADS(name, b) TENSOR_IN(name, b)
#define SMALL_QUAD(name, b, i) LOAD(name, b, i)
#define SMALL_WORDS(name, b) WORDS_IN(name, b)
#define SMALL_WORD(name, b, i) WORD(name, b, i)
#endif
#define SMALL_FLOAT(name, b, i) uintBitsToFloat(SMALL_WORD(name, b, i))

// Moments of rows (norm.comp): texels where anything is.
#if defined(TEXEL) || defined(FEW)
#define MOMENTS_IN(name, b) layout(set = 0, binding = b) uniform samplerBuffer name##_moments;
#define MOMENTS(name, b, i) texelFetch(name##_moments, int((i) - p.items.base[b]))
#else
#define MOMENTS_IN(name, b)                                                                        \
    layout(set = 0, binding = b, std430) readonly buffer name##_moments_ { vec4 name##_moments[]; };
#define MOMENTS(name, b, i) name##_moments[(i) - p.items.base[b]]
#endif

// The parameters p, copied by BEGIN_ITEM before any control flow: inside of it software drivers
// load a push constant lane by lane, again for every use.
#define PUSH(type)                                                                                 \
    layout(push_constant, std430) uniform push_ { type pushed; };                                  \
    type p;

// Groups are laid out over x and y; an item is what one workgroup does.
uint item_index(item_range items)
{
    return items.first + gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x;
}

#define BEGIN_ITEM(item)                                                                           \
    p = pushed;                                                                                    \
    const uint item = item_index(p.items);                                                         \
    if (item >= p.items.end) return

vec4 feature_map(uint kind, vec4 x)
{
    if (kind == FEATURE_RELU) return max(x, vec4(0));
    return mix(exp(min(x, vec4(0))), x + 1.0, greaterThan(x, vec4(0)));
}

